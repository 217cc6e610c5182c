//! The open connections: how many there may be, and who makes room when there are too many.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Notify;

use super::watch::Watch;

/// The most connections at a time, where the operating system allows as many.
const MOST: usize = 16_384;
/// Descriptors left for the log, the peers and the program around the node.
const RESERVED: usize = 256;
/// How many connections are looked at to find an idle one to close.
const SAMPLE: usize = 64;

/// All connections of one server.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    slots: Vec<Option<Arc<Watch>>>,
    free: Vec<usize>,
    open: usize,
    /// Where the search for an idle connection goes on, so that it comes round to all of them.
    cursor: usize,
}

/// A connection's place, given back when it ends.
#[derive(Debug)]
pub(crate) struct Place {
    all: Arc<Connections>,
    slot: usize,
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Arc<Connections> {
        Arc::new(Connections { limit, table: Mutex::default(), changed: Notify::new() })
    }

    /// Takes a place. When all are taken, one of those that have been idle longest is told to close, and
    /// its place is taken over.
    ///
    /// None when every connection looked at is in the middle of a request.
    pub(crate) fn admit(self: &Arc<Self>, watch: Arc<Watch>) -> Option<Place> {
        let mut table = self.table.lock();
        if table.open >= self.limit {
            table.idlest()?.evict();
        }
        table.open += 1;
        let slot = match table.free.pop() {
            Some(slot) => slot,
            None => {
                table.slots.push(None);
                table.slots.len() - 1
            }
        };
        table.slots[slot] = Some(watch);
        Some(Place { all: Arc::clone(self), slot })
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.table.lock().open
    }

    /// Tells every connection to finish what is under way.
    pub(crate) fn close(&self) {
        for watch in self.table.lock().slots.iter().flatten() {
            watch.close();
        }
    }

    /// Waits until none is open.
    pub(crate) async fn emptied(&self) {
        loop {
            let changed = self.changed.notified();
            if self.open() == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Table {
    fn idlest(&mut self) -> Option<Arc<Watch>> {
        let count = self.slots.len();
        let start = self.cursor;
        self.cursor = (start + SAMPLE) % count.max(1);
        (0..SAMPLE.min(count))
            .filter_map(|step| self.slots[(start + step) % count].as_ref())
            .filter_map(|watch| Some((watch.idle_since()?, watch)))
            .min_by_key(|(since, _)| *since)
            .map(|(_, watch)| Arc::clone(watch))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.all.table.lock();
        table.slots[self.slot] = None;
        table.free.push(self.slot);
        table.open -= 1;
        drop(table);
        self.all.changed.notify_waiters();
    }
}

/// Raises the limit on open files as far as it goes, and says how many connections fit under it.
pub(crate) fn fitting_limit() -> usize {
    let now = getrlimit(Resource::Nofile);
    let raised = match (now.current, now.maximum) {
        (Some(current), Some(maximum)) if current < maximum => raise(maximum),
        _ => Ok(()),
    };
    if let Err(error) = raised {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
    let files =
        getrlimit(Resource::Nofile).current.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let fitting = files.saturating_sub(RESERVED).max(files / 2).min(MOST);
    if fitting < MOST {
        tracing::info!(
            connections = fitting,
            open_files = files,
            "connections are bounded by the limit on open files"
        );
    }
    fitting
}

fn raise(maximum: u64) -> io::Result<()> {
    setrlimit(Resource::Nofile, Rlimit { current: Some(maximum), maximum: Some(maximum) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_makes_room_and_a_busy_one_does_not() {
        let all = Connections::new(2);
        let (busy, idle, third) = (Watch::new(), Watch::new(), Watch::new());
        let first = all.admit(Arc::clone(&busy)).unwrap();
        let second = all.admit(Arc::clone(&idle)).unwrap();
        busy.working();
        let third_place = all.admit(Arc::clone(&third)).expect("the idle one makes room");
        assert_eq!(idle.idle_since(), None, "the idle one was told to close");
        third.working();
        drop(second);
        assert_eq!(all.open(), 2);
        assert!(all.admit(Watch::new()).is_none(), "both are in the middle of a request");
        drop((first, third_place));
        assert_eq!(all.open(), 0);
        assert!(all.admit(Watch::new()).is_some());
    }

    #[test]
    fn the_connections_fit_under_the_limit_on_files() {
        let limit = fitting_limit();
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(limit > 0 && (limit as u64) < files);
    }
}
