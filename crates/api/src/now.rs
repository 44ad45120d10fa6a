//! What happens now: each sender with its rates, its loss and its sampling, addresses that are unknown, and findings. Clients that
//! watch share one picture of it, which is made when one of them asks and the last one is some seconds old.
//!
//! Traffic is that of the last whole minute that the store has, to the unit what `/series` answers for it. So it is read once
//! a minute, however many watch. Everything else is from the collector's view.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use accounting::block::{TableSet, Tables};
use accounting::direction::Direction;
use accounting::field::{Field, Name};
use accounting::period::Minute;
use accounting::range::Range;
use flow::{Counters, Timestamp};
use serde::Serialize;
use storage::{Answers, Question, Sender, Store};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use view::{BitRates, Exporter, RouterNames, Unknown, View};

use crate::Api;
use crate::diagnosis::Diagnosis;
use crate::error::Error;
use crate::subject::outermost;

/// How old a picture is at most.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
/// How long the store may take; the picture is then without what it lacks.
const PATIENCE: Duration = Duration::from_secs(2);
/// The prefixes whose counters are read at most.
const PREFIXES: usize = 4096;
/// The exporters that are asked for their sampling rates for each picture, in rotation.
const SAMPLED_AT_ONCE: usize = 64;
/// The time over which loss is measured: from one to two of these.
const LOSS: Duration = Duration::from_secs(60);
const SECONDS_OF_A_MINUTE: f64 = 60.0;

/// The picture, and what the next one is made with.
#[derive(Debug, Default)]
pub(crate) struct Now(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    picture: Option<(Instant, Arc<Picture>)>,
    senders: Vec<Sender>,
    /// The minute that was read, with the counters of each sender.
    traffic: Option<(Minute, HashMap<IpAddr, Traffic>)>,
    /// What had arrived at earlier times, the earliest first; at most two.
    arrivals: VecDeque<(Instant, HashMap<IpAddr, Vec<Arrived>>)>,
    sampling: HashMap<IpAddr, Vec<u32>>,
    /// The last exporter that was asked for its sampling rates.
    sampled: Option<IpAddr>,
}

/// Units received and lost.
type Arrived = (&'static str, u64, u64);

/// Everything at one time.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    pub(crate) at: Timestamp,
    pub(crate) minute: Option<Timestamp>,
    pub(crate) senders: BTreeMap<IpAddr, SenderNow>,
    pub(crate) unknown: Vec<Unknown>,
    pub(crate) diagnosis: Arc<Diagnosis>,
}

/// A registered sender.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SenderNow {
    /// Its address.
    #[schema(value_type = String)]
    address: IpAddr,
    /// What it is called.
    #[serde(flatten)]
    names: RouterNames,
    /// Its tags.
    tags: Vec<String>,
    /// When its last datagram was received; null if it has never sent.
    last: Option<String>,
    /// Its datagrams a second, over the last 10 seconds; null if it has not sent since the collector started.
    pub(crate) datagrams_per_second: Option<f64>,
    /// Its flows a second, over the same time.
    pub(crate) flows_per_second: Option<f64>,
    /// Mean bit rates of its flows in the last flush, over all of its prefixes; null if it has not sent since the collector
    /// started, and while flushes fail.
    pub(crate) bits_per_second: Option<BitRates>,
    /// What was counted in the minute of the event, over all of its prefixes; null if nothing is known of it.
    pub(crate) traffic: Option<Traffic>,
    /// The percentage of its datagrams or records that were lost on the way, by sequence numbers, in the last one to two
    /// minutes; null if there were none.
    lost_percent: Option<f64>,
    /// The sampling rates of its flows, the most recent first.
    sampling: Vec<u32>,
}

/// Mean rates of a minute, by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = TrafficNow)]
pub(crate) struct Traffic {
    /// To the monitored prefixes.
    #[serde(rename = "in")]
    incoming: Rate,
    /// From them.
    #[serde(rename = "out")]
    outgoing: Rate,
    /// Between own networks, counted where it arrives.
    local: Rate,
}

