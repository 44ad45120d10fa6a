//! `netflow serve`: receives, counts, and serves the REST interface until it is told to stop.

mod watched;

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use api::{Api, Signatures};
use collector::status::Status;
use collector::{Settings, StartError};
use flow::Timestamp;
use storage::state::State;
use storage::{Store, StoreError, WriterState};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, oneshot};
use udp::PassedSockets;

use crate::config::{Config, Loaded, Storage};
use crate::exit_code::{ExitCode, Failure};
use crate::keys::{self, Keys, Place};
use crate::{service_manager, store};

/// Runs until SIGTERM or SIGINT; comes back when everything that was received is stored.
pub(crate) fn run(loaded: Loaded) -> Result<ExitCode, Failure> {
    let Loaded { config, file, .. } = loaded;
    match file {
        Some(file) => tracing::info!("configuration read from {}", file.display()),
        None => tracing::info!("no configuration file: defaults and environment"),
    }
    let passed = PassedSockets::take().map_err(ExitCode::Listen.because())?;
    store::make_directory(&config.data_dir).map_err(ExitCode::Store.because())?;
    let runtime = Runtime::new().map_err(ExitCode::Failure.because())?;
    runtime.block_on(serve(&config, passed))?;
    Ok(ExitCode::Success)
}

async fn serve(config: &Config, mut passed: PassedSockets) -> Result<(), Failure> {
    let keys = keys(config)?;
    // The identity first: a second collector on the same directory must not touch anything.
    let mut identity = State::open(&store::path(config)).map_err(ExitCode::Store.because())?;
    let store = store::open(config).map_err(ExitCode::Store.because())?;
    let writer = begin_epoch(&mut identity, store.as_ref(), config).await.map_err(ExitCode::Store.because())?;
    let mut stop = StopSignals::watch().map_err(ExitCode::Failure.because())?;

    let listener = listener(config.http.listen, passed.take_stream(config.http.listen))
        .await
        .with_context(|| format!("cannot serve the REST interface at {} (http.listen)", config.http.listen))
        .map_err(ExitCode::Listen.because())?;
    if let Some(stranger) = passed.streams.first() {
        return Err(ExitCode::Listen.because()(not_configured(stranger)));
    }
    let serving = listener.local_addr().map_err(ExitCode::Listen.because())?;
    let senders_changed = Arc::new(Notify::new());
    let spool = store::spool(config, writer.writer).map_err(ExitCode::Store.because())?;
    let changed = Arc::clone(&senders_changed);
    let journal = store::journal(config).map_err(ExitCode::Store.because())?;
    if let Some(durable) = identity.durable().map_err(ExitCode::Store.because())? {
        journal.release(durable);
    }
    let settings = Settings { passed: passed.datagrams, ..settings(config) };
    let collector = collector::start(settings, Arc::clone(&store), spool, Some(journal), writer, changed)
        .await
        .map_err(start_failure)?;
    for address in collector.addresses() {
        tracing::info!("receiving at {address}");
    }
    tracing::info!("serving http://{serving}");
    service_manager::tell(service_manager::State::Ready);
    let (end_server, server_ends) = oneshot::channel::<()>();
    let watched = Arc::new(watched::Watched::new(&collector, spool_limit(config), config.netflow.calculate_samples));
    let sampling = Arc::clone(&watched);
    let sampling = tokio::spawn(async move { sampling.keep_sampling().await });
    let router = interface(config, store, keys, senders_changed)?.watching(watched).router();
    let server = tokio::spawn(api::serve(listener, router, async { drop(server_ends.await) }));
    let status_log = config.server.statuslog.map(|interval| tokio::spawn(log_status(collector.status(), interval)));

    tokio::select! {
        () = stop.arrived() => {}
        () = collector.superseded() => {}
    }
    tracing::info!("stopping: storing what was received");
    service_manager::tell(service_manager::State::Stopping);
    sampling.abort();
    if let Some(task) = status_log {
        task.abort();
    }
    let status = collector.status();
    let stored = collector.stop().await;
    tracing::info!("{}", status.counts());
    drop(end_server);
    if let Ok(Err(error)) = server.await {
        tracing::warn!(%error, "the REST interface ended with an error");
    }
    stored.map_err(|error| match error {
        StoreError::Superseded(_) => ExitCode::Superseded.because()(error),
        _ => ExitCode::Store.because()(error),
    })
}

