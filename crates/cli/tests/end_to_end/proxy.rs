//! A way to a server on which answers get lost: requests go through, then the connection is cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Requests longer than this are about counters, not about setting up a connection.
const LONG: u64 = 2_000;
/// One of this many answers to long requests gets through.
const ONE_OF: u64 = 4;

/// Forwards connections to a server for as long as the process lives.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    cutting: AtomicBool,
    cuts: AtomicU64,
    answers: AtomicU64,
}

impl Proxy {
    pub(crate) fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            cutting: AtomicBool::new(false),
            cuts: AtomicU64::new(0),
            answers: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, shared) = (client.unwrap(), Arc::clone(&accepting));
                std::thread::spawn(move || shared.connect(client));
            }
        });
        Self { address, shared }
    }

    /// From now on most answers to long requests are lost, or none.
    pub(crate) fn cut(&self, cutting: bool) {
        self.shared.cutting.store(cutting, Ordering::Relaxed);
    }

    /// How many connections were cut before an answer.
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn connect(self: Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(&self.server) else { return };
        let asked = Arc::new(AtomicU64::new(0));
        let requests = Arc::clone(&asked);
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || {
            forward(&from, &to, |length| {
                requests.fetch_add(length, Ordering::Relaxed);
                true
            });
        });
        forward(&server, &client, |_| {
            let long = asked.swap(0, Ordering::Relaxed) > LONG;
            let cut = long
                && self.cutting.load(Ordering::Relaxed)
                && !self.answers.fetch_add(1, Ordering::Relaxed).is_multiple_of(ONE_OF);
            if cut {
                self.cuts.fetch_add(1, Ordering::Relaxed);
            }
            !cut
        });
    }
}

/// Until one side ends, or a chunk is not to go through; then both are ended.
fn forward(mut from: &TcpStream, mut to: &TcpStream, mut through: impl FnMut(u64) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !through(length as u64) || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
