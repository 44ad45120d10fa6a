//! `netflow serve`: receives, counts, and serves the REST interface until it gets a signal to stop.

mod archive_view;
pub(crate) mod archiver;
mod clickhouse_stream;
mod descriptors;
mod free_memory;
mod heartbeat;
mod interface;
mod kafka_stream;
mod memory_limit;
mod origin_files;
mod origin_files_view;
mod panic_hook;
mod process_view;
mod reader_orders;
mod running;
mod status_log;
mod steady_clock;
mod streams;

use std::io::{self, IsTerminal};
use std::net::TcpListener as StdListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use api::{FlowArchive, OrderReaders};
use collector::{AgentSettings, Collector, Interfaces, Origins, Settings, StartError, StopError};
use flow::Timestamp;
use journal::Journal;
use origin::Table;
use storage::{Identity, LastTerms, Presence, Store, StoreError, WriterState};
use tokio::runtime::Runtime;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};
use udp::PassedSockets;
use view::View;

use self::archive_view::ArchiveView;
use self::archiver::Archiver;
use self::memory_limit::question_memory;
use self::origin_files::OriginFiles;
use self::process_view::ProcessView;
use self::reader_orders::ReaderOrders;
use self::running::Running;
use self::status_log::StatusLog;
use self::streams::Streams;
use crate::config::{Archive, Config, Loaded, Query, Storage};
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::service_manager::State;
use crate::{agents, configured_store, log, restoration, service_manager};

/// The end of its help.
pub(crate) const EXAMPLES: &str = "\
SIGTERM and Ctrl-C stop the collector after it has stored everything that it received. SIGHUP reloads the configuration.

Examples:
  netflow serve
  netflow serve --config /etc/netflow/netflow.toml
  NETFLOW__HTTP__LISTEN=127.0.0.1:8081 netflow serve";

/// Runs until SIGTERM or SIGINT; returns when everything that was received is stored.
pub(crate) fn run(loaded: Loaded) -> Result<ExitCode, Failure> {
    log::configure(&loaded);
    panic_hook::install();
    descriptors::raise_limit();
    let exposed = loaded.exposed_secret();
    let Loaded { mut config, file, .. } = loaded;
    match &file {
        Some(file) => tracing::info!("configuration file: {}", file.display()),
        None => tracing::info!("no configuration file, using defaults and the environment"),
    }
    for warning in exposed.into_iter().chain(crate::keys::warnings(&config.admin)) {
        tracing::warn!("{warning}");
    }
    memory_limit::lower_name_memory(&mut config);
    let passed = PassedSockets::take().or_exit(ExitCode::Listen)?;
    configured_store::make_directory(&config.data_dir).or_exit(ExitCode::Store)?;
    let runtime = Runtime::new().or_exit(ExitCode::Failure)?;
    runtime.block_on(serve(&config, file, passed))?;
    Ok(ExitCode::Success)
}

