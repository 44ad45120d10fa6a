//! The writer of one shard: collects datagrams in memory and writes each batch with one call, into the segment of the
//! flush that counts them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use capture::frame;
use flow::{Exporter, FlushNumber, Timestamp, Transport};

use crate::disk::append_all;
use crate::segment::{Annotations, Entry, EntryKind, SegmentName, append};
use crate::terms::payloads;
use crate::{Journal, Open};

/// Octets of an annotation in one record.
const LONGEST_ANNOTATION: usize = 60_000;
/// Octets of carried-over data in one write.
const WRITTEN_AT_ONCE: usize = 1 << 20;

/// Writes the segments of one shard.
#[derive(Debug)]
pub struct Writer {
    journal: Arc<Journal>,
    /// The current segment; it is created with the first write.
    name: SegmentName,
    /// Of `name`.
    salt: u32,
    /// `None` until the first write.
    open: Option<Arc<Open>>,
    /// Records not written yet.
    octets: Vec<u8>,
    datagrams: u64,
    /// Datagrams that will not be written, and are not yet counted as missed.
    missed: u64,
    /// What was stated under an earlier number must be stated again.
    statement: u64,
}

impl Writer {
    pub(crate) fn new(journal: Arc<Journal>, shard: u16, flush: FlushNumber) -> Self {
        let name = SegmentName { flush, writer: journal.writer, shard, part: 0 };
        Self { journal, salt: name.salt(), name, open: None, octets: Vec::new(), datagrams: 0, missed: 0, statement: 1 }
    }

    /// The number of the statement that the next datagrams need, from 1. It increases whenever terms that were stated may
    /// not be where a reader of these datagrams finds them. `None` while nothing is written: then nothing needs them.
    #[must_use]
    pub fn statement(&mut self) -> Option<u64> {
        if self.octets.is_empty() && self.is_doubtful() {
            // What is stated there may be lost, and these datagrams will be in another part.
            self.give_up_on_segment();
        }
        (!self.is_resting()).then_some(self.statement)
    }

