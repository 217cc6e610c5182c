//! One connection and its loop.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::args::Args;
use crate::http::Connection;
use crate::report::Report;
use crate::requests::Requests;

/// How long to stand back when a server says that it has too much to do, or cannot be reached.
const BACK_OFF: Duration = Duration::from_millis(10);

/// When to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    pub(crate) deadline: Instant,
    pub(crate) max_ops: u64,
}

pub(crate) struct Worker {
    args: Rc<Args>,
    requests: Requests,
    endpoint: SocketAddr,
    connection: Option<Connection>,
    random: u64,
    report: Rc<RefCell<Report>>,
}

impl Worker {
    pub(crate) fn new(args: Rc<Args>, requests: Requests, n: u64, report: Rc<RefCell<Report>>) -> Worker {
        let endpoint = args.endpoints[n as usize % args.endpoints.len()];
        let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Worker { args, requests, endpoint, connection: None, random, report }
    }

    /// Asks about random keys until it is time to end.
    pub(crate) async fn run(&mut self, until: Until) {
        while Instant::now() < until.deadline && self.report.borrow_mut().may_go_on(until.max_ops) {
            let key = self.next_random() % self.args.keys;
            let began = Instant::now();
            let outcome = self.once(key).await;
            let took = began.elapsed();
            match outcome {
                Ok(()) => self.report.borrow_mut().done(took),
                Err(error) => {
                    self.report.borrow_mut().error(&error);
                    sleep(BACK_OFF).await;
                }
            }
        }
    }

    /// Asks about each of these keys until it was answered.
    pub(crate) async fn write_all(&mut self, keys: impl Iterator<Item = u64>) -> Result<(), String> {
        for key in keys {
            let mut attempts = 0;
            while let Err(error) = self.once(key).await {
                attempts += 1;
                if attempts == 100 {
                    return Err(format!("cannot write the keys to read: {error}"));
                }
                sleep(BACK_OFF).await;
            }
        }
        Ok(())
    }

    async fn once(&mut self, key: u64) -> Result<(), String> {
        let limit = self.args.timeout;
        match timeout(limit, self.attempt(key)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.connection = None;
                Err("timeout".to_owned())
            }
        }
    }

    async fn attempt(&mut self, key: u64) -> Result<(), String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.endpoint).await.map_err(|e| format!("connect: {e}"))?,
        };
        let request = self.requests.about(key);
        let answer = connection.ask(request).await.map_err(|e| format!("connection: {e}"))?;
        let (status, length, closing) = (answer.status, answer.body.len(), answer.closing);
        if !closing {
            self.connection = Some(connection);
        }
        match status {
            200 if length >= self.requests.least_answer() => Ok(()),
            200 => Err("an answer without the value".to_owned()),
            status => Err(status.to_string()),
        }
    }

    /// xorshift64: which key comes next need not be more random than that.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
