//! Puts the pieces together: sockets and threads, the flusher, the table of senders; and takes them down again in the
//! order that loses nothing.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use accounting::period::Minute;
use accounting::tally::{NameBudget, Tally};
use flow::Timestamp;
use storage::spool::Spool;
use storage::{Store, StoreError, WriterState};
use tap::Taps;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle as Task;
use udp::{Socket, SocketSet, Steering};
use wire::PendingBudget;

use crate::admission::Admission;
use crate::exporters::Exporters;
use crate::flusher::{FIRST_PAUSE, Flusher, Keep, LONGEST_PAUSE};
use crate::journal::{self, Journal, Unreadable};
use crate::journalled::{self, Journalled};
use crate::ledgers::Counted;
use crate::listening::{Place, listen, per_thread};
use crate::pulse::Pulse;
use crate::receiver::{KernelDrops, ReceiverThread, SocketChange};
use crate::remembered;
use crate::shard::{Rules, Sealed, Shard};
use crate::status::{Status, locked};

/// How long a stopping collector goes on trying to store its last flush.
const LAST_TRIES: Duration = Duration::from_secs(10);
/// How often the flusher looks whether a period is over.
const LOOK: Duration = Duration::from_secs(1);

/// What a collector is told at its start.
#[derive(Debug)]
pub struct Settings {
    /// Where to receive; any protocol at any of them.
    pub listen: Vec<SocketAddr>,
    /// Sockets that are bound already: each is used in place of binding the address that it is bound to.
    pub passed: Vec<UdpSocket>,
    /// How many threads receive and count.
    pub threads: usize,
    /// Which thread gets which datagrams.
    pub steering: Steering,
    /// Octets of receive buffer to ask for, for each socket.
    pub receive_buffer: usize,
    /// How often what was counted is stored.
    pub flush_interval: Duration,
    /// How flows are counted.
    pub rules: Rules,
    /// How long blocks are kept.
    pub keep: Keep,
}

/// Why a collector could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be bound.
    #[error("cannot receive at {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        error: io::Error,
    },
    /// A socket was passed that is bound to none of the addresses.
    #[error(
        "the socket of {0} was passed by the service manager, but neither netflow.listen nor sflow.listen names that address: make ListenDatagram= of the socket unit and the configuration say the same"
    )]
    Passed(SocketAddr),
    /// There is no address to receive at.
    #[error("no address to receive at: netflow.listen and sflow.listen are both empty")]
    NoAddress,
    /// A thread could not be made.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What an earlier process has received and not stored cannot be read.
    #[error(transparent)]
    Journal(#[from] Unreadable),
}

/// A running collector.
pub struct Collector {
    status: Status,
    pub(crate) exporters: Exporters,
    taps: Taps,
    /// As it was started, but for what has changed since.
    pub(crate) settings: Settings,
    pub(crate) places: Vec<Place>,
    pub(crate) shards: Vec<Arc<Mutex<Journalled>>>,
    pub(crate) journal: Option<Arc<Journal>>,
    pub(crate) flushing: Arc<Mutex<Flushing>>,
    stop: Arc<AtomicBool>,
    receivers: Vec<JoinHandle<()>>,
    /// To each of the receivers.
    pub(crate) socket_changes: Vec<Sender<SocketChange>>,
    pulses: Vec<Pulse>,
    /// Syncs the journal.
    ticks: Option<JoinHandle<()>>,
    flusher: JoinHandle<Result<(), StoreError>>,
    superseded: Arc<Notify>,
    admission: Task<()>,
}

