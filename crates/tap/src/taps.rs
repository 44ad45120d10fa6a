//! Who looks on, and the way to them: a bounded channel for each, from which a flow that does not fit is dropped and
//! counted. Nobody is woken by a flow; onlookers come and fetch what has gathered. So the threads that count never wait
//! and make no system call, and when nobody looks on a datagram costs them one relaxed load.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use flow::{FlowRecord, Protocol, Timestamp};

use crate::Filter;

/// How many may look on at once: each costs the threads that count a look at its filter for every flow.
const MOST_TAPS: usize = 4;
/// How many flows wait for an onlooker at most; about 2 MB. Fetched ten times a second, that is 80,000 flows a second.
const WAITING: usize = 8192;
/// An onlooker that has fetched nothing for so long gives its place to one that asks for it.
const STALLED: Duration = Duration::from_secs(60);

/// A flow with what an onlooker wants to know beside what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When its datagram was received.
    pub received: Timestamp,
    /// Who reported it.
    pub exporter: IpAddr,
    /// The protocol that it was reported by.
    pub protocol: Protocol,
    /// The flow: counters are not multiplied by the sampling rate.
    pub flow: FlowRecord,
    /// What is not counted.
    pub details: Details,
}

/// What a record says of a flow and nobody counts; `None` when it does not say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// All TCP flags of the flow, as in the TCP header.
    pub tcp_flags: Option<u16>,
    /// The SNMP index of the interface that it came in by.
    pub input: Option<u32>,
    /// The SNMP index of the interface that it went out by.
    pub output: Option<u32>,
}

/// All places for onlookers; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Taps(Arc<Places>);

#[derive(Debug, Default)]
struct Places {
    /// Whether anybody looks on.
    taken: AtomicBool,
    taps: ArcSwap<Vec<Arc<Pipe>>>,
    /// Held while places change.
    changing: Mutex<()>,
    closed: AtomicBool,
    shown: AtomicU64,
    dropped: AtomicU64,
}

/// The way to one onlooker, as the threads that count see it.
#[derive(Debug)]
struct Pipe {
    filter: Filter,
    /// `None` for all.
    exporters: Option<Vec<IpAddr>>,
    flows: SyncSender<Seen>,
    dropped: AtomicU64,
    /// When it was last fetched from.
    fetched: Mutex<Instant>,
    /// Its place was given away.
    closed: AtomicBool,
}

/// The other end of it; gives its place back when it goes.
#[derive(Debug)]
pub struct Tap {
    places: Arc<Places>,
    pipe: Arc<Pipe>,
    flows: Receiver<Seen>,
}

/// There is no place to look on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_TAPS} look on already: wait until one of them ends")]
pub struct Full;

/// The onlookers of one exporter's datagram.
#[derive(Debug)]
pub struct Tapped {
    places: Arc<Places>,
    taps: Arc<Vec<Arc<Pipe>>>,
    exporter: IpAddr,
}

impl Taps {
    /// Those who look on at this exporter; `None` when nobody does.
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

    /// Looks on from now on: at the flows of these exporters (`None` for all) that pass the filter.
    ///
    /// # Errors
    /// When all places are taken.
    pub fn open(&self, filter: Filter, exporters: Option<Vec<IpAddr>>) -> Result<Tap, Full> {
        let _changing = locked(&self.0.changing);
        let mut taps = self.0.taps.load().as_ref().clone();
        if taps.len() >= MOST_TAPS {
            let stalled = taps.iter().position(|pipe| locked(&pipe.fetched).elapsed() >= STALLED).ok_or(Full)?;
            taps.remove(stalled).closed.store(true, Ordering::Relaxed);
        }
        let (sender, flows) = sync_channel(WAITING);
        let (dropped, closed) = (AtomicU64::new(0), AtomicBool::new(false));
        let fetched = Mutex::new(Instant::now());
        let pipe = Arc::new(Pipe { filter, exporters, flows: sender, dropped, fetched, closed });
        taps.push(Arc::clone(&pipe));
        self.0.set(taps);
        Ok(Tap { places: Arc::clone(&self.0), pipe, flows })
    }

