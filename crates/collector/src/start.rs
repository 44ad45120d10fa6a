//! Starts the parts of a collector (sockets, threads, flusher, table of senders) and stops them in the order that loses
//! nothing.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::SystemTime;

use accounting::tally::{NameBudget, Tally};
use interfaces::Known;
use journal::Journal;
use pipeline::{Admitted, Exporters, Shard};
use storage::spool::Spool;
use storage::{LastTerms, Store, StoreError, WriterState};
use tap::Taps;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle as Task;
use udp::{Socket, SocketSet};
use wire::PendingBudget;

use crate::acceptance::Acceptance;
use crate::export_connections::{ExportConnections, Parts, kept_exporters};
use crate::first_flush::FirstFlush;
use crate::flusher::Flusher;
use crate::flusher_thread::{FlusherThread, Tries};
use crate::forwarding::Forwarders;
use crate::interfaces::Interfaces;
use crate::journaled_shard::{self, JournaledShard};
use crate::ledgers::CutCounts;
use crate::listening::{Place, listen, per_thread};
use crate::local::Local;
use crate::lock::{locked, locked_in_turn};
use crate::log_consumer::{LogConsumer, ReaderThread, Readers};
use crate::log_records::{LogRecords, begin_readers};
use crate::monitoring::Monitoring;
use crate::origins::Origins;
use crate::pulse::Pulse;
use crate::receiver::{Failing, ReceiverThread, SocketChange};
use crate::restore_templates;
use crate::reverse_names::{DnsSettings, ReverseNames};
use crate::senders::{Registrations, keep_fresh};
use crate::settings::{Reloadable, Settings};
use crate::start_error::StartError;
use crate::status::Status;
use crate::stop_error::StopError;
use crate::surveys::{AgentSettings, Surveys};
use crate::turn_mutex::TurnMutex;
use crate::view::{CollectorView, Configured};

/// A running collector.
pub struct Collector {
    status: Status,
    pub(crate) exporters: Exporters,
    taps: Taps,
    pub(crate) view: Arc<CollectorView>,
    /// As it was started; what can change is in `current`.
    pub(crate) settings: Settings,
    pub(crate) current: Arc<Mutex<Reloadable>>,
    /// Notified when the senders have to be admitted again.
    pub(crate) senders_changed: Arc<Notify>,
    pub(crate) places: Vec<Place>,
    admitted: Admitted,
    surveys: Option<Surveys>,
    pub(crate) monitoring: Monitoring,
    pub(crate) export_connections: ExportConnections,
    pub(crate) forwarders: Forwarders,
    pub(crate) shards: Vec<Arc<TurnMutex<JournaledShard>>>,
    pub(crate) journal: Option<Arc<Journal>>,
    /// The limit of the spool in octets.
    pub(crate) spool_limit: Option<Arc<AtomicU64>>,
    stop: Arc<AtomicBool>,
    receivers: Vec<JoinHandle<()>>,
    /// One sender for each receiver.
    pub(crate) socket_changes: Vec<Sender<SocketChange>>,
    pulses: Vec<Pulse>,
    /// Syncs the journal.
    ticks: Option<JoinHandle<()>>,
    flusher: JoinHandle<Result<(), StoreError>>,
    /// Read the log.
    readers: Readers,
    superseded: Arc<Notify>,
    /// Read the registered senders, sample the rates of the view, and learn what routers and interfaces are called.
    tasks: Vec<Task<()>>,
}