/// Starts to receive and to count. `spool` is where flushes wait for a store that is not on this machine's disk;
/// `journal` holds what was received and is not durable, and counts it first; `writer` is this collector's identity with the epoch of this start; `changed` is notified when a sender was
/// registered, changed or removed.
///
/// # Errors
/// When an address cannot be bound, or the store or the journal cannot be read.
pub async fn start(
    mut settings: Settings,
    store: Arc<dyn Store>,
    spool: Option<Spool>,
    journal: Option<Arc<Journal>>,
    writer: WriterState,
    changed: Arc<Notify>,
) -> Result<Collector, StartError> {
    let admission = Admission::load(store.as_ref()).await?;
    let (places, sockets): (Vec<_>, Vec<_>) = listen(&mut settings)?.into_iter().unzip();
    let budget = NameBudget::new(settings.rules.tally.names);
    let status = Status::new(settings.threads).holding(budget.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let waiting = PendingBudget::default();
    let remembered = remembered::load(store.as_ref(), spool.as_ref(), settings.rules.session, &waiting).await;
    let exporters = Exporters::new(settings.rules.session, waiting).remembering(remembered);
    let taps = Taps::default();
    let superseded = Arc::new(Notify::new());
    let flusher = Flusher::new(Arc::clone(&store), writer, settings.keep, status.clone()).over(spool)?;
    let flusher = flusher.releasing(journal.clone());
    let shard = || {
        let shard = Shard::new(settings.rules, admission.admitted(), exporters.clone());
        shard.sharing(&budget).showing(taps.clone())
    };
    let (shards, recovered) = journalled::begin(&status, journal.as_ref(), shard, &exporters, flusher.next())?;
    let sockets = per_thread(sockets, settings.threads);
    for (shard, sockets) in shards.iter().zip(&sockets) {
        locked(shard).drops = sockets.iter().map(KernelDrops::of).collect();
    }
    let Receiving { threads: receivers, changes: socket_changes, mut pulses, ended } =
        receive(sockets, &shards, &status, &stop)?;
    let ticks = journal.as_ref().map(|journal| tick(Arc::clone(journal), Arc::clone(&stop))).transpose()?;
    let interval = settings.flush_interval;
    let flushing = Arc::new(Mutex::new(Flushing { interval, keep: settings.keep, spool_bytes: None }));
    let flusher = FlusherThread {
        flusher,
        journal: journal.clone(),
        status: status.clone(),
        counted: Counted::default(),
        exporters: exporters.clone(),
        empties: shards.iter().map(|_| Tally::within(settings.rules.tally, &budget)).collect(),
        shards: shards.clone(),
        ended,
        flushing: Arc::clone(&flushing),
        stop: Arc::clone(&stop),
        runtime: Handle::current(),
        tries: Tries::now(),
        superseded: Arc::clone(&superseded),
        pulse: Pulse::new("flusher"),
    };
    pulses.push(flusher.pulse.clone());
    let flusher = spawn("flusher", || flusher.run(recovered))?;
    let admission = tokio::spawn(admission.keep_fresh(store, changed));
    Ok(Collector {
        status,
        exporters,
        taps,
        settings,
        places,
        shards,
        journal,
        flushing,
        stop,
        receivers,
        socket_changes,
        pulses,
        ticks,
        flusher,
        superseded,
        admission,
    })
}

/// The threads that receive, and how they are reached.
struct Receiving {
    threads: Vec<JoinHandle<()>>,
    changes: Vec<Sender<SocketChange>>,
    pulses: Vec<Pulse>,
    /// Ends when all of them have.
    ended: Receiver<()>,
}

/// Starts a thread for each shard and its sockets.
fn receive(
    sockets: Vec<Vec<Socket>>,
    shards: &[Arc<Mutex<Journalled>>],
    status: &Status,
    stop: &Arc<AtomicBool>,
) -> Result<Receiving, StartError> {
    let (running, ended) = channel();
    let (mut threads, mut changes, mut pulses) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (sockets, counting)) in sockets.into_iter().zip(shards).enumerate() {
        let (change, changed) = channel();
        changes.push(change);
        let name = format!("receiver-{number}");
        let pulse = Pulse::new(&name);
        pulses.push(pulse.clone());
        let thread = ReceiverThread {
            changes: changed,
            counting: Arc::clone(counting),
            sockets: SocketSet::new(sockets),
            told: status.sockets_of(number),
            number,
            stop: Arc::clone(stop),
            pulse,
            _running: running.clone(),
        };
        threads.push(spawn(&name, || thread.run())?);
    }
    Ok(Receiving { threads, changes, pulses, ended })
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(StartError::Thread)
}

/// The thread that syncs the journal, so that nobody else waits for the disk to do it.
fn tick(journal: Arc<Journal>, stop: Arc<AtomicBool>) -> Result<JoinHandle<()>, StartError> {
    spawn("journal", move || {
        while !stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(journal::TICK);
            journal.tick();
        }
    })
}

