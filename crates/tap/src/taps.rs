//! Subscribers and their bounded queues. A flow that does not fit is dropped and counted. A flow wakes no thread:
//! subscribers poll their queues. So the counting threads never wait and make no system call; without subscribers, a
//! datagram costs them one relaxed load.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use columns::{Id, Row};
use flow::{FlowRecord, Protocol, Timestamp};

use crate::Filter;

/// The limit of subscribers: the counting threads apply the filter of each to every flow.
const MOST_TAPS: usize = 4;
/// The length of a queue in flows, about 2 MB. If polled ten times a second, it transports 80,000 flows a second.
const QUEUE_LENGTH: usize = 8192;
/// A subscriber that has not polled for this time loses its place to a new one.
const STALLED: Duration = Duration::from_secs(60);

/// A flow with details that are not counted, for a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The receive time of its datagram.
    pub received: Timestamp,
    /// Its exporter.
    pub exporter: IpAddr,
    /// Its export protocol.
    pub protocol: Protocol,
    /// The flow: counters are not multiplied by the sampling rate.
    pub flow: FlowRecord,
    /// The AS path to its destination, if it is known.
    pub path: Option<Arc<str>>,
    /// Details that are not counted.
    pub details: Details,
}

/// Values of a record that are not counted; `None` if the record lacks them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// All TCP flags of the flow, as in the TCP header.
    pub tcp_flags: Option<u16>,
    /// Type and code of ICMP or ICMPv6.
    pub icmp: Option<(u8, u8)>,
    /// The SNMP index of the input interface.
    pub input: Option<u32>,
    /// The SNMP index of the output interface.
    pub output: Option<u32>,
}

/// All places for subscribers; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Taps(Arc<Places>);

#[derive(Debug, Default)]
struct Places {
    /// Whether there is a subscriber.
    taken: AtomicBool,
    taps: ArcSwap<Vec<Arc<Pipe>>>,
    /// Locked while places change.
    changing: Mutex<()>,
    closed: AtomicBool,
    shown: AtomicU64,
    dropped: AtomicU64,
}

/// The queue of one subscriber, as the counting threads see it.
#[derive(Debug)]
struct Pipe {
    /// Distinguishes clients.
    client: u64,
    filter: Filter,
    /// `None` for all.
    exporters: Option<Vec<IpAddr>>,
    flows: SyncSender<Seen>,
    dropped: AtomicU64,
    /// The time of the last poll.
    fetched: Mutex<Instant>,
    /// Whether another subscriber has taken its place.
    closed: AtomicBool,
}

/// The subscriber's end of the queue. Dropping it frees the place.
#[derive(Debug)]
pub struct Tap {
    places: Arc<Places>,
    pipe: Arc<Pipe>,
    flows: Receiver<Seen>,
}

/// All places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {MOST_TAPS} taps already: wait until one of them ends")]
pub struct Full;

/// The subscribers for one exporter's datagram.
#[derive(Debug)]
pub struct Tapped {
    places: Arc<Places>,
    taps: Arc<Vec<Arc<Pipe>>>,
    exporter: IpAddr,
}

impl Taps {
    /// The subscribers for this exporter; `None` when there are none.
    #[must_use]
    #[inline]
    pub fn of(&self, exporter: IpAddr) -> Option<Tapped> {
        if self.0.taken.load(Ordering::Relaxed) { self.interested(exporter) } else { None }
    }

    #[cold]
    fn interested(&self, exporter: IpAddr) -> Option<Tapped> {
        let taps = self.0.taps.load_full();
        let any = taps.iter().any(|pipe| pipe.wants(exporter));
        any.then(|| Tapped { places: Arc::clone(&self.0), taps, exporter })
    }

