//! A connection to a broker. Nothing waits beyond the deadline that is given, whatever the broker does.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::error::{Error, code};
use crate::messages::{self, Request, SaslAnswer};
use crate::sasl::{Login, Mechanism, Scram};
use crate::settings::Settings;

/// How long answers are waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What brokers know the collector by.
const CLIENT: &str = "netflow";

/// The octets that are written before the time is looked at.
const PART: usize = 64 * 1024;

/// No answer to a producer is longer.
const LONGEST_ANSWER: u32 = 8 << 20;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    broker: String,
    stream: Stream,
    correlation: i32,
    /// When the broker wants the user to be shown again.
    ends: Option<Instant>,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Encrypted(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    /// Connects, encrypts and shows who the collector is, as the settings say.
    pub(crate) fn open(broker: &str, settings: &Settings, deadline: Instant) -> Result<Self, Error> {
        let stream =
            connect(broker, settings, deadline).map_err(|source| Error::Io { broker: broker.to_owned(), source })?;
        let mut connection = Self { broker: broker.to_owned(), stream, correlation: 0, ends: None };
        if let Some(login) = &settings.login {
            connection.login(login, deadline)?;
        }
        Ok(connection)
    }

    /// Whether it may be used.
    pub(crate) fn is_open(&self) -> bool {
        self.ends.is_none_or(|ends| Instant::now() < ends)
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, request: &Request, deadline: Instant) -> Result<Vec<u8>, Error> {
        self.send(request, deadline)?;
        self.receive(deadline)
    }

    /// Sends a request. Its answer comes after those of earlier requests.
    pub(crate) fn send(&mut self, request: &Request, deadline: Instant) -> Result<(), Error> {
        self.correlation = self.correlation.wrapping_add(1);
        let head = request.head(self.correlation, CLIENT);
        let sent = self.write(&head, deadline).and_then(|()| self.write(&request.body, deadline));
        sent.map_err(|source| self.lost(source))
    }

    /// Waits for the answer to the last request.
    pub(crate) fn receive(&mut self, deadline: Instant) -> Result<Vec<u8>, Error> {
        let mut head = [0; 8];
        self.read(&mut head, deadline).map_err(|source| self.lost(source))?;
        let [a, b, c, d, correlation @ ..] = head;
        let length = u32::from_be_bytes([a, b, c, d]);
        if !(4..=LONGEST_ANSWER).contains(&length) {
            return Err(self.nonsense("its length"));
        }
        if i32::from_be_bytes(correlation) != self.correlation {
            return Err(self.nonsense("it belongs to another request"));
        }
        let mut answer = vec![0; length as usize - 4];
        self.read(&mut answer, deadline).map_err(|source| self.lost(source))?;
        Ok(answer)
    }

    /// The error of an answer that cannot be read.
    pub(crate) fn nonsense(&self, what: &'static str) -> Error {
        Error::Nonsense { broker: self.broker.clone(), what }
    }

    fn lost(&self, source: io::Error) -> Error {
        let source = match source.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(source.kind(), "the broker closed the connection"),
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => source,
        };
        Error::Io { broker: self.broker.clone(), source }
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Encrypted(stream) => &stream.sock,
        }
    }

    fn write(&mut self, octets: &[u8], deadline: Instant) -> io::Result<()> {
        // Parts: the time that is left is looked at between them.
        for part in octets.chunks(PART) {
            self.socket().set_write_timeout(Some(left(deadline)?))?;
            match &mut self.stream {
                Stream::Plain(stream) => stream.write_all(part)?,
                Stream::Encrypted(stream) => stream.write_all(part)?,
            }
        }
        match &mut self.stream {
            Stream::Plain(_) => Ok(()),
            Stream::Encrypted(stream) => stream.flush(),
        }
    }

    /// Fills the octets before the deadline, however slowly they come.
    fn read(&mut self, mut octets: &mut [u8], deadline: Instant) -> io::Result<()> {
        while !octets.is_empty() {
            self.socket().set_read_timeout(Some(left(deadline)?))?;
            let read = match &mut self.stream {
                Stream::Plain(stream) => stream.read(octets),
                Stream::Encrypted(stream) => stream.read(octets),
            };
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => octets = octets.get_mut(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn login(&mut self, login: &Login, deadline: Instant) -> Result<(), Error> {
        let answer = self.ask(&messages::sasl_handshake(login.mechanism.name()), deadline)?;
        let handshaken = messages::sasl_handshaken(&answer).ok_or_else(|| self.nonsense("of the SASL mechanism"))?;
        let refused = |broker: &str, why| {
            let (broker, user) = (broker.to_owned(), login.user.clone());
            Error::Refused { broker, user, mechanism: login.mechanism.name(), why }
        };
        match handshaken {
            (0, _) => {}
            (code::UNSUPPORTED_MECHANISM, known) => {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(refused(&self.broker, format!("its mechanisms are: {known} (kafka.mechanism)")));
            }
            (number, _) => {
                return Err(refused(&self.broker, format!("error {number}; does it ask for a login at all?")));
            }
        }
        let authenticate = |connection: &mut Self, message: &[u8]| {
            let answer = connection.ask(&messages::sasl_authenticate(message), deadline)?;
            let answer = SaslAnswer::decode(&answer).ok_or_else(|| connection.nonsense("of the login"))?;
            match answer.error {
                0 => Ok(answer),
                code::SASL_FAILED => {
                    let why = answer.why.unwrap_or_else(|| "wrong user or password".to_owned());
                    Err(refused(&connection.broker, why.escape_debug().to_string()))
                }
                number => Err(refused(&connection.broker, format!("error {number}"))),
            }
        };
        let last = if login.mechanism == Mechanism::Plain {
            authenticate(self, &login.plain())?
        } else {
            let mut scram = Scram::new(login, nonce()?);
            let challenge = authenticate(self, &scram.first())?;
            let second = scram.second(&challenge.message).ok_or_else(|| self.nonsense("of SCRAM"))?;
            let last = authenticate(self, &second)?;
            if !scram.is_proven(&last.message) {
                return Err(refused(&self.broker, "it does not know the password itself".to_owned()));
            }
            last
        };
        // Some time before the end.
        let lifetime = Duration::from_millis(u64::try_from(last.lifetime).unwrap_or_default());
        self.ends = (!lifetime.is_zero()).then(|| Instant::now() + lifetime * 4 / 5);
        Ok(())
    }
}

fn nonce() -> Result<String, Error> {
    let mut octets = [0_u8; 18];
    getrandom::fill(&mut octets)
        .map_err(|error| Error::Io { broker: "this machine".to_owned(), source: io::Error::other(error) })?;
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect())
}

/// The time until a deadline.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn connect(broker: &str, settings: &Settings, deadline: Instant) -> io::Result<Stream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in broker.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return secure(stream, broker, settings, deadline),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn secure(stream: TcpStream, broker: &str, settings: &Settings, deadline: Instant) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    let Some(tls) = &settings.tls else { return Ok(Stream::Plain(stream)) };
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    // Now, so that what is wrong with a certificate is the error of connecting.
    while stream.conn.is_handshaking() {
        stream.sock.set_read_timeout(Some(left(deadline)?))?;
        stream.sock.set_write_timeout(Some(left(deadline)?))?;
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Stream::Encrypted(Box::new(stream)))
}
