//! Carrying a call to some endpoint that answers it, until its deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request};
use parking_lot::RwLock;
use serde::Deserialize;
use tokio::time::Instant;

use super::connection::{Answer, Endpoint, Lost};
use super::error::{ClientError, EndpointFailure};
use crate::http::input::{IDEMPOTENCY_ANSWERED_BELOW, IDEMPOTENCY_KEY, IDEMPOTENCY_SEQUENCE};
use crate::http::problem::SESSION_EXPIRED;
use crate::http::query::{MAX_LONG_TIMEOUT_MS, MAX_TIMEOUT_MS};
use crate::session::Ticket;

/// The least time an attempt gets, if there is as much.
const LEAST_ATTEMPT: Duration = Duration::from_millis(500);
/// The longest pause between rounds of attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What is asked, of whichever endpoint.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// Path and query, without `timeout_ms`.
    pub(super) target: String,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Bytes,
    /// Which `timeout_ms` the endpoint takes.
    pub(super) timed: Timed,
    /// Names a write, so that it happens once; none for a read.
    pub(super) once: Option<Once<'a>>,
}

/// How long an endpoint may be told to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timed {
    /// It takes no `timeout_ms`.
    Not,
    /// A minute at most.
    Minute,
    /// An hour at most.
    Hour,
}

/// What makes a repeated write happen once, or do no harm.
#[derive(Clone, Copy, Debug)]
pub(super) enum Once<'a> {
    /// Its number in this client's session.
    Ticket(&'a Ticket),
    /// A name of its own.
    Key(&'a HeaderValue),
    /// Nothing: a second time it changes nothing.
    Harmless,
    /// That it is not repeated once it may have arrived.
    Alone,
}

/// How one call fares.
#[derive(Debug)]
pub(super) struct Journey {
    deadline: Instant,
    /// An attempt may have had its effect.
    maybe_happened: bool,
    /// What a node without a leader said last.
    no_leader: Option<String>,
    /// Whom it may go to: those that were known when it began.
    endpoints: Vec<Arc<Endpoint>>,
    /// What went wrong last at each of them.
    failures: Vec<Option<Failure>>,
}

#[derive(Clone, Debug)]
struct Failure {
    error: String,
    /// Whether the endpoint was there.
    reached: bool,
}

/// What an attempt came to.
enum Attempt {
    Answered(Answer),
    /// Worth trying elsewhere.
    Again,
    /// The session of the write is not known. This attempt had no effect.
    SessionExpired(String),
    /// Not acceptable, here or elsewhere. This attempt had no effect.
    Refused(ClientError),
}

/// How a call ended that was answered.
pub(super) enum Arrival {
    Answer(Answer),
    /// No attempt at this write had an effect, and none will.
    SessionExpired,
}

/// A node's `application/problem+json`.
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    reason: Option<String>,
}

/// The endpoints, and which of them to ask first.
#[derive(Debug)]
pub(super) struct Endpoints {
    /// Those the client was made with.
    pub(super) given: Vec<Arc<Endpoint>>,
    /// Other members of the cluster, as a node last told them: the client outlives those it was made with.
    learned: RwLock<Vec<Arc<Endpoint>>>,
    preferred: AtomicUsize,
}

impl Ask<'_> {
    /// Asks for a node's report on itself.
    pub(super) fn report(target: &str) -> Ask<'static> {
        Ask {
            method: Method::GET,
            target: target.to_owned(),
            content_type: None,
            body: Bytes::new(),
            timed: Timed::Not,
            once: None,
        }
    }
}

impl Journey {
    pub(super) fn new(endpoints: &Endpoints, timeout: Duration) -> Journey {
        let endpoints = endpoints.all();
        Journey {
            deadline: Instant::now() + timeout,
            maybe_happened: false,
            no_leader: None,
            failures: vec![None; endpoints.len()],
            endpoints,
        }
    }

    /// Another call's, with the same deadline.
    pub(super) fn fresh(&self) -> Journey {
        let (endpoints, failures) = (self.endpoints.clone(), vec![None; self.failures.len()]);
        Journey { deadline: self.deadline, maybe_happened: false, no_leader: None, endpoints, failures }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The end of an attempt that begins now. With other endpoints to try, a hung one gets half the time.
    fn attempt_end(&self) -> Instant {
        let left = self.left();
        if self.failures.len() == 1 {
            return self.deadline;
        }
        Instant::now() + (left / 2).max(LEAST_ATTEMPT.min(left))
    }

    /// The error of a call whose deadline has passed.
    fn expired(&mut self, is_write: bool) -> ClientError {
        let reached = self.failures.iter().flatten().any(|failure| failure.reached);
        let failures: Vec<_> = std::iter::zip(&self.endpoints, &mut self.failures)
            .filter_map(|(endpoint, failure)| {
                let Failure { error, .. } = failure.take()?;
                Some(EndpointFailure { endpoint: endpoint.address.clone(), error })
            })
            .collect();
        let maybe_happened = self.maybe_happened && is_write;
        match self.no_leader.take() {
            _ if maybe_happened => ClientError::Timeout { maybe_happened, failures },
            Some(detail) => ClientError::NoLeader { detail },
            None if reached || failures.is_empty() => ClientError::Timeout { maybe_happened, failures },
            None => ClientError::Unreachable { failures },
        }
    }
}

impl Endpoints {
    /// Members that are learned of at most.
    const MAX_LEARNED: usize = 64;

