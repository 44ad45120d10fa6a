//! IPFIX files (RFC 5655) among the files of `decode` and `import`: what their messages are decoded as. Reading them is a
//! matter of the crate `capture`.

use std::net::IpAddr;

use capture::{Capture, Carrier, UdpDatagram};
use flow::Exporter;

/// Who sent the datagrams of a file.
#[derive(Clone, Copy)]
pub(super) enum SentBy {
    /// The source of each, in a capture; in a segment of the journal, also its connection.
    Sources,
    /// One exporter, in an IPFIX file.
    One(Exporter),
}

impl SentBy {
    /// Of a file, by its place among all files. Messages of an IPFIX file are of the given address, and have templates of their
    /// own, as those of an export connection.
    pub(super) fn of(capture: &Capture, address: IpAddr, place: usize) -> Self {
        if capture.has_addresses() {
            return Self::Sources;
        }
        // As if from a port of its own; no port is 0.
        let number = place % usize::from(u16::MAX) + 1;
        Self::One(Exporter::tcp(address, number as u16))
    }

    pub(super) fn exporter(self, datagram: &UdpDatagram<'_>) -> Exporter {
        match self {
            Self::Sources => match datagram.carrier {
                Carrier::Datagram => Exporter::udp(datagram.source.ip(), datagram.source.port()),
                _ => Exporter::tcp(datagram.source.ip(), datagram.source.port()),
            },
            Self::One(exporter) => exporter,
        }
    }
}
