//! Between a store and its client: requests go through, and now and then an answer does not and the connection is gone.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    cuts: Arc<AtomicU32>,
    cutting: Arc<AtomicBool>,
}

impl Proxy {
    /// Forwards everything until [`cut`](Self::cut) is called, and again after `most_cuts` cuts.
    pub(crate) fn start(server: &str, most_cuts: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicU32::new(0));
        let cutting = Arc::new(AtomicBool::new(false));
        let (server, counted, switch) = (server.to_owned(), Arc::clone(&cuts), Arc::clone(&cutting));
        std::thread::spawn(move || {
            for (number, client) in (0..).zip(listener.incoming()) {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&server)) else { continue };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || forward(from, to, || true));
                let (cuts, cutting) = (Arc::clone(&counted), Arc::clone(&switch));
                // How many answers get through before one does not differs from connection to connection.
                let mut left: i32 = 2 + number * 7 % 23;
                std::thread::spawn(move || {
                    forward(server, client, || {
                        left -= i32::from(cutting.load(Ordering::Relaxed));
                        let more = |cuts| (cuts < most_cuts).then_some(cuts + 1);
                        left > 0 || cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err()
                    });
                });
            }
        });
        Self { address, cuts, cutting }
    }

    pub(crate) fn cut(&self) {
        self.cutting.store(true, Ordering::Relaxed);
    }

    pub(crate) fn cuts(&self) -> u32 {
        self.cuts.load(Ordering::Relaxed)
    }
}

/// Forwards until one end is gone, or what was read is not to go through: the other end had sent it in vain.
fn forward(mut from: TcpStream, mut to: TcpStream, mut goes_through: impl FnMut() -> bool) {
    let mut buffer = [0; 16_384];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let Some(read) = buffer.get(..read) else { break };
        if !goes_through() || to.write_all(read).is_err() {
            break;
        }
    }
    for end in [from, to] {
        // Fails when it is gone already.
        let _ = end.shutdown(Shutdown::Both);
    }
}
