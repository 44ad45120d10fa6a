//! A sequence of datagrams. The streams (exporter and source port) get data datagrams in turn. Everything about the
//! n-th of them follows from n: its stream, its sequence number, and whether a template precedes it.

use std::net::Ipv4Addr;

use accounting::field::Name;
use flow::{Counters, FlowRecord, Prefix, Protocol, Timestamp};

use crate::datagram::{self, Encoder, Stamp};
use crate::load::{Load, LoadError};
use crate::totals::{Names, Totals, add_names, times_counters};
use crate::traffic::Flows;

/// The largest batch, and the number of datagrams in memory, if each is sent once.
const MOST_FRESH: usize = 64;
/// The uptime of exporters at the start, in milliseconds, so that flows can precede their export.
const UPTIME: u64 = 3_600_000;

/// Makes the datagrams of a load in sequence, and counts them.
#[derive(Clone, Debug)]
pub struct Generator {
    load: Load,
    encoder: Encoder,
    flows: Flows,
    flows_per_datagram: u16,
    /// Their number is a multiple of the number of streams, so that each always belongs to the same stream.
    datagrams: Vec<DataDatagram>,
    /// Data datagrams made so far; the number of the next one.
    made: u64,
    batch: Vec<Picked>,
    templates: Vec<Vec<u8>>,
    begun: Option<Timestamp>,
    totals: Totals,
}

/// A data datagram in memory.
#[derive(Clone, Debug, Default)]
struct DataDatagram {
    payload: Vec<u8>,
    counters: Counters,
}

/// A datagram of the current batch.
#[derive(Clone, Copy, Debug)]
struct Picked {
    stream: Stream,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Data(usize),
    Template(usize),
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    exporter: u32,
    port: u16,
}

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
pub struct Generated<'g> {
    /// The number of the exporter, from 0.
    pub exporter: u32,
    /// The exporter's address; `None` when the kernel chooses.
    pub source: Option<Ipv4Addr>,
    /// The number of the exporter's source port, from 0.
    pub port: u16,
    /// The UDP payload.
    pub payload: &'g [u8],
}

impl Generator {
    /// A new generator. Datagrams that are sent repeatedly are encoded here.
    ///
    /// # Errors
    /// When the load is invalid.
    pub fn new(load: Load) -> Result<Self, LoadError> {
        load.check()?;
        let streams = load.exporters as usize * usize::from(load.ports);
        let flows_per_datagram =
            load.flows_per_datagram.unwrap_or_else(|| datagram::default_flows(load.protocol, &load.traffic));
        let wanted = match load.repeat {
            Some(flows) => flows.div_ceil(flows_per_datagram.into()) as usize,
            None => MOST_FRESH,
        };
        let mut generator = Self {
            encoder: Encoder::new(load.protocol, &load.traffic),
            flows: Flows::new(&load.traffic, load.protocol, load.seed),
            flows_per_datagram,
            datagrams: Vec::new(),
            made: 0,
            batch: Vec::new(),
            templates: Vec::new(),
            begun: None,
            totals: Totals { exporters: vec![Counters::ZERO; load.exporters as usize], ..Totals::default() },
            load,
        };
        let count = wanted.next_multiple_of(streams);
        generator.datagrams = if generator.load.repeat.is_some() {
            (0..count).map(|number| generator.make(number as u64)).collect()
        } else {
            vec![DataDatagram::default(); count]
        };
        Ok(generator)
    }

    /// The load.
    #[must_use]
    pub const fn load(&self) -> &Load {
        &self.load
    }

    /// The number of flows in each data datagram.
    #[must_use]
    pub const fn flows_per_datagram(&self) -> u16 {
        self.flows_per_datagram
    }