    /// Subscribes to the flows of these exporters (`None` for all) that match the filter. When all places are taken, one
    /// that has stalled is closed for it, or the newest of the client that has at least two more than this one.
    ///
    /// # Errors
    /// When all places are taken and none is closed.
    pub fn open(&self, client: u64, filter: Filter, exporters: Option<Vec<IpAddr>>) -> Result<Tap, Full> {
        let _changing = locked(&self.0.changing);
        let mut taps = self.0.taps.load().as_ref().clone();
        if taps.len() >= MOST_TAPS {
            let stalled = taps.iter().position(|pipe| locked(&pipe.fetched).elapsed() >= STALLED);
            let closed = stalled.or_else(|| newest_of_greediest(&taps, client)).ok_or(Full)?;
            taps.remove(closed).closed.store(true, Ordering::Relaxed);
        }
        let (sender, flows) = sync_channel(QUEUE_LENGTH);
        let (dropped, closed) = (AtomicU64::new(0), AtomicBool::new(false));
        let fetched = Mutex::new(Instant::now());
        let pipe = Arc::new(Pipe { client, filter, exporters, flows: sender, dropped, fetched, closed });
        taps.push(Arc::clone(&pipe));
        self.0.set(taps);
        Ok(Tap { places: Arc::clone(&self.0), pipe, flows })
    }

    /// Ends all of them permanently.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }

    /// The number of subscribers, and the limit.
    #[must_use]
    pub fn taken(&self) -> (usize, usize) {
        (self.0.taps.load().len(), MOST_TAPS)
    }

    /// Flows queued for subscribers.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.0.shown.load(Ordering::Relaxed)
    }

    /// Flows that did not fit into the queues.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

/// The place of the newest tap of the client with the most, if `client` has fewer even with one more.
fn newest_of_greediest(taps: &[Arc<Pipe>], client: u64) -> Option<usize> {
    let places_of = |client| taps.iter().filter(|pipe| pipe.client == client).count();
    let greediest = taps.iter().map(|pipe| pipe.client).max_by_key(|client| places_of(*client))?;
    let is_greedier = places_of(greediest) > places_of(client) + 1;
    taps.iter().rposition(|pipe| is_greedier && pipe.client == greediest)
}

impl Places {
    fn set(&self, taps: Vec<Arc<Pipe>>) {
        let taken = !taps.is_empty();
        self.taps.store(Arc::new(taps));
        self.taken.store(taken, Ordering::Relaxed);
    }
}

impl Pipe {
    fn wants(&self, exporter: IpAddr) -> bool {
        self.exporters.as_ref().is_none_or(|exporters| exporters.contains(&exporter))
    }
}

impl Tapped {
    /// The exporter.
    #[must_use]
    pub const fn exporter(&self) -> IpAddr {
        self.exporter
    }

