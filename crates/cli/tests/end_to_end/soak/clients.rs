//! Clients of the REST interface, with several keys: good ones, whose requests are answered, one that registers and
//! removes senders, and hostile ones.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use testing::Random;

use super::exporters::PREFIX;
use super::{StopAtPanic, year};

/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(50);
/// Connections of a flood: more than may be open.
const FLOOD: usize = 600;
/// Only a client that never ends fails.
const PATIENCE: Duration = testing::wait::DEADLINE;

/// A key of the REST interface.
#[derive(Clone)]
pub(super) struct Key {
    name: &'static str,
    auth: String,
    sign: String,
    /// Its role, and whether it is limited to a sender, as the file of keys has them.
    rights: String,
}

impl Key {
    pub(super) fn new(name: &'static str, rights: impl Into<String>) -> Self {
        Self { name, auth: format!("auth-{name}"), sign: format!("sign-{name}"), rights: rights.into() }
    }

    /// Writes a file of keys, which only its owner may read.
    pub(super) fn write(path: &Path, keys: &[&Self]) {
        use std::os::unix::fs::PermissionsExt;
        let text = |key: &&Self| {
            format!("[{}]\nauthKey = \"{}\"\nsignKey = \"{}\"\n{}\n", key.name, key.auth, key.sign, key.rights)
        };
        std::fs::write(path, keys.iter().map(text).collect::<String>()).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A request with a signature of version 2.
    fn request(&self, method: &str, path: &str, body: &str) -> String {
        static NONCE: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let nonce = format!("{:016x}-{:016x}", now.as_nanos() as u64, NONCE.fetch_add(1, Ordering::Relaxed));
        let signature = api::sign(&self.sign, method, path, now.as_secs(), &nonce, body.as_bytes());
        format!(
            "{method} {path} HTTP/1.1\r\nHost: netflow\r\nConnection: close\r\nX-Io-Auth: {}\r\nX-Io-Sign: {signature}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.auth,
            body.len(),
        )
    }
}

/// Sends a request; returns the status and the body of the answer.
fn exchange(server: SocketAddr, request: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}

/// How often a client's requests had each status; 0 for connections that broke.
pub(super) type Statuses = BTreeMap<u16, u64>;

/// A client that repeats requests until stopped. `allowed` are the statuses that it may get; others are errors.
struct Client<'s> {
    server: SocketAddr,
    stop: &'s AtomicBool,
    statuses: Statuses,
}

impl<'s> Client<'s> {
    const fn new(server: SocketAddr, stop: &'s AtomicBool) -> Self {
        Self { server, stop, statuses: Statuses::new() }
    }

    fn runs(&self) -> bool {
        std::thread::sleep(PAUSE);
        !self.stop.load(Ordering::Relaxed)
    }

    fn send(&mut self, request: &str, allowed: &[u16]) {
        let status = match exchange(self.server, request) {
            Ok((status, body)) => {
                assert!(allowed.contains(&status), "{status}, not {allowed:?}: {body}\n{request}");
                status
            }
            Err(_) => 0,
        };
        *self.statuses.entry(status).or_default() += 1;
    }
}

/// Reads what there is to read. A request is refused only while the store is unreachable, or, with a key that comes and goes,
/// while that is not valid.
pub(super) fn read(
    server: SocketAddr,
    key: &Key,
    exporter: Ipv4Addr,
    comes_and_goes: bool,
    stop: &AtomicBool,
) -> Statuses {
    let _stop = StopAtPanic(stop);
    let stats = format!("/stats/{exporter}");
    let question = format!(r#"{{"{PREFIX}":{{"years":["{}"]}}}}"#, year());
    let top = format!("/top/{exporter}?prefix={PREFIX}&field=srcip&direction=in");
    let exporter = format!("/exporters/{exporter}");
    let questions = [
        ("GET", "/", ""),
        ("GET", "/senders", ""),
        ("GET", &exporter, ""),
        ("POST", &stats, &question),
        ("GET", &top, ""),
    ];
    let allowed: &[u16] = if comes_and_goes { &[200, 401, 429, 503] } else { &[200, 503] };
    let mut client = Client::new(server, stop);
    for (method, path, body) in questions.into_iter().cycle() {
        if !client.runs() {
            break;
        }
        client.send(&key.request(method, path, body), allowed);
    }
    client.statuses
}

/// Registers senders that send nothing, changes their prefixes, and removes them.
pub(super) fn register(server: SocketAddr, key: &Key, stop: &AtomicBool) -> Statuses {
    let _stop = StopAtPanic(stop);
    let (mut client, mut random) = (Client::new(server, stop), Random::new(2));
    while client.runs() {
        let path = format!("/senders/127.2.0.{}", random.below(50));
        let length = 16 + random.below(8);
        let body = format!(r#"{{"prefixes":[{{"prefix":"198.18.0.0","prefixLen":{length}}}]}}"#);
        match random.below(3) {
            0 => client.send(&key.request("DELETE", &path, ""), &[200, 204, 404, 503]),
            _ => client.send(&key.request("PUT", &path, &body), &[200, 201, 503]),
        }
    }
    client.statuses
}

/// Sends what must be refused: wrong signatures, unknown keys, forbidden and wrong bodies, halves of requests, requests that
/// repeat, questions that are expensive, and floods of connections.
pub(super) fn attack(server: SocketAddr, key: &Key, admin: &Key, stop: &AtomicBool) -> Statuses {
    let _stop = StopAtPanic(stop);
    let (mut client, mut random) = (Client::new(server, stop), Random::new(3));
    let unknown = Key::new("unknown", "");
    let mut wrong = key.clone();
    wrong.sign.push('-');
    let names = (0..1000).map(|number| format!("\"srcport:{number}\"")).collect::<Vec<_>>().join(",");
    let dear = format!(r#"{{"{PREFIX}":{{"years":[{{"{}":[{names}]}}]}}}}"#, year());
    while client.runs() {
        match random.below(40) {
            0 => flood(server),
            1..10 => client.send(&wrong.request("GET", "/senders", ""), &[401, 429]),
            10..16 => client.send(&unknown.request("POST", "/stats/127.1.0.1", &dear), &[401, 429]),
            16..22 => client.send(&key.request("PUT", "/senders/127.1.0.1", r#"{"prefixes":[]}"#), &[403, 503]),
            22..28 => client.send(&admin.request("PUT", "/senders/127.1.0.1", r#"{"prefixes":[{}"#), &[400, 503]),
            28..32 => client.send(&admin.request("POST", "/stats/127.1.0.1", "[[[[[[[["), &[400, 503]),
            32..36 => {
                let request = key.request("GET", "/", "");
                client.send(&request, &[200, 503]);
                client.send(&request, &[401, 429, 503]);
            }
            36..38 => client.send(&key.request("POST", "/stats/127.1.0.1", &dear), &[200, 400, 413, 503]),
            _ => {
                let request = key.request("GET", "/", "");
                drop(TcpStream::connect(server).and_then(|mut half| half.write_all(&request.as_bytes()[..50])));
            }
        }
    }
    client.statuses
}

/// Opens many connections, which send nothing, and keeps them for a moment.
fn flood(server: SocketAddr) {
    let connections: Vec<_> = (0..FLOOD).map_while(|_| TcpStream::connect(server).ok()).collect();
    std::thread::sleep(Duration::from_secs(1));
    drop(connections);
}
