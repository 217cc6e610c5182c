//! A snapshot's file that is not there, or not as it was written, is found when its server starts: no state
//! comes of it, and nobody is told what was in it. The shipped replica reads copies of the file, damaged.

use raft_core::consensus::{Configuration, Timing};
use raft_core::disk::SnapshotFile;
use raft_core::kv::Store;
use raft_core::log::{LogOptions, Recovered, Recovery, recover};
use raft_core::replica::{Action, Event, Options, Replica, SnapshotEvery, Stored};
use raft_core::types::{Applied, NodeId, Time};

use crate::dice::Dice;
use crate::fault::{Fault, Faults};
use crate::world::disk::Files;

/// Damages copies of a disk at rest, as the faults say, in the snapshot that the server starts from, and
/// looks at what a replica makes of them. `whole` is what recovery makes of the disk as it is.
pub(crate) fn check(seen: &Files, whole: &Recovered, log: LogOptions, faults: &mut Faults) {
    let Some(snapshot) = whole.snapshot else { return };
    let file = SnapshotFile::Whole(snapshot.index).file_name();
    for fault in [Fault::RotSnapshot, Fault::SnapshotCut, Fault::SnapshotGone] {
        if faults.strikes(fault) {
            let mut damaged = seen.clone();
            let content = damaged.remove(&file).expect("recovery has seen it");
            damaged.extend(damage(content, fault, faults.dice(fault)).map(|content| (file.clone(), content)));
            judge(seen, damaged, &whole.identity.node_id, log, fault);
        }
    }
}

/// The file as it is then, if it is.
fn damage(mut content: Vec<u8>, fault: Fault, dice: &mut Dice) -> Option<Vec<u8>> {
    let at = dice.index(content.len());
    match fault {
        Fault::RotSnapshot => content[at] ^= 1 << dice.below(8),
        Fault::SnapshotCut => content.truncate(at),
        _ => return None,
    }
    Some(content)
}

fn judge(seen: &Files, damaged: Files, id: &NodeId, log: LogOptions, fault: Fault) {
    // Without the file a server may start from an earlier one, if it has the log from there on.
    if let Ok(state) = start(damaged, id, log) {
        let sound = start(seen.clone(), id, log);
        assert!(
            sound.as_ref() == Ok(&state),
            "Snapshot Damage: {} went unnoticed on {id}: its state is {state:?} instead of {sound:?}",
            fault.name()
        );
    }
}

/// The state that a server comes to by itself when it starts from these files, or why it comes to none.
fn start(mut files: Files, id: &NodeId, log: LogOptions) -> Result<Applied, String> {
    let found = match recover(&files, id, log).map_err(|error| error.to_string())? {
        Recovery::Found(found) => *found,
        Recovery::Empty => return Err("nothing is there".to_owned()),
    };
    let options = Options {
        configuration: Configuration::new([id.clone()]),
        timing: Timing::default(),
        seed: 0,
        snapshot_every: SnapshotEvery { bytes: u64::MAX, entries: u64::MAX },
        now: Time::ZERO,
    };
    let mut replica = Replica::new(Stored::from(found), Box::new(Store::new()), options);
    loop {
        let mut is_answered = false;
        for action in replica.drain() {
            if let Action::Aside { seq, op } = action {
                let outcome = op.carry_out(&mut files);
                replica.step(Time::ZERO, Event::AsideDone { seq, outcome });
                is_answered = true;
            }
        }
        if let Some(reason) = replica.failed() {
            return Err(reason.to_owned());
        }
        if !is_answered && replica.deadline() > Time::ZERO {
            return Ok(Applied { index: replica.last_applied(), hash: replica.applied_hash() });
        }
    }
}