/// Starts to receive and to count. With `local`, the store is on the network, and may be unreachable. Datagrams in `journal`
/// are counted first; later it holds those that are not durable yet. `writer` is this collector's identity with the epoch
/// of this start. `changed` is notified when a sender is registered, changed or removed. `terms` are those of earlier runs: what
/// changed since is remarked.
///
/// # Errors
/// If an address cannot be bound, or a store on this machine or the journal cannot be read.
pub async fn start(
    mut settings: Settings,
    store: Arc<dyn Store>,
    local: Option<Local>,
    journal: Option<Arc<Journal>>,
    writer: WriterState,
    changed: Arc<Notify>,
    terms: Option<LastTerms>,
) -> Result<Collector, StartError> {
    let budget = NameBudget::new(settings.reloadable.rules.tally.names);
    let status = Status::new(settings.threads).with_names(budget.clone());
    let registrations = registrations(&settings, &store, local.as_ref(), &status, terms).await?;
    let registrations = registrations.accepting(Acceptance::notifying(Arc::clone(&changed)));
    let (places, sockets) = listen_per_thread(&mut settings)?;
    let Reloadable { rules, keep, .. } = settings.reloadable;
    let exporters = restored(store.as_ref(), local.as_ref(), journal.as_ref(), &settings).await;
    let (stop, taps, superseded) = (Arc::new(AtomicBool::new(false)), Taps::default(), Arc::new(Notify::new()));
    let (is_reachable, spool) = local.map_or((true, None), |local| (local.is_reachable, Some(local.spool)));
    let spool_limit = spool.as_ref().map(Spool::limit);
    let flusher = Flusher::new(Arc::clone(&store), writer, keep, status.clone()).over(spool)?;
    let flusher = flusher.published(is_reachable).releasing(journal.clone()).running_from(SystemTime::now().into());
    let shard = || {
        let shard = Shard::new(rules, registrations.admitted(), exporters.clone());
        shard.sharing(&budget).publishing_to(taps.clone()).looking_up(settings.origins.published())
    };
    let (shards, recovered) = journaled_shard::begin(&status, journal.as_ref(), shard, &exporters, flusher.next())?;
    let forwarders = forward(&settings)?;
    equip(&shards, &sockets, &registrations);
    let Receiving { threads: receivers, changes: socket_changes, mut pulses, running, ended } =
        receive(sockets, &shards, &status, &stop, &forwarders)?;
    let ticks = journal.as_ref().map(|journal| tick(journal, &stop, &mut pulses)).transpose()?;
    let current = Arc::new(Mutex::new(settings.reloadable.clone()));
    let flusher = FlusherThread {
        flusher,
        journal: journal.clone(),
        status: status.clone(),
        counted: CutCounts::default(),
        exporters: exporters.clone(),
        empties: shards.iter().map(|_| Tally::within(rules.tally, &budget)).collect(),
        shards: shards.clone(),
        ended,
        current: Arc::clone(&current),
        first: FirstFlush::new(registrations.admitted()),
        stop: Arc::clone(&stop),
        runtime: Handle::current(),
        tries: Tries::now(),
        superseded: Arc::clone(&superseded),
        pulse: watched("flusher", &mut pulses),
    };
    let flusher = spawn("flusher", || flusher.run(recovered))?;
    let pulse = watched("senders", &mut pulses);
    let (networks, names, admitted) = (registrations.networks(), registrations.names(), registrations.admitted());
    let monitoring = monitor(&settings, Arc::clone(&admitted), &mut pulses)?;
    let connections = connect(&mut settings, &shards, &registrations, &exporters, running, &mut pulses)?;
    let admission = tokio::spawn(keep_fresh(registrations, Arc::clone(&current), Arc::clone(&changed), pulse));
    let receiving = places.iter().map(|place| place.bound).collect();
    let configured = Configured { receiving, spool_limit: spool_limit.clone(), is_multiplied: rules.scale_samples };
    let view = CollectorView::new(configured, &status, &exporters, &taps, journal.clone(), pulses.clone());
    let view = view.naming(networks, names).monitoring(monitoring.shown()).connecting(connections.table());
    let view = Arc::new(view.forwarding(forwarders.shown()));
    Ok(Collector {
        status,
        exporters,
        taps,
        view: Arc::clone(&view),
        settings,
        places,
        admitted,
        surveys: None,
        monitoring,
        export_connections: connections,
        forwarders,
        shards,
        journal,
        spool_limit,
        current,
        senders_changed: changed,
        stop,
        receivers,
        socket_changes,
        pulses,
        ticks,
        flusher,
        readers: Readers::default(),
        superseded,
        tasks: vec![admission, tokio::spawn(view.keep_sampling())],
    })
}

/// What is registered and stated at the start.
async fn registrations(
    settings: &Settings,
    store: &Arc<dyn Store>,
    local: Option<&Local>,
    status: &Status,
    terms: Option<LastTerms>,
) -> Result<Registrations, StoreError> {
    let Reloadable { stated, rules, .. } = &settings.reloadable;
    let registrations = Registrations::load(Arc::clone(store), local, Arc::clone(stated), status.clone()).await?;
    registrations.publishing_to(settings.origins.clone()).noting(terms, *rules).await
}

/// The exporters with the templates of the last run, with which readers of the log begin too.
async fn restored(
    store: &dyn Store,
    local: Option<&Local>,
    journal: Option<&Arc<Journal>>,
    settings: &Settings,
) -> Exporters {
    let limits = settings.reloadable.rules.session;
    let waiting = PendingBudget::default();
    let restored = restore_templates::load(store, local, limits, &waiting).await;
    journal.iter().for_each(|journal| begin_readers(journal, restored.iter()));
    let kept = kept_exporters(&settings.kept_connections);
    Exporters::new(limits, waiting).restoring(restored).keeping(kept)
}

