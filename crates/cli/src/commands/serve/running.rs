//! A collector that runs, and how it takes another configuration: first everything that can fail, which changes nothing;
//! then everything else. What takes a restart is named.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::{Api, Offer};
use collector::status::Status;
use collector::{Change, Collector};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::interface::{bind_beside, keys, listener, offer, url};
use super::listen;
use super::watched::{Configured, Watched};
use crate::config::{Config, KEYS, Key, Storage};
use crate::log;

/// Everything of a running collector that a configuration speaks of.
pub(super) struct Running {
    /// The file that is read.
    pub(super) file: Option<PathBuf>,
    /// What is in force.
    pub(super) config: Config,
    pub(super) collector: Collector,
    /// The REST interface, to be configured.
    pub(super) interface: Api,
    pub(super) offers: watch::Sender<Offer>,
    pub(super) listeners: mpsc::Sender<TcpListener>,
    /// Whether somebody else holds the socket of the REST interface too.
    pub(super) is_listener_passed: bool,
    pub(super) watched: Arc<Watched>,
    pub(super) status_log: StatusLog,
}

impl Running {
    /// Reads the configuration again and takes it, or says why not.
    pub(super) async fn reload(&mut self) {
        match self.try_reload().await {
            Ok(()) => tracing::info!("the configuration is read again"),
            Err(error) => tracing::error!("the configuration is not read again, and nothing has changed: {error:#}"),
        }
    }

    async fn try_reload(&mut self) -> anyhow::Result<()> {
        let loaded = Config::load(self.file.as_deref(), env::vars_os())?;
        let config = self.config.with_live_of(loaded.config.clone());
        let keys = keys(&config).map_err(|failure| failure.error)?;
        let interface = self.interface.clone().for_keys(keys);
        let offer = offer(interface.clone(), &config)?;
        let listener = self.listener(&config)?;
        // Last: from here on, datagrams wait in sockets that must not be closed again.
        let prepared = self.collector.prepare(change(&config))?;
        self.warn_of_restart(&loaded.config);
        self.collector.change(prepared);
        self.watched.configure(Configured::of(&self.collector, &config));
        self.interface = interface;
        self.offers.send_replace(offer);
        if let Some(listener) = listener {
            // The server has ended when it takes none.
            let _ = self.listeners.send(listener).await;
        }
        self.status_log.set(config.server.statuslog, self.collector.status());
        log::set_level(&loaded);
        self.config = config;
        Ok(())
    }

    /// A new socket for the REST interface when its address is another one.
    fn listener(&self, config: &Config) -> anyhow::Result<Option<TcpListener>> {
        let (there, wanted) = (self.config.http.listen, config.http.listen);
        if there == wanted {
            return Ok(None);
        }
        let bound = if there.port() == wanted.port() { bind_beside(wanted) } else { listener(wanted, None) };
        let bound = bound.with_context(|| format!("cannot serve the REST interface at {wanted} (http.listen)"))?;
        if self.is_listener_passed {
            tracing::warn!(
                "{there} was passed by the service manager, which goes on to hold it: change the socket unit"
            );
        }
        tracing::info!("serving {}", url(config, bound.local_addr()?));
        Ok(Some(bound))
    }

    fn warn_of_restart(&self, read: &Config) {
        let in_cassandra = self.config.storage == Storage::Cassandra;
        let is_fixed = |key: &Key| !key.is_live || in_cassandra && key.section() == Some("retention");
        for key in KEYS.iter().filter(|key| is_fixed(key) && key.differs(&self.config, read)) {
            tracing::warn!("{} has changed, which needs a restart: until then it stays as it was", key.name);
        }
    }
}

fn change(config: &Config) -> Change {
    Change {
        listen: listen(config),
        rules: config.rules(),
        flush_interval: config.flush_interval,
        keep: config.keep(),
        journal: config.journal_settings(),
        spool_bytes: config.spool.max_bytes as u64,
    }
}

/// The line of totals, as often as was asked for.
#[derive(Default)]
pub(super) struct StatusLog {
    interval: Option<Duration>,
    task: Option<JoinHandle<()>>,
}

impl StatusLog {
    /// Logs the line this often from now on.
    pub(super) fn set(&mut self, interval: Option<Duration>, status: Status) {
        if interval != self.interval {
            self.end();
            self.interval = interval;
            self.task = interval.map(|interval| tokio::spawn(log_status(status, interval)));
        }
    }

    pub(super) fn end(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn log_status(status: Status, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        tracing::info!("{}", status.counts());
    }
}