async fn serve(config: &Config, file: Option<PathBuf>, mut passed: PassedSockets) -> Result<(), Failure> {
    let keys = interface::keys(config)?;
    let agents = agents::settings(&config.snmp).or_exit(ExitCode::Config)?;
    let settings = config.settings().or_exit(ExitCode::Config)?;
    // The identity first: a second collector on the same directory must change nothing.
    let path = configured_store::path(config);
    if let Some(replaced) = restoration::finish_interrupted(&path).or_exit(ExitCode::Store)? {
        tracing::warn!("finished an interrupted netflow restore; replaced files are in {}", replaced.display());
    }
    let mut identity = configured_store::in_file(&path, Identity::open(&path)).or_exit(ExitCode::Store)?;
    let store = configured_store::open(config).or_exit(ExitCode::Store)?;
    let journal = configured_store::journal(config, identity.writer()).or_exit(ExitCode::Store)?;
    journal.release(&identity.counted().or_exit(ExitCode::Store)?);
    let (writer, is_reachable) =
        begin_epoch(&mut identity, store.as_ref(), &journal, config).await.or_exit(ExitCode::Store)?;
    let mut signals = Signals::watch().or_exit(ExitCode::Failure)?;

    let at = config.http.listen;
    let passed_stream = passed.take_stream(at);
    let is_listener_passed = passed_stream.is_some();
    let listener = interface::listener(at, passed_stream)
        .with_context(|| format!("cannot serve the REST interface at {at} (http.listen)"))
        .or_exit(ExitCode::Listen)?;
    let settings = with_passed(settings, passed)?;
    let serving = listener.local_addr().or_exit(ExitCode::Listen)?;
    let senders_changed = Arc::new(Notify::new());
    let local = configured_store::local(config, writer.writer, is_reachable).or_exit(ExitCode::Store)?;
    let changed = Arc::clone(&senders_changed);
    let terms = LastTerms::open(&path).or_exit(ExitCode::Store)?;
    let origin_files = read_origin_files(config, &settings.origins).or_exit(ExitCode::Failure)?;
    let mut collector =
        collector::start(settings, Arc::clone(&store), local, Some(journal), writer, changed, Some(terms))
            .await
            .map_err(start_failure)?;
    let (flow_archive, archive_view) = start_archive(config, &mut collector)?;
    learn_interfaces(config, &mut collector, agents);
    collector.learn_names(config.dns());
    collector.addresses().iter().for_each(|address| tracing::info!("listening on {address}"));
    interface::log_addresses(config, serving);
    let view: Arc<dyn View> = Arc::new(ProcessView {
        collector: collector.view(),
        archive: archive_view,
        streams: Streams::start(config, &mut collector)?,
        origins: collector.origins(),
        origin_files: origin_files.view(),
    });
    let interface = interface::interface(config, store, keys, senders_changed)?
        .showing(Arc::clone(&view), collector.taps())
        .answering_from(flow_archive.clone())
        .ordering(reader_orders(&collector));
    let offer = interface::offer(interface.clone(), config).or_exit(ExitCode::Config)?;
    let (offers, offered) = watch::channel(offer);
    let (listeners, moves) = mpsc::channel(1);
    let (end_server, server_ends) = oneshot::channel::<()>();
    let mut server = tokio::spawn(api::serve(listener, moves, offered, async { drop(server_ends.await) }));
    let status_log = StatusLog::start(view, collector.status(), config.server.statuslog);
    let config = config.clone();
    let mut running =
        Running { file, config, collector, interface, offers, listeners, is_listener_passed, status_log, origin_files };
    service_manager::notify(&State::Ready);
    let heartbeat = heartbeat::run(running.collector.pulses().to_vec(), running.collector.status());
    let heartbeat = tokio::spawn(heartbeat);
    let free_memory = tokio::spawn(free_memory::run());
    let served = run_until_stopped(&mut running, &mut signals, &mut server).await;
    flow_archive.iter().for_each(FlowArchive::close);
    let status = running.collector.status();
    let stored = running.collector.stop_keeping(served.is_ok() && service_manager::is_there()).await;
    heartbeat.abort();
    free_memory.abort();
    tracing::info!("{}", status.counts());
    drop(end_server);
    if served.is_ok() {
        server_result(server.await).unwrap_or_else(|error| tracing::warn!("{error:#}"));
    }
    let kept = stored.map_err(stop_failure)?;
    if !kept.is_empty() {
        service_manager::store(&kept);
    }
    served.or_exit(ExitCode::Failure)
}

/// Gives orders to the readers of the log.
fn reader_orders(collector: &Collector) -> Option<Arc<dyn OrderReaders>> {
    collector.journal().map(|journal| Arc::new(ReaderOrders(journal)) as _)
}