/// Listens for the BMP sessions of routers.
fn monitor(settings: &Settings, admitted: Admitted, pulses: &mut Vec<Pulse>) -> Result<Monitoring, StartError> {
    let mut monitoring = Monitoring::new(admitted, settings.origins.clone());
    let wanted = &settings.reloadable.bmp;
    let prepared = monitoring.prepare(wanted)?;
    monitoring.change(wanted, prepared);
    pulses.push(monitoring.pulse());
    Ok(monitoring)
}

/// Listens for export connections.
fn connect(
    settings: &mut Settings,
    shards: &[Arc<TurnMutex<JournaledShard>>],
    registrations: &Registrations,
    exporters: &Exporters,
    running: Sender<()>,
    pulses: &mut Vec<Pulse>,
) -> Result<ExportConnections, StartError> {
    let (admitted, acceptance) = (registrations.admitted(), registrations.acceptance());
    let (shards, certificate_names) = (shards.to_vec(), registrations.certificate_names());
    let parts = Parts { shards, admitted, acceptance, certificate_names, exporters: exporters.clone(), running };
    let mut connections = ExportConnections::new(parts);
    let passed = std::mem::take(&mut settings.passed_streams);
    let wanted = &settings.reloadable.export_connections;
    let prepared = connections.prepare(wanted, passed)?;
    connections.change(wanted, prepared);
    connections.adopt(std::mem::take(&mut settings.kept_connections));
    pulses.extend(connections.pulses().iter().cloned());
    Ok(connections)
}

/// The addresses that it receives at, and the sockets of each thread.
fn listen_per_thread(settings: &mut Settings) -> Result<(Vec<Place>, Vec<Vec<Socket>>), StartError> {
    let (places, sockets) = listen(settings)?.into_iter().unzip();
    Ok((places, per_thread(sockets, settings.threads)))
}

/// A pulse that is watched.
fn watched(name: &str, pulses: &mut Vec<Pulse>) -> Pulse {
    let pulse = Pulse::new(name);
    pulses.push(pulse.clone());
    pulse
}

/// Starts to forward datagrams.
fn forward(settings: &Settings) -> Result<Forwarders, StartError> {
    let mut forwarders = Forwarders::default();
    let prepared = forwarders.prepare(&settings.reloadable)?;
    forwarders.change(prepared);
    Ok(forwarders)
}

/// Lets each shard count what the kernel drops at its sockets, and hold datagrams of routers that register themselves.
fn equip(shards: &[Arc<TurnMutex<JournaledShard>>], sockets: &[Vec<Socket>], registrations: &Registrations) {
    for (shard, sockets) in shards.iter().zip(sockets) {
        let mut shard = locked_in_turn(shard);
        sockets.iter().for_each(|socket| shard.drops.add(socket));
        shard.accept(registrations.acceptance());
    }
}

/// The receiving threads and the channels to them.
struct Receiving {
    threads: Vec<JoinHandle<()>>,
    changes: Vec<Sender<SocketChange>>,
    pulses: Vec<Pulse>,
    /// Dropped by each thread that drives a shard when it ends.
    running: Sender<()>,
    /// Ends when all of them have ended.
    ended: Receiver<()>,
}

/// Starts a thread for each shard and its sockets.
fn receive(
    sockets: Vec<Vec<Socket>>,
    shards: &[Arc<TurnMutex<JournaledShard>>],
    status: &Status,
    stop: &Arc<AtomicBool>,
    forwarders: &Forwarders,
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
            forwarding: forwarders.forwarding(),
            published: status.sockets_of(number),
            number,
            stop: Arc::clone(stop),
            failing: Failing::default(),
            pulse,
            _running: running.clone(),
        };
        threads.push(spawn(&name, || thread.run())?);
    }
    Ok(Receiving { threads, changes, pulses, running, ended })
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(StartError::Thread)
}

/// The thread that syncs the journal, so that no other thread waits for the disk.
fn tick(journal: &Arc<Journal>, stop: &Arc<AtomicBool>, pulses: &mut Vec<Pulse>) -> Result<JoinHandle<()>, StartError> {
    let (journal, stop, pulse) = (Arc::clone(journal), Arc::clone(stop), Pulse::new("journal"));
    pulses.push(pulse.clone());
    spawn("journal", move || {
        while !stop.load(Ordering::Relaxed) {
            pulse.beat();
            std::thread::park_timeout(journal::TICK);
            journal.tick();
        }
        pulse.end();
    })
}

