//! Information elements: Procera Networks (enterprise 15397).
//! Written by `cargo run -p xtask -- elements` from `xtask/elements.csv`: change that file, not this one.

use super::{DataType, DataType::*, InformationElement, Semantics, Semantics::*, Units, Units::*};

const fn row(id: u16, name: &'static str, t: DataType, s: Semantics, u: Units) -> InformationElement {
    InformationElement::new(15397, id, name, t, s, u)
}

#[rustfmt::skip]
pub(super) static ELEMENTS: &[InformationElement] = &[
    row(1, "proceraService", String, Default, None),
    row(2, "proceraBaseService", String, Default, None),
    row(3, "proceraIncomingOctets", Unsigned64, DeltaCounter, Octets),
    row(4, "proceraOutgoingOctets", Unsigned64, DeltaCounter, Octets),
    row(5, "proceraIncomingPackets", Unsigned64, DeltaCounter, Packets),
    row(6, "proceraOutgoingPackets", Unsigned64, DeltaCounter, Packets),
    row(7, "proceraIncomingShapingLatency", Unsigned16, Default, None),
    row(8, "proceraOutgoingShapingLatency", Unsigned16, Default, None),
    row(9, "proceraIncomingShapingDrops", Unsigned32, DeltaCounter, None),
    row(10, "proceraOutgoingShapingDrops", Unsigned32, DeltaCounter, None),
    row(11, "proceraInternalRtt", Signed32, Default, None),
    row(12, "proceraExternalRtt", Signed32, Default, None),
    row(15, "proceraFlowBehavior", String, Default, None),
    row(16, "proceraContentCategories", String, Default, None),
    row(17, "proceraProperty", String, Default, None),
    row(18, "proceraServerHostname", String, Default, None),
    row(19, "proceraHttpRequestMethod", String, Default, None),
    row(20, "proceraHttpUserAgent", String, Default, None),
    row(21, "proceraHttpContentType", String, Default, None),
    row(22, "proceraHttpUrl", String, Default, None),
    row(23, "proceraHttpReferer", String, Default, None),
    row(24, "proceraHttpResponseStatus", Unsigned16, Default, None),
    row(25, "proceraHttpFileLength", Unsigned32, Quantity, Octets),
    row(26, "proceraHttpLocation", String, Default, None),
    row(27, "proceraHttpLanguage", String, Default, None),
    row(28, "proceraSubscriberIdentifier", String, Default, None),
    row(29, "proceraMsisdn", Unsigned64, Identifier, None),
    row(30, "proceraImsi", Unsigned64, Identifier, None),
    row(31, "proceraRat", String, Default, None),
    row(32, "proceraDeviceId", Unsigned64, Identifier, None),
    row(33, "proceraSgsn", String, Default, None),
    row(34, "proceraRnc", Unsigned16, Identifier, None),
    row(35, "proceraApn", String, Default, None),
    row(36, "proceraUserLocationInformation", String, Default, None),
    row(37, "proceraGgsn", String, Default, None),
    row(38, "proceraQoeIncomingInternal", Float32, Default, None),
    row(39, "proceraQoeIncomingExternal", Float32, Default, None),
    row(40, "proceraQoeOutgoingInternal", Float32, Default, None),
    row(41, "proceraQoeOutgoingExternal", Float32, Default, None),
    row(42, "proceraLocalIPv4Host", Ipv4Address, Identifier, None),
    row(43, "proceraLocalIPv6Host", Ipv6Address, Identifier, None),
    row(44, "proceraRemoteIPv4Host", Ipv4Address, Identifier, None),
    row(45, "proceraRemoteIPv6Host", Ipv6Address, Identifier, None),
    row(46, "proceraHttpRequestVersion", String, Default, None),
    row(47, "proceraTemplateName", String, Default, None),
];
