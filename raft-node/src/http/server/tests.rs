//! The server against clients that misbehave, with a handler in a node's place.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::http::budget::Budget;
use crate::http::{body, reply};

/// Echoes bodies of at most 1,000 bytes; holds a GET of `/wait` until it is told; answers `/large` with
/// more than socket buffers take.
#[derive(Default)]
struct Echo {
    release: Notify,
    waiting: Notify,
}

impl Handler for Echo {
    async fn handle(&self, mut request: Request<Incoming>, watch: &Watch) -> Response {
        match request.uri().path() {
            "/wait" => {
                self.waiting.notify_one();
                self.release.notified().await;
            }
            "/large" => return reply::json(vec![b' '; 64 << 20]),
            _ => {}
        }
        let budget = Budget::new();
        match body::read(request.body_mut(), 1000, &budget, watch).await {
            Ok((data, _)) => reply::json(data),
            Err(problem) => problem.response(),
        }
    }
}

struct Server {
    address: SocketAddr,
    echo: Arc<Echo>,
    shutdown: watch::Sender<bool>,
    running: JoinHandle<()>,
    connections: Arc<Connections>,
}

async fn start(limit: usize) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, told) = watch::channel(false);
    let (echo, connections) = (Arc::new(Echo::default()), Connections::new(limit));
    let running = tokio::spawn(run(listener, Arc::clone(&echo), Arc::clone(&connections), told));
    Server { address, echo, shutdown, running, connections }
}

impl Server {
    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection on which `request` was sent.
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = self.dial().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// What comes until `end` is in it; empty where the connection closes first.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&text).contains(end) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return String::new(),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8(text).unwrap()
}

/// Whether the far end closed; waits for it.
async fn closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    true
}

/// Seconds until the server closes.
async fn seconds_until_closed(stream: &mut TcpStream) -> u64 {
    let start = Instant::now();
    closed(stream).await;
    (start.elapsed() + Duration::from_millis(500)).as_secs()
}

#[tokio::test]
async fn connections_are_kept_and_requests_pipelined() {
    let server = start(10).await;
    let mut stream = server.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nfirst").await;
    assert!(read_until(&mut stream, "first").await.starts_with("HTTP/1.1 200"));
    let two = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na\
               POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nthird";
    stream.write_all(two.as_bytes()).await.unwrap();
    let both = read_until(&mut stream, "third").await;
    assert_eq!(both.matches("HTTP/1.1 200").count(), 2, "{both}");
}

/// All that comes until the server closes, as the parts of a problem: status, code, detail.
async fn problem(stream: &mut TcpStream) -> (u16, String, String) {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head["HTTP/1.1 ".len()..][..3].parse().unwrap();
    assert!(head.contains("content-type: application/problem+json\r\n"), "{answer}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
    let document: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(document["status"], status);
    let text = |name: &str| document[name].as_str().unwrap().to_owned();
    (status, text("code"), text("detail"))
}

#[tokio::test]
async fn what_is_not_http_is_refused_in_words() {
    let server = start(10).await;
    let path = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(HEAD_BYTES));
    let header = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "a".repeat(HEAD_BYTES));
    let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    let garbage = "\0\u{1}\u{16}\u{3}\u{1}\r\n\r\n";
    for (bad, status, code, word) in [
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_request", "HTTP/1.1"),
        (garbage, 400, "bad_request", "HTTP/1.1"),
        ("HELLO\r\n\r\n", 400, "bad_request", "HTTP/1.1"),
        ("GET / HTTP/9.9\r\n\r\n", 400, "bad_request", "HTTP/1.1"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad_request", "HTTP/1.1"),
        (&path, 431, "too_large", "32768 bytes"),
        (&header, 431, "too_large", "32768 bytes"),
        (&headers, 431, "too_large", "100 headers"),
    ] {
        let (got, got_code, detail) = problem(&mut server.send(bad).await).await;
        assert_eq!((got, got_code.as_str()), (status, code), "{bad:.40}");
        assert!(detail.contains(word), "{bad:.40}: {detail}");
    }
    let mut stream = server.send("GET / HTTP/1.1\r\nHo").await;
    stream.shutdown().await.unwrap();
    assert_eq!(problem(&mut stream).await.0, 400, "half a head and no more");
    let mut stream = server.send(GET).await;
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    stream.write_all(b"HELLO\r\n\r\n").await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 400"), "a later one too");
}