/// The socket of the REST interface: the one that was passed, or a new one.
async fn listener(address: SocketAddr, passed: Option<StdListener>) -> io::Result<TcpListener> {
    let Some(passed) = passed else { return TcpListener::bind(address).await };
    passed.set_nonblocking(true)?;
    TcpListener::from_std(passed)
}

fn not_configured(stranger: &StdListener) -> anyhow::Error {
    let address = stranger.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string());
    anyhow::anyhow!(
        "the socket of {address} was passed by the service manager, but http.listen is another address: make \
         ListenStream= of the socket unit and the configuration say the same"
    )
}

/// The keys of the REST interface; says where they are, never what.
fn keys(config: &Config) -> Result<api::Keys, Failure> {
    let keys = Keys::load(&config.admin, &config.data_dir).map_err(ExitCode::Store.because())?;
    match &keys.place {
        Place::Configuration => tracing::info!("the keys of the REST interface are configured"),
        Place::File { path, made: false } => tracing::info!("the keys of the REST interface are in {}", path.display()),
        Place::File { path, made: true } => {
            tracing::info!("made keys for the REST interface; they are in {}", path.display());
        }
    }
    let more = match &config.admin.keys_file {
        Some(path) => keys::named(path).map_err(ExitCode::Config.because())?,
        None => Vec::new(),
    };
    if config.admin.signature != Signatures::Strict && !config.http.listen.ip().is_loopback() {
        tracing::warn!(
            "requests may be signed as the original did, and come over the network at {}: who reads one can send others \
             like it; set admin.signature = \"strict\", or let a proxy with TLS stand before it",
            config.http.listen
        );
    }
    let keys = api::Keys::new(keys.auth.expose(), keys.sign.expose()).map_err(ExitCode::Config.because())?;
    Ok(keys.with(more).accepting(config.admin.signature))
}

/// The REST interface as it is configured.
fn interface(
    config: &Config,
    store: Arc<dyn Store>,
    keys: api::Keys,
    senders_changed: Arc<Notify>,
) -> Result<Api, Failure> {
    let nonces = config.data_dir.join("nonces");
    let interface = Api::new(store, keys, senders_changed)
        .keeping(config.keep().periods)
        .remembering(&nonces)
        .with_context(|| format!("cannot remember requests in {}", nonces.display()))
        .map_err(ExitCode::Store.because())?;
    Ok(if config.admin.open_metrics { interface } else { interface.with_signed_metrics() })
}

/// How much may wait for the store; `None` for the embedded one, which is never waited for.
fn spool_limit(config: &Config) -> Option<usize> {
    (config.storage != Storage::Sqlite).then_some(config.spool.max_bytes)
}

fn start_failure(error: StartError) -> Failure {
    let code = match &error {
        StartError::Listen { .. } | StartError::Passed(_) | StartError::NoAddress => ExitCode::Listen,
        StartError::Store(_) => ExitCode::Store,
        StartError::Thread(_) => ExitCode::Failure,
    };
    Failure { code, error: error.into() }
}

/// This collector's identity, with the epoch of this start.
async fn begin_epoch(identity: &mut State, store: &dyn Store, config: &Config) -> Result<WriterState, StoreError> {
    let writer = identity.writer();
    let known = store.writers().await?.into_iter().find(|state| state.writer == writer);
    let seen = Timestamp::from(SystemTime::now());
    if let (Some(known), Some(life)) = (known, store::shortest_life(config))
        && known.seen.saturating_add(life) < seen
    {
        tracing::warn!(
            "this collector was away for longer than the store keeps minutes by itself: what no other collector has \
             rolled up meanwhile is lost"
        );
    }
    let known = known.unwrap_or_else(|| WriterState::new(writer, 0, seen));
    let state = WriterState { epoch: identity.next_epoch_after(known.epoch)?, seen, ..known };
    store.put_writer(&state).await?;
    Ok(state)
}

fn settings(config: &Config) -> Settings {
    Settings {
        passed: Vec::new(),
        listen: config.netflow.listen.iter().chain(&config.sflow.listen).copied().collect(),
        threads: config.threads(),
        receive_buffer: config.server.receive_buffer,
        flush_interval: config.flush_interval,
        rules: config.rules(),
        keep: config.keep(),
    }
}

/// The line of totals, as often as was asked for.
async fn log_status(status: Status, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        tracing::info!("{}", status.counts());
    }
}

/// SIGTERM (systemd, kill) and SIGINT (a terminal).
struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn watch() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn arrived(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
