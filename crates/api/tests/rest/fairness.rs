//! What one client does costs no other client its answers.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use accounting::block::WriterId;
use api::{Api, Key, Keys, MAX_CONNECTIONS, Role};
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use flow::Timestamp;
use hyper::body::Frame;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use storage::faulty::{Call, Faulty};
use storage::{Memory, Store, WriterState};
use testing::wait::DEADLINE;
use tokio::task::JoinHandle;

use crate::client::{Answer, ask, send, sign_with};
use crate::server::{AUTH_KEY, Broken, SIGN_KEY, Server, keys};

const GREEDY: [&str; 4] = ["greedy-1", "greedy-2", "greedy-3", "greedy-4"];

/// Read-only keys for one sender.
fn keys_of_clients() -> Keys {
    let key = |name: &str| {
        let key = Key::new(name, &format!("{name}-auth"), &format!("{name}-sign")).unwrap();
        key.limited(Role::Read, Some(vec!["192.0.2.1".parse().unwrap()]))
    };
    keys().with(["greedy", "other"].into_iter().chain(GREEDY).map(key))
}

fn credentials(name: &str) -> String {
    let signature = sign_with(&format!("{name}-sign"), format!("{name}-auth").as_bytes());
    format!("X-Io-Auth: {name}-auth\r\nX-Io-Sign: {signature}\r\n")
}

fn ask_as(name: &str, server: SocketAddr, path: &str) -> Answer {
    send(server, "GET", path, &credentials(name), b"")
}

/// Only the greedy key notices anything, until all its requests have been refused.
fn others_are_answered(server: &Server) {
    let end = Instant::now() + DEADLINE;
    loop {
        let greedy = waiting(server);
        assert_eq!(ask(server.address, "GET", "/", "").status, 200, "the admin");
        assert_eq!(ask_as("other", server.address, "/").status, 200, "another key");
        assert_eq!(send(server.address, "GET", "/healthz", "", b"").status, 200);
        if greedy == 0.0 {
            break;
        }
        assert!(Instant::now() < end, "{greedy} requests wait");
    }
    assert_eq!(send(server.address, "GET", "/metrics", "", b"").status, 200);
    // The store is stuck.
    assert_eq!(send(server.address, "GET", "/readyz", "", b"").status, 503);
}

#[test]
fn one_key_on_all_connections_keeps_no_other_out() {
    let server = Server::serving_to(keys_of_clients(), Arc::new(Broken::stuck()));
    let question =
        format!("GET /top/192.0.2.1?prefix=10.0.0.0/8 HTTP/1.1\r\nHost: netflow\r\n{}\r\n", credentials("greedy"));
    let connections: Vec<_> = (0..MAX_CONNECTIONS + 100)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            // It may have been closed for another one already.
            let _ = stream.write_all(question.as_bytes());
            stream
        })
        .collect();
    let closed = |stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        matches!(stream.peek(&mut [0]), Ok(0)) || stream.take_error().unwrap().is_some()
    };
    let end = Instant::now() + DEADLINE;
    while connections.iter().filter(|stream| closed(stream)).count() < 100 {
        assert!(Instant::now() < end, "there are more connections than places");
        std::thread::sleep(Duration::from_millis(50));
    }
    others_are_answered(&server);
    drop(connections);
}

/// The number of requests that wait for their turn.
fn waiting(server: &Server) -> f64 {
    let metrics = send(server.address, "GET", "/metrics", "", b"");
    let line = metrics.text().lines().find_map(|line| line.strip_prefix("netflow_waiting_requests "));
    line.unwrap().parse().unwrap()
}

/// Waits until this many requests wait for their turn.
fn wait_for(server: &Server, number: usize) {
    let waits = async || (waiting(server).to_string() == number.to_string()).then_some(());
    server.runtime.block_on(testing::wait::wait_for("requests wait", waits));
}

/// Registers the sender.
async fn register(store: &dyn Store) {
    store.add_prefixes("192.0.2.1".parse().unwrap(), &[]).await.unwrap();
    store.put_writer(&WriterState::new(WriterId(7), 1, Timestamp::EPOCH)).await.unwrap();
}

/// A question about this many minutes, every other one: each is read on its own.
fn minutes(number: usize) -> String {
    let minutes: Vec<String> =
        (0..number).map(|number| format!("2026-11-28 {:02}:{:02}", number / 30, number % 30 * 2)).collect();
    format!(r#"{{"10.0.0.0/8":{{"minutes":{minutes:?}}}}}"#)
}

#[test]
fn a_short_question_waits_for_no_part_of_a_key_with_a_hundred_long_ones() {
    let store = Arc::new(Faulty::new(Memory::default()));
    let server = Server::serving_to(keys_of_clients(), Arc::clone(&store) as Arc<dyn Store>);
    server.runtime.block_on(register(store.as_ref()));
    let gate_of_long = store.gate(Call::ReadBlocks);
    let long = minutes(600);
    let ask = |name: &'static str, body: String| {
        let address = server.address;
        std::thread::spawn(move || {
            send(address, "POST", "/stats/192.0.2.1", &credentials(name), body.as_bytes()).status
        })
    };
    let long: Vec<_> = (0..100).map(|_| ask("greedy", long.clone())).collect();
    let turns = (available_parallelism().unwrap().get() / 2).clamp(1, 4);
    wait_for(&server, 100 - turns);
    // The parts that are being read never end, and other reads do.
    let gate = store.gate(Call::ReadBlocks);
    gate.add_permits(1000);
    let short = ask("other", minutes(1));
    assert_eq!(short.join().unwrap(), 200);
    gate_of_long.close();
    gate.close();
    long.into_iter().for_each(|question| drop(question.join()));
}