/// A mean rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RateNow)]
pub(crate) struct Rate {
    bits_per_second: f64,
    packets_per_second: f64,
    flows_per_second: f64,
}

impl Rate {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    fn of(counters: Counters) -> Self {
        let Counters { bytes, packets, flows } = counters;
        let a_second = |count: u64| count as f64 / SECONDS_OF_A_MINUTE;
        Self {
            bits_per_second: a_second(bytes) * 8.0,
            packets_per_second: a_second(packets),
            flows_per_second: a_second(flows),
        }
    }

    fn add(&mut self, other: Self) {
        self.bits_per_second += other.bits_per_second;
        self.packets_per_second += other.packets_per_second;
        self.flows_per_second += other.flows_per_second;
    }
}

impl Traffic {
    fn of(tables: &Tables) -> Self {
        let rate = |direction| Rate::of(tables.get(direction, Name::ALL).unwrap_or_default());
        let [incoming, outgoing, local] = [Direction::In, Direction::Out, Direction::InLocal].map(rate);
        Self { incoming, outgoing, local }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.incoming.add(other.incoming);
        self.outgoing.add(other.outgoing);
        self.local.add(other.local);
    }
}

impl Api {
    /// What happens now, as it was some seconds ago at most.
    pub(crate) async fn picture(&self) -> Result<Arc<Picture>, Error> {
        let view = self.view()?;
        let mut kept = self.now.0.lock().await;
        let now = Instant::now();
        if let Some((made, picture)) = &kept.picture
            && now.saturating_duration_since(*made) < INTERVAL
        {
            return Ok(Arc::clone(picture));
        }
        if let Ok(Ok(in_force)) = timeout(PATIENCE, self.in_force()).await {
            kept.senders = in_force.senders;
        }
        kept.read_traffic(&*self.store, last_minute(view)).await;
        let exporters = view.exporters();
        kept.note_arrivals(&exporters, now);
        kept.note_sampling(view, &exporters);
        let mut picture = kept.picture(&exporters, view);
        picture.diagnosis = self.diagnosis().await?;
        let picture = Arc::new(picture);
        kept.picture = Some((now, Arc::clone(&picture)));
        Ok(picture)
    }
}

/// The last minute that had ended when the last flush was made.
fn last_minute(view: &dyn View) -> Option<Minute> {
    view.status().ledgers_checked.map(|flushed| Minute::of(flushed).saturating_sub(1))
}

impl Kept {
    /// Reads the counters of a minute, unless it has them.
    async fn read_traffic(&mut self, store: &dyn Store, minute: Option<Minute>) {
        let Some(minute) = minute else { return };
        if self.traffic.as_ref().is_some_and(|(read, _)| *read == minute) {
            return;
        }
        let range = Range { from: minute, to: minute.saturating_add(1) };
        let tables = TableSet::of_field(Field::All);
        let monitored = self.senders.iter().flat_map(|sender| {
            outermost(sender.prefixes.iter().copied()).map(|prefix| Question {
                range,
                sender: sender.address,
                prefix,
                tables,
            })
        });
        let questions: Vec<_> = monitored.take(PREFIXES).collect();
        let senders: Vec<_> = questions.iter().map(|question| question.sender).collect();
        let mut answers = Answers::to(questions);
        let Ok(Ok(totals)) = timeout(PATIENCE, answers.all(store)).await else { return };
        let mut traffic: HashMap<IpAddr, Traffic> = HashMap::new();
        for (sender, totals) in senders.into_iter().zip(totals).filter(|(_, totals)| !totals.tables.is_empty()) {
            traffic.entry(sender).or_default().add(Traffic::of(&totals.tables));
        }
        self.traffic = Some((minute, traffic));
    }

    fn note_arrivals(&mut self, exporters: &[Exporter], now: Instant) {
        if self.arrivals.back().is_some_and(|(at, _)| now.saturating_duration_since(*at) < LOSS) {
            return;
        }
        let arrived = |exporter: &Exporter| {
            let units = exporter.arrivals.iter().map(|unit| (unit.unit, unit.received, unit.lost)).collect();
            (exporter.address, units)
        };
        self.arrivals.push_back((now, exporters.iter().map(arrived).collect()));
        if self.arrivals.len() > 2 {
            self.arrivals.pop_front();
        }
    }