    /// Ends all of them, for good.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }

    /// How many look on, and how many may.
    #[must_use]
    pub fn taken(&self) -> (usize, usize) {
        (self.0.taps.load().len(), MOST_TAPS)
    }

    /// Flows that onlookers asked for and got on their way.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.0.shown.load(Ordering::Relaxed)
    }

    /// Flows that they asked for and could not take in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
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
    /// Shows a flow to those who asked for it. What is not counted of it is read once, and only when somebody did.
    pub fn show(&self, received: Timestamp, protocol: Protocol, flow: &FlowRecord, details: impl FnOnce() -> Details) {
        let mut asked =
            self.taps.iter().filter(|pipe| pipe.wants(self.exporter) && pipe.filter.passes(flow)).peekable();
        if asked.peek().is_none() {
            return;
        }
        let seen = Seen { received, exporter: self.exporter, protocol, flow: *flow, details: details() };
        for pipe in asked {
            if pipe.flows.try_send(seen).is_ok() {
                self.places.shown.fetch_add(1, Ordering::Relaxed);
            } else {
                self.places.dropped.fetch_add(1, Ordering::Relaxed);
                pipe.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Tap {
    /// What has gathered since the last time, at most so many flows; `None` when no more will come.
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

    /// How many flows it could not take in time, so far.
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

/// What is locked here is whole at every moment.
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
            tapped.show(Timestamp::EPOCH, Protocol::Ipfix, &flow(bytes), Details::default);
        }
    }

    fn bytes(tap: &Tap) -> Vec<u64> {
        tap.fetch(usize::MAX).unwrap().iter().map(|seen| seen.flow.forward.bytes).collect()
    }

    #[test]
    fn each_onlooker_gets_what_it_asked_for() {
        let taps = Taps::default();
        show(&taps, EXPORTER, 1);
        let all = taps.open(Filter::default(), None).unwrap();
        let large = taps.open("bytes > 10".parse().unwrap(), Some(vec![OTHER])).unwrap();
        for (exporter, bytes) in [(EXPORTER, 20), (OTHER, 5), (OTHER, 30)] {
            show(&taps, exporter, bytes);
        }
        assert_eq!((bytes(&all), bytes(&large)), (vec![20, 5, 30], vec![30]));
        drop(all);
        assert!(taps.of(EXPORTER).is_none(), "nobody asks for this exporter any more");
        assert!(taps.of(OTHER).is_some());
        drop(large);
        assert!(taps.of(OTHER).is_none());
        assert_eq!((taps.taken(), taps.shown(), taps.dropped()), ((0, MOST_TAPS), 4, 0));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let taps = Taps::default();
        let slow = taps.open(Filter::default(), None).unwrap();
        let none = taps.open("bytes > 1000000".parse().unwrap(), None).unwrap();
        for number in 0..WAITING as u64 + 3 {
            show(&taps, EXPORTER, number);
        }
        assert_eq!((slow.dropped(), none.dropped(), taps.dropped()), (3, 0, 3));
        assert_eq!(slow.fetch(10).unwrap().len(), 10);
        assert_eq!(bytes(&slow).len(), WAITING - 10);
    }

    #[test]
    fn places_are_few_and_one_that_is_not_used_gives_way() {
        let taps = Taps::default();
        let mut open: Vec<_> = (0..MOST_TAPS).map(|_| taps.open(Filter::default(), None).unwrap()).collect();
        assert_eq!(taps.open(Filter::default(), None).unwrap_err(), Full);
        *locked(&open[1].pipe.fetched) = Instant::now().checked_sub(STALLED).unwrap();
        let new = taps.open(Filter::default(), None).unwrap();
        assert!(open[1].fetch(1).is_none() && open[0].fetch(1).is_some());
        // Its going does not take the place of another.
        open.remove(1);
        assert_eq!(taps.taken(), (MOST_TAPS, MOST_TAPS));
        drop(new);
        assert_eq!(taps.taken(), (MOST_TAPS - 1, MOST_TAPS));
        taps.close();
        assert!(open.iter().all(|tap| tap.fetch(1).is_none()));
    }
}
