//! A DNS server that answers questions for names of addresses: rightly, not at all, or with what it should not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it looks whether it is to end.
const TICK: Duration = Duration::from_millis(50);
/// The octets of a header.
const HEADER: usize = 12;

/// What it answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This name, with dots between its labels.
    Name(String),
    /// This name, whatever octets are in its labels.
    Labels(Vec<Vec<u8>>),
    /// A name that points to itself.
    Loop,
    /// An error: 3 if there is no name.
    Error(u8),
    /// Nothing.
    Silence,
    /// These datagrams, and then this name.
    After(Vec<Vec<u8>>, String),
}

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub struct NameServer {
    /// Where it answers.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<IpAddr>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Starts one that replies this to the question for an address.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(reply: impl Fn(IpAddr) -> Reply + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(TICK)).expect("a timeout");
        let address = socket.local_addr().expect("an address");
        let (asked, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (noted, is_to_end) = (Arc::clone(&asked), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while !is_to_end.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let question = &buffer[..length];
                let Some(about) = address_of(question) else { continue };
                noted.lock().expect("no panic").push(about);
                for datagram in reply(about).datagrams(question) {
                    let _ = socket.send_to(&datagram, from);
                }
            }
        });
        Self { address, asked, ends, thread: Some(thread) }
    }

    /// The addresses that it was asked about, in this order.
    ///
    /// # Panics
    /// If its thread has panicked.
    #[must_use]
    pub fn asked(&self) -> Vec<IpAddr> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Reply {
    fn datagrams(&self, question: &[u8]) -> Vec<Vec<u8>> {
        let of_labels = |labels: &[Vec<u8>]| {
            let mut name: Vec<u8> =
                labels.iter().flat_map(|label| [&[label.len() as u8][..], label.as_slice()].concat()).collect();
            name.push(0);
            answer(question, 0, &[record(12, &name)])
        };
        let of_name =
            |name: &str| of_labels(&name.split('.').map(|label| label.as_bytes().to_vec()).collect::<Vec<_>>());
        match self {
            Self::Name(name) => vec![of_name(name)],
            Self::Labels(labels) => vec![of_labels(labels)],
            Self::Loop => {
                let place = question.len() + 12;
                vec![answer(question, 0, &[record(12, &[1, b'a', 0xc0 | (place >> 8) as u8, place as u8])])]
            }
            Self::Error(code) => vec![answer(question, *code, &[])],
            Self::Silence => Vec::new(),
            Self::After(datagrams, name) => datagrams.iter().cloned().chain([of_name(name)]).collect(),
        }
    }
}

/// An answer to a question, with an error code and these records.
#[must_use]
pub fn answer(question: &[u8], code: u8, records: &[Vec<u8>]) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2] |= 0x80;
    message[3] = code;
    message[7] = records.len() as u8;
    message.extend(records.iter().flatten());
    message
}

/// A record of a type about the name in the question.
#[must_use]
pub fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let [high, low] = kind.to_be_bytes();
    let length = u16::try_from(data.len()).expect("short data").to_be_bytes();
    [&[0xc0, HEADER as u8, high, low, 0, 1, 0, 0, 0, 60][..], &length, data].concat()
}

/// The address that a question is about.
fn address_of(question: &[u8]) -> Option<IpAddr> {
    let (mut labels, mut rest) = (Vec::new(), question.get(HEADER..)?);
    while let Some((length, after)) = rest.split_first().filter(|(length, _)| **length > 0) {
        labels.push(std::str::from_utf8(after.get(..usize::from(*length))?).ok()?);
        rest = after.get(usize::from(*length)..)?;
    }
    let mut reversed: Vec<&str> = labels;
    let (top, family) = (reversed.pop()?, reversed.pop()?);
    reversed.reverse();
    match (top, family) {
        ("arpa", "in-addr") => reversed.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        ("arpa", "ip6") => {
            u128::from_str_radix(&reversed.concat(), 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into())
        }
        _ => None,
    }
}