/// Begins to keep flows, if they are kept; what answers questions about flows, and what is shown of the archive.
fn start_archive(
    config: &Config,
    collector: &mut Collector,
) -> Result<(Option<FlowArchive>, Option<ArchiveView>), Failure> {
    if !config.archive.enabled {
        return Ok((asked_flows(config, None)?, None));
    }
    let archiver = Archiver::new(config);
    let (asked, view) = (asked_flows(config, Some(archiver.asked()))?, archiver.view());
    collector.read_log(Archive::READER, Box::new(archiver)).map_err(start_failure)?;
    Ok((asked, Some(view)))
}

/// What answers questions about flows.
fn asked_flows(config: &Config, kept: Option<FlowArchive>) -> Result<Option<FlowArchive>, Failure> {
    match config.archive.query {
        Query::Local => Ok(kept),
        Query::Clickhouse => {
            let client = clickhouse::Client::new(config.clickhouse_settings().or_exit(ExitCode::Config)?);
            let there = config.archive.query_memory as u64;
            Ok(Some(FlowArchive::in_clickhouse(client, question_memory(), there)))
        }
    }
}

/// Begins to read the files with AS numbers, and waits a while until they are read: flows of the first datagrams need them.
fn read_origin_files(config: &Config, origins: &Origins) -> io::Result<OriginFiles> {
    /// A few times as long as the largest files take. A file on a server that does not answer must not stop counting.
    const PATIENCE: Duration = Duration::from_secs(10);
    let publisher = origins.clone();
    let publish = Box::new(move |table: &Arc<Table>| publisher.set_files(table));
    let files = OriginFiles::start(config.origins.files.clone(), publish)?;
    if !files.wait(PATIENCE) {
        tracing::warn!("counting begins without origins.files, which are still being read");
    }
    Ok(files)
}

/// Learns what interfaces are called.
fn learn_interfaces(config: &Config, collector: &mut Collector, agents: AgentSettings) {
    let interfaces = Interfaces::open(config.data_dir.join(Interfaces::FILE));
    interfaces.configure(&config.interfaces.known);
    collector.learn_interfaces(&interfaces, agents);
}

/// How the task of the REST interface ended.
fn server_result(ended: Result<io::Result<()>, JoinError>) -> anyhow::Result<()> {
    ended.context("the REST interface was aborted")?.context("the REST interface failed")
}

/// Returns when the collector has to stop; an error when that is because the REST interface has ended.
async fn run_until_stopped(
    running: &mut Running,
    signals: &mut Signals,
    server: &mut JoinHandle<io::Result<()>>,
) -> anyhow::Result<()> {
    let served = loop {
        tokio::select! {
            signal = signals.arrived() => match signal {
                Signal::Stop => break Ok(()),
                Signal::Reload => {
                    service_manager::notify(&State::Reloading);
                    running.reload().await;
                    service_manager::notify(&State::Ready);
                }
            },
            () = running.collector.superseded() => break Ok(()),
            ended = &mut *server => break server_result(ended).and(Err(anyhow!("the REST interface ended"))),
        }
    };
    tracing::info!("stopping: storing everything that was received");
    service_manager::notify(&State::Stopping);
    running.status_log.end();
    served
}

/// The settings with the sockets that the service manager passed, except that of the REST interface.
fn with_passed(settings: Settings, mut passed: PassedSockets) -> Result<Settings, Failure> {
    let exporting = settings.reloadable.export_connections.addresses();
    let passed_streams = exporting.filter_map(|(address, _)| passed.take_stream(address)).collect();
    match passed.streams.first() {
        Some(extra) => Err(Failure::new(ExitCode::Listen, not_configured(extra))),
        None => Ok(Settings { passed: passed.datagrams, passed_streams, kept_connections: passed.kept, ..settings }),
    }
}

fn not_configured(extra: &StdListener) -> anyhow::Error {
    let address = extra.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string());
    anyhow!(
        "the service manager passed a socket for {address}, but neither http.listen nor netflow.tcp.listen or \
         netflow.tls.listen names that address: use the same addresses for ListenStream= in the socket unit and in the \
         configuration"
    )
}

