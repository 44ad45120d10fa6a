//! One export connection: cuts what arrives into messages, and hands these to a shard.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use flow::{Exporter, Timestamp};
use wire::Datagram;
use wire::framing::{NotAMessage, message_length};

use super::end::{End, MESSAGE_PATIENCE};
use super::stream::Stream;
use super::table::Open;
use crate::acceptance::Acceptance;
use crate::certificate_names::CertificateNames;
use crate::journaled_shard::JournaledShard;
use crate::lock::locked_in_turn;
use crate::turn_mutex::TurnMutex;

/// The longest message that IPFIX can have.
pub(super) const LONGEST_MESSAGE: usize = u16::MAX as usize;

/// The octets by which the length of a message is known.
const RECOGNISED_BY: usize = 4;

/// A shard is locked for about this many octets of messages at a time: others want it too.
const LOCKED_OCTETS: usize = 64 << 10;

/// A router in a range of `senders.accept` has this long to be registered after its first message.
const DECISION_PATIENCE: Duration = Duration::from_secs(30);

/// A connection and what is known of it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) open: Arc<Open>,
    /// The configured address that it was accepted at.
    pub(super) accepted_at: SocketAddr,
    /// The beginning of a message that is not whole. Before its sender is registered, everything that was read.
    partial: Vec<u8>,
    /// Since when that message is not whole.
    partial_since: Option<Instant>,
    /// Since when it waits for the registration of its sender. Nothing is read meanwhile.
    undecided_since: Option<Instant>,
    /// The receive time of the last message: each has its own.
    last: Timestamp,
    messages: u64,
    /// Whether a shard knows it.
    is_known: bool,
}

/// A message, and what follows it.
type Split<'o> = (&'o [u8], &'o [u8]);

/// What reading a connection led to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// This many octets were read.
    Read(usize),
    /// It has to wait until its sender is registered.
    Undecided,
    /// It has ended.
    Ended(End),
}

/// What reading needs beside the connection.
pub(super) struct Reading<'r> {
    /// Longer than a message.
    pub(super) buffer: &'r mut [u8],
    pub(super) counting: &'r TurnMutex<JournaledShard>,
    pub(super) acceptance: &'r Acceptance,
    pub(super) now: Timestamp,
    /// Whether nothing beyond the message that is not whole is to be read.
    pub(super) is_last: bool,
}

impl Connection {
    pub(super) const fn new(stream: Stream, open: Arc<Open>, accepted_at: SocketAddr) -> Self {
        Self {
            stream,
            open,
            accepted_at,
            partial: Vec::new(),
            partial_since: None,
            undecided_since: None,
            last: Timestamp::EPOCH,
            messages: 0,
            is_known: false,
        }
    }

    /// One of which an earlier run has taken messages.
    pub(super) fn continued(stream: Stream, open: Arc<Open>, accepted_at: SocketAddr) -> Self {
        let mut connection = Self::new(stream, open, accepted_at);
        connection.is_known = true;
        connection
    }

    /// Whether nothing is read of it that was not taken.
    pub(super) const fn is_between_messages(&self) -> bool {
        self.partial.is_empty()
    }

    /// What is certainly missing of the message that is not whole.
    fn missing(&self) -> usize {
        let length = message_length(&self.partial).ok().flatten().unwrap_or(RECOGNISED_BY);
        length.saturating_sub(self.partial.len())
    }

    pub(super) fn exporter(&self) -> Exporter {
        self.open.exporter
    }

    pub(super) fn is_registered(&self) -> bool {
        self.open.is_registered.load(Ordering::Relaxed)
    }

    pub(super) const fn is_undecided(&self) -> bool {
        self.undecided_since.is_some()
    }

    /// Reads once what has arrived, and takes the messages that are whole.
    pub(super) fn read(&mut self, reading: &mut Reading<'_>) -> Outcome {
        let begin = self.partial.len();
        let Some((before, room)) = reading.buffer.split_at_mut_checked(begin) else { return Outcome::Read(0) };
        before.copy_from_slice(&self.partial);
        // Before its sender is registered, all that was read is kept: no more than a message.
        let most = match () {
            () if reading.is_last => self.missing(),
            () if self.is_registered() => room.len(),
            () => LONGEST_MESSAGE.saturating_sub(begin),
        };
        let Some(room) = room.get_mut(..most) else { return Outcome::Read(0) };
        let count = match self.stream.read(room) {
            Ok(Some(0)) if begin == 0 => return Outcome::Ended(End::Closed),
            Ok(Some(0)) | Err(End::Unannounced) if begin > 0 => {
                return Outcome::Ended(End::ClosedInsideMessage { octets: begin });
            }
            Err(end) => return Outcome::Ended(end),
            Ok(count) => count,
        };
        if self.open.tls.get().is_none()
            && let Some(tls) = self.stream.tls()
        {
            // Only this thread sets it.
            let _ = self.open.tls.set(tls);
        }
        let Some(count) = count else { return Outcome::Read(0) };
        let octets = reading.buffer.get(..begin + count).unwrap_or_default();
        if !self.is_registered() {
            return self.look_at_first(octets, reading);
        }
        let (rest, problem) = self.take(octets, reading.counting, reading.now);
        if let Some(problem) = problem {
            return Outcome::Ended(self.malformed(problem));
        }
        let is_new = rest.len() < octets.len() || begin == 0;
        self.keep(rest, is_new);
        Outcome::Read(count)
    }