    /// The totals of all batches so far.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The next datagrams, exported now: at least one data datagram and at most this many, preceded by templates if
    /// they are due.
    pub fn batch(&mut self, now: Timestamp, most: usize) -> impl Iterator<Item = Generated<'_>> {
        self.batch.clear();
        self.templates.clear();
        let start = (self.made % self.datagrams.len() as u64) as usize;
        // Each datagram at most once, since it is stamped in place.
        let end = self.datagrams.len().min(start + most.max(1));
        for index in start..end {
            self.pick(index, now);
        }
        self.batch.iter().filter_map(|picked| {
            let payload = match picked.place {
                Place::Data(index) => &self.datagrams.get(index)?.payload,
                Place::Template(index) => self.templates.get(index)?,
            };
            let Stream { exporter, port } = picked.stream;
            Some(Generated { exporter, source: self.load.source(exporter), port, payload })
        })
    }

    /// The expected counters for these monitored prefixes, of the wanted names: the traffic is generated again and
    /// added up.
    pub fn names(&self, prefixes: &[Prefix], wanted: &mut dyn FnMut(&Name) -> bool) -> Names {
        let mut flows = Flows::new(&self.load.traffic, self.load.protocol, self.load.seed);
        let mut names = Names::new();
        let in_memory = self.datagrams.len() as u64;
        let distinct = if self.load.repeat.is_some() { self.made.min(in_memory) } else { self.made };
        for number in 0..distinct {
            let times = match self.load.repeat {
                Some(_) => self.made / in_memory + u64::from(number < self.made % in_memory),
                None => 1,
            };
            let exporter = self.stream(number).exporter;
            for _ in 0..self.flows_per_datagram {
                add_names(&mut names, exporter, &flows.next(), times, prefixes, wanted);
            }
        }
        names
    }

    fn stream(&self, number: u64) -> Stream {
        let (exporters, ports) = (u64::from(self.load.exporters), u64::from(self.load.ports));
        Stream { exporter: (number % exporters) as u32, port: (number / exporters % ports) as u16 }
    }

    fn make(&mut self, number: u64) -> DataDatagram {
        let flows: Vec<FlowRecord> = (0..self.flows_per_datagram).map(|_| self.flows.next()).collect();
        let mut counters = Counters::ZERO;
        flows.iter().for_each(|flow| counters.add(times_counters(flow, 1)));
        let Stream { exporter, port } = self.stream(number);
        let agent = self.load.source(exporter).unwrap_or(Ipv4Addr::LOCALHOST);
        DataDatagram { payload: self.encoder.data(&flows, port, agent), counters }
    }

    /// Adds the next data datagram to the batch, preceded by a template if one is due.
    fn pick(&mut self, index: usize, now: Timestamp) {
        if self.load.repeat.is_none() {
            let made = self.make(self.made);
            if let Some(datagram) = self.datagrams.get_mut(index) {
                *datagram = made;
            }
        }
        let stream = self.stream(self.made);
        let streams = self.load.streams();
        // The number of previous data datagrams of the stream.
        let before = self.made / streams;
        let interval = u64::from(self.load.template_interval);
        let due = before.is_multiple_of(interval);
        let templates_before = before.div_ceil(interval);
        if due {
            self.pick_template(stream, now, before, templates_before);
        }
        let sequence = match self.load.protocol {
            Protocol::NetflowV9 => before + templates_before + u64::from(due),
            Protocol::SflowV5 => before,
            _ => before * u64::from(self.flows_per_datagram),
        };
        let stamp = self.stamp(now, sequence);
        if let Some(datagram) = self.datagrams.get_mut(index) {
            self.encoder.stamp(&mut datagram.payload, stamp);
            self.totals.all.add(datagram.counters);
            if let Some(exporter) = self.totals.exporters.get_mut(stream.exporter as usize) {
                exporter.add(datagram.counters);
            }
        }
        self.totals.datagrams += 1;
        self.batch.push(Picked { stream, place: Place::Data(index) });
        self.made += 1;
    }

    fn pick_template(&mut self, stream: Stream, now: Timestamp, before: u64, templates_before: u64) {
        let Some(mut payload) = self.encoder.templates(stream.port) else { return };
        let sequence = match self.load.protocol {
            Protocol::NetflowV9 => before + templates_before,
            _ => before * u64::from(self.flows_per_datagram),
        };
        let stamp = self.stamp(now, sequence);
        self.encoder.stamp(&mut payload, stamp);
        self.totals.datagrams += 1;
        self.totals.templates += 1;
        self.batch.push(Picked { stream, place: Place::Template(self.templates.len()) });
        self.templates.push(payload);
    }

    /// Sequence numbers and uptimes wrap, as in exporters.
    fn stamp(&mut self, now: Timestamp, sequence: u64) -> Stamp {
        let begun = *self.begun.get_or_insert(now);
        let uptime = now.milliseconds().saturating_sub(begun.milliseconds()) + UPTIME;
        Stamp { seconds: now.seconds() as u32, uptime: uptime as u32, sequence: sequence as u32 }
    }
}