fn stop_failure(error: StopError) -> Failure {
    let code = match error {
        StopError::Store(StoreError::Superseded(_)) => ExitCode::Superseded,
        StopError::Store(_) => ExitCode::Store,
        StopError::ThreadDied(_) | StopError::Runtime(_) => ExitCode::Failure,
    };
    Failure::new(code, error)
}

fn start_failure(error: StartError) -> Failure {
    let code = match &error {
        StartError::Listen { .. }
        | StartError::ListenBmp { .. }
        | StartError::ListenExportConnections { .. }
        | StartError::Passed(_)
        | StartError::NoAddress => ExitCode::Listen,
        StartError::Forward { .. } => ExitCode::Config,
        StartError::Store(_) | StartError::Journal(_) => ExitCode::Store,
        StartError::Thread(_) => ExitCode::Failure,
    };
    Failure::new(code, error)
}

/// This collector's identity, with the epoch of this start; and whether the store has it. If a store on the network is
/// unreachable, the collector starts without it: no other start has this epoch, whatever the store knows, and nothing is put
/// before the store has the identity.
async fn begin_epoch(
    identity: &mut Identity,
    store: &dyn Store,
    journal: &Journal,
    config: &Config,
) -> Result<(WriterState, bool), StoreError> {
    let writer = identity.writer();
    let seen = Timestamp::from(SystemTime::now());
    let stored = if_reachable(store.writers(), config).await?;
    let known = stored.iter().flatten().find(|state| state.writer == writer).copied();
    if let (Some(known), Some(life)) = (known, configured_store::shortest_life(config))
        && known.presence.is_gone(seen, life)
    {
        tracing::warn!(
            "this collector was down for longer than the store keeps minutes: minutes that no other collector rolled up \
             in that time are lost"
        );
    }
    let known = known.unwrap_or_else(|| WriterState::new(writer, 0, seen));
    let presence = Presence::Seen(seen);
    let journalled = journal.newest().iter().map(|counted| counted.newest.epoch).max().unwrap_or_default();
    let state = WriterState { epoch: identity.next_epoch(known.epoch.max(journalled), seen)?, presence, ..known };
    let is_put = stored.is_some() && if_reachable(store.put_writer(&state), config).await?.is_some();
    Ok((state, is_put))
}

/// What a store answers; `None` when it is on the network and unreachable.
async fn if_reachable<T>(
    answer: impl Future<Output = Result<T, StoreError>>,
    config: &Config,
) -> Result<Option<T>, StoreError> {
    if config.storage == Storage::Sqlite {
        return answer.await.map(Some);
    }
    let unreachable = match tokio::time::timeout(collector::STORE_PATIENCE, answer).await {
        Ok(Err(error @ StoreError::Retry(_))) => error,
        Err(late) => StoreError::Retry(late.into()),
        Ok(answer) => return answer.map(Some),
    };
    tracing::error!("starting without the store: {unreachable}");
    Ok(None)
}

/// What a signal asks for.
enum Signal {
    /// Stop: SIGTERM (systemd, kill) or SIGINT (Ctrl-C).
    Stop,
    /// Reload the configuration: SIGHUP.
    Reload,
}

struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: unix::Signal,
    /// Whether it was started in a terminal, which also sends SIGHUP when it closes.
    had_terminal: bool,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        let [terminate, interrupt, hang_up] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(unix::signal);
        let had_terminal = io::stderr().is_terminal();
        Ok(Self { terminate: terminate?, interrupt: interrupt?, hang_up: hang_up?, had_terminal })
    }

    async fn arrived(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hang_up.recv() => {
                let is_closed = self.had_terminal && !io::stderr().is_terminal();
                if is_closed { Signal::Stop } else { Signal::Reload }
            }
        }
    }
}