    /// Keeps what was read of a router that may register itself, until that is decided; if it begins with a valid message.
    fn look_at_first(&mut self, octets: &[u8], reading: &Reading<'_>) -> Outcome {
        let is_new = self.partial.is_empty();
        self.keep(octets, is_new);
        match first_message(octets) {
            Err(problem) => Outcome::Ended(self.malformed(problem)),
            Ok(None) => Outcome::Read(octets.len()),
            Ok(Some((payload, _))) => {
                let datagram = Datagram { exporter: self.exporter(), received: reading.now, payload };
                if reading.acceptance.is_candidate(&datagram) {
                    self.undecided_since = Some(Instant::now());
                    return Outcome::Undecided;
                }
                self.take_unregistered(reading.counting, reading.now);
                Outcome::Ended(End::Unregistered)
            }
        }
    }

    /// Its sender is registered now: takes what was read of it before.
    pub(super) fn register(&mut self, counting: &TurnMutex<JournaledShard>, now: Timestamp) -> Option<End> {
        self.open.is_registered.store(true, Ordering::Relaxed);
        self.undecided_since = None;
        let octets = std::mem::take(&mut self.partial);
        let (rest, problem) = self.take(&octets, counting, now);
        self.keep(rest, true);
        problem.map(|problem| self.malformed(problem))
    }

    /// Counts the first message of a sender that did not become registered.
    fn take_unregistered(&mut self, counting: &TurnMutex<JournaledShard>, now: Timestamp) {
        let octets = std::mem::take(&mut self.partial);
        if let Ok(Some((message, _))) = first_message(&octets) {
            self.take(message, counting, now);
        }
    }

    /// How it ended because something took too long, if it did.
    pub(super) fn overdue(&mut self, counting: &TurnMutex<JournaledShard>, now: Timestamp) -> Option<End> {
        if let Some(end) = self.stream.overdue() {
            return Some(end);
        }
        if let Some(since) = self.undecided_since {
            (since.elapsed() >= DECISION_PATIENCE).then(|| {
                self.take_unregistered(counting, now);
                End::Unregistered
            })
        } else {
            let is_late = self.partial_since.is_some_and(|since| since.elapsed() >= MESSAGE_PATIENCE);
            is_late.then_some(End::Incomplete { octets: self.partial.len() })
        }
    }

    /// How it ended because its certificate must have another name now, if it did.
    pub(super) fn require(&mut self, names: &CertificateNames) -> Option<End> {
        let name = self.stream.is_encrypted().then(|| names.of(self.open.exporter.address))?;
        self.stream.require(name)
    }

    /// Notes its end in the shard, if it has taken messages.
    pub(super) fn end(&mut self, counting: &TurnMutex<JournaledShard>, now: Timestamp) {
        if self.is_known {
            let received = self.receive_time(now);
            let mut counting = locked_in_turn(counting);
            counting.end_connection(self.exporter(), received, self.open.listening);
            counting.commit();
        }
        self.stream.close();
    }

    fn malformed(&self, problem: NotAMessage) -> End {
        End::Malformed { number: self.messages + 1, problem }
    }

    /// Keeps what is not a whole message yet. `is_new`: nothing of this message had been kept before.
    fn keep(&mut self, rest: &[u8], is_new: bool) {
        self.partial.clear();
        // Not more, for there may be many connections.
        self.partial.reserve_exact(rest.len());
        self.partial.extend_from_slice(rest);
        match (rest.is_empty(), is_new) {
            (true, _) => self.partial_since = None,
            (false, true) => self.partial_since = Some(Instant::now()),
            (false, false) => {}
        }
    }

    /// Takes the whole messages at the beginning. Returns the rest, and why that is no message, if so.
    fn take<'o>(
        &mut self,
        mut octets: &'o [u8],
        counting: &TurnMutex<JournaledShard>,
        now: Timestamp,
    ) -> (&'o [u8], Option<NotAMessage>) {
        loop {
            let (rest, problem) = self.take_some(octets, counting, now);
            if problem.is_some() || rest.len() == octets.len() {
                return (rest, problem);
            }
            octets = rest;
        }
    }

    /// Takes as many of them as it locks the shard for.
    fn take_some<'o>(
        &mut self,
        octets: &'o [u8],
        counting: &TurnMutex<JournaledShard>,
        now: Timestamp,
    ) -> (&'o [u8], Option<NotAMessage>) {
        let (mut rest, mut problem) = (octets, None);
        let mut locked_shard: Option<MutexGuard<'_, JournaledShard>> = None;
        let mut messages = 0;
        while octets.len() - rest.len() < LOCKED_OCTETS {
            let (payload, after) = match first_message(rest) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(found) => {
                    problem = Some(found);
                    break;
                }
            };
            let received = self.receive_time(now);
            let shard = locked_shard.get_or_insert_with(|| locked_in_turn(counting));
            shard.read += 1;
            shard.take(&Datagram { exporter: self.exporter(), received, payload }, self.open.listening);
            messages += 1;
            rest = after;
        }
        if let Some(mut shard) = locked_shard {
            shard.commit();
        }
        if messages > 0 {
            self.messages += messages;
            self.is_known = true;
            self.open.count(messages, (octets.len() - rest.len()) as u64, self.last);
        }
        (rest, problem)
    }

    /// The receive time of the next message: now, but later than that of the one before.
    fn receive_time(&mut self, now: Timestamp) -> Timestamp {
        self.last = now.max(self.last.saturating_add(Duration::from_nanos(1)));
        self.last
    }
}

/// The whole message at the beginning of these octets and what follows it; `None` if it is not whole.
fn first_message(octets: &[u8]) -> Result<Option<Split<'_>>, NotAMessage> {
    Ok(message_length(octets)?.and_then(|length| octets.split_at_checked(length)))
}

#[cfg(test)]
mod tests;
