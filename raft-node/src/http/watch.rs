//! What one connection is doing, and until when it may: the defence against clients that are slow on
//! purpose.
//!
//! hyper's own header timeout would cut idle keep-alive connections too, and sets a timer for every request.
//! Here a request costs a clock reading or two: a connection has one timer, which is moved only when a
//! deadline comes before the one it is set to.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::refusal;

/// How long a new connection may say nothing.
const FRESH: Duration = Duration::from_secs(10);
/// How long the head of a request may take, from its first byte.
const HEAD: Duration = Duration::from_secs(5);
/// How long a body may take in all.
const BODY: Duration = Duration::from_secs(60);
/// How long a body may stand still.
const BODY_IDLE: Duration = Duration::from_secs(10);
/// How long a client may not read its answer.
const STALL: Duration = Duration::from_secs(30);
/// How long a connection may be kept between requests.
const IDLE: Duration = Duration::from_secs(75);
/// How long requests under way may take once the server stops.
pub(crate) const CLOSING: Duration = Duration::from_secs(1);

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing came yet.
    Fresh,
    /// A head began to come.
    Head,
    /// A body is being read.
    Body,
    /// The node works on it, within the request's own time limit.
    Working,
    /// Between requests, or its answer is being written.
    Idle,
    /// Its answer is a stream of events, which ends the connection.
    Streaming,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// When the phase began.
    since: Instant,
    /// When bytes last came.
    read_at: Instant,
    /// Since when the client takes no more of what is written to it.
    stalled: Option<Instant>,
    closing: Option<Instant>,
    /// The connection was told that it is to close.
    told: bool,
    evicted: bool,
    /// A request was handed on, whose answer may be under way.
    asked: bool,
    waker: Option<Waker>,
}

impl State {
    fn deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            // The answer is still being written, which has its own limit and starts the others anew.
            Phase::Head | Phase::Idle if self.stalled.is_some() => None,
            Phase::Fresh => Some(self.since + FRESH),
            Phase::Head => Some(self.since + HEAD),
            Phase::Body => Some((self.since + BODY).min(self.read_at + BODY_IDLE)),
            Phase::Working | Phase::Streaming => None,
            Phase::Idle => Some(self.since + IDLE),
        };
        let stalled = self.stalled.map(|since| since + STALL);
        let closing = self.closing.map(|since| since + CLOSING);
        [phase, stalled, closing].into_iter().flatten().min()
    }

    /// What is to be done once the deadline has passed.
    fn late(&self) -> Verdict {
        match self.phase {
            _ if self.stalled.is_some() || self.closing.is_some() => Verdict::Close("it was too slow"),
            Phase::Head => Verdict::Refuse("the head of the request took longer than 5 seconds"),
            Phase::Body => Verdict::Refuse(
                "the body of the request stood still for 10 seconds, or took longer than 60 in all",
            ),
            _ => Verdict::Close("nothing came"),
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// One connection's state, shared by its socket, its requests and the server.
#[derive(Debug)]
pub(crate) struct Watch(Mutex<State>);

impl Watch {
    pub(crate) fn new() -> Arc<Watch> {
        let now = Instant::now();
        Arc::new(Watch(Mutex::new(State {
            phase: Phase::Fresh,
            since: now,
            read_at: now,
            stalled: None,
            closing: None,
            told: false,
            evicted: false,
            asked: false,
            waker: None,
        })))
    }

    /// A body is about to be read.
    pub(crate) fn reading_body(&self) {
        let mut state = self.0.lock();
        state.enter(Phase::Body);
        state.read_at = state.since;
    }

    /// The request is there in full.
    pub(crate) fn working(&self) {
        let mut state = self.0.lock();
        state.phase = Phase::Working;
        state.asked = true;
    }

    /// The answer is ready.
    pub(crate) fn answered(&self) {
        self.0.lock().enter(Phase::Idle);
    }

    /// The answer begins, and goes on for as long as it is read.
    pub(crate) fn streaming(&self) {
        self.0.lock().enter(Phase::Streaming);
    }

    /// Since when the connection could be closed without cutting a request off; none if it can't.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = self.0.lock();
        (matches!(state.phase, Phase::Fresh | Phase::Head | Phase::Idle) && !state.evicted)
            .then_some(state.since)
    }

    /// Makes room for another connection.
    pub(crate) fn evict(&self) {
        let mut state = self.0.lock();
        state.evicted = true;
        state.wake();
    }

    /// The server stops.
    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        state.closing = Some(Instant::now());
        state.wake();
    }

    /// Whether a request was handed on: until then whatever is written is about what cannot be read.
    fn was_asked(&self) -> bool {
        self.0.lock().asked
    }

    fn on_read(&self) {
        let mut state = self.0.lock();
        match state.phase {
            Phase::Fresh | Phase::Idle => state.enter(Phase::Head),
            Phase::Body => state.read_at = Instant::now(),
            Phase::Head | Phase::Working | Phase::Streaming => {}
        }
    }

    fn on_write(&self, taken: bool) {
        let mut state = self.0.lock();
        match (taken, state.stalled) {
            (true, Some(_)) => {
                state.stalled = None;
                state.since = Instant::now();
            }
            (false, None) => state.stalled = Some(Instant::now()),
            _ => {}
        }
    }
}