impl Collector {
    /// Where it receives, with the ports that the kernel chose where 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.places.iter().map(|place| place.bound).collect()
    }

    /// Where what was received stands until it is durable.
    #[must_use]
    pub fn journal(&self) -> Option<Arc<Journal>> {
        self.journal.clone()
    }

    /// The pulses of the threads that receive and of the one that flushes.
    #[must_use]
    pub fn pulses(&self) -> &[Pulse] {
        &self.pulses
    }

    /// What became of everything so far.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// What is known of each exporter.
    #[must_use]
    pub fn exporters(&self) -> Exporters {
        self.exporters.clone()
    }

    /// From where its flows can be looked at as they come.
    #[must_use]
    pub fn taps(&self) -> Taps {
        self.taps.clone()
    }

    /// Comes back when another process with this collector's identity has started on the store: this one stores nothing
    /// more, and is to be stopped.
    pub async fn superseded(&self) {
        self.superseded.notified().await;
    }

    /// Stops receiving, reads what the kernel already has, and comes back when all of it is stored.
    ///
    /// # Errors
    /// What the store said, when the last flush could not be stored in time; [`StoreError::Superseded`].
    pub async fn stop(self) -> Result<(), StoreError> {
        let Self { stop, receivers, ticks, flusher, admission, taps, .. } = self;
        taps.close();
        admission.abort();
        stop.store(true, Ordering::Relaxed);
        let died = |_| StoreError::Corrupt("a thread of the collector died; the log says why".into());
        let joined = tokio::task::spawn_blocking(move || {
            for thread in receivers.into_iter().chain(ticks) {
                thread.thread().unpark();
                thread.join().map_err(died)?;
            }
            flusher.join().map_err(died)?
        });
        joined.await.map_err(|error| StoreError::Corrupt(error.to_string()))?
    }
}

/// How the flusher flushes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flushing {
    pub(crate) interval: Duration,
    pub(crate) keep: Keep,
    /// What the spool may hold; `None` is what it was opened with.
    pub(crate) spool_bytes: Option<u64>,
}

/// The thread between the shards and the store.
struct FlusherThread {
    flusher: Flusher,
    journal: Option<Arc<Journal>>,
    status: Status,
    /// Until all shards were sealed last.
    counted: Counted,
    exporters: Exporters,
    shards: Vec<Arc<Mutex<Journalled>>>,
    /// One for each shard, used in turn with the shard's.
    empties: Vec<Tally>,
    /// Disconnected when all receivers have ended.
    ended: Receiver<()>,
    flushing: Arc<Mutex<Flushing>>,
    stop: Arc<AtomicBool>,
    runtime: Handle,
    tries: Tries,
    superseded: Arc<Notify>,
    pulse: Pulse,
}

/// When to try again at a store that did not take what waits in the spool.
struct Tries {
    next: Instant,
    pause: Duration,
}

impl FlusherThread {
    /// Flushes until all receivers are gone, what was recovered first; the first flush that had to be given up is the
    /// error.
    fn run(mut self, recovered: Option<Sealed>) -> Result<(), StoreError> {
        let mut outcome = recovered.map_or(Ok(()), |recovered| self.flush(&recovered));
        let mut maintained = Minute(0);
        let mut sealed_at = Instant::now();
        loop {
            self.pulse.beat();
            let Flushing { interval, keep, spool_bytes } = *locked(&self.flushing);
            self.flusher.set(keep, spool_bytes);
            let until_next_try = self.tries.next.saturating_duration_since(Instant::now());
            let nap = if self.flusher.waiting() > 0 { until_next_try.min(LOOK) } else { LOOK };
            let until_next_cut = interval.saturating_sub(sealed_at.elapsed());
            if self.ended.recv_timeout(nap.min(until_next_cut)) == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            if sealed_at.elapsed() >= interval {
                sealed_at = Instant::now();
                outcome = self.go_on(outcome);
            }
            if outcome.is_ok() && self.flusher.is_superseded() {
                outcome = self.give_way();
            }
            if self.flusher.waiting() > 0 && self.tries.next <= Instant::now() {
                self.drain_one();
            }
            let now = Timestamp::from(SystemTime::now());
            if Minute::of(now) != maintained && !self.stop.load(Ordering::Relaxed) {
                maintained = Minute::of(now);
                if let Err(error) = self.runtime.block_on(self.pulse.during(self.flusher.maintain(now))) {
                    tracing::error!(%error, "roll-up and retention did not finish; the next minute goes on from there");
                }
            }
        }
        outcome = self.go_on(outcome);
        while self.flusher.waiting() > 0 && self.drain_one() {}
        self.check();
        self.say_what_is_left();
        self.pulse.end();
        outcome
    }

