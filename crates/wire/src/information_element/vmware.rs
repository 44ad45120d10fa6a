//! Information elements: VMware, and Open vSwitch under its number (enterprise 6876).
//! Written by `cargo run -p xtask -- elements` from `xtask/elements.csv`: change that file, not this one.

use super::{DataType, DataType::*, InformationElement, Semantics, Semantics::*, Units, Units::*};

const fn row(id: u16, name: &'static str, t: DataType, s: Semantics, u: Units) -> InformationElement {
    InformationElement::new(6876, id, name, t, s, u)
}

#[rustfmt::skip]
pub(super) static ELEMENTS: &[InformationElement] = &[
    row(880, "tenantProtocol", Unsigned8, Identifier, None),
    row(881, "tenantSourceIPv4", Ipv4Address, Default, None),
    row(882, "tenantDestIPv4", Ipv4Address, Default, None),
    row(883, "tenantSourceIPv6", Ipv6Address, Default, None),
    row(884, "tenantDestIPv6", Ipv6Address, Default, None),
    row(886, "tenantSourcePort", Unsigned16, Identifier, None),
    row(887, "tenantDestPort", Unsigned16, Identifier, None),
    row(888, "egressInterfaceAttr", Unsigned16, Identifier, None),
    row(889, "vxlanExportRole", Unsigned8, Identifier, None),
    row(890, "ingressInterfaceAttr", Unsigned16, Identifier, None),
    row(891, "tunnelType", Unsigned8, Identifier, None),
    row(892, "tunnelKey", OctetArray, Identifier, None),
    row(893, "tunnelSourceIPv4Address", Ipv4Address, Identifier, None),
    row(894, "tunnelDestinationIPv4Address", Ipv4Address, Identifier, None),
    row(895, "tunnelProtocolIdentifier", Unsigned8, Identifier, None),
    row(896, "tunnelSourceTransportPort", Unsigned16, Identifier, None),
    row(897, "tunnelDestinationTransportPort", Unsigned16, Identifier, None),
    row(898, "virtualObsID", String, Default, None),
    row(950, "ruleId", Unsigned32, Identifier, None),
    row(951, "vmUuid", String, Default, None),
    row(952, "vnicIndex", Unsigned32, Identifier, None),
    row(953, "sessionFlags", Unsigned8, Identifier, None),
    row(954, "flowDirection", Unsigned8, Identifier, None),
    row(955, "algControlFlowId", Unsigned64, Identifier, None),
    row(956, "algType", Unsigned8, Identifier, None),
    row(957, "algFlowType", Unsigned8, Identifier, None),
    row(958, "averageLatency", Unsigned32, Default, Microseconds),
    row(959, "retransmissionCount", Unsigned32, Default, None),
    row(960, "vifUuid", OctetArray, Default, None),
    row(961, "vifId", String, Default, None),
];
