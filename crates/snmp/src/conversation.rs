//! Requests to one agent, each repeated until it is answered or patience ends.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::access::Access;
use crate::message::{CLOCK, Incoming, Messages};
use crate::pdu::{Request, Response};

/// The octets of the largest datagram.
const LARGEST: usize = 65_535;
/// How often an agent may state its clock and engine ID before one answer.
const MOST_LESSONS: u32 = 3;
/// How many datagrams that are no answer are read for a try.
const MOST_FOREIGN: u32 = 100;

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the answer to one request.
    pub answer: Duration,
    /// How often a request is sent.
    pub tries: u32,
    /// For everything that one agent is asked.
    pub survey: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The network refuses.
    #[error("{0}")]
    Network(#[from] io::Error),
    /// There is none.
    #[error("no answer: the address, the port or the credentials may be wrong, or the agent does not allow ours")]
    Silence,
    /// Only something else.
    #[error("the answers are damaged or of somebody else")]
    Foreign,
    /// The agent refuses.
    #[error("{0}")]
    Refused(&'static str),
    /// The agent answers with an error of the protocol (RFC 3416, section 3).
    #[error("the agent answers with error {0}")]
    Failed(i64),
    /// It takes too long.
    #[error("the agent is too slow")]
    Slow,
}

/// A conversation with an agent.
pub(crate) struct Conversation {
    socket: UdpSocket,
    messages: Messages,
    buffer: Vec<u8>,
    patience: Patience,
}

impl Conversation {
    pub(crate) async fn begin(agent: SocketAddr, access: &Access, patience: Patience) -> io::Result<Self> {
        let any = if agent.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
        // From now on, the kernel drops what others send.
        socket.connect(agent).await?;
        let random = getrandom::u64().map_err(io::Error::other)?;
        Ok(Self { socket, messages: Messages::new(access.clone(), random), buffer: vec![0; LARGEST], patience })
    }

    /// The answer to a request.
    pub(crate) async fn ask(&mut self, request: &Request<'_>) -> Result<Response, AskError> {
        self.messages.next();
        let (mut tries, mut lessons, mut failure) = (0, 0, AskError::Silence);
        while tries < self.patience.tries {
            let message = self.messages.write(request).ok_or(AskError::Foreign)?;
            let until = Instant::now() + self.patience.answer;
            let tried = match self.socket.send(&message).await {
                Ok(_) => self.receive(until).await,
                Err(error) => Err(error.into()),
            };
            match tried {
                Ok(Incoming::Answer(answer)) => return Ok(answer),
                Ok(Incoming::Refused(reason)) => return Err(AskError::Refused(reason)),
                Ok(Incoming::Learnt) if lessons < MOST_LESSONS => {
                    lessons += 1;
                    self.messages.next();
                }
                Ok(Incoming::Learnt | Incoming::Foreign) => return Err(AskError::Refused(CLOCK)),
                Err(error) => {
                    tries += 1;
                    // A silent last try says less than damaged answers before it.
                    if !matches!((&error, &failure), (AskError::Silence, AskError::Foreign)) {
                        failure = error;
                    }
                }
            }
        }
        Err(failure)
    }

    /// The first datagram that means something for the request.
    async fn receive(&mut self, until: Instant) -> Result<Incoming, AskError> {
        let mut failure = AskError::Silence;
        for _ in 0..MOST_FOREIGN {
            let Ok(received) = timeout_at(until, self.socket.recv(&mut self.buffer)).await else { break };
            match self.messages.read(self.buffer.get(..received?).unwrap_or_default()) {
                Incoming::Foreign => failure = AskError::Foreign,
                incoming => return Ok(incoming),
            }
        }
        Err(failure)
    }
}