    /// Queues a flow for the subscribers whose filters its row matches. `details` is called once, and only when there is one.
    pub fn show(
        &self,
        received: Timestamp,
        protocol: Protocol,
        flow: &FlowRecord,
        row: &Row,
        details: impl FnOnce() -> Details,
    ) {
        let mut asked = self.taps.iter().filter(|pipe| pipe.wants(self.exporter) && pipe.filter.passes(row)).peekable();
        if asked.peek().is_none() {
            return;
        }
        let path = row.text(Id::DstAsPath).cloned();
        let seen = Seen { received, exporter: self.exporter, protocol, flow: *flow, path, details: details() };
        for pipe in asked {
            if pipe.flows.try_send(seen.clone()).is_ok() {
                self.places.shown.fetch_add(1, Ordering::Relaxed);
            } else {
                self.places.dropped.fetch_add(1, Ordering::Relaxed);
                pipe.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Tap {
    /// The flows that were queued since the last call, at most `limit`; `None` when the tap has ended.
    pub fn fetch(&self, limit: usize) -> Option<Vec<Seen>> {
        *locked(&self.pipe.fetched) = Instant::now();
        if self.pipe.closed.load(Ordering::Relaxed) || self.places.closed.load(Ordering::Relaxed) {
            return None;
        }
        let mut seen = Vec::new();
        while seen.len() < limit {
            match self.flows.try_recv() {
                Ok(flow) => seen.push(flow),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        Some(seen)
    }

    /// How many flows did not fit its queue so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.pipe.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _changing = locked(&self.places.changing);
        let taps = self.places.taps.load();
        self.places.set(taps.iter().filter(|pipe| !Arc::ptr_eq(pipe, &self.pipe)).cloned().collect());
    }
}

/// A panic cannot leave the locked data inconsistent.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use flow::Counters;

    use super::*;

    const EXPORTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn flow(bytes: u64) -> FlowRecord {
        let forward = Counters { bytes, packets: 1, flows: 1 };
        FlowRecord { forward, ..FlowRecord::empty(Timestamp::EPOCH) }
    }

    fn show(taps: &Taps, exporter: IpAddr, bytes: u64) {
        if let Some(tapped) = taps.of(exporter) {
            let mut row = Row::new();
            row.set(Id::Bytes, bytes);
            tapped.show(Timestamp::EPOCH, Protocol::Ipfix, &flow(bytes), &row, Details::default);
        }
    }

    fn bytes(tap: &Tap) -> Vec<u64> {
        tap.fetch(usize::MAX).unwrap().iter().map(|seen| seen.flow.forward.bytes).collect()
    }

    #[test]
    fn each_subscriber_gets_the_flows_that_match_its_filter() {
        let taps = Taps::default();
        show(&taps, EXPORTER, 1);
        let all = taps.open(1, Filter::default(), None).unwrap();
        let large = taps.open(1, "bytes > 10".parse().unwrap(), Some(vec![OTHER])).unwrap();
        for (exporter, bytes) in [(EXPORTER, 20), (OTHER, 5), (OTHER, 30)] {
            show(&taps, exporter, bytes);
        }
        assert_eq!((bytes(&all), bytes(&large)), (vec![20, 5, 30], vec![30]));
        drop(all);
        assert!(taps.of(EXPORTER).is_none(), "there is no subscriber for this exporter any more");
        assert!(taps.of(OTHER).is_some());
        drop(large);
        assert!(taps.of(OTHER).is_none());
        assert_eq!((taps.taken(), taps.shown(), taps.dropped()), ((0, MOST_TAPS), 4, 0));
    }

    #[test]
    fn a_flow_that_does_not_fit_is_dropped_and_counted() {
        let taps = Taps::default();
        let slow = taps.open(1, Filter::default(), None).unwrap();
        let none = taps.open(1, "bytes > 1000000".parse().unwrap(), None).unwrap();
        for number in 0..QUEUE_LENGTH as u64 + 3 {
            show(&taps, EXPORTER, number);
        }
        assert_eq!((slow.dropped(), none.dropped(), taps.dropped()), (3, 0, 3));
        assert_eq!(slow.fetch(10).unwrap().len(), 10);
        assert_eq!(bytes(&slow).len(), QUEUE_LENGTH - 10);
    }

    #[test]
    fn a_subscriber_that_does_not_poll_loses_its_place_to_a_new_one() {
        let taps = Taps::default();
        let mut open: Vec<_> = (0..MOST_TAPS).map(|_| taps.open(1, Filter::default(), None).unwrap()).collect();
        assert_eq!(taps.open(1, Filter::default(), None).unwrap_err(), Full);
        *locked(&open[1].pipe.fetched) = Instant::now().checked_sub(STALLED).unwrap();
        let new = taps.open(1, Filter::default(), None).unwrap();
        assert!(open[1].fetch(1).is_none() && open[0].fetch(1).is_some());
        // Dropping it does not free the place of another.
        open.remove(1);
        assert_eq!(taps.taken(), (MOST_TAPS, MOST_TAPS));
        drop(new);
        assert_eq!(taps.taken(), (MOST_TAPS - 1, MOST_TAPS));
        taps.close();
        assert!(open.iter().all(|tap| tap.fetch(1).is_none()));
    }

    #[test]
    fn a_client_that_has_taken_all_places_makes_room_for_others() {
        let taps = Taps::default();
        let open = |client| taps.open(client, Filter::default(), None);
        let greedy: Vec<_> = (0..MOST_TAPS).map(|_| open(1).unwrap()).collect();
        assert_eq!(open(1).unwrap_err(), Full);
        let second = open(2).unwrap();
        assert!(greedy[3].fetch(1).is_none() && greedy[..3].iter().all(|tap| tap.fetch(1).is_some()));
        let third = open(3).unwrap();
        assert!(greedy[2].fetch(1).is_none() && second.fetch(1).is_some());
        // Now 2, 1 and 1: none has two more than another.
        for client in 1..4 {
            assert_eq!(open(client).unwrap_err(), Full);
        }
        let _fourth = open(4).unwrap();
        assert!(greedy[1].fetch(1).is_none() && greedy[0].fetch(1).is_some() && third.fetch(1).is_some());
        assert_eq!(open(5).unwrap_err(), Full);
    }
}
