//! The transport of IPFIX over export connections (RFC 7011, section 10.4): each stream, which is an exporter and one of its
//! ports, has a connection of its own, from the exporter's address.

use std::net::IpAddr;

use export_client::connection::GiveUp;
use export_client::{Error, ExportConnection, Target};

use crate::generator::Generated;
use crate::load::Load;
use crate::transmission::Transport;

/// The octets that all connections gather, so that thousands of them need little memory.
const GATHERED: usize = 16 * 1024 * 1024;

/// The open connections of a load.
pub struct ExportConnections<'a> {
    connections: Vec<ExportConnection>,
    ports: usize,
    give_up: GiveUp<'a>,
}

impl<'a> ExportConnections<'a> {
    /// Opens a connection for each stream of this load, whose protocol must be IPFIX: no other has messages with a length.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub fn open(load: &Load, target: &Target, give_up: GiveUp<'a>) -> Result<Self, Error> {
        let streams = (0..load.exporters).flat_map(|exporter| (0..load.ports).map(move |_| load.source(exporter)));
        let most = GATHERED / usize::try_from(load.streams()).unwrap_or(usize::MAX).max(1);
        let connections = streams.map(|source| {
            let mut connection = ExportConnection::open(target, source.map(IpAddr::from), give_up)?;
            connection.gather_at_most(most);
            Ok(connection)
        });
        Ok(Self { connections: connections.collect::<Result<_, Error>>()?, ports: load.ports.into(), give_up })
    }

    /// Ends all connections, and waits until the collector has read everything and has closed them.
    ///
    /// # Errors
    /// The first of a connection that breaks, or that the collector does not close.
    pub fn end(self) -> Result<(), Error> {
        let Self { connections, give_up, .. } = self;
        let ending =
            connections.into_iter().map(|connection| connection.end(give_up)).collect::<Result<Vec<_>, _>>()?;
        ending.into_iter().try_for_each(|ending| ending.wait(give_up))
    }
}

impl Transport for ExportConnections<'_> {
    type Error = Error;

    fn send<'g>(&mut self, datagrams: impl Iterator<Item = Generated<'g>>) -> Result<(), Error> {
        for Generated { exporter, port, payload, .. } in datagrams {
            let stream = exporter as usize * self.ports + usize::from(port);
            if let Some(connection) = self.connections.get_mut(stream) {
                connection.send(payload, self.give_up)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.connections.iter_mut().try_for_each(|connection| connection.flush(self.give_up))
    }
}