impl Collector {
    /// The addresses that it receives at, with the ports that the kernel chose for 0.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.places.iter().map(|place| place.bound).collect()
    }

    /// The journal, which holds received datagrams until they are durable.
    #[must_use]
    pub fn journal(&self) -> Option<Arc<Journal>> {
        self.journal.clone()
    }

    /// Lets a reader of the log hand its records to a consumer, on a thread of its own. The journal must be
    /// [kept for](Journal::keep_for) this reader.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn read_log(&mut self, name: &'static str, consumer: Box<dyn LogConsumer>) -> Result<(), StartError> {
        let rules = locked(&self.current).rules;
        let journal = self.journal.as_ref();
        let records = journal.and_then(|journal| LogRecords::open(journal, name, rules, self.status.clone()));
        let Some(records) = records else { return Ok(()) };
        let (stop, pulse) = (self.readers.stopping(), Pulse::new(name));
        self.pulses.push(pulse.clone());
        self.view.watch(pulse.clone());
        let thread = ReaderThread::new(name, records, consumer, stop, pulse);
        self.readers.threads.push(spawn(name, || thread.run())?);
        Ok(())
    }

    /// Learns what the interfaces of exporters are called, also from these SNMP agents, and shows it.
    pub fn learn_interfaces(&mut self, interfaces: &Interfaces, agents: AgentSettings) {
        self.view.show_interfaces(interfaces);
        self.tasks.push(tokio::spawn(interfaces.clone().keep_learning(self.exporters.clone())));
        let surveys = Surveys::new(agents, interfaces.clone(), self.view.names());
        self.tasks.push(tokio::spawn(surveys.clone().keep_asking(Arc::clone(&self.admitted))));
        self.surveys = Some(surveys);
    }

    /// Asks DNS what routers are called, and shows it.
    pub fn learn_names(&mut self, settings: DnsSettings) {
        let names = ReverseNames::new(settings, self.view.names());
        self.view.show_reverse_names(&names);
        self.tasks.push(tokio::spawn(names.keep_asking(Arc::clone(&self.admitted), self.exporters.clone())));
    }

    /// Replaces what DNS is asked for.
    pub fn configure_names(&self, settings: &DnsSettings) {
        self.view.configure_reverse_names(settings);
    }

    /// Replaces the SNMP agents that are asked.
    pub fn configure_agents(&self, agents: &AgentSettings) {
        self.surveys.iter().for_each(|surveys| surveys.configure(agents));
    }

    /// Replaces what the operator says that interfaces are called.
    pub fn configure_interfaces(&self, known: &[Known]) {
        self.view.configure_interfaces(known);
    }

    /// The pulses of its threads, and of the task that reads the registered senders.
    #[must_use]
    pub fn pulses(&self) -> &[Pulse] {
        &self.pulses
    }

    /// The counts so far.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// The values that the REST interface shows.
    #[must_use]
    pub fn view(&self) -> Arc<dyn view::View> {
        Arc::clone(&self.view) as _
    }

    /// The sources of AS numbers and countries, which their owners replace.
    #[must_use]
    pub fn origins(&self) -> Origins {
        self.settings.origins.clone()
    }

    /// Taps of the decoded flows.
    #[must_use]
    pub fn taps(&self) -> Taps {
        self.taps.clone()
    }

    /// Returns when another process with this collector's identity has started on the store. This collector stores nothing
    /// more and must be stopped.
    pub async fn superseded(&self) {
        self.superseded.notified().await;
    }

    /// Stops receiving, reads the datagrams queued in the kernel, and returns when everything is stored.
    ///
    /// # Errors
    /// If the last flush could not be stored in time, another process has this identity, or a thread died.
    pub async fn stop(self) -> Result<(), StopError> {
        self.stop_keeping(false).await.map(drop)
    }

    /// The same. `keep`: export connections without TLS are kept for the next run, and returned.
    ///
    /// # Errors
    /// See [`stop`](Self::stop).
    pub async fn stop_keeping(self, keep: bool) -> Result<Vec<TcpStream>, StopError> {
        let Self { stop, receivers, ticks, flusher, readers, tasks, taps, view, .. } = self;
        let Self { monitoring, export_connections, forwarders, .. } = self;
        taps.close();
        tasks.iter().for_each(Task::abort);
        stop.store(true, Ordering::Relaxed);
        monitoring.begin_stop();
        export_connections.begin_stop(keep);
        tokio::task::spawn_blocking(move || {
            view.store_interfaces();
            for thread in receivers.into_iter().chain(ticks) {
                thread.thread().unpark();
                join(thread)?;
            }
            let kept = export_connections.stop()?;
            // Beside the last flush.
            forwarders.begin_stop();
            let stored = join(flusher)?;
            // The last flush is in the log now.
            readers.stop()?;
            monitoring.stop()?;
            forwarders.stop()?;
            stored?;
            Ok(kept)
        })
        .await?
    }
}

/// Waits for the end of a thread.
pub(crate) fn join<T>(thread: JoinHandle<T>) -> Result<T, StopError> {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    thread.join().map_err(|_| StopError::ThreadDied(name))
}
