//! Information elements: Ixia (enterprise 3054).
//! Written by `cargo run -p xtask -- elements` from `xtask/elements.csv`: change that file, not this one.

use super::{DataType, DataType::*, InformationElement, Semantics, Semantics::*, Units, Units::*};

const fn row(id: u16, name: &'static str, t: DataType, s: Semantics, u: Units) -> InformationElement {
    InformationElement::new(3054, id, name, t, s, u)
}

#[rustfmt::skip]
pub(super) static ELEMENTS: &[InformationElement] = &[
    row(110, "ixiaL7ApplicationId", Unsigned32, Default, None),
    row(111, "ixiaL7ApplicationName", String, Default, None),
    row(120, "ixiaSourceIpCountryCode", String, Default, None),
    row(121, "ixiaSourceIpCountryName", String, Default, None),
    row(122, "ixiaSourceIpRegionCode", String, Default, None),
    row(123, "ixiaSourceIpRegionName", String, Default, None),
    row(125, "ixiaSourceIpCityName", String, Default, None),
    row(126, "ixiaSourceIpLatitude", Float32, Default, None),
    row(127, "ixiaSourceIpLongitude", Float32, Default, None),
    row(140, "ixiaDestinationIpCountryCode", String, Default, None),
    row(141, "ixiaDestinationIpCountryName", String, Default, None),
    row(142, "ixiaDestinationIpRegionCode", String, Default, None),
    row(143, "ixiaDestinationIpRegionName", String, Default, None),
    row(145, "ixiaDestinationIpCityName", String, Default, None),
    row(146, "ixiaDestinationIpLatitude", Float32, Default, None),
    row(147, "ixiaDestinationIpLongitude", Float32, Default, None),
    row(160, "ixiaOsDeviceId", Unsigned8, Default, None),
    row(161, "ixiaOsDeviceName", String, Default, None),
    row(162, "ixiaBrowserId", Unsigned8, Default, None),
    row(163, "ixiaBrowserName", String, Default, None),
    row(176, "ixiaReverseOctetDeltaCount", Unsigned64, DeltaCounter, Octets),
    row(177, "ixiaReversePacketDeltaCount", Unsigned64, DeltaCounter, Packets),
    row(178, "ixiaSslConnectionEncryptionType", String, Default, None),
    row(179, "ixiaSslEncryptionCipherName", String, Default, None),
    row(180, "ixiaSslEncryptionKeyLength", Unsigned16, Default, None),
    row(182, "ixiaUserAgent", String, Default, None),
    row(183, "ixiaHostName", String, Default, None),
    row(184, "ixiaUri", String, Default, None),
    row(185, "ixiaDnsText", String, Default, None),
    row(186, "ixiaSourceAsName", String, Default, None),
    row(187, "ixiaDestinationAsName", String, Default, None),
    row(188, "ixiaTransactionLatency", Unsigned32, Default, None),
    row(189, "ixiaDnsQueryHostname", String, Default, None),
    row(190, "ixiaDnsResponseHostname", String, Default, None),
    row(191, "ixiaDnsClasses", String, Default, None),
    row(192, "ixiaThreatType", String, Default, None),
    row(193, "ixiaThreatIPv4", Ipv4Address, Default, None),
    row(194, "ixiaThreatIPv6", Ipv6Address, Default, None),
    row(195, "ixiaHttpSession", SubTemplateList, List, None),
    row(196, "ixiaRequestTime", Unsigned32, Default, None),
    row(197, "ixiaDnsRecord", SubTemplateList, List, None),
    row(198, "ixiaDnsName", String, Default, None),
    row(199, "ixiaDnsIPv4Address", Ipv4Address, Default, None),
    row(200, "ixiaDnsIPv6Address", Ipv6Address, Default, None),
    row(201, "ixiaSni", String, Default, None),
];