#[tokio::test(start_paused = true)]
async fn slow_clients_are_told_so() {
    let server = start(10).await;
    for (half, seconds) in [
        ("GET / HTTP/1.1\r\nHos", "5 seconds"),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf", "10 seconds"),
    ] {
        let (status, code, detail) = problem(&mut server.send(half).await).await;
        assert_eq!((status, code.as_str()), (408, "request_timeout"));
        assert!(detail.contains(seconds), "{detail}");
    }
}

#[tokio::test]
async fn too_large_a_body_is_refused_at_once() {
    let server = start(10).await;
    for request in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n".to_owned(),
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n{}\r\n",
            "x".repeat(1001)
        ),
    ] {
        let mut stream = server.send(&request).await;
        assert!(read_until(&mut stream, "too_large").await.starts_with("HTTP/1.1 413"));
    }
    let request =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    let mut stream = server.send(request).await;
    assert!(read_until(&mut stream, "abcdef").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn slow_clients_are_cut_off_in_time() {
    let server = start(10).await;
    assert_eq!(seconds_until_closed(&mut server.dial().await).await, 10, "nothing came");
    let mut head = server.send("GET / HTTP/1.1\r\nHos").await;
    assert_eq!(seconds_until_closed(&mut head).await, 5, "half a head came");
    let mut body = server.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf").await;
    assert_eq!(seconds_until_closed(&mut body).await, 10, "half a body came");
    let mut idle = server.send(GET).await;
    read_until(&mut idle, "\r\n\r\n").await;
    assert_eq!(seconds_until_closed(&mut idle).await, 75, "no second request came");
    let mut wait = server.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n").await;
    tokio::time::sleep(Duration::from_secs(500)).await;
    server.echo.release.notify_one();
    assert!(!read_until(&mut wait, "\r\n\r\n").await.is_empty(), "a request under way is not cut off");
    wait.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert_eq!(seconds_until_closed(&mut wait).await, 5, "half a second head came");
}

#[tokio::test(start_paused = true)]
async fn one_byte_at_a_time_does_not_help() {
    let server = start(10).await;
    let mut stream = server.dial().await;
    let start = Instant::now();
    for byte in GET.bytes() {
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!((5..9).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_is_given_up() {
    let server = start(10).await;
    let stream = server.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let start = Instant::now();
    while server.connections.open() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.connections.emptied().await;
    assert!((30..36).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    drop(stream);
}

#[tokio::test]
async fn idle_connections_make_room() {
    let server = start(50).await;
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(server.dial().await);
    }
    for _ in 0..20 {
        let mut stream = server.send(GET).await;
        assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
        idle.push(stream);
    }
    assert!(server.connections.open() <= 52, "{}", server.connections.open());
}

#[tokio::test]
async fn thousands_of_idle_connections_do_no_harm() {
    let count = fitting_count();
    let server = start(16_384).await;
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(server.dial().await);
    }
    let mut stream = server.send(GET).await;
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    assert_eq!(server.connections.open(), count + 1);
}

/// As many as this process may open, with both ends of each in it.
fn fitting_count() -> usize {
    (crate::http::connections::fitting_limit() / 2).saturating_sub(200).min(4000)
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_closes_the_rest() {
    let server = start(10).await;
    let mut idle = server.send(GET).await;
    read_until(&mut idle, "\r\n\r\n").await;
    let mut busy = server.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n").await;
    server.echo.waiting.notified().await;
    server.shutdown.send(true).unwrap();
    assert!(closed(&mut idle).await);
    server.echo.release.notify_one();
    let answer = read_until(&mut busy, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.running.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_ever() {
    let server = start(10).await;
    let mut stuck = server.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n").await;
    server.echo.waiting.notified().await;
    let start = Instant::now();
    server.shutdown.send(true).unwrap();
    server.running.await.unwrap();
    assert!(closed(&mut stuck).await);
    assert!(start.elapsed() <= Duration::from_millis(1300), "{:?}", start.elapsed());
}

#[test]
fn waiting_grows_and_is_bounded() {
    let mut backoff = Backoff::default();
    let waits: Vec<_> = (0..8).map(|_| backoff.next().as_millis()).collect();
    assert_eq!(waits, [20, 40, 80, 160, 320, 640, 640, 640]);
}
