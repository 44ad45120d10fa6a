//! A PDU in the message of a version, and what SNMPv3 has to know of an agent for it (RFC 3412, RFC 3414).

use std::sync::Arc;
use std::time::Instant;

use crate::access::{Access, User};
use crate::ber::{self, Reader};
use crate::crypto;
use crate::oid::USM_STATS;
use crate::pdu::{Request, Response};

const VERSION_2C: i64 = 1;
const VERSION_3: i64 = 3;
/// The largest message that we read: what fits into a datagram.
const LARGEST: i64 = 65_507;
/// Of msgFlags.
const AUTHENTICATED: u8 = 1;
const ENCRYPTED: u8 = 2;
const REPORTABLE: u8 = 4;
/// User-based security.
const MODEL: i64 = 3;
/// Octets of an engine ID (RFC 3411, `SnmpEngineID`).
const ENGINE_ID: std::ops::RangeInclusive<usize> = 5..=32;
const SALT: usize = 8;

/// An agent that states its clock, and then refuses messages with it.
pub(crate) const CLOCK: &str = "the agent finds its own clock wrong in our messages";

/// The messages of one conversation with an agent.
#[derive(Debug)]
pub struct Messages {
    access: Access,
    /// Of the request that is waiting for its answer.
    id: i32,
    /// Never used twice with a key.
    salt: u64,
    /// For SNMPv3, once the agent has named itself.
    engine: Option<Engine>,
}

/// What SNMPv3 has to know of an agent.
#[derive(Debug)]
struct Engine {
    id: Vec<u8>,
    boots: i64,
    /// Its clock in seconds, at `read`.
    time: i64,
    read: Instant,
    authentication_key: Vec<u8>,
    privacy_key: Vec<u8>,
}

/// What a datagram is for the request that is waiting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// Its answer.
    Answer(Response),
    /// The agent has stated what the request needs: it has to be sent again.
    Learnt,
    /// It is refused, for this reason.
    Refused(&'static str),
    /// Nothing: late, damaged or forged.
    Foreign,
}

impl Messages {
    /// With a random start of the numbers that nobody else should guess.
    #[must_use]
    pub fn new(access: Access, random: u64) -> Self {
        let id = i32::try_from(random >> 34).unwrap_or_default();
        Self { access, id, salt: random.rotate_left(32), engine: None }
    }

    /// Begins the next request.
    pub(crate) fn next(&mut self) {
        self.id = self.id.checked_add(1).unwrap_or(1);
    }

    /// The message of a request. Before an agent of SNMPv3 has named itself, the message asks for that only.
    pub(crate) fn write(&mut self, request: &Request<'_>) -> Option<Vec<u8>> {
        match &self.access {
            Access::Community(community) => Some(ber::sequence(&[
                ber::integer(VERSION_2C),
                ber::octets(community.as_bytes()),
                request.write(self.id),
            ])),
            Access::User(user) => {
                let user = Arc::clone(user);
                self.salt = self.salt.wrapping_add(1);
                match &self.engine {
                    Some(engine) => engine.write(&user, self.id, self.salt, request),
                    None => Some(discovery(self.id)),
                }
            }
        }
    }

    /// Reads a datagram.
    pub(crate) fn read(&mut self, octets: &[u8]) -> Incoming {
        let read = match self.access.clone() {
            Access::Community(community) => read_2c(octets, community.as_bytes()).map(Incoming::Answer),
            Access::User(user) => self.read_3(octets, &user),
        };
        match read {
            Some(Incoming::Answer(answer)) if answer.is_report || answer.id != i64::from(self.id) => Incoming::Foreign,
            Some(incoming) => incoming,
            None => Incoming::Foreign,
        }
    }

    /// Whether a datagram is the answer to the request that is waiting. For tests with any octets.
    pub fn is_answer(&mut self, octets: &[u8]) -> bool {
        matches!(self.read(octets), Incoming::Answer(_))
    }

