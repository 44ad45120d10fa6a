//! Records with the ends of a packet in a tunnel beside those of the tunnel. They are rare, so they have no slots: a record is
//! walked when it is to count by the packet inside.
//!
//! VMware NSX has elements for these ends. Cisco IOS XR (SRv6) repeats elements: the order is that of encapsulation (RFC 7011,
//! section 8), so the last value is that of the innermost packet.
//!
//! Not here, because they are outer ends, and those of the packet inside are in the usual elements: the elements of Open
//! vSwitch (PEN 6876, 893 to 897), and the UNTUNNELED ones of nProbe.

use std::net::{IpAddr, Ipv4Addr};

use flow::FlowRecord;

use crate::cursor::unsigned;
use crate::record::ElementId;
use crate::template::Template;

/// The Private Enterprise Number of VMware.
const VMWARE: u32 = 6876;
/// tenantProtocol.
const TENANT_PROTOCOL: ElementId = ElementId { enterprise: VMWARE, id: 880 };
/// protocolIdentifier.
const PROTOCOL: ElementId = ElementId { enterprise: 0, id: 4 };

/// The ends of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    source_port: u16,
    destination_port: u16,
}

/// Whether records of these elements may have the ends of a packet in a tunnel beside those of the tunnel.
pub(crate) fn are_in(elements: impl Iterator<Item = ElementId> + Clone) -> bool {
    elements.clone().any(|element| element == TENANT_PROTOCOL)
        || elements.filter(|element| *element == PROTOCOL).count() > 1
}

/// The ends of the packet inside; `None` if a record has none.
pub(crate) fn of(template: &Template, record: &[u8]) -> Option<Ends> {
    let (mut tenant, mut last, mut protocols) = (Ends::UNKNOWN, Ends::UNKNOWN, 0);
    for (field, octets) in template.fields_of(record) {
        let ElementId { enterprise, id } = field.element;
        let number = || unsigned(octets);
        match (enterprise, id) {
            (VMWARE, 880) => tenant.protocol = number() as u8,
            (VMWARE, 881 | 883) => put(&mut tenant.source, octets),
            (VMWARE, 882 | 884) => put(&mut tenant.destination, octets),
            (VMWARE, 886) => tenant.source_port = number() as u16,
            (VMWARE, 887) => tenant.destination_port = number() as u16,
            (0, 4) => (last.protocol, protocols) = (number() as u8, protocols + 1),
            (0, 8 | 27) => put(&mut last.source, octets),
            (0, 12 | 28) => put(&mut last.destination, octets),
            (0, 7) => last.source_port = number() as u16,
            (0, 11) => last.destination_port = number() as u16,
            _ => {}
        }
    }
    let inner = if tenant.protocol == 0 && protocols > 1 { last } else { tenant };
    (inner.protocol != 0).then_some(inner)
}

/// Keeps the last address that is not zero: templates may have fields of both versions of IP, of which one is empty.
fn put(end: &mut IpAddr, octets: &[u8]) {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let address = v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
    *end = address.ok().filter(|address| !address.is_unspecified()).unwrap_or(*end);
}

impl Ends {
    const UNKNOWN: Self = Self {
        source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        protocol: 0,
        source_port: 0,
        destination_port: 0,
    };

    /// Makes a flow that of the packet inside. Its counters are those of the tunnel's packets.
    pub(crate) fn replace_outer(&self, flow: &mut FlowRecord) {
        (flow.source, flow.destination, flow.protocol) = (self.source, self.destination, self.protocol);
        (flow.source_port, flow.destination_port) = (self.source_port, self.destination_port);
    }
}