    /// Another process has this one's identity: nothing is put any more, what comes until the end goes into the spool.
    fn give_way(&self) -> Result<(), StoreError> {
        let error = self.flusher.superseded();
        tracing::error!(%error, waiting = self.flusher.waiting(), "stopping; what waits stays on disk");
        self.superseded.notify_one();
        Err(error)
    }

    /// Makes everything that was counted until now a flush, unless one was given up and the journal has it: none may
    /// become durable behind that one, for it would stand for both.
    fn go_on(&mut self, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        match outcome {
            Err(error) if self.journal.is_some() => Err(error),
            outcome => outcome.and(self.cut_and_flush()),
        }
    }

    fn cut_and_flush(&mut self) -> Result<(), StoreError> {
        let behind = self.flusher.next().following();
        let empties = std::mem::take(&mut self.empties);
        let Self { shards, exporters, journal, counted, .. } = self;
        let sealed = journalled::cut(shards, exporters, empties, journal.as_deref(), behind, counted);
        let outcome = self.flush(&sealed);
        self.check();
        self.empties = sealed.tallies;
        self.empties.iter_mut().for_each(Tally::clear);
        outcome
    }

    fn flush(&mut self, sealed: &Sealed) -> Result<(), StoreError> {
        let stop = Arc::clone(&self.stop);
        let mut stopping_since = None;
        let give_up =
            || stop.load(Ordering::Relaxed) && stopping_since.get_or_insert_with(Instant::now).elapsed() > LAST_TRIES;
        let outcome =
            self.runtime.block_on(self.pulse.during(self.flusher.flush(sealed, SystemTime::now().into(), give_up)));
        if let Err(error) = &outcome {
            let then = match &self.journal {
                None => "what it counted is lost",
                Some(journal) if journal.is_failing() => {
                    "the next start counts what the journal has of it, but that could not be written lately"
                }
                Some(_) => "the next start counts it from the journal",
            };
            tracing::error!(%error, "stopping although a flush could not be stored: {then}");
        }
        outcome
    }

    /// Whether everything that was counted balances.
    fn check(&self) {
        self.status.check(&self.counted, SystemTime::now().into());
    }

    /// One try at the flush that has waited longest; says whether the store took it.
    fn drain_one(&mut self) -> bool {
        match self.runtime.block_on(self.pulse.during(self.flusher.drain_one(SystemTime::now().into()))) {
            Ok(_) => {
                if self.tries.pause > FIRST_PAUSE {
                    tracing::info!(flushes = self.flusher.waiting(), "the store takes flushes again; still waiting");
                }
                self.tries = Tries::now();
                true
            }
            Err(error) => {
                if self.tries.pause == FIRST_PAUSE {
                    let waiting = self.flusher.waiting();
                    tracing::error!(%error, waiting, "the store does not take flushes; they wait on disk");
                }
                self.tries = self.tries.later();
                false
            }
        }
    }

    fn say_what_is_left(&self) {
        let flushes = self.flusher.waiting();
        if flushes > 0 {
            tracing::warn!(flushes, "stopping while flushes wait on disk for the store; the next start puts them");
        }
        let senders = self.flusher.unremembered();
        if senders > 0 {
            tracing::warn!(
                senders,
                "stopping although templates could not be kept: after a start, data wait for the next ones"
            );
        }
    }
}

impl Tries {
    fn now() -> Self {
        Self { next: Instant::now(), pause: FIRST_PAUSE }
    }

    fn later(&self) -> Self {
        Self { next: Instant::now() + self.pause, pause: (self.pause * 2).min(LONGEST_PAUSE) }
    }
}
