//! How the datagrams of each exporter of the captures get to the collector: over UDP from a source port of its own, or over an
//! export connection of its own. An IPFIX file is an exporter there.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use anyhow::Context;
use capture::{NO_ADDRESS, UdpDatagram};
use export_client::{ExportConnection, Target};
use udp::{Outgoing, Sender};

use super::message::{Unsendable, message};
use crate::commands::transport::{Patience, TransportOptions, allow_connections};
use crate::exit_code::{ExitCode, Failure, OrExit};

/// The most exporters with a source port of their own over UDP; the others share one.
const PORTS: usize = 512;

/// An exporter of the captures.
#[derive(Clone, Copy)]
pub(super) struct Exporter {
    /// Its address there.
    pub(super) captured: SocketAddr,
    /// Its address here.
    pub(super) from: SocketAddr,
    /// What was sent of it.
    pub(super) sent: u64,
}

/// What became of a datagram.
pub(super) enum Outcome {
    Sent,
    /// Without the octets after its message.
    SentShortened,
    Unsendable(Unsendable),
}

/// A way to the collector.
pub(super) enum Route<'a> {
    Udp(Sockets),
    Connections(Connections<'a>),
}

impl Route<'_> {
    /// Sends a datagram. It may be gathered until [`Route::flush`].
    pub(super) fn send(&mut self, datagram: &UdpDatagram<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::Udp(sockets) => {
                let sent = sockets.send(datagram).with_context(|| format!("cannot send to {}", sockets.to));
                sent.map(|()| Outcome::Sent).or_exit(ExitCode::Failure)
            }
            Self::Connections(connections) => connections.send(datagram),
        }
    }

    /// Sends what is gathered.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        match self {
            Self::Udp(_) => Ok(()),
            Self::Connections(connections) => connections.flush(),
        }
    }

    /// An IPFIX file has ended: its templates are not those of the next one (RFC 5655).
    pub(super) fn end_file(&mut self) -> Result<(), Failure> {
        match self {
            Self::Udp(_) => Ok(()),
            Self::Connections(connections) => connections.end_of(NO_ADDRESS),
        }
    }

    /// Sends everything, and waits until the collector has read it if that can be known.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        match self {
            Self::Udp(_) => Ok(()),
            Self::Connections(connections) => connections.end(),
        }
    }

    /// The exporters of which something was sent.
    pub(super) fn exporters(&self) -> io::Result<Vec<Exporter>> {
        let mut exporters = match self {
            Self::Udp(sockets) => sockets.exporters()?,
            Self::Connections(connections) => connections.exporters.clone(),
        };
        // Those of IPFIX files remain in the order of the files.
        exporters.sort_by_key(|exporter| exporter.captured);
        Ok(exporters)
    }
}

/// UDP.
pub(super) struct Sockets {
    to: SocketAddr,
    /// The index of the sender for each exporter of the captures, and the number of its datagrams.
    sources: HashMap<SocketAddr, (usize, u64)>,
    senders: Vec<Sender>,
}

impl Sockets {
    pub(super) fn to(to: SocketAddr) -> Self {
        Self { to, sources: HashMap::new(), senders: Vec::new() }
    }

    fn send(&mut self, datagram: &UdpDatagram<'_>) -> io::Result<()> {
        if !self.sources.contains_key(&datagram.source) && self.senders.len() < PORTS {
            self.senders.push(Sender::new(self.to)?);
        }
        let newest = self.senders.len().saturating_sub(1);
        let (sender, count) = self.sources.entry(datagram.source).or_insert((newest, 0));
        *count += 1;
        let outgoing = Outgoing { source: None, payload: datagram.payload };
        self.senders.get(*sender).map_or(Ok(()), |sender| sender.send(&[outgoing]))
    }

    fn exporters(&self) -> io::Result<Vec<Exporter>> {
        let used = self.sources.iter().filter_map(|(captured, (sender, sent))| {
            let sender = self.senders.get(*sender)?;
            Some(sender.address().map(|from| Exporter { captured: *captured, from, sent: *sent }))
        });
        used.collect()
    }
}

/// TCP and TLS.
pub(super) struct Connections<'a> {
    target: Target,
    options: &'a TransportOptions,
    patience: Patience<'a>,
    /// By the address in the captures, each with its place among the exporters.
    open: HashMap<SocketAddr, (usize, ExportConnection)>,
    /// Of all connections, in their order.
    exporters: Vec<Exporter>,
}

impl<'a> Connections<'a> {
    pub(super) fn to(target: Target, options: &'a TransportOptions, patience: Patience<'a>) -> Self {
        Self { target, options, patience, open: HashMap::new(), exporters: Vec::new() }
    }

    fn send(&mut self, datagram: &UdpDatagram<'_>) -> Result<Outcome, Failure> {
        let message = match message(datagram.payload) {
            Ok(message) => message,
            Err(unsendable) => return Ok(Outcome::Unsendable(unsendable)),
        };
        let (captured, give_up) = (datagram.source, || self.patience.has_ended());
        if !self.open.contains_key(&captured) {
            allow_connections(self.open.len() as u64 + 1);
            let opened = ExportConnection::open(&self.target, None, &give_up);
            let opened = opened.map_err(|error| self.options.failure(&error))?;
            let exporter = Exporter { captured, from: opened.address(), sent: 0 };
            self.open.insert(captured, (self.exporters.len(), opened));
            self.exporters.push(exporter);
        }
        if let Some((exporter, connection)) = self.open.get_mut(&captured) {
            connection.send(message, &give_up).map_err(|error| self.options.failure(&error))?;
            if let Some(exporter) = self.exporters.get_mut(*exporter) {
                exporter.sent += 1;
            }
        }
        Ok(if message.len() < datagram.payload.len() { Outcome::SentShortened } else { Outcome::Sent })
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let give_up = || self.patience.has_ended();
        let flushed = self.open.values_mut().try_for_each(|(_, connection)| connection.flush(&give_up));
        flushed.map_err(|error| self.options.failure(&error))
    }

    fn end_of(&mut self, captured: SocketAddr) -> Result<(), Failure> {
        let Some((_, connection)) = self.open.remove(&captured) else { return Ok(()) };
        let give_up = || self.patience.has_ended();
        let ended = connection.end(&give_up).and_then(|ending| ending.wait(&give_up));
        ended.map_err(|error| self.options.failure(&error))
    }

    fn end(&mut self) -> Result<(), Failure> {
        let give_up = || self.patience.has_ended();
        // All of them, also if one breaks.
        let ending: Vec<_> = self.open.drain().map(|(_, (_, connection))| connection.end(&give_up)).collect();
        let ended: Vec<_> = ending.into_iter().map(|ending| ending.and_then(|ending| ending.wait(&give_up))).collect();
        let ended: Result<(), _> = ended.into_iter().collect();
        ended.map_err(|error| self.options.failure(&error))
    }
}