    /// Asks some exporters for their sampling rates: those after the last one that was asked.
    fn note_sampling(&mut self, view: &dyn View, exporters: &[Exporter]) {
        let addresses = || exporters.iter().map(|exporter| exporter.address);
        let (last, first) = (self.sampled, addresses().next());
        let next = addresses().find(|address| last.is_none_or(|last| *address > last)).or(first);
        let from = addresses().position(|address| Some(address) == next).unwrap_or_default();
        for address in addresses().cycle().skip(from).take(SAMPLED_AT_ONCE.min(exporters.len())) {
            let rates = view.exporter(address).map(|found| found.detail.sampling.rates).unwrap_or_default();
            self.sampling.insert(address, rates.iter().map(|rate| rate.rate).collect());
            self.sampled = Some(address);
        }
        if self.sampling.len() > exporters.len() {
            self.sampling.retain(|address, _| addresses().any(|known| known == *address));
        }
    }

    fn picture(&self, exporters: &[Exporter], view: &dyn View) -> Picture {
        let heard: HashMap<IpAddr, &Exporter> = exporters.iter().map(|exporter| (exporter.address, exporter)).collect();
        let minute = self.traffic.as_ref().map(|(minute, _)| minute.timestamp());
        let senders = self.senders.iter().map(|sender| {
            let exporter = heard.get(&sender.address).copied();
            let names = view.names_of(sender.address).configured(sender.name.as_ref().map(ToString::to_string));
            (sender.address, self.sender(sender, names, exporter, minute))
        });
        Picture {
            at: Timestamp::from(SystemTime::now()),
            minute,
            senders: senders.collect(),
            unknown: view.unknown(),
            diagnosis: Arc::default(),
        }
    }

    fn sender(
        &self,
        sender: &Sender,
        names: RouterNames,
        exporter: Option<&Exporter>,
        minute: Option<Timestamp>,
    ) -> SenderNow {
        let last = exporter.and_then(|exporter| exporter.last).max(sender.last);
        let counted = self.traffic.as_ref().and_then(|(_, traffic)| traffic.get(&sender.address)).copied();
        // Nothing was counted, although it sends.
        let is_heard = last.zip(minute).is_some_and(|(last, minute)| last >= minute);
        let rates = exporter.and_then(|exporter| exporter.rates);
        SenderNow {
            address: sender.address,
            names,
            tags: sender.tags.iter().map(ToString::to_string).collect(),
            last: last.map(|last| last.to_string()),
            datagrams_per_second: rates.map(|rates| rates.datagrams_per_second),
            flows_per_second: rates.map(|rates| rates.flows_per_second),
            bits_per_second: exporter.and_then(|exporter| exporter.bits_per_second),
            traffic: counted.or_else(|| is_heard.then(Traffic::default)),
            lost_percent: exporter.and_then(|exporter| self.lost_percent(exporter)),
            sampling: self.sampling.get(&sender.address).cloned().unwrap_or_default(),
        }
    }

    /// Of the unit of which most was lost.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    fn lost_percent(&self, exporter: &Exporter) -> Option<f64> {
        let (_, before) = self.arrivals.front()?;
        let before = before.get(&exporter.address).map(Vec::as_slice).unwrap_or_default();
        let shares = exporter.arrivals.iter().filter_map(|unit| {
            let earlier = before.iter().find(|(name, _, _)| *name == unit.unit);
            let (received, lost) = earlier.map_or((0, 0), |(_, received, lost)| (*received, *lost));
            // What arrives late is not lost any more.
            let (received, lost) = (unit.received.saturating_sub(received), unit.lost.saturating_sub(lost));
            let all = received.saturating_add(lost);
            (all > 0).then(|| 100.0 * lost as f64 / all as f64)
        });
        shares.max_by(f64::total_cmp)
    }
}
