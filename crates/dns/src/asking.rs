//! A question to some servers, one after another, until one answers or patience ends.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use flow::SenderName;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::message::{Reading, question, read};

/// What of a datagram is read: without EDNS, answers have at most 512 octets (RFC 1035, section 2.3.4).
const LARGEST: usize = 4096;
/// How many datagrams that are no answer are read for a try.
const MOST_FOREIGN: u32 = 100;

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the answer of a server.
    pub answer: Duration,
    /// How often each server is asked.
    pub tries: u32,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The network refuses.
    #[error("{0}")]
    Network(#[from] io::Error),
    /// There is none.
    #[error("no answer")]
    Silence,
    /// The server answers with an error (RFC 1035, section 4.1.1).
    #[error("the server answers with error {0}")]
    Failed(u8),
    /// The answer cannot be read.
    #[error("the answer is damaged")]
    Damaged,
}

/// The name of an address; `None` if it has none.
///
/// # Errors
/// If no server answers.
pub async fn ask(servers: &[SocketAddr], address: IpAddr, patience: Patience) -> Result<Option<SenderName>, AskError> {
    let mut failure = AskError::Silence;
    for _ in 0..patience.tries {
        for server in servers {
            match ask_one(*server, address, patience.answer).await {
                Ok(name) => return Ok(name),
                // A silent last server says less than an error before it.
                Err(AskError::Silence) => {}
                Err(error) => failure = error,
            }
        }
    }
    Err(failure)
}

async fn ask_one(server: SocketAddr, address: IpAddr, patience: Duration) -> Result<Option<SenderName>, AskError> {
    let until = Instant::now() + patience;
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A port of its own and a random number for each question: who does not see it cannot forge the answer.
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    // From now on, the kernel drops what others send.
    socket.connect(server).await?;
    let [high, low, ..] = getrandom::u32().map_err(io::Error::other)?.to_ne_bytes();
    let question = question(u16::from_ne_bytes([high, low]), address);
    socket.send(&question).await?;
    let mut buffer = vec![0; LARGEST];
    for _ in 0..MOST_FOREIGN {
        let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await else { break };
        match read(&question, buffer.get(..received?).unwrap_or_default()) {
            Reading::Name(name) => return Ok(Some(name)),
            Reading::Nameless => return Ok(None),
            Reading::Failed(code) => return Err(AskError::Failed(code)),
            Reading::Damaged => return Err(AskError::Damaged),
            Reading::Foreign => {}
        }
    }
    Err(AskError::Silence)
}
