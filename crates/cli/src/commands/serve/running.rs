//! A running collector, and how it reloads its configuration: first every step that can fail, which changes nothing; then
//! the others. Settings that need a restart are logged.

use std::env;
use std::path::PathBuf;

use anyhow::Context;
use api::{Api, Offer};
use collector::Collector;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::interface::{Missing, bind, bind_beside, keys, log_addresses, offer};
use super::origin_files::OriginFiles;
use super::status_log::StatusLog;
use crate::config::{Config, KEYS, Key, Storage};
use crate::{agents, log};

/// Everything of a running collector that a configuration can change.
pub(super) struct Running {
    /// The configuration file.
    pub(super) file: Option<PathBuf>,
    /// The configuration in effect.
    pub(super) config: Config,
    pub(super) collector: Collector,
    /// The REST interface before it is configured.
    pub(super) interface: Api,
    pub(super) offers: watch::Sender<Offer>,
    pub(super) listeners: mpsc::Sender<TcpListener>,
    /// Whether the service manager holds the socket of the REST interface too.
    pub(super) is_listener_passed: bool,
    pub(super) status_log: StatusLog,
    pub(super) origin_files: OriginFiles,
}

impl Running {
    /// Reloads the configuration, or logs why it keeps the current one.
    pub(super) async fn reload(&mut self) {
        match self.try_reload().await {
            Ok(()) => tracing::info!("configuration reloaded"),
            Err(error) => tracing::error!("reload failed, keeping the current configuration: {error:#}"),
        }
    }

    async fn try_reload(&mut self) -> anyhow::Result<()> {
        let loaded = Config::load(self.file.as_deref(), env::vars_os())?;
        let config = self.config.with_live_of(loaded.config.clone());
        let keys = keys(&config).map_err(|failure| failure.error)?;
        let interface = self.interface.clone().for_keys(keys);
        let offer = offer(interface.clone(), &config)?;
        let agents = agents::settings(&config.snmp)?;
        let listener = self.listener(&config)?;
        // The last step that can fail: new sockets already queue datagrams, and must not be closed again.
        let prepared = self.collector.prepare(config.reloadable()?)?;
        self.warn_of_restart(&loaded.config);
        for warning in loaded.exposed_secret().into_iter().chain(crate::keys::warnings(&loaded.config.admin)) {
            tracing::warn!("{warning}");
        }
        self.collector.change(prepared).await;
        self.collector.origins().set_order(config.origins.order);
        // Also if the setting has not changed. An error there leaves what is in use.
        self.origin_files.read(config.origins.files.clone());
        if let Some(journal) = self.collector.journal() {
            journal.set_log_limit(config.log.max_bytes as u64);
        }
        self.collector.configure_interfaces(&config.interfaces.known);
        self.collector.configure_agents(&agents);
        self.collector.configure_names(&config.dns());
        self.interface = interface;
        self.offers.send_replace(offer);
        if let Some(listener) = listener {
            // Fails only when the server has ended.
            let _ = self.listeners.send(listener).await;
        }
        self.status_log.set(config.server.statuslog);
        log::configure(&loaded);
        self.config = config;
        Ok(())
    }

    /// A new socket for the REST interface when its address is another one.
    fn listener(&self, config: &Config) -> anyhow::Result<Option<TcpListener>> {
        let (there, wanted) = (self.config.http.listen, config.http.listen);
        if there == wanted {
            return Ok(None);
        }
        let bind = if there.port() == wanted.port() { bind_beside } else { bind };
        let bound = bind(wanted, Missing::Refused);
        let bound = bound.with_context(|| format!("cannot serve the REST interface at {wanted} (http.listen)"))?;
        if self.is_listener_passed {
            tracing::warn!(
                "the service manager still holds the socket for {there}: change the address in the socket unit as well"
            );
        }
        log_addresses(config, bound.local_addr()?);
        Ok(Some(bound))
    }

    fn warn_of_restart(&self, read: &Config) {
        let in_cassandra = self.config.storage == Storage::Cassandra;
        let is_fixed = |key: &Key| !key.is_live || in_cassandra && key.section() == Some("retention");
        for key in KEYS.iter().filter(|key| is_fixed(key) && key.differs(&self.config, read)) {
            tracing::warn!("{} changed, but takes effect only after a restart", key.name);
        }
    }
}