    fn read_3(&mut self, octets: &[u8], user: &User) -> Option<Incoming> {
        let message = Message::split(octets)?;
        (message.id == i64::from(self.id)).then_some(())?;
        if message.flags & AUTHENTICATED == 0 {
            let report = Response::read(&mut scoped(message.content.sequence_of_all()?)?)?;
            report.is_report.then_some(())?;
            if self.engine.is_none() && ENGINE_ID.contains(&message.engine.len()) {
                self.engine = Some(Engine::new(&message, user));
                return Some(Incoming::Learnt);
            }
            return Some(refusal(&report));
        }
        let engine = self.engine.as_mut()?;
        let is_known = message.user == user.name.as_bytes() && message.engine == engine.id;
        let is_true = || {
            let zeroed = message.without_code(octets)?;
            Some(user.authentication.is_code(&engine.authentication_key, &zeroed, message.code))
        };
        (is_known && is_true()?).then_some(())?;
        let report_or_answer = if message.flags & ENCRYPTED == 0 {
            let report = Response::read(&mut scoped(message.content.sequence_of_all()?)?)?;
            report.is_report.then_some(report)?
        } else {
            let text = engine.decrypt(user, &message)?;
            // Some agents fill up the last block.
            Response::read(&mut scoped(Reader(&text).sequence()?)?)?
        };
        (engine.boots, engine.time, engine.read) = (message.boots, message.time, Instant::now());
        Some(match report_or_answer {
            report if report.is_report && statistic(&report) == Some(2) => Incoming::Learnt,
            report if report.is_report => refusal(&report),
            answer => Incoming::Answer(answer),
        })
    }
}

fn read_2c(octets: &[u8], community: &[u8]) -> Option<Response> {
    let mut message = Reader(octets).sequence()?;
    (message.integer()? == VERSION_2C && message.take(ber::OCTETS)? == community).then_some(())?;
    Response::read(&mut message)
}

/// After the context of a PDU.
fn scoped(mut fields: Reader<'_>) -> Option<Reader<'_>> {
    let _engine_and_name = (fields.take(ber::OCTETS)?, fields.take(ber::OCTETS)?);
    Some(fields)
}

/// Which statistic of the security model a report has.
fn statistic(report: &Response) -> Option<u32> {
    let (oid, _) = report.bindings.first()?;
    oid.strip_prefix(USM_STATS)?.first().copied()
}

fn refusal(report: &Response) -> Incoming {
    Incoming::Refused(match statistic(report) {
        Some(1) => "the agent does not allow this user authentication with privacy",
        Some(2) => CLOCK,
        Some(3) => "the agent does not know the user",
        Some(4) => "the agent has changed its engine ID",
        Some(5) => "the agent finds the authentication wrong: another password or hash",
        Some(6) => "the agent cannot decrypt: another password or cipher",
        _ => "the agent reports an error",
    })
}

/// The fields of a message of SNMPv3.
struct Message<'a> {
    id: i64,
    flags: u8,
    engine: &'a [u8],
    boots: i64,
    time: i64,
    user: &'a [u8],
    code: &'a [u8],
    /// Where the code ends in the message.
    code_end: usize,
    salt: &'a [u8],
    content: Reader<'a>,
}

impl<'a> Reader<'a> {
    /// A sequence with nothing after it.
    fn sequence_of_all(mut self) -> Option<Self> {
        let inner = self.sequence()?;
        self.is_empty().then_some(inner)
    }
}

impl<'a> Message<'a> {
    /// Nothing may follow what is read, so that the place of the code is known.
    fn split(octets: &'a [u8]) -> Option<Self> {
        let mut message = Reader(octets).sequence_of_all()?;
        (message.integer()? == VERSION_3).then_some(())?;
        let mut header = message.sequence()?;
        let (id, _largest) = (header.integer()?, header.integer()?);
        let flags = *header.take(ber::OCTETS)?.first()?;
        (header.integer()? == MODEL).then_some(())?;
        let mut security = Reader(message.take(ber::OCTETS)?).sequence_of_all()?;
        let engine = security.take(ber::OCTETS)?;
        let (boots, time) = (security.integer()?, security.integer()?);
        (boots >= 0 && time >= 0).then_some(())?;
        let (user, code) = (security.take(ber::OCTETS)?, security.take(ber::OCTETS)?);
        let code_end = octets.len().checked_sub(message.0.len())?.checked_sub(security.0.len())?;
        let salt = security.take(ber::OCTETS)?;
        security.is_empty().then_some(())?;
        Some(Self { id, flags, engine, boots, time, user, code, code_end, salt, content: message })
    }