/// What a connection must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Finish the request under way, and close.
    Finish,
    /// Close now.
    Close(&'static str),
    /// Close now, and say why: a request has begun to come.
    Refuse(&'static str),
}

/// The one timer of a connection.
pub(crate) struct Watchdog {
    watch: Arc<Watch>,
    timer: Pin<Box<Sleep>>,
}

impl Watchdog {
    pub(crate) fn new(watch: Arc<Watch>) -> Watchdog {
        Watchdog { watch, timer: Box::pin(tokio::time::sleep(FRESH)) }
    }

    /// Ready when the connection must do something. To be polled after the connection itself, whose
    /// progress moves the deadline.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        loop {
            let (deadline, late) = {
                let mut state = self.watch.0.lock();
                if state.evicted {
                    return Poll::Ready(Verdict::Close("another connection needed its place"));
                }
                if state.closing.is_some() && !state.told {
                    state.told = true;
                    return Poll::Ready(Verdict::Finish);
                }
                if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    state.waker = Some(cx.waker().clone());
                }
                (state.deadline(), state.late())
            };
            if let Some(earlier) = deadline.filter(|deadline| *deadline < self.timer.deadline()) {
                self.timer.as_mut().reset(earlier);
            }
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            match deadline {
                Some(deadline) if deadline <= now => return Poll::Ready(late),
                Some(deadline) => self.timer.as_mut().reset(deadline),
                None => self.timer.as_mut().reset(now + IDLE),
            }
        }
    }
}

/// A client's socket, which tells the watch what happens on it.
pub(crate) struct Socket {
    io: TokioIo<TcpStream>,
    watch: Arc<Watch>,
    /// What is being written in place of a bare refusal.
    refusal: Vec<u8>,
    /// Nothing was written yet.
    silent: bool,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, watch: Arc<Watch>) -> Socket {
        Socket { io: TokioIo::new(stream), watch, refusal: Vec::new(), silent: true }
    }

    /// Whether neither a request nor a mistake has been answered.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent && !self.watch.was_asked()
    }

    /// Writes a last answer, if it can be written at once, and closes.
    pub(crate) async fn say_last(self, answer: Vec<u8>) {
        let mut stream = self.io.into_inner();
        // Whoever is gone, or reads nothing, is not waited for.
        let said = async {
            stream.write_all(&answer).await?;
            stream.shutdown().await
        };
        let _ = tokio::time::timeout(CLOSING, said).await;
    }

    /// Writes what is left of the refusal that stands for `bare` bytes.
    fn poll_refuse(&mut self, cx: &mut Context<'_>, bare: usize) -> Poll<io::Result<usize>> {
        while !self.refusal.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.refusal))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.refusal.drain(..written);
        }
        Poll::Ready(Ok(bare))
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        self.watch.on_read();
        Poll::Ready(read)
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.silent = false;
        if self.refusal.is_empty() && refusal::may_be(buf) && !self.watch.was_asked() {
            self.refusal = refusal::in_words(buf).unwrap_or_default();
        }
        let written = match self.refusal.is_empty() {
            true => Pin::new(&mut self.io).poll_write(cx, buf),
            false => self.poll_refuse(cx, buf.len()),
        };
        self.watch.on_write(written.is_ready());
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// A vectored write goes out without `MSG_NOSIGNAL`: to a client that is gone it raises SIGPIPE, which
    /// ends a process that has a node in it and, as C programs do, leaves that signal at its default.
    fn is_write_vectored(&self) -> bool {
        false
    }
}
