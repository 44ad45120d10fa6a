//! The queue and the counts of a target. Receiving threads take no lock here.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, OnceLock};
use std::thread::Thread;
use std::time::Instant;

use udp::Forwarder;

use super::copies::Share;
use super::{ForwardSource, ForwardTarget};
use crate::lock::locked;

/// The most octets that may be queued for a target: more than a second of 10,000 long datagrams.
pub const QUEUE_OCTETS: usize = 16 << 20;

/// A target, which receiving threads and its own thread share.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) wanted: ForwardTarget,
    queue: Sender<Share>,
    queued_octets: AtomicUsize,
    queued: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    /// By [`Dropped`].
    dropped: [AtomicU64; 3],
    refusals: AtomicU64,
    is_stopping: AtomicBool,
    thread: OnceLock<Thread>,
    noted: Mutex<Noted>,
}

/// When what happened last, for `/status`.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted {
    pub(super) dropped: Option<Instant>,
    pub(super) refused: Option<Instant>,
    pub(super) last_error: Option<String>,
}

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// The queue was full, or the collector stopped.
    QueueFull,
    /// The kernel refused it.
    Failed,
    /// Its source is of the other family, and cannot be kept.
    OtherFamily,
}

/// Whether a target gets a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Taken,
    OtherFamily,
    Unwanted,
}

impl Target {
    pub(super) fn new(wanted: ForwardTarget, queue: Sender<Share>) -> Self {
        Self {
            wanted,
            queue,
            queued_octets: AtomicUsize::default(),
            queued: AtomicU64::default(),
            received: AtomicU64::default(),
            sent: AtomicU64::default(),
            dropped: Default::default(),
            refusals: AtomicU64::default(),
            is_stopping: AtomicBool::default(),
            thread: OnceLock::new(),
            noted: Mutex::default(),
        }
    }

    /// Wakes this thread when something is queued.
    pub(super) fn wake_by(&self, thread: Thread) {
        // A target has one thread.
        let _ = self.thread.set(thread);
    }

    /// Whether it gets the datagrams of an exporter.
    pub(super) fn choose(&self, exporter: IpAddr) -> Choice {
        let ForwardTarget { address, exporters, source } = &self.wanted;
        if !exporters.is_empty() && !exporters.iter().any(|prefix| prefix.contains(exporter)) {
            return Choice::Unwanted;
        }
        match Forwarder::carries(*address, *source == ForwardSource::Exporter, exporter) {
            true => Choice::Taken,
            false => Choice::OtherFamily,
        }
    }

    /// Counts datagrams that it gets, and those that it would get from a source of its family.
    pub(super) fn count(&self, datagrams: u64, of_other_family: u64) {
        self.received.fetch_add(datagrams + of_other_family, Ordering::Relaxed);
        if of_other_family > 0 {
            self.count_dropped(Dropped::OtherFamily, of_other_family);
        }
    }

    /// Queues datagrams, or drops them all if there is no room.
    pub(super) fn offer(&self, share: Share) {
        let (octets, datagrams) = (share.octets(), share.datagrams);
        let before = self.queued_octets.fetch_add(octets, Ordering::Relaxed);
        self.queued.fetch_add(datagrams, Ordering::Relaxed);
        // Its thread has ended after a reload, which a receiving thread has not seen yet.
        let is_taken = before + octets <= QUEUE_OCTETS && self.queue.send(share).is_ok();
        if !is_taken {
            self.release(octets, datagrams);
            self.count_dropped(Dropped::QueueFull, datagrams);
        }
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Gives room in the queue back.
    pub(super) fn release(&self, octets: usize, datagrams: u64) {
        self.queued_octets.fetch_sub(octets, Ordering::Relaxed);
        self.queued.fetch_sub(datagrams, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, datagrams: usize) {
        self.sent.fetch_add(datagrams as u64, Ordering::Relaxed);
    }

    pub(super) fn count_dropped(&self, why: Dropped, datagrams: u64) {
        if let Some(count) = self.dropped.get(why as usize) {
            count.fetch_add(datagrams, Ordering::Relaxed);
        }
    }

    pub(super) fn refused(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        locked(&self.noted).refused = Some(Instant::now());
    }

    /// Changes what is noted. Only for threads that count nothing.
    pub(super) fn note(&self, change: impl FnOnce(&mut Noted)) {
        change(&mut locked(&self.noted));
    }

    /// How many datagrams were dropped for this reason.
    pub(super) fn dropped(&self, why: Dropped) -> u64 {
        self.dropped.get(why as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    pub(super) fn view(&self) -> view::ForwardTarget {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Noted { dropped, refused, last_error } = locked(&self.noted).clone();
        let ago = |at: Option<Instant>| at.map(|at| at.elapsed().as_secs());
        view::ForwardTarget {
            address: self.wanted.address,
            source: match self.wanted.source {
                ForwardSource::Collector => "collector",
                ForwardSource::Exporter => "exporter",
            },
            exporters: self.wanted.exporters.iter().map(ToString::to_string).collect(),
            sent: count(&self.sent),
            dropped: view::ForwardDrops {
                queue_full: self.dropped(Dropped::QueueFull),
                failed: self.dropped(Dropped::Failed),
                other_family: self.dropped(Dropped::OtherFamily),
            },
            waiting: count(&self.queued),
            waiting_bytes: self.queued_octets.load(Ordering::Relaxed) as u64,
            waiting_bytes_limit: QUEUE_OCTETS as u64,
            received: count(&self.received),
            refusals: count(&self.refusals),
            dropped_seconds_ago: ago(dropped),
            refused_seconds_ago: ago(refused),
            last_error,
        }
    }
}