    pub(super) fn new(given: Vec<Endpoint>) -> Endpoints {
        let given = given.into_iter().map(Arc::new).collect();
        Endpoints { given, learned: RwLock::default(), preferred: AtomicUsize::new(0) }
    }

    /// All that are known, those first that the client was made with.
    pub(super) fn all(&self) -> Vec<Arc<Endpoint>> {
        self.given.iter().chain(&*self.learned.read()).cloned().collect()
    }

    /// A node that knows a leader has told who the members are.
    pub(super) fn learn<'a>(&self, members: impl Iterator<Item = &'a str>) {
        let mut learned = self.learned.write();
        let known = std::mem::take(&mut *learned);
        let is_given = |address: &str| self.given.iter().any(|endpoint| endpoint.address == address);
        for address in members.filter(|address| !is_given(address)).take(Self::MAX_LEARNED) {
            match known.iter().find(|endpoint| endpoint.address == address) {
                Some(endpoint) => learned.push(Arc::clone(endpoint)),
                // What is no address is of no use.
                None => learned.extend(Endpoint::parse(address).ok().map(Arc::new)),
            }
        }
    }

    /// The position of the endpoint that is asked first.
    pub(super) fn preferred(&self) -> usize {
        self.preferred.load(Ordering::Relaxed)
    }

    /// Asks this endpoint first from now on.
    pub(super) fn prefer(&self, position: usize) {
        self.preferred.store(position, Ordering::Relaxed);
    }

    /// The position of an address.
    pub(super) fn position(&self, address: &str) -> Option<usize> {
        self.all().iter().position(|endpoint| endpoint.address == address)
    }

    /// Asks one endpoint after the other, the preferred one first, until one answers or the deadline passes.
    pub(super) async fn call(&self, ask: &Ask<'_>, journey: &mut Journey) -> Result<Arrival, ClientError> {
        let first = self.preferred();
        let mut pause = Pause::default();
        loop {
            for step in 0..journey.endpoints.len() {
                let position = (first + step) % journey.endpoints.len();
                if journey.left().is_zero() {
                    return Err(journey.expired(ask.once.is_some()));
                }
                let attempt = attempt(position, ask, journey).await;
                // A refusal says nothing about the attempts before it.
                let before = journey.maybe_happened
                    && matches!(ask.once, Some(Once::Ticket(_) | Once::Key(_) | Once::Alone));
                match attempt {
                    Attempt::Answered(answer) => {
                        if step > 0 {
                            self.prefer(position);
                        }
                        return Ok(Arrival::Answer(answer));
                    }
                    Attempt::SessionExpired(detail) => {
                        return if before {
                            Err(ClientError::Unknown { detail })
                        } else {
                            Ok(Arrival::SessionExpired)
                        };
                    }
                    Attempt::Refused(error) if before => {
                        return Err(ClientError::Unknown { detail: error.to_string() });
                    }
                    Attempt::Refused(error) => return Err(error),
                    Attempt::Again if before && matches!(ask.once, Some(Once::Alone)) => {
                        return Err(journey.expired(true));
                    }
                    Attempt::Again => {}
                }
            }
            tokio::time::sleep(pause.next().min(journey.left())).await;
        }
    }
}

/// Asks one endpoint once; where a kept connection turns out to be closed, once more on a new one.
async fn attempt(position: usize, ask: &Ask<'_>, journey: &mut Journey) -> Attempt {
    let endpoint = Arc::clone(&journey.endpoints[position]);
    let end = journey.attempt_end();
    loop {
        let was_kept = endpoint.is_connected();
        let lost = match endpoint.exchange(request(ask, end), end).await {
            Ok(answer) => return judge(&endpoint, answer, position, ask, journey),
            Err(lost) => lost,
        };
        let (error, may_have_arrived) = match lost {
            Lost::NotSent(error) => (error, false),
            Lost::OnTheWay(error) => (error, true),
        };
        journey.maybe_happened |= may_have_arrived;
        journey.failures[position] = Some(Failure { error, reached: may_have_arrived });
        let alone = may_have_arrived && matches!(ask.once, Some(Once::Alone));
        if !was_kept || alone || Instant::now() >= end {
            return Attempt::Again;
        }
    }
}

/// Asks one endpoint once.
pub(super) async fn ask_once(
    endpoint: &Endpoint,
    ask: &Ask<'_>,
    timeout: Duration,
) -> Result<Answer, ClientError> {
    let end = Instant::now() + timeout;
    match endpoint.exchange(request(ask, end), end).await {
        Ok(answer) if answer.status < 300 => Ok(answer),
        Ok(answer) => Err(refusal(endpoint, &answer)?),
        Err(lost) => Err(endpoint.lost(lost)),
    }
}