/// A request of a key, in the background.
fn asked(router: &Router, name: &str, body: Body) -> JoinHandle<u16> {
    let signature = sign_with(&format!("{name}-sign"), format!("{name}-auth").as_bytes());
    let request = Request::post("/stats/192.0.2.1").header("X-Io-Auth", format!("{name}-auth"));
    let request = request.header("X-Io-Sign", signature).body(body).unwrap();
    let router = TowerToHyperService::new(router.clone());
    tokio::spawn(async move { router.call(request).await.unwrap().status().as_u16() })
}

/// Lets all tasks come as far as they can.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_question_waits_for_no_long_ones_of_its_own_key_and_four_others() {
    let store = Arc::new(Faulty::new(Memory::default()));
    register(store.as_ref()).await;
    let router = Api::new(Arc::clone(&store) as Arc<dyn Store>, keys_of_clients(), Arc::default()).router();
    // The reads of long questions never end, and other reads do.
    let _gate_of_long = store.gate(Call::ReadBlocks);
    let names = GREEDY.into_iter().flat_map(|name| [name; 8]).chain(["other"]);
    let long: Vec<_> = names.map(|name| asked(&router, name, minutes(600).into())).collect();
    settle().await;
    store.gate(Call::ReadBlocks).add_permits(1000);
    let begun = tokio::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(asked(&router, "other", minutes(1).into()).await.unwrap(), 200);
    }
    // No time passes as long as anything can run.
    assert!(begun.elapsed().is_zero() && long.iter().all(|long| !long.is_finished()));
}

/// A body of the largest size that counts itself when it is read.
struct Counted {
    read: Arc<AtomicUsize>,
    content: Option<Bytes>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let content = self.content.take();
        self.read.fetch_add(usize::from(content.is_some()), Ordering::Relaxed);
        Poll::Ready(content.map(|content| Ok(Frame::data(content))))
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_bodies_of_one_key_only_some_are_read_and_kept() {
    let router = Api::new(Arc::new(Broken::stuck()), keys_of_clients(), Arc::default()).router();
    let question = r#"{"10.0.0.0/8":{"years":["2026"]}}"#;
    let question = format!("{question}{}", " ".repeat(api::BODY_LIMIT_BYTES - question.len()));
    let ask = |name: &str, content: Bytes| {
        let read = Arc::new(AtomicUsize::new(0));
        let body = Body::new(Counted { read: Arc::clone(&read), content: Some(content) });
        (read, asked(&router, name, body))
    };
    let content = Bytes::from(question);
    let greedy: Vec<_> = (0..200).map(|_| ask("greedy", content.clone())).collect();
    let read = || greedy.iter().filter(|(read, _)| read.load(Ordering::Relaxed) > 0).count();
    settle().await;
    assert_eq!(read(), 16);
    let (_, other) = ask("other", Bytes::from_static(b"{"));
    assert_eq!(other.await.unwrap(), 400, "another key is answered at once");
    // Those that wait too long are refused, without having been read.
    let (_, last) = greedy.into_iter().next_back().unwrap();
    assert_eq!(last.await.unwrap(), 503);
}

/// A body that arrives in pieces.
struct Pieces(usize);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static PIECE: [u8; 10_000] = [b' '; 10_000];
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE)))))
    }
}

#[test]
fn an_unknown_auth_key_costs_exactly_what_a_wrong_signature_costs() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let router = Api::new(Arc::new(Memory::default()), Keys::new(AUTH_KEY, SIGN_KEY).unwrap(), Arc::default()).router();
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let cost = |auth_key: &str, signature: &str, pieces: usize| {
        let request = Request::post("/stats/192.0.2.1").header("X-Io-Auth", auth_key).header("X-Io-Sign", signature);
        let request = request.body(Body::new(Pieces(pieces))).unwrap();
        let router = TowerToHyperService::new(router.clone());
        let mut status = 0;
        let allocated = allocation_counter::measure(|| {
            status = runtime.block_on(router.call(request)).unwrap().status().as_u16();
        });
        assert_eq!(status, 401);
        (allocated.count_total, allocated.bytes_total, allocated.bytes_max)
    };
    let unknown = AUTH_KEY.replace('a', "b");
    let (v1, v2) = ("00".repeat(32), format!("v2;{seconds};0123456789abcdef;{}", "00".repeat(32)));
    for signature in [&v1, &v2] {
        // Tables grow once.
        cost(AUTH_KEY, signature, 1);
        cost(&unknown, signature, 1);
        for pieces in [1, 10, 90] {
            let costs = [cost(AUTH_KEY, signature, pieces), cost(&unknown, signature, pieces)];
            assert_eq!(costs[0], costs[1], "{pieces} pieces with {signature}");
        }
    }
}

#[test]
fn strangers_close_no_connection_of_a_key() {
    let server = Server::start();
    let mut first = TcpStream::connect(server.address).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: netflow\r\n{}\r\n", crate::client::credentials());
    let mut ask_again = || {
        first.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        first.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        let mut rest = [0; 4096];
        let _ = first.read(&mut rest).unwrap();
    };
    let mut strangers = Vec::new();
    for number in 0..2 * MAX_CONNECTIONS {
        // Often enough that it is not closed because it is idle.
        if number % 50 == 0 {
            ask_again();
        }
        strangers.push(TcpStream::connect(server.address).unwrap());
    }
    ask_again();
    drop(strangers);
}