    /// The message with zeros instead of the code.
    fn without_code(&self, octets: &[u8]) -> Option<Vec<u8>> {
        let mut zeroed = octets.to_vec();
        zeroed.get_mut(self.code_end.checked_sub(self.code.len())?..self.code_end)?.fill(0);
        Some(zeroed)
    }
}

/// Asks an agent for its engine ID (RFC 3414, section 4).
fn discovery(id: i32) -> Vec<u8> {
    let security = security(&[], (0, 0), &[], &[], &[]);
    let scoped = ber::sequence(&[ber::octets(&[]), ber::octets(&[]), Request::Get(&[]).write(id)]);
    ber::sequence(&[ber::integer(VERSION_3), header(id, REPORTABLE), security, scoped])
}

fn header(id: i32, flags: u8) -> Vec<u8> {
    ber::sequence(&[ber::integer(id.into()), ber::integer(LARGEST), ber::octets(&[flags]), ber::integer(MODEL)])
}

fn security(engine: &[u8], (boots, time): (i64, i64), user: &[u8], code: &[u8], salt: &[u8]) -> Vec<u8> {
    let (boots, time) = (ber::integer(boots), ber::integer(time));
    let (code, salt) = (ber::octets(code), ber::octets(salt));
    ber::octets(&ber::sequence(&[ber::octets(engine), boots, time, ber::octets(user), code, salt]))
}

/// What each message is encrypted from.
fn start_of(boots: i64, time: i64, salt: &[u8]) -> Option<[u8; 16]> {
    let (boots, time) = (u32::try_from(boots).ok()?, u32::try_from(time).ok()?);
    [&boots.to_be_bytes()[..], &time.to_be_bytes(), salt].concat().try_into().ok()
}

impl Engine {
    fn new(message: &Message<'_>, user: &User) -> Self {
        let key = |key: &[u8]| crypto::localized(user.authentication, key, message.engine);
        Self {
            id: message.engine.to_vec(),
            boots: message.boots,
            time: message.time,
            read: Instant::now(),
            authentication_key: key(&user.authentication_key),
            privacy_key: key(&user.privacy_key),
        }
    }

    /// Its clock now.
    fn now(&self) -> i64 {
        self.time.saturating_add_unsigned(self.read.elapsed().as_secs())
    }

    fn write(&self, user: &User, id: i32, salt: u64, request: &Request<'_>) -> Option<Vec<u8>> {
        let (time, salt) = (self.now(), salt.to_be_bytes());
        let mut text = ber::sequence(&[ber::octets(&self.id), ber::octets(&[]), request.write(id)]);
        crypto::encrypt(user.privacy, &self.privacy_key, start_of(self.boots, time, &salt)?, &mut text)?;
        let text = ber::octets(&text);
        let code_length = user.authentication.code_length();
        let security = security(&self.id, (self.boots, time), user.name.as_bytes(), &vec![0; code_length], &salt);
        let code_end_from_the_end = text.len() + 2 + SALT;
        let header = header(id, AUTHENTICATED | ENCRYPTED | REPORTABLE);
        let mut message = ber::sequence(&[ber::integer(VERSION_3), header, security, text]);
        let code = user.authentication.code(&self.authentication_key, &message);
        let end = message.len().checked_sub(code_end_from_the_end)?;
        let place = message.get_mut(end.checked_sub(code_length)?..end)?;
        (place.len() == code.len()).then(|| place.copy_from_slice(&code))?;
        Some(message)
    }

    fn decrypt(&self, user: &User, message: &Message<'_>) -> Option<Vec<u8>> {
        let mut content = message.content;
        let mut text = content.take(ber::OCTETS)?.to_vec();
        let start = start_of(message.boots, message.time, message.salt)?;
        crypto::decrypt(user.privacy, &self.privacy_key, start, &mut text)?;
        Some(text)
    }
}

#[cfg(test)]
mod tests;
