//! Damage is found: what was flushed and is not there any more, or not as it was, keeps a server from
//! starting. (Of the last flush only an unflushed note may testify; before that, damage and a torn end look
//! the same.)

use raft_core::log::{LogOptions, Recovered, Recovery, recover};
use raft_core::types::NodeId;

use crate::fault::{Fault, Faults};
use crate::world::disk::{Disk, Files, SECTOR};

/// What is found on a disk that no fault has touched.
pub(crate) fn found(disk: &Files, id: &NodeId, log: LogOptions) -> Option<Recovered> {
    match recover(disk, id, log) {
        Ok(Recovery::Found(found)) => Some(*found),
        Ok(Recovery::Empty) => None,
        Err(error) => panic!("Damage: {id} refuses a sound disk: {error}"),
    }
}

/// Damages copies of a disk at rest, as the faults say, and looks at what recovery makes of them. `whole`
/// is what it makes of the disk as it is.
pub(crate) fn check(disk: &Disk, seen: &Files, whole: &Recovered, log: LogOptions, faults: &mut Faults) {
    for fault in [Fault::RotBit, Fault::RotSector, Fault::RotIdentity, Fault::SegmentGone, Fault::SegmentCut]
    {
        if faults.strikes(fault) {
            let mut damaged = seen.clone();
            if damage(&mut damaged, disk, fault, faults) {
                judge(&damaged, whole, log, fault);
            }
        }
    }
}

fn damage(files: &mut Files, disk: &Disk, fault: Fault, faults: &mut Faults) -> bool {
    let dice = faults.dice(fault);
    match fault {
        Fault::RotIdentity => {
            let Some(file) = files.get_mut(raft_core::log::IDENTITY_FILE) else { return false };
            let at = dice.index(file.len());
            file[at] ^= 1 << dice.below(8);
            true
        }
        Fault::RotBit | Fault::RotSector => {
            let Some(piece) = dice.pick(&disk.testified()) else { return false };
            let Some(file) = files.get_mut(&piece.file) else { return false };
            let at = piece.offset + dice.index(piece.length);
            if fault == Fault::RotBit {
                file[at] ^= 1 << dice.below(8);
            } else {
                let sector = at / SECTOR * SECTOR;
                let end = file.len().min(sector + SECTOR);
                file[sector..end].fill(0);
            }
            true
        }
        _ => {
            // The last segment may not be in use yet.
            let mut segments: Vec<String> =
                files.keys().filter(|name| name.starts_with("log-")).cloned().collect();
            segments.sort();
            segments.pop();
            let Some(name) = segments.get(dice.index(segments.len())) else { return false };
            let Some(file) = files.get_mut(name) else { return false };
            if fault == Fault::SegmentCut {
                file.truncate(dice.index(file.len()));
            } else {
                files.remove(name);
            }
            true
        }
    }
}

fn judge(damaged: &Files, whole: &Recovered, log: LogOptions, fault: Fault) {
    let id = &whole.identity.node_id;
    let Ok(recovery) = recover(damaged, id, log) else { return };
    let Recovery::Found(found) = recovery else {
        panic!("Damage: {} went unnoticed on {id}: recovery takes the disk for empty", fault.name());
    };
    // A segment that is gone may be one that only waited to be removed.
    let has_log = whole.entries.ends_with(&found.entries)
        && found.snapshot == whole.snapshot
        && (found.base == whole.base
            || found.snapshot.is_some_and(|snapshot| found.base.index <= snapshot.index));
    let is_whole = found.identity == whole.identity
        && found.hard_state == whole.hard_state
        && has_log
        && found.peers == whole.peers
        && found.admitted == whole.admitted;
    assert!(
        is_whole,
        "Damage: {} went unnoticed on {id}: {} entries instead of {}, {:?} instead of {:?}, torn: {:?}",
        fault.name(),
        found.entries.len(),
        whole.entries.len(),
        found.hard_state,
        whole.hard_state,
        found.torn
    );
}
