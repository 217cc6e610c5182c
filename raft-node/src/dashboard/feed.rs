//! One poller for all who look: it runs while somebody does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::frame::{self, Reach, View};
use super::watching::{EVERY, Source, Targets, Told};
use crate::http::problem::{Code, Problem};
use crate::node::Members;

/// Pages that may watch at a time.
const VIEWERS: usize = 64;
/// The longest time between two events: they are the stream's heartbeat too.
const BEAT: Duration = Duration::from_millis(200);
/// How long the first event waits for all members to have been asked.
const FIRST: Duration = Duration::from_millis(300);

/// The events, and those who watch them.
#[derive(Debug)]
pub(crate) struct Feed {
    source: Source,
    frames: watch::Sender<Bytes>,
    places: Arc<Semaphore>,
    poller: Mutex<Option<JoinHandle<()>>>,
    ended: watch::Receiver<bool>,
}

/// One who watches.
#[derive(Debug)]
pub(crate) struct Viewer {
    frames: watch::Receiver<Bytes>,
    ended: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

/// What the members were last heard to say.
#[derive(Debug)]
struct Board {
    views: Mutex<Vec<View>>,
    news: Notify,
}

impl Feed {
    /// A feed that nobody watches yet. Its streams end when `ended` holds true or its sender is gone.
    pub(crate) fn new(source: Source, ended: watch::Receiver<bool>) -> Arc<Feed> {
        Arc::new(Feed {
            source,
            frames: watch::Sender::new(Bytes::new()),
            places: Arc::new(Semaphore::new(VIEWERS)),
            poller: Mutex::default(),
            ended,
        })
    }

    /// Begins to watch. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// 429 where too many watch already.
    pub(crate) fn view(self: &Arc<Feed>) -> Result<Viewer, Problem> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let detail = format!("{VIEWERS} dashboards watch already: close one, or open another node's");
            Problem::new(Code::Overloaded, detail)
        })?;
        let mut poller = self.poller.lock();
        let mut frames = self.frames.subscribe();
        if poller.as_ref().is_none_or(JoinHandle::is_finished) {
            self.frames.send_replace(Bytes::new());
            *poller = Some(tokio::spawn(Arc::clone(self).poll()));
        }
        frames.mark_changed();
        Ok(Viewer { frames, ended: self.ended.clone(), _place: place })
    }

    async fn poll(self: Arc<Feed>) {
        let (mut views, mut told) = (Vec::new(), Vec::new());
        loop {
            let members = self.source.members();
            let targets = Arc::new(self.source.targets(&told));
            let Some(last) = self.poll_those(&targets, members, views, &told).await else { return };
            told = self.source.told(&last).unwrap_or(told);
            views = last;
        }
    }

    /// Asks those, of whom this was seen before. Returns what was seen last once the members are others; none
    /// when nobody looks any more.
    async fn poll_those(
        self: &Arc<Feed>,
        targets: &Arc<Targets>,
        members: Option<watch::Receiver<Members>>,
        before: Vec<View>,
        told: &[Told],
    ) -> Option<Vec<View>> {
        let views = targets.all.iter().map(|target| target.seen_before(&before)).collect();
        let board = Arc::new(Board { views: Mutex::new(views), news: Notify::new() });
        let mut asking = JoinSet::new();
        for position in 0..targets.all.len() {
            asking.spawn(ask(Arc::clone(targets), Arc::clone(&board), position));
        }
        let start = Instant::now();
        loop {
            tokio::select! {
                () = board.news.notified() => {}
                () = sleep(BEAT) => {}
            }
            if self.nobody_looks() {
                return None;
            }
            let views = board.views.lock().clone();
            let are_others = members.as_ref().is_some_and(|members| members.has_changed().unwrap_or(false));
            if are_others || self.source.told(&views).is_some_and(|now| now != told) {
                return Some(views);
            }
            let incomplete = views.iter().any(|view| view.reach == Reach::Unknown);
            if incomplete && start.elapsed() < FIRST {
                continue;
            }
            let served_by = targets.served_by.as_deref();
            self.frames.send_replace(frame::event(served_by, &views, Instant::now()));
        }
    }

    /// Whether the poller may end. Decided under the lock under which another one would be started.
    fn nobody_looks(&self) -> bool {
        let mut poller = self.poller.lock();
        let nobody = self.frames.receiver_count() == 0;
        if nobody {
            *poller = None;
        }
        nobody
    }
}

/// Asks one member again and again.
async fn ask(targets: Arc<Targets>, board: Arc<Board>, position: usize) {
    let Some(target) = targets.all.get(position) else { return };
    let mut closer = Instant::now();
    loop {
        let asked = tokio::time::Instant::now();
        let before = board.views.lock()[position].clone();
        let view = target.look(before.clone(), &mut closer).await;
        let is_news = view.is_news(&before);
        board.views.lock()[position] = view;
        if is_news {
            board.news.notify_one();
        }
        tokio::time::sleep_until(asked + EVERY).await;
    }
}

impl Viewer {
    /// Passes the events on until the server ends or `to` is no longer read.
    pub(crate) async fn pass_on(mut self, to: mpsc::Sender<Bytes>) {
        loop {
            tokio::select! {
                biased;
                // An error means that the server is gone.
                _ = self.ended.wait_for(|ended| *ended) => return,
                () = to.closed() => return,
                changed = self.frames.changed() => if changed.is_err() { return },
            }
            // A viewer that reads slowly misses events, and gets the newest when he reads again.
            let frame = self.frames.borrow_and_update().clone();
            if !frame.is_empty() && to.send(frame).await.is_err() {
                return;
            }
        }
    }
}
