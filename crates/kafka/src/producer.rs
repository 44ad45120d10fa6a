//! Sends the flows of a flush to the partitions of a topic: each at least once, those of an exporter in their order.

use std::fmt;
use std::io::Write;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use columns::{Id, Row};
use flow::{FlushNumber, WriterId};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::flow_message::MessageWriter;
use crate::identity::Identity;
use crate::record_batch::{Record, RecordBatch};
use crate::settings::{Format, Settings};
use crate::{json, partition, varint};

/// The size of a batch: below a topic's `max.message.bytes` (1,048,588 by default) before it is compressed.
const BATCH: usize = 1_000_000;
/// If a topic takes less: batches are halved until here.
const SMALLEST_BATCH: usize = 16_384;
/// All batches together: what is kept of flows that are not sent yet.
const ALL_BATCHES: usize = 8 * BATCH;

/// Partitions that are added to a topic are seen after this long, at the next flush.
const LEARNT_EVERY: Duration = Duration::from_secs(60);

/// The name of the header of a record.
const IDENTITY: &str = "netflow-flow";

/// What was sent, and acknowledged by all replicas in sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Flows.
    pub flows: u64,
    /// Batches.
    pub batches: u64,
    /// Octets of the batches, compressed.
    pub octets: u64,
}

/// Sends flows, flush by flush.
#[derive(Debug)]
pub struct Producer {
    cluster: Cluster,
    /// When the partitions were last asked for.
    learnt: Option<Instant>,
    /// By partition.
    lanes: Vec<Lane>,
    /// The flush that was begun last, until all of it is acknowledged.
    flush: Option<(WriterId, FlushNumber)>,
    /// The place of the next flow in it; `None` before it is taken from its first flow.
    index: Option<u64>,
    /// The size of all batches.
    octets: usize,
    limit: usize,
    key: Key,
    messages: MessageWriter,
    /// An object of JSON.
    object: Vec<u8>,
    /// The length of the message, as it is before it.
    length: Vec<u8>,
    header: Header,
    sent: Sent,
}

/// What goes to a partition.
#[derive(Debug, Default)]
struct Lane {
    batch: RecordBatch,
    /// The batch as it was sent last: its memory is used again.
    encoded: Vec<u8>,
    /// The first flow of the flush that is not acknowledged; those before it are not sent again.
    first_open: u64,
    /// The flow after the last one in the batch.
    end: u64,
}

/// The key of an exporter's records, and where they go.
#[derive(Debug)]
struct Key {
    exporter: Option<IpAddr>,
    text: Vec<u8>,
    partition: usize,
}

/// The header of records: writer, epoch, flush and index.
#[derive(Debug, Default)]
struct Header {
    /// What all flows of a flush have in common.
    of_flush: String,
    index: String,
    octets: Vec<u8>,
}