    /// Whether a sync of the segment has failed.
    fn is_doubtful(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_doubtful.load(Ordering::Relaxed))
    }

    fn is_resting(&self) -> bool {
        self.journal.resting.load(Ordering::Relaxed)
    }

    /// States the terms by which the following datagrams of a sender are counted.
    pub fn state(&mut self, sender: IpAddr, terms: &[u8]) {
        if self.is_resting() {
            self.statement += 1;
            return;
        }
        let (received, source) = (Timestamp::EPOCH, SocketAddr::new(sender, 0));
        for payload in payloads(terms) {
            let entry = Entry {
                received,
                source,
                transport: Transport::Udp,
                kind: EntryKind::Terms,
                payload: &payload,
                terms: None,
                annotations: [&[]; 2],
            };
            if append(&mut self.octets, self.salt, &entry).is_err() {
                self.statement += 1;
            }
        }
    }

    /// Notes something in the current segment that readers of the log need. The next [`commit`](Self::commit) writes it, if the
    /// journal can be written.
    pub fn note(&mut self, note: &[u8]) {
        if self.is_resting() {
            return;
        }
        // One that is too long for a datagram is missing: readers notice.
        self.append_own(EntryKind::Note, note);
    }

    /// Notes something beside the datagram that is taken next: a reader of it [finds](Entry::annotations) it there.
    pub fn annotate(&mut self, annotations: Annotations<'_>) {
        for (annotation, number) in annotations.into_iter().zip(0..) {
            if !annotation.is_empty() && !self.journal.resting.load(Ordering::Relaxed) {
                let parts = annotation.chunks(LONGEST_ANNOTATION);
                parts.for_each(|part| self.append_own(EntryKind::Annotation(number), part));
            }
        }
    }

    fn append_own(&mut self, kind: EntryKind, payload: &[u8]) {
        let port = match kind {
            EntryKind::Annotation(number) => u16::from(number) + 1,
            _ => 0,
        };
        let source = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let (received, transport) = (Timestamp::EPOCH, Transport::Udp);
        let entry = Entry { received, source, transport, kind, payload, terms: None, annotations: [&[]; 2] };
        let _ = append(&mut self.octets, self.salt, &entry);
    }

    /// Takes a datagram of the current flush. The next [`commit`](Self::commit) writes it.
    pub fn take(&mut self, received: Timestamp, exporter: Exporter, received_at: SocketAddr, payload: &[u8]) {
        self.append(&entry(received, exporter, EntryKind::Received(received_at), payload));
    }

    /// Notes that a connection has ended, whose messages were received at this address. The next [`commit`](Self::commit) writes it.
    pub fn end(&mut self, received: Timestamp, exporter: Exporter, received_at: SocketAddr) {
        if !self.is_resting() {
            // Readers that miss it keep what was announced there until the next start.
            let _ = append(&mut self.octets, self.salt, &entry(received, exporter, EntryKind::Ended(received_at), &[]));
        }
    }

    fn append(&mut self, entry: &Entry<'_>) {
        // Saves the copy and the checksum of a datagram that will not be written.
        if self.is_resting() {
            self.missed += 1;
            return;
        }
        match append(&mut self.octets, self.salt, entry) {
            Ok(()) => self.datagrams += 1,
            // It was received after the year 2106, or is longer than an IP packet can be.
            Err(_) => self.missed += 1,
        }
    }

    /// Writes all taken datagrams. If the disk refuses, they are counted as missed.
    pub fn commit(&mut self) {
        let datagrams = std::mem::take(&mut self.datagrams);
        let mut refused = None;
        if self.octets.is_empty() || self.is_resting() {
            self.missed += datagrams;
        } else if let Err(error) = self.write(datagrams) {
            self.missed += datagrams;
            self.give_up_on_segment();
            refused = Some(error);
        }
        self.octets.clear();
        if self.missed > 0 {
            self.statement += 1;
            self.journal.missed(std::mem::take(&mut self.missed));
        }
        if let Some(error) = refused {
            self.journal.rest(&self.name, &error);
        }
    }

    fn write(&mut self, datagrams: u64) -> io::Result<()> {
        if self.is_doubtful() {
            self.give_up_on_segment();
        }
        let header = if self.open.is_some() { 0 } else { frame::CHECKED_FILE_HEADER.len() };
        let octets = (self.octets.len() + header) as u64;
        self.journal.require_room(octets)?;
        let open = match &self.open {
            Some(open) => Arc::clone(open),
            None => {
                let open = Arc::new(self.journal.create(self.name)?);
                self.open = Some(Arc::clone(&open));
                append_all(open.file.as_ref(), &frame::CHECKED_FILE_HEADER)?;
                open
            }
        };
        append_all(open.file.as_ref(), &self.octets)?;
        self.journal.wrote(&open, octets, datagrams);
        Ok(())
    }

    /// Continues in a new part, so that an incomplete record is at the end of its own.
    fn give_up_on_segment(&mut self) {
        self.open = None;
        self.name.part += 1;
        self.statement += 1;
    }

    /// Switches to the segment of this flush.
    pub fn turn(&mut self, flush: FlushNumber) {
        self.commit();
        self.open = None;
        self.statement += 1;
        self.name = SegmentName { flush, part: 0, ..self.name };
        self.salt = self.name.salt();
    }

    /// Writes carried-over data into the current segment. This flush counts them, or carries them over again. Each item
    /// has the exporter, the receive time, and a message with one set.
    pub fn carry(&mut self, waiting: impl IntoIterator<Item = (Exporter, Timestamp, Vec<u8>)>) {
        for (exporter, received, message) in waiting {
            self.append(&entry(received, exporter, EntryKind::Carried, &message));
            self.journal.carried();
            if self.octets.len() >= WRITTEN_AT_ONCE {
                self.commit();
            }
        }
        self.commit();
    }
}

/// What an exporter has sent.
fn entry(received: Timestamp, exporter: Exporter, kind: EntryKind, payload: &[u8]) -> Entry<'_> {
    let Exporter { transport, address, port } = exporter;
    let source = SocketAddr::new(address, port);
    Entry { received, source, transport, kind, payload, terms: None, annotations: [&[]; 2] }
}
