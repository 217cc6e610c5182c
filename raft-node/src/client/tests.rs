//! The client against servers that follow a script.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::blocking::{self, Store as _};

/// A request as a scripted server saw it.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// What a scripted server does with a request.
enum React {
    Answer(u16, &'static str, &'static str),
    Cut,
    Hang,
}

type Script = dyn Fn(usize, &Seen) -> React + Send + Sync;

/// A server that records requests and does with the nth what its script says. Opening sessions and asking for
/// the status go well and are not counted, unless the script is for them.
struct Scripted {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    sessions: Arc<Mutex<Vec<String>>>,
    running: tokio::task::JoinHandle<()>,
}

impl Scripted {
    async fn start(script: impl Fn(usize, &Seen) -> React + Send + Sync + 'static) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen, sessions) = (Arc::default(), Arc::default());
        let script: Arc<Script> = Arc::new(script);
        let (all, opened) = (Arc::clone(&seen), Arc::clone(&sessions));
        let running = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, all, opened) = (Arc::clone(&script), Arc::clone(&all), Arc::clone(&opened));
                connections.spawn(follow(stream, script, all, opened));
            }
        });
        Scripted { address, seen, sessions, running }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// Session, number and answered-below of each request.
    fn numbers(&self) -> Vec<(String, String, String)> {
        let header = |seen: &Seen, name: &str| seen.headers.get(name).cloned().unwrap_or_default();
        let names = ["idempotency-key", "idempotency-sequence", "idempotency-answered-below"];
        self.seen()
            .iter()
            .map(|seen| (header(seen, names[0]), header(seen, names[1]), header(seen, names[2])))
            .collect()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn follow(
    mut stream: TcpStream,
    script: Arc<Script>,
    all: Arc<Mutex<Vec<Seen>>>,
    opened: Arc<Mutex<Vec<String>>>,
) {
    while let Some(seen) = read_request(&mut stream).await {
        let reaction = if seen.line.starts_with("POST /api/session") {
            opened.lock().push(seen.body.clone());
            React::Answer(200, "", r#"{"success":true}"#)
        } else if seen.line.starts_with("GET /api/status") {
            React::Answer(200, "", r#"{"node_id":"x"}"#)
        } else {
            let position = {
                let mut all = all.lock();
                all.push(seen.clone());
                all.len() - 1
            };
            script(position, &seen)
        };
        match reaction {
            React::Answer(status, headers, body) => {
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                     {headers}\r\n{body}"
                );
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            React::Cut => return,
            React::Hang => std::future::pending().await,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut data = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(seen) = parse(&data) {
            return Some(seen);
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => data.extend_from_slice(&buffer[..count]),
        }
    }
}

fn parse(data: &[u8]) -> Option<Seen> {
    let text = std::str::from_utf8(data).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let line = lines.next()?.to_owned();
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    (body.len() >= length).then(|| Seen { line, headers, body: body.to_owned() })
}

const DONE: &str = r#"{"success":true,"key":"k","revision":7}"#;
const NO_LEADER: &str = r#"{"code":"no_leader","status":503,"detail":"no leader: two of three are gone"}"#;
const LATE: &str = r#"{"code":"timeout","status":504,"detail":"late"}"#;
const EXPIRED: &str = r#"{"code":"conflict","status":409,"detail":"gone","reason":"session_expired"}"#;

fn done() -> React {
    React::Answer(200, "", DONE)
}

fn client(endpoints: &[&str], millis: u64) -> Client {
    Client::new(ClientConfig {
        endpoints: endpoints.iter().map(|text| (*text).to_owned()).collect(),
        timeout: Duration::from_millis(millis),
        consistency: Consistency::Linearizable,
    })
    .unwrap()
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_repeated_under_its_number() {
    let server = Scripted::start(|n, _| if n < 2 { React::Cut } else { done() }).await;
    let client = client(&[&server.address], 5000);
    assert_eq!(client.set("k", "1").await.unwrap().revision.0, 7);
    client.delete("k").await.unwrap();
    let numbers = server.numbers();
    assert_eq!(numbers.len(), 4);
    assert_eq!(numbers[0].1, "1");
    assert!(numbers[..3].iter().all(|number| *number == numbers[0]), "{numbers:?}");
    assert_eq!((numbers[3].1.as_str(), numbers[3].2.as_str()), ("2", "2"));
    let opened = server.sessions.lock().clone();
    assert_eq!(opened, [format!("{{\"client\":\"{}\"}}", numbers[0].0)]);
    assert!(server.seen()[0].line.starts_with("PUT /api/raw/k?timeout_ms="), "{:?}", server.seen()[0]);
    assert_eq!(server.seen()[0].body, "1");
}

#[tokio::test]
async fn a_write_that_may_have_happened_is_repeated_elsewhere_under_its_number() {
    for lost in [
        || React::Cut,
        || React::Answer(504, "", LATE),
        || React::Answer(503, "", NO_LEADER),
        || React::Answer(429, "", r#"{"code":"overloaded","detail":"x"}"#),
    ] {
        let first = Scripted::start(move |_, _| lost()).await;
        let second = Scripted::start(|_, _| done()).await;
        let client = client(&[&first.address, &second.address], 5000);
        client.set_bytes("k", "v").await.unwrap();
        assert_eq!(first.numbers()[0], second.numbers()[0]);
        assert_eq!(second.numbers().len(), 1);
        let asked = first.seen().len();
        client.set_bytes("k", "v").await.unwrap();
        assert_eq!(first.seen().len(), asked, "the one that answered is asked first now");
    }
}

#[tokio::test]
async fn a_hung_endpoint_gets_half_the_time() {
    let hung = Scripted::start(|_, _| React::Hang).await;
    let good = Scripted::start(|_, _| done()).await;
    let client = client(&[&hung.address, &good.address], 2000);
    let start = Instant::now();
    client.set("k", "1").await.unwrap();
    let took = start.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_millis(1900)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn an_expired_session_is_replaced_where_nothing_can_have_happened() {
    let server = Scripted::start(|n, _| if n == 0 { React::Answer(409, "", EXPIRED) } else { done() }).await;
    let client = client(&[&server.address], 5000);
    client.set("k", "1").await.unwrap();
    let numbers = server.numbers();
    assert_eq!(server.sessions.lock().len(), 2);
    assert_ne!(numbers[0].0, numbers[1].0);
    assert_eq!(numbers[1].1, "1");
}

#[tokio::test]
async fn an_expired_session_after_a_lost_attempt_leaves_it_open() {
    for lost in [|| React::Cut, || React::Answer(504, "", LATE)] {
        let server =
            Scripted::start(move |n, _| if n == 0 { lost() } else { React::Answer(409, "", EXPIRED) }).await;
        let client = client(&[&server.address], 5000);
        let error = client.set("k", "1").await.unwrap_err();
        assert!(matches!(error, ClientError::Unknown { .. }), "{error:?}");
        assert_eq!(server.seen().len(), 2, "the write was not begun anew");
    }
}

#[tokio::test]
async fn a_refusal_after_a_lost_attempt_leaves_it_open() {
    let refusal = r#"{"code":"too_large","detail":"too large"}"#;
    let script = move |n, _: &Seen| if n == 0 { React::Cut } else { React::Answer(413, "", refusal) };
    let server = Scripted::start(script).await;
    let error = client(&[&server.address], 5000).set("k", "1").await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { .. }), "{error:?}");
}

#[tokio::test]
async fn a_session_that_never_lasts_is_given_up() {
    let server = Scripted::start(|_, _| React::Answer(409, "", EXPIRED)).await;
    let error = client(&[&server.address], 5000).set("k", "1").await.unwrap_err();
    assert!(matches!(error, ClientError::Problem { status: 409, .. }), "{error:?}");
}

#[tokio::test]
async fn all_endpoints_down_lists_each_and_keeps_the_deadline() {
    let (one, two) = (nobody().await, nobody().await);
    let start = Instant::now();
    let error = client(&[&one, &two], 300).set("k", "1").await.unwrap_err();
    let took = start.elapsed();
    assert!((Duration::from_millis(290)..Duration::from_millis(1000)).contains(&took), "{took:?}");
    let ClientError::Unreachable { failures } = &error else { panic!("{error:?}") };
    assert_eq!(failures.iter().map(|f| f.endpoint.clone()).collect::<Vec<_>>(), [one.clone(), two.clone()]);
    let text = error.to_string();
    assert!(text.contains(&one) && text.contains(&two) && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn the_deadline_covers_everything_and_says_what_is_open() {
    let hung = Scripted::start(|_, _| React::Hang).await;
    let client = client(&[&hung.address], 300);
    for (error, expected) in [
        (client.set("k", "1").await.unwrap_err(), true),
        (client.get("k").await.map(|_| ()).unwrap_err(), false),
    ] {
        let ClientError::Timeout { maybe_happened, .. } = error else { panic!("{error:?}") };
        assert_eq!(maybe_happened, expected);
    }
    let late = Scripted::start(|_, _| React::Answer(504, "", LATE)).await;
    let start = Instant::now();
    let error = super::Client::new(ClientConfig { endpoints: vec![late.address.clone()], ..config(300) })
        .unwrap()
        .set("k", "1")
        .await
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_millis(1000));
    assert!(matches!(error, ClientError::Timeout { maybe_happened: true, .. }), "{error:?}");
}

fn config(millis: u64) -> ClientConfig {
    ClientConfig { timeout: Duration::from_millis(millis), ..ClientConfig::default() }
}

#[tokio::test]
async fn without_a_leader_the_nodes_reason_is_passed_on() {
    let server = Scripted::start(|_, _| React::Answer(503, "Retry-After: 1\r\n", NO_LEADER)).await;
    let down = nobody().await;
    let error = client(&[&server.address, &down], 300).get("k").await.unwrap_err();
    assert_eq!(error, ClientError::NoLeader { detail: "no leader: two of three are gone".into() });
}

#[tokio::test]
async fn refusals_are_not_repeated() {
    let refusal = r#"{"code":"bad_request","status":400,"detail":"no"}"#;
    let server = Scripted::start(move |_, _| React::Answer(400, "", refusal)).await;
    let client = client(&[&server.address], 5000);
    let expected = ClientError::Problem { code: "bad_request".into(), status: 400, detail: "no".into() };
    assert_eq!(client.set("k", "1").await.unwrap_err(), expected);
    assert_eq!(client.get("k").await.unwrap_err(), expected);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn something_else_on_the_port_is_named() {
    let server = Scripted::start(|_, _| React::Answer(500, "", "<html>")).await;
    let error = client(&[&server.address], 5000).get("k").await.unwrap_err();
    let ClientError::Protocol { endpoint, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*endpoint, server.address);
}

#[tokio::test]
async fn keys_are_read_page_by_page() {
    let server = Scripted::start(|n, _| {
        React::Answer(
            200,
            "",
            if n == 0 {
                r#"{"keys":["a","b"],"revision":1,"more":true,"after":"b"}"#
            } else {
                r#"{"keys":["c"],"revision":1}"#
            },
        )
    })
    .await;
    assert_eq!(client(&[&server.address], 5000).keys("p/").await.unwrap(), ["a", "b", "c"]);
    let lines: Vec<_> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert!(lines[0].contains("prefix=p%2F") && !lines[0].contains("after="), "{lines:?}");
    assert!(lines[1].contains("after=b"), "{lines:?}");
}

#[tokio::test]
async fn reads_find_values_and_their_absence() {
    let missing = r#"{"code":"not_found","status":404,"detail":"the key is not set"}"#;
    let server = Scripted::start(move |n, _| match n {
        0 => React::Answer(200, "Raft-Revision: 5\r\n", "{\"a\": 1}"),
        _ => React::Answer(404, "", missing),
    })
    .await;
    let client = client(&[&server.address], 5000).with_consistency(Consistency::Stale);
    let item = client.get("a/b").await.unwrap().unwrap();
    assert_eq!((item.value, item.revision.0), (Value::Json(Bytes::from_static(b"{\"a\": 1}")), 5));
    assert_eq!(client.get("a/b").await, Ok(None));
    assert!(server.seen()[0].line.starts_with("GET /api/raw/a%2Fb?consistency=stale&timeout_ms="));
}

#[tokio::test]
async fn each_endpoints_status_is_its_own() {
    let (good, down) = (Scripted::start(|_, _| React::Hang).await, nobody().await);
    let all = client(&[&down, &good.address], 1000).status_of_all().await;
    assert_eq!(all[0].endpoint, down);
    assert!(matches!(all[0].status, Err(ClientError::Unreachable { .. })), "{:?}", all[0]);
    assert_eq!(all[1].status.as_ref().unwrap().node_id, "x");
}

#[tokio::test]
async fn bad_settings_are_refused() {
    let endpoints: [&[&str]; 4] = [&[], &["nowhere"], &["h:0"], &["http://h"]];
    for endpoints in endpoints {
        let endpoints = endpoints.iter().map(|text| (*text).to_owned()).collect();
        let made = Client::new(ClientConfig { endpoints, ..ClientConfig::default() });
        assert!(matches!(made, Err(ClientError::InvalidInput(_))), "{made:?}");
    }
    let made = Client::new(config(0));
    assert!(matches!(made, Err(ClientError::InvalidInput(_))));
    assert!(client(&["http://[::1]:80/"], 1).endpoints().eq(["[::1]:80"]));
}

#[test]
fn the_blocking_client_blocks_and_does_not_panic_in_a_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Scripted::start(|_, _| done()));
    let endpoints = vec![server.address.clone()];
    let client = blocking::Client::new(ClientConfig { endpoints, ..config(5000) }).unwrap();
    let one = || crate::value::from_json("1").unwrap();
    let call = blocking::Call::default();
    let revisions: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| client.set("k", one(), blocking::Call::default()).unwrap().revision.0))
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(revisions, [7; 4]);
    let mut numbers: Vec<_> = server.numbers().into_iter().map(|number| number.1).collect();
    numbers.sort();
    assert_eq!(numbers, ["1", "2", "3", "4"]);
    let inside = runtime.block_on(async move { client.set("k", one(), call) }).unwrap_err();
    assert_eq!(inside.code, blocking::FailureCode::BadRequest, "{inside:?}");
}