impl Producer {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            cluster: Cluster::new(settings),
            learnt: None,
            lanes: Vec::new(),
            flush: None,
            index: None,
            octets: 0,
            limit: BATCH,
            key: Key { exporter: None, text: Vec::new(), partition: 0 },
            messages: MessageWriter::default(),
            object: Vec::new(),
            length: Vec::new(),
            header: Header::default(),
            sent: Sent::default(),
        }
    }

    /// What was sent so far.
    #[must_use]
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// Takes the next flow of a flush, and sends batches that are full. After an error, the flush has to come again from its
    /// first flow, after [`rewind`](Self::rewind).
    ///
    /// # Errors
    /// If brokers do not take what is sent.
    pub fn take(&mut self, writer: WriterId, flush: FlushNumber, row: &Row) -> Result<(), Error> {
        let index = match self.index {
            Some(index) => index,
            None => self.begin(writer, flush)?,
        };
        self.index = Some(index + 1);
        let identity = Identity { writer, flush, index };
        self.key.set(row.address(Id::Exporter), self.lanes.len());
        let Some(lane) = self.lanes.get_mut(self.key.partition) else { return Ok(()) };
        if identity.index < lane.first_open {
            return Ok(());
        }
        self.length.clear();
        let [varying, alike] = match self.cluster.settings().format {
            Format::Json => {
                self.object.clear();
                json::write(row, &identity, &mut self.object);
                [self.object.as_slice(), &[]]
            }
            Format::Single => self.messages.write(row, &identity),
            Format::Delimited => {
                let message = self.messages.write(row, &identity);
                varint::unsigned(message.iter().map(|part| part.len() as u64).sum(), &mut self.length);
                message
            }
        };
        let before = lane.batch.len();
        lane.batch.add(&Record {
            time: row.number(Id::Received).cast_signed(),
            key: &self.key.text,
            value: [&self.length, varying, alike],
            headers: self.header.with(identity.index),
        });
        lane.end = identity.index + 1;
        self.octets += lane.batch.len() - before;
        if lane.batch.len() >= self.limit || self.octets >= ALL_BATCHES {
            self.send()?;
        }
        Ok(())
    }

    /// Sends what is left of the flush. When it returns, all of its flows are acknowledged.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn end_flush(&mut self) -> Result<(), Error> {
        self.send()?;
        (self.flush, self.index) = (None, None);
        Ok(())
    }

    /// Forgets what was taken and is not sent: the flush comes again. What was acknowledged of it is not sent again.
    pub fn rewind(&mut self) {
        self.index = None;
        self.clear();
        // Brokers may have changed.
        self.learnt = None;
    }

    /// As [`rewind`](Self::rewind), but what was acknowledged of the flush is sent again: the topic may not have it any more.
    pub fn begin_again(&mut self) {
        self.rewind();
        self.flush = None;
    }

    fn clear(&mut self) {
        self.octets = 0;
        self.lanes.iter_mut().for_each(|lane| lane.batch.clear());
    }

    /// Begins a flush, or takes it again. Returns the place of its first flow.
    fn begin(&mut self, writer: WriterId, flush: FlushNumber) -> Result<u64, Error> {
        if self.learnt.is_none_or(|learnt| learnt.elapsed() > LEARNT_EVERY) {
            self.learn()?;
        }
        if self.flush != Some((writer, flush)) {
            self.lanes.iter_mut().for_each(|lane| lane.first_open = 0);
            self.header.begin(writer, flush);
            self.flush = Some((writer, flush));
        }
        Ok(0)
    }

    fn learn(&mut self) -> Result<(), Error> {
        self.cluster.learn()?;
        self.learnt = Some(Instant::now());
        if self.lanes.len() != self.cluster.partitions() {
            // Exporters go to other partitions now.
            self.key.exporter = None;
            self.lanes.clear();
            self.lanes.resize_with(self.cluster.partitions(), Lane::default);
        }
        Ok(())
    }

    /// Sends all batches.
    fn send(&mut self) -> Result<(), Error> {
        let Settings { compression, format, .. } = *self.cluster.settings();
        let mut batches = Vec::new();
        for (partition, lane) in self.lanes.iter_mut().enumerate().filter(|(_, lane)| lane.batch.count() > 0) {
            let memory = std::mem::take(&mut lane.encoded);
            batches.push((partition, lane.batch.encode(compression, format, memory).map_err(Error::Compression)?));
        }
        let outcomes = self.cluster.produce(&batches);
        let mut failed = None;
        for ((partition, batch), outcome) in batches.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => self.note_sent(partition, batch.len()),
                Err(error) => failed = Some(error),
            }
            if let Some(lane) = self.lanes.get_mut(partition) {
                lane.encoded = batch;
            }
        }
        self.clear();
        let Some(error) = failed else { return Ok(()) };
        if error.is_of_size() {
            self.limit = (self.limit / 2).max(SMALLEST_BATCH);
        }
        Err(error)
    }

    fn note_sent(&mut self, partition: usize, octets: usize) {
        let Some(lane) = self.lanes.get_mut(partition) else { return };
        lane.first_open = lane.end;
        self.sent.flows += u64::from(lane.batch.count().cast_unsigned());
        self.sent.batches += 1;
        self.sent.octets += octets as u64;
    }
}

impl Key {
    fn set(&mut self, exporter: IpAddr, partitions: usize) {
        if self.exporter == Some(exporter) {
            return;
        }
        self.exporter = Some(exporter);
        self.text.clear();
        // Writing to memory does not fail.
        _ = write!(self.text, "{exporter}");
        self.partition = partition::of(&self.text, partitions);
    }
}

impl Header {
    fn begin(&mut self, writer: WriterId, flush: FlushNumber) {
        self.of_flush = format!("{writer}-{}-{}-", flush.epoch, flush.sequence);
    }

    /// The headers of a record: their number, then the name and the value of the only one.
    fn with(&mut self, index: u64) -> &[u8] {
        self.index.clear();
        // Writing to a string does not fail.
        _ = fmt::Write::write_fmt(&mut self.index, format_args!("{index}"));
        let out = &mut self.octets;
        out.clear();
        varint::signed(1, out);
        varint::signed(IDENTITY.len() as i64, out);
        out.extend_from_slice(IDENTITY.as_bytes());
        varint::signed((self.of_flush.len() + self.index.len()) as i64, out);
        out.extend_from_slice(self.of_flush.as_bytes());
        out.extend_from_slice(self.index.as_bytes());
        out
    }
}
