//! Limits, compression, slow and incomplete requests, and the shutdown.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use api::{
    ANSWER_TIMEOUT, Api, BODY_LIMIT_BYTES, BODY_TIMEOUT, HEADER_LIMIT_BYTES, HEADER_TIMEOUT, Keys, MAX_CONNECTIONS,
};
use axum::body::{Body, HttpBody};
use hyper::body::Frame;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use storage::{Memory, StoreError};
use testing::wait::DEADLINE;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::client::{ask, exchange, send, shell, sign};
use crate::server::{AUTH_KEY, Broken, SIGN_KEY, Server, serve_always};

fn signed() -> String {
    format!("X-Io-Auth: {AUTH_KEY}\r\nX-Io-Sign: {}\r\n", sign(AUTH_KEY.as_bytes()))
}

#[test]
fn a_body_over_the_limit_is_a_413_however_it_is_announced() {
    let server = Server::start();
    let put = "PUT /senders/10.0.0.1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    let announced = format!("{put}{}Content-Length: {}\r\n\r\n", signed(), BODY_LIMIT_BYTES + 1);
    let message = exchange(server.address, announced.as_bytes()).refusal(413, "PAYLOAD_TOO_LARGE");
    assert!(message.contains("1048576 bytes"), "{message}");

    let mut chunked = format!("{put}{}Transfer-Encoding: chunked\r\n\r\n", signed()).into_bytes();
    for _ in 0..=BODY_LIMIT_BYTES / 0x1000 {
        chunked.extend_from_slice(b"1000\r\n");
        chunked.extend_from_slice(&[b' '; 0x1000]);
        chunked.extend_from_slice(b"\r\n");
    }
    exchange(server.address, &chunked).refusal(413, "PAYLOAD_TOO_LARGE");

    let fits = format!("{{\"prefixes\":[]}}{}", " ".repeat(BODY_LIMIT_BYTES - 15));
    assert_eq!(ask(server.address, "PUT", "/senders/10.0.0.1", &fits).status, 200);
}

#[test]
fn a_head_over_the_limit_is_a_431() {
    let server = Server::start();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Io-Auth: {}\r\n", "a".repeat(HEADER_LIMIT_BYTES));
    assert_eq!(exchange(server.address, request.as_bytes()).status, 431);
}

