//! How messages are sent to a collector: over UDP, TCP or TLS. The options of the commands that send, and what to do when an
//! export connection is not opened or breaks.

mod fixes;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use export_client::{Encryption, Target};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};

use super::destination::Destination;
use super::interrupt::Interrupt;
use crate::client::trust;
use crate::exit_code::{ExitCode, Failure, OrExit};

/// How long the rest of a transmission may take after Ctrl-C, or after its time.
const GRACE: Duration = Duration::from_secs(5);

/// How messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    /// As in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// Those that IANA has registered for IPFIX (RFC 7011, section 10.1).
    pub(super) const fn default_port(self) -> Option<u16> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some(4739),
            Self::Tls => Some(4740),
        }
    }

    /// What is sent, for reports: `datagrams to ADDRESS` or `messages over TLS to ADDRESS`.
    pub(super) const fn units(self) -> &'static str {
        if self.is_connection() { "messages" } else { "datagrams" }
    }

    /// ` over TCP`, or nothing for what everybody expects.
    pub(super) const fn over(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => " over TCP",
            Self::Tls => " over TLS",
        }
    }

    pub(super) const fn is_connection(self) -> bool {
        !matches!(self, Self::Udp)
    }
}

/// The options that select a transport.
#[derive(Args, Debug)]
pub(super) struct TransportOptions {
    /// Send IPFIX over TCP, with a connection for each exporter; the default port is 4739
    #[arg(long, help_heading = "Export connections")]
    tcp: bool,
    /// Send IPFIX over TLS, with a connection for each exporter; the default port is 4740
    #[arg(long, conflicts_with = "tcp", help_heading = "Export connections")]
    tls: bool,
    /// Certificate of the authority, or of the collector if it signed itself: a PEM file [default: the system trust store]
    #[arg(long, value_name = "FILE", requires = "tls", help_heading = "Export connections")]
    ca: Option<PathBuf>,
    /// Own certificate, for a collector that verifies exporters: a PEM file, with intermediate certificates if there are any
    #[arg(long, value_name = "FILE", requires = "tls", requires = "key", help_heading = "Export connections")]
    certificate: Option<PathBuf>,
    /// The private key of --certificate: a PEM file
    #[arg(long, value_name = "FILE", requires = "certificate", help_heading = "Export connections")]
    key: Option<PathBuf>,
}

impl TransportOptions {
    /// The selected transport.
    pub(super) const fn transport(&self) -> Transport {
        match (self.tcp, self.tls) {
            (_, true) => Transport::Tls,
            (true, false) => Transport::Tcp,
            (false, false) => Transport::Udp,
        }
    }

    /// The collector that these options and `--to` name; for a transport with connections.
    ///
    /// # Errors
    /// When the name has no address, or a file is not what it must be.
    pub(super) fn target(&self, to: &Destination) -> Result<Target, Failure> {
        let address = to.address(self.transport().default_port()).or_exit(ExitCode::CommandLine)?;
        let encryption = self.tls.then(|| self.encryption(to)).transpose().or_exit(ExitCode::Config)?;
        Ok(Target { address, encryption })
    }

    fn encryption(&self, to: &Destination) -> anyhow::Result<Encryption> {
        let name = ServerName::try_from(to.host.clone()).with_context(|| {
            format!("--to {}: certificates are of names and addresses, and this is neither", to.host)
        })?;
        let builder = trust::client(self.ca.as_deref()).context("--ca")?;
        let config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = trust::certificates(certificate).context("--certificate")?;
                let secret = PrivateKeyDer::from_pem_file(key)
                    .with_context(|| format!("--key: {} contains no PEM private key", key.display()))?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .with_context(|| format!("{} is not the private key of {}", key.display(), certificate.display()))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Encryption { config: Arc::new(config), name })
    }

    /// The failure of a connection, with what to do.
    pub(super) fn failure(&self, error: &export_client::Error) -> Failure {
        Failure::new(ExitCode::Unreachable, fixes::explained(error, self.transport(), self.certificate.is_some()))
    }
}

/// When to stop waiting for a collector that does not read: a moment after Ctrl-C, or after the time is over, so that one that
/// only reads slowly gets everything.
pub(super) struct Patience<'a> {
    interrupt: &'a Interrupt,
    /// When the time is over; `None` without a limit.
    until: Option<Instant>,
    interrupted: Cell<Option<Instant>>,
}

impl<'a> Patience<'a> {
    pub(super) const fn new(interrupt: &'a Interrupt, until: Option<Instant>) -> Self {
        Self { interrupt, until, interrupted: Cell::new(None) }
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        if self.interrupt.came() && self.interrupted.get().is_none() {
            self.interrupted.set(Some(Instant::now()));
        }
        [self.interrupted.get(), self.until].into_iter().flatten().any(|stop| stop.elapsed() > GRACE)
    }
}

/// Raises the limit of open files, as far as it is allowed, for this number of connections. Opening one beyond it is an error
/// that names the limit.
pub(super) fn allow_connections(connections: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Others are open already.
    let wanted = connections.saturating_add(64);
    if current.is_some_and(|current| current < wanted) {
        let current = Some(maximum.unwrap_or(wanted).min(wanted));
        // What is not allowed is reported when it is needed.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
    }
}
