//! How a load reaches a program: as datagrams, or over export connections, one for each exporter.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;

use export_client::Target;
use generator::{ExportConnections, Generator, Load, Pace, transmit, transmit_over};

use crate::program::Tls;

/// What carries the messages of exporters.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Udp,
    Tcp,
    /// With this certificate on both sides.
    Tls(Tls),
}

/// A load that can begin: its connections are open.
pub(crate) enum Opened {
    Datagrams(SocketAddr),
    Connections(ExportConnections<'static>),
}

impl Transport {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls(_) => "TLS",
        }
    }

    /// Opens a connection for each exporter to this port of 127.0.0.1, with its handshake.
    pub(crate) fn open(&self, load: &Load, port: u16) -> anyhow::Result<Opened> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let encryption = match self {
            Self::Udp => return Ok(Opened::Datagrams(address)),
            Self::Tcp => None,
            Self::Tls(tls) => Some(tls.exporter()?),
        };
        Ok(Opened::Connections(ExportConnections::open(load, &Target { address, encryption }, &|| false)?))
    }
}

impl Opened {
    /// Sends the load. Connections are ended, which waits until everything is read.
    pub(crate) fn send(self, generator: &mut Generator, pace: Pace) -> anyhow::Result<()> {
        let proceed = &mut |_: &_| ControlFlow::Continue(());
        match self {
            Self::Datagrams(to) => transmit(generator, to, pace, proceed)?,
            Self::Connections(mut connections) => {
                transmit_over(&mut connections, generator, pace, proceed)?;
                connections.end()?;
            }
        }
        Ok(())
    }
}
