//! A running collector: everything that `netflow serve` starts except sockets and threads.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use accounting::tally::{Tally, TallySettings};
use collector::flusher::Flusher;
use collector::journaled_shard::{self, JournaledShard};
use collector::ledgers::CutCounts;
use collector::restore_templates;
use collector::senders::Registrations;
use collector::status::Status;
use collector::turn_mutex::TurnMutex;
use collector::{Keep, Local, begin_readers};
use flow::Timestamp;
use journal::{Journal, Sync};
use pipeline::Exporters;
use pipeline::{Rules, Sealed, Shard};
use storage::known_senders::KnownSenders;
use storage::spool::Spool;
use storage::{Identity, Presence, Store, WriterState};
use wire::{PendingBudget, PendingLimits, SessionLimits};

use crate::oracle::Fate;
use crate::readers::{LOG_LIMIT, Reader};
use crate::terms::Settings;
use testing::disk::SimulatedDisk;

/// Number of shards.
pub(crate) const SHARDS: usize = 2;
/// The file of the database.
pub(crate) const STATE: &str = "state";

/// Whether a store on the network answers at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reachable(pub(crate) bool);

/// The parts of the collector, accessible to the simulation.
pub(crate) struct Process {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) status: Status,
    /// Counts at the last cut.
    pub(crate) counted: CutCounts,
    pub(crate) exporters: Exporters,
    /// `None` if more was recovered from the journal than the simulation knows.
    pub(crate) honest: Option<Honest>,
    pub(crate) registrations: Registrations,
    pub(crate) journal: Arc<Journal>,
    pub(crate) shards: Vec<Arc<TurnMutex<JournaledShard>>>,
    pub(crate) flusher: Flusher,
    pub(crate) empties: Vec<Tally>,
    /// What is sealed but not flushed, and the fate of the queued data in the segment that they were carried over to.
    pub(crate) sealed: Option<(Sealed, Fate)>,
    /// Whether a flush is in progress; it may already be durable.
    pub(crate) is_flushing: bool,
    /// Datagrams that the journal had missed at the last cut, and at the last cut with a durable flush.
    pub(crate) missed_at_cut: u64,
    pub(crate) missed_before: u64,
    /// Failed syncs when the flush began.
    pub(crate) syncs_failed: u64,
    pub(crate) readers: Vec<Reader>,
    _identity: Identity,
}

/// What the exporters would show without strangers.
pub(crate) struct Honest {
    pub(crate) shard: Shard,
    pub(crate) exporters: Exporters,
}

impl Process {
    /// Starts like `netflow serve`. Fails if the journal cannot be read.
    pub(crate) async fn start(
        store: Arc<dyn Store>,
        remote: Option<Reachable>,
        folder: &Path,
        disk: &SimulatedDisk,
        settings: Settings,
        readers: &[&'static str],
        now: Timestamp,
    ) -> Result<Self, Box<dyn Error>> {
        let rules = rules(settings);
        let state_file = folder.join(STATE);
        let mut identity = Identity::open(&state_file).unwrap();
        let writer = identity.writer();
        let kept = journal::Settings { sync: Sync::Interval, limit_bytes: 1 << 20 };
        let journal = Journal::open(Box::new(disk.clone()), writer, kept)?;
        journal.keep_for(readers, LOG_LIMIT)?;
        journal.release(&identity.counted().unwrap());
        let is_reachable = remote != Some(Reachable(false));
        let known = if is_reachable { store.writers().await.unwrap() } else { Vec::new() };
        let known = known.into_iter().find(|known| known.writer == writer);
        let known = known.unwrap_or_else(|| WriterState::new(writer, 0, now));
        let journalled = journal.newest().iter().map(|counted| counted.newest.epoch).max().unwrap_or_default();
        let epoch = identity.next_epoch(known.epoch.max(journalled), now).unwrap();
        let state = WriterState { epoch, presence: Presence::Seen(now), ..known };
        if is_reachable {
            store.put_writer(&state).await.unwrap();
        }
        let local = remote.map(|_| Local {
            spool: Spool::open(&state_file, writer, 64 << 20).unwrap(),
            senders: KnownSenders::open(&state_file, "simulated").unwrap(),
            is_reachable,
        });
        let status = Status::new(SHARDS);
        let stated = settings.stated();
        let registrations =
            Registrations::load(Arc::clone(&store), local.as_ref(), stated, status.clone()).await.unwrap();
        let waiting = PendingBudget::default();
        let remembered = restore_templates::load(store.as_ref(), local.as_ref(), rules.session, &waiting).await;
        begin_readers(&journal, remembered.iter());
        let exporters = Exporters::new(rules.session, waiting).restoring(remembered);
        let budget = PendingBudget::default();
        let same = restore_templates::load(store.as_ref(), local.as_ref(), rules.session, &budget).await;
        let same = Exporters::new(rules.session, budget).restoring(same);
        let honest = Honest { shard: Shard::new(rules, registrations.admitted(), same.clone()), exporters: same };
        let flusher = Flusher::new(Arc::clone(&store), state, Keep::default(), status.clone()).published(is_reachable);
        let flusher = flusher.over(local.map(|local| local.spool)).unwrap();
        let flusher = flusher.releasing(Some(Arc::clone(&journal)));
        let shard = || Shard::new(rules, registrations.admitted(), exporters.clone());
        let (shards, recovered) = journaled_shard::begin(&status, Some(&journal), shard, &exporters, flusher.next())?;
        let sealed = recovered.map(|sealed| (sealed, Fate::written(journal.counts().missed == 0)));
        let readers = readers.iter().map(|name| Reader::open(&journal, name, rules, &status)).collect();
        let counted = CutCounts::default();
        let empties = empties();
        Ok(Self {
            store,
            status,
            counted,
            exporters,
            honest: sealed.is_none().then_some(honest),
            registrations,
            journal,
            shards,
            flusher,
            empties,
            sealed,
            is_flushing: false,
            missed_at_cut: 0,
            missed_before: 0,
            syncs_failed: 0,
            readers,
            _identity: identity,
        })
    }

    /// Reuses the tallies of a durable flush.
    pub(crate) fn empty(&mut self, sealed: Sealed) {
        self.missed_before = self.missed_at_cut;
        self.empties = sealed.tallies;
        self.empties.iter_mut().for_each(Tally::clear);
        // A recovery seals only one shard.
        if self.empties.len() < SHARDS {
            self.empties = empties();
        }
    }

    /// Checks that all ledgers balance.
    pub(crate) fn balance(&self, now: Timestamp) {
        self.status.check(&self.counted, now);
        for ledger in self.status.ledgers().all {
            assert_eq!(ledger.left, ledger.right, "{ledger:?}");
        }
    }
}

fn empties() -> Vec<Tally> {
    (0..SHARDS).map(|_| Tally::new(TallySettings::default())).collect()
}

/// The rules of these settings.
pub(crate) fn rules(Settings { multiplies, clock_limit, .. }: Settings) -> Rules {
    // Queued data must not expire, unless there is a fault.
    let pending = PendingLimits { age: Duration::from_secs(1000 * 86_400), ..PendingLimits::default() };
    Rules {
        scale_samples: multiplies,
        clock_limit,
        session: SessionLimits { pending, ..SessionLimits::default() },
        tally: TallySettings::default(),
    }
}