/// What a node says with an answer that is a problem.
pub(super) fn refusal(endpoint: &Endpoint, answer: &Answer) -> Result<ClientError, ClientError> {
    let Problem { code, detail, .. } = problem(endpoint, answer)?;
    Ok(match code.as_str() {
        "no_leader" => ClientError::NoLeader { detail },
        _ => ClientError::Problem { code, status: answer.status, detail },
    })
}

impl Endpoint {
    /// The failure of a read that was tried here alone.
    pub(super) fn lost(&self, lost: Lost) -> ClientError {
        let failed = |error| vec![EndpointFailure { endpoint: self.address.clone(), error }];
        match lost {
            Lost::NotSent(error) => ClientError::Unreachable { failures: failed(error) },
            Lost::OnTheWay(error) => ClientError::Timeout { maybe_happened: false, failures: failed(error) },
        }
    }
}

fn problem(endpoint: &Endpoint, answer: &Answer) -> Result<Problem, ClientError> {
    serde_json::from_slice(&answer.body).map_err(|_| ClientError::Protocol {
        endpoint: endpoint.address.clone(),
        detail: format!("it answered with status {} and no problem document", answer.status),
    })
}

pub(super) fn request(ask: &Ask<'_>, end: Instant) -> Request<Full<Bytes>> {
    let most = match ask.timed {
        Timed::Not => None,
        Timed::Minute => Some(MAX_TIMEOUT_MS),
        Timed::Hour => Some(MAX_LONG_TIMEOUT_MS),
    };
    let separator = if ask.target.contains('?') { '&' } else { '?' };
    let target = most.map_or(ask.target.clone(), |most| {
        format!("{}{separator}timeout_ms={}", ask.target, server_millis(end, most))
    });
    let mut request = Request::new(Full::new(ask.body.clone()));
    *request.method_mut() = ask.method.clone();
    // Targets are made here, of checked parts, and are percent-encoded.
    *request.uri_mut() = target.parse().unwrap_or_default();
    let headers = request.headers_mut();
    if let Some(content_type) = ask.content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    let mut insert = |name: HeaderName, value: HeaderValue| headers.insert(name, value);
    match ask.once {
        None | Some(Once::Harmless | Once::Alone) => {}
        Some(Once::Key(key)) => {
            insert(IDEMPOTENCY_KEY, key.clone());
        }
        Some(Once::Ticket(ticket)) => {
            if let Ok(client) = HeaderValue::from_str(ticket.client()) {
                insert(IDEMPOTENCY_KEY, client);
            }
            insert(IDEMPOTENCY_SEQUENCE, ticket.number().into());
            insert(IDEMPOTENCY_ANSWERED_BELOW, ticket.answered_below().into());
        }
    }
    request
}

/// What the node is told to keep to: a little less, so that its reason arrives before the attempt ends.
fn server_millis(end: Instant, most: u64) -> u64 {
    let left = end.saturating_duration_since(Instant::now());
    let margin = (left / 10).min(Duration::from_millis(100));
    let millis = u64::try_from((left - margin).as_millis()).unwrap_or(u64::MAX);
    millis.clamp(1, most)
}

fn judge(
    endpoint: &Endpoint,
    answer: Answer,
    position: usize,
    ask: &Ask<'_>,
    journey: &mut Journey,
) -> Attempt {
    if answer.status < 300 {
        return Attempt::Answered(answer);
    }
    let problem = match problem(endpoint, &answer) {
        Ok(problem) => problem,
        Err(error) => return Attempt::Refused(error),
    };
    match answer.status {
        409 if matches!(ask.once, Some(Once::Ticket(_)))
            && problem.reason.as_deref() == Some(SESSION_EXPIRED) =>
        {
            Attempt::SessionExpired(problem.detail)
        }
        429 | 502..=504 => {
            // Only these two leave open whether a write happened, or may yet.
            journey.maybe_happened |= answer.status == 504 || problem.code == "failed";
            journey.no_leader = (problem.code == "no_leader").then(|| problem.detail.clone());
            journey.failures[position] = Some(Failure { error: problem.detail, reached: true });
            Attempt::Again
        }
        status => {
            Attempt::Refused(ClientError::Problem { code: problem.code, status, detail: problem.detail })
        }
    }
}

/// Pauses between rounds: longer each time, and not the same for all clients that lost the same node.
#[derive(Debug, Default)]
struct Pause {
    rounds: u32,
}

impl Pause {
    fn next(&mut self) -> Duration {
        self.rounds = (self.rounds + 1).min(16);
        let most = (Duration::from_millis(10) * (1 << self.rounds)).min(LONGEST_PAUSE);
        // Without random numbers all clients pause alike, which is slower and not wrong.
        let share = getrandom::u32().unwrap_or(u32::MAX) % 1000;
        most / 2 + most * share / 2000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut pause = Pause::default();
        for round in 1..20_u32 {
            let most = Duration::from_millis(10 << round.min(16)).min(LONGEST_PAUSE);
            let next = pause.next();
            assert!(next >= most / 2 && next <= most, "round {round}: {next:?}");
        }
    }
}
