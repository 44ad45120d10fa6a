//! Shards with their journals: what a shard has counted, its journal holds; all of them are sealed at one moment; and what
//! an earlier process has left is counted again.
//!
//! Nothing here reads a clock or a socket: receiving threads drive it, and so does the simulation.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use accounting::tally::{Tally, TallySettings};
use flow::{DatagramFate, Exporter, FlushNumber};
use journal::{Journal, ReadCounts, Unreadable, Writer};
use pipeline::{Counts, Exporters, Sealed, Shard};
use udp::Batch;
use wire::Datagram;

use crate::kernel_drops::KernelDrops;
use crate::ledgers::{Counted, Found};
use crate::lock::locked;
use crate::status::Status;

/// A shard and its end of the journal.
pub struct JournaledShard {
    pub(crate) shard: Shard,
    /// `None` where nothing is to outlive a crash.
    journal: Option<Writer>,
    /// Datagrams that were read, to be taken.
    pub read: u64,
    /// By the position of their sockets in the thread's set.
    pub(crate) drops: Vec<KernelDrops>,
    /// What was dropped at sockets that were closed since it was last asked.
    pub(crate) dropped_at_closed: u64,
    published: Arc<Mutex<Counts>>,
}

impl JournaledShard {
    /// Counts a datagram that was received at this address. It is not to be sealed before the next
    /// [`commit`](Self::commit).
    pub fn take(&mut self, datagram: &Datagram<'_>, received_at: SocketAddr) {
        let fate = self.shard.take(datagram);
        if let Some(journal) = &mut self.journal
            && fate != DatagramFate::Unregistered
        {
            let source = SocketAddr::new(datagram.exporter.address, datagram.exporter.port);
            journal.take(datagram.received, source, received_at, datagram.payload);
        }
    }

    /// Writes down what was counted since the last time, and shows how much that is.
    pub fn commit(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.commit();
        }
        self.publish();
    }

    pub(crate) fn publish(&self) {
        *locked(&self.published) = *self.shard.counts();
    }

    /// Counts the drops that the kernel tells of with the datagrams of a batch.
    pub(crate) fn note_drops(&mut self, index: usize, batch: &Batch) {
        batch.iter().filter_map(|datagram| datagram.dropped).for_each(|dropped| self.note_drop(index, dropped));
    }

    pub(crate) fn note_drop(&mut self, index: usize, now: u32) {
        if let Some(drops) = self.drops.get_mut(index) {
            drops.note(now, &mut self.shard);
        }
    }

    /// Counts the drops that were not told of, because nothing has come since; says how many were dropped since it was last
    /// asked.
    fn ask_for_drops(&mut self) -> u64 {
        let closed = std::mem::take(&mut self.dropped_at_closed);
        closed + self.drops.iter_mut().map(|drops| drops.ask(&mut self.shard)).sum::<u64>()
    }

    /// Asks for the last time at a socket that is closed; those behind it move up.
    pub(crate) fn forget_drops(&mut self, index: usize) {
        self.dropped_at_closed += self.drops.remove(index).ask(&mut self.shard);
    }

    pub(crate) fn forget_all_drops(&mut self) {
        (0..self.drops.len()).rev().for_each(|index| self.forget_drops(index));
    }
}

/// Seals all shards at one moment: no datagram is taken by any of them meanwhile. Their journals go on with the next
/// flush, into which what waits for its template at that moment is carried. What was counted until then is noted for the
/// ledgers.
pub fn cut(
    shards: &[Arc<Mutex<JournaledShard>>],
    exporters: &Exporters,
    empties: Vec<Tally>,
    journal: Option<&Journal>,
    next: FlushNumber,
    counted: &mut Counted,
) -> Sealed {
    let mut held: Vec<_> = shards.iter().map(|shard| locked(shard)).collect();
    let mut sealed = Sealed::new(held.iter_mut().zip(empties).map(|(it, empty)| it.shard.seal(empty)).collect());
    exporters.report(&mut sealed);
    let mut journals: Vec<_> = held.iter_mut().filter_map(|it| it.journal.as_mut()).collect();
    journals.iter_mut().for_each(|journal| journal.turn(next));
    if let Some(first) = journals.first_mut() {
        first.carry(exporters.waiting());
    }
    counted.dropped += held.iter_mut().map(|it| it.ask_for_drops()).sum::<u64>();
    counted.read = held.iter().map(|it| it.read).sum();
    counted.shards = Counts::default();
    for it in &held {
        it.publish();
        counted.shards.merge(it.shard.counts());
    }
    counted.journal = journal.map(Journal::counts);
    sealed
}

/// Shards to begin with, and what was recovered before.
pub type Begun = (Vec<Arc<Mutex<JournaledShard>>>, Option<Sealed>);

/// Begins with as many shards as the status has. What an earlier process had received and not made durable is counted
/// before, in a shard of its own: what that sealed is returned too, and is to be flushed first. `first` is the number
/// that the first flush will have.
///
/// All of it becomes one flush: there is no moment at which a part of it is durable, so a crash meanwhile leaves the
/// segments as they are, to be counted again. What still waits for its template goes on waiting, and is carried into a
/// segment of this start before the old ones may go.
///
/// # Errors
/// When not all of it can be read. Then none of it may be flushed: the segments are as they were, for the next start.
pub fn begin(
    status: &Status,
    journal: Option<&Arc<Journal>>,
    shard: impl Fn() -> Shard,
    exporters: &Exporters,
    first: FlushNumber,
) -> Result<Begun, Unreadable> {
    let recovered = match journal {
        Some(journal) if journal.segments() > 0 => Some(recover(journal, shard(), exporters, status)?),
        _ => None,
    };
    let first = if recovered.is_some() { first.following() } else { first };
    let mut shards = Vec::new();
    for (number, published) in (0..).zip(status.shards()) {
        let journal = journal.map(|journal| journal.writer(number, first));
        shards.push(JournaledShard {
            shard: shard(),
            journal,
            read: 0,
            drops: Vec::new(),
            dropped_at_closed: 0,
            published,
        });
    }
    if let Some(journal) = shards.first_mut().and_then(|first| first.journal.as_mut()) {
        journal.carry(exporters.waiting());
    }
    Ok((shards.into_iter().map(|shard| Arc::new(Mutex::new(shard))).collect(), recovered))
}

fn recover(journal: &Journal, mut shard: Shard, exporters: &Exporters, status: &Status) -> Result<Sealed, Unreadable> {
    let mut recovery = journal.recovery();
    while let Some(found) = recovery.next_datagram()? {
        let exporter = Exporter::udp(found.source.ip(), found.source.port());
        shard.take(&Datagram { exporter, received: found.received, payload: found.payload });
    }
    let ReadCounts { segments, datagrams, torn } = recovery.counts();
    let counts = *shard.counts();
    tracing::info!(segments, datagrams, torn, "counted what the last run had received and not stored: {counts}");
    status.recovered(Found { datagrams, torn, counts });
    let mut sealed = Sealed::new(vec![shard.seal(Tally::new(TallySettings::default()))]);
    exporters.report(&mut sealed);
    Ok(sealed)
}
