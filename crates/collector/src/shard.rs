//! The loop: one datagram after the other is admitted, decoded, attributed and tallied, to completion, on one thread.
//!
//! Datagrams and their times are arguments. A socket, a capture file and a simulation drive the very same code, and the
//! same datagrams in the same order always make the same blocks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use accounting::period::Minute;
use accounting::tally::{Monitored, Tally, TallyLimits};
use arc_swap::cache::Cache;
use flow::{DatagramFate, FlowFate, FlowRecord, Timestamp};
use wire::{Datagram, Decoded, Message, PendingBudget, Record, RecordKind, Session, SessionLimits};

use crate::admission::{Admitted, Snapshot};
use crate::remembered::Remembered;
use crate::status::Counts;

/// What an operator can say about how flows are counted.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Whether counters are multiplied by the sampling rate.
    pub scale_samples: bool,
    /// How far an export time may be from the receive time; beyond that the receive time stands for it.
    pub clock_limit: Duration,
    /// Bounds of what is remembered about one exporter.
    pub session: SessionLimits,
    /// Bounds of the open counters.
    pub tally: TallyLimits,
}

/// One thread's share of the work: its exporters and its open counters.
pub struct Shard {
    rules: Rules,
    waiting: PendingBudget,
    /// `None` in a replay, which is to come out the same whatever was received before.
    remembered: Option<Remembered>,
    admitted: Cache<Admitted, Arc<Snapshot>>,
    exporters: HashMap<IpAddr, Exporter>,
    tally: Tally,
    counts: Counts,
}

/// What a shard remembers about one registered sender.
struct Exporter {
    session: Session,
    last: Timestamp,
    heard_since_seal: bool,
    /// [`Session::announcements_changed`] when its announcements were last given away.
    announced: u64,
}

/// A tally that will not change any more, on its way to the store.
pub struct Sealed {
    /// The counters.
    pub tally: Tally,
    /// The senders that were heard since the last one, and when last.
    pub heard: Vec<(IpAddr, Timestamp)>,
    /// What senders have announced, of those that announced anything new since the last one.
    pub announced: Vec<(IpAddr, Vec<u8>)>,
}

impl Shard {
    /// A shard that has seen nothing. All shards of a process share one budget for data that wait for a template.
    #[must_use]
    pub fn new(rules: Rules, admitted: Admitted, waiting: PendingBudget) -> Self {
        Self {
            rules,
            waiting,
            remembered: None,
            admitted: Cache::new(admitted),
            exporters: HashMap::new(),
            tally: Tally::new(rules.tally),
            counts: Counts::default(),
        }
    }

    /// Goes on with what senders announced before, and gives away what they announce.
    #[must_use]
    pub fn remembering(self, remembered: Remembered) -> Self {
        Self { remembered: Some(remembered), ..self }
    }

    /// Takes one datagram through admission, decoding, attribution and tally.
    pub fn take(&mut self, datagram: &Datagram<'_>) {
        let Self { rules, waiting, remembered, admitted, exporters, tally, counts } = self;
        let address = datagram.exporter.address;
        let Some(monitored) = admitted.load().get(&address) else {
            counts.datagrams[DatagramFate::Unauthorised] += 1;
            return;
        };
        let exporter = exporters.entry(address).or_insert_with(|| {
            let remembered = remembered.as_ref().and_then(|remembered| remembered.take(address));
            Exporter::new(remembered.unwrap_or_else(|| Session::with_budget(rules.session, waiting.clone())))
        });
        exporter.hear(datagram.received);
        let decoded = exporter.session.decode(datagram, &mut |record| count(record, monitored, rules, tally, counts));
        counts.datagrams[datagram_fate(&decoded)] += 1;
        counts.note(&decoded);
    }

    /// Gives away what was counted and goes on with an empty tally.
    pub fn seal(&mut self, empty: Tally) -> Sealed {
        let snapshot = Arc::clone(self.admitted.load());
        self.exporters.retain(|address, _| snapshot.contains_key(address));
        let heard =
            self.exporters.iter_mut().filter(|(_, exporter)| exporter.heard_since_seal).map(|(address, exporter)| {
                exporter.heard_since_seal = false;
                (*address, exporter.last)
            });
        let mut heard: Vec<_> = heard.collect();
        heard.sort_unstable();
        let announced = if self.remembered.is_some() { self.announced() } else { Vec::new() };
        Sealed { heard, announced, tally: std::mem::replace(&mut self.tally, empty) }
    }

    /// What senders have announced, of those that announced anything new.
    fn announced(&mut self) -> Vec<(IpAddr, Vec<u8>)> {
        let changed = self.exporters.iter_mut().filter_map(|(address, exporter)| {
            let now = exporter.session.announcements_changed();
            let before = std::mem::replace(&mut exporter.announced, now);
            (now != before).then(|| (*address, exporter.session.announcements()))
        });
        changed.collect()
    }

    /// What became of everything so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Adds datagrams that the kernel had to drop before this shard could read them.
    pub fn dropped(&mut self, datagrams: u64) {
        self.counts.kernel_drops += datagrams;
    }
}

/// Books one record under all prefixes of its sender, or says why not.
fn count(record: &Record<'_>, monitored: &Monitored, rules: &Rules, tally: &mut Tally, counts: &mut Counts) {
    let fate = match (record.kind, record.flow) {
        (_, Some(flow)) => {
            let (minute, clamped) = minute_of(flow, record.message, rules.clock_limit);
            counts.time_clamped += u64::from(clamped);
            tally.book(monitored, flow, minute, rules.scale_samples)
        }
        (RecordKind::Data, None) => FlowFate::Event,
        (RecordKind::Options | RecordKind::Counters | RecordKind::Drop, None) => return,
    };
    counts.flows[fate] += 1;
}

/// The minute that a flow counts in: that of its export time, unless the exporter's clock is too far off.
fn minute_of(flow: &FlowRecord, message: &Message, limit: Duration) -> (Minute, bool) {
    let clamped = flow.exported.abs_diff(message.received) > limit;
    (Minute::of(if clamped { message.received } else { flow.exported }), clamped)
}

fn datagram_fate(decoded: &Decoded) -> DatagramFate {
    match (decoded.protocol, decoded.first_error) {
        (None, _) => DatagramFate::UnknownVersion,
        (Some(_), Some(_)) => DatagramFate::Damaged,
        (Some(_), None) => DatagramFate::Decoded,
    }
}

impl Exporter {
    fn new(session: Session) -> Self {
        let announced = session.announcements_changed();
        Self { session, last: Timestamp::EPOCH, heard_since_seal: false, announced }
    }

    fn hear(&mut self, at: Timestamp) {
        self.last = self.last.max(at);
        self.heard_since_seal = true;
    }
}