#[test]
fn a_response_is_compressed_on_request() {
    let server = Server::start();
    let prefixes: Vec<String> = (0..200).map(|n| format!(r#"{{"prefix":"10.0.{n}.0","prefixLen":24}}"#)).collect();
    let plain = ask(server.address, "PUT", "/senders/10.0.0.1", &format!(r#"{{"prefixes":[{}]}}"#, prefixes.join(",")));
    assert_eq!(plain.header("content-encoding"), None);
    let script = r#"
        SIGNED_KEY=$(echo -n "$AUTH_KEY" | openssl dgst -sha256 -hmac "$SIGN_KEY")
        curl -sS --compressed -w '\n%{size_download} %header{content-encoding}' \
            -H "X-Io-Auth: $AUTH_KEY" -H "X-Io-Sign: $SIGNED_KEY" "$URL/senders/10.0.0.1"
    "#;
    let answer = shell(server.address, script);
    let (body, facts) = answer.split_once('\n').unwrap();
    assert_eq!(body, plain.text());
    let (size, encoding) = facts.split_once(' ').unwrap();
    assert!(size.parse::<usize>().unwrap() < body.len() / 4, "{facts}");
    assert_eq!(encoding, "gzip");
}

#[test]
fn a_connection_carries_many_requests() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let mut buffer = [0; 4096];
    for _ in 0..10 {
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", signed()).as_bytes()).unwrap();
        let length = stream.read(&mut buffer).unwrap();
        assert!(buffer[..length].starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn an_incomplete_head_times_out() {
    let server = Server::start();
    let mut silent = TcpStream::connect(server.address).unwrap();
    let mut dripping = TcpStream::connect(server.address).unwrap();
    dripping.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Drip: ").unwrap();
    let mut idle = TcpStream::connect(server.address).unwrap();
    idle.write_all(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", signed()).as_bytes()).unwrap();
    let end = Instant::now() + DEADLINE;
    while dripping.write_all(b"a").is_ok() {
        assert!(Instant::now() < end, "a head may take any time");
        std::thread::sleep(Duration::from_millis(200));
    }
    for stream in [&mut silent, &mut idle] {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    }
}

#[test]
fn an_incomplete_body_changes_nothing() {
    let server = Server::start();
    ask(server.address, "PUT", "/senders/10.0.0.1", r#"{"prefixes":[]}"#);
    for rest in ["Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n", "Content-Length: 10\r\n\r\n{"] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let request = format!("DELETE /senders/10.0.0.1 HTTP/1.1\r\nHost: a\r\n{}{rest}", signed());
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(ask(server.address, "GET", "/senders/10.0.0.1", "").status, 200);
}

/// A body that never arrives.
struct Silence;

impl HttpBody for Silence {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Pending
    }
}

/// Calls a router without a connection, on a paused clock.
async fn ask_router(router: axum::Router, request: axum::http::request::Builder, body: Body) -> u16 {
    let request =
        request.header("X-Io-Auth", AUTH_KEY).header("X-Io-Sign", sign(AUTH_KEY.as_bytes())).body(body).unwrap();
    TowerToHyperService::new(router).call(request).await.unwrap().status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_a_408_and_a_store_that_does_not_answer_a_503() {
    let router = |store| Api::new(store, Keys::new(AUTH_KEY, SIGN_KEY).unwrap(), Default::default()).router();
    let started = tokio::time::Instant::now();
    let request = axum::http::Request::put("/senders/10.0.0.1");
    assert_eq!(ask_router(router(Arc::new(Memory::default())), request, Body::new(Silence)).await, 408);
    assert_eq!(started.elapsed().as_secs(), BODY_TIMEOUT.as_secs());

    let started = tokio::time::Instant::now();
    let unreachable = Broken { after: ANSWER_TIMEOUT * 2, ..Broken::at_once(StoreError::Retry) };
    let request = axum::http::Request::get("/senders");
    assert_eq!(ask_router(router(Arc::new(unreachable)), request, Body::empty()).await, 503);
    assert_eq!(started.elapsed().as_secs(), ANSWER_TIMEOUT.as_secs());
}

/// The limit of open files of this process, from Linux.
fn open_files_limit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX)
}

#[test]
fn thousands_of_half_open_connections_do_not_block_others() {
    const HALF_OPEN: usize = 5_000;
    let needed = HALF_OPEN + 2 * MAX_CONNECTIONS;
    assert!(open_files_limit() >= needed, "needs {needed} open files: run `make test`, or `ulimit -n 16384` first");
    let server = Server::start();
    let mut half_open = Vec::new();
    for number in 0..HALF_OPEN {
        let mut stream = TcpStream::connect(server.address).unwrap();
        // One third sends nothing, one stops in the head, one in an unauthorized body.
        let lines = match number % 3 {
            0 => String::new(),
            1 => "GET / HTTP/1.1\r\nHost:".to_owned(),
            _ => format!(
                "PUT /senders/10.0.0.1 HTTP/1.1\r\nHost: a\r\n{}Content-Length: 9\r\n\r\n",
                signed().replace("sign", "x")
            ),
        };
        let _ = stream.write_all(lines.as_bytes());
        half_open.push(stream);
    }
    let mut times = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        assert_eq!(ask(server.address, "GET", "/senders", "").status, 200);
        times.push(started.elapsed());
    }
    times.sort();
    println!("with {HALF_OPEN} half-open connections: median {:?}, p99 {:?}", times[100], times[197]);
    let open = half_open.iter().filter(|stream| {
        stream.set_nonblocking(true).unwrap();
        matches!(stream.peek(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    });
    assert!(open.count() <= MAX_CONNECTIONS);
}

#[test]
fn a_shutdown_completes_running_requests_and_closes_idle_connections() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let keys = Keys::new(AUTH_KEY, SIGN_KEY).unwrap();
    let api = Api::new(Arc::new(Memory::default()), keys, Default::default());
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = runtime.spawn(serve_always(listener, api, async {
        let _ = stopped.await;
    }));
    let body = br#"{"prefixes":[]}"#;
    let mut running = TcpStream::connect(address).unwrap();
    let head =
        format!("PUT /senders/10.0.0.1 HTTP/1.1\r\nHost: a\r\n{}Content-Length: {}\r\n\r\n", signed(), body.len());
    running.write_all(head.as_bytes()).unwrap();
    let (_idle, idle_since) = (TcpStream::connect(address).unwrap(), Instant::now());
    assert_eq!(send(address, "GET", "/", &signed(), b"").status, 200);
    stop.send(()).unwrap();
    let end = Instant::now() + DEADLINE;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < end, "new connections are taken");
    }
    running.write_all(body).unwrap();
    let mut answer = String::new();
    running.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    runtime.block_on(serving).unwrap();
    // Without the shutdown, the idle connection would last until the timeout of a head.
    assert!(idle_since.elapsed() < HEADER_TIMEOUT, "{:?}", idle_since.elapsed());
}
