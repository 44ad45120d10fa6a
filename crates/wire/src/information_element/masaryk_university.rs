//! Information elements: Masaryk University (enterprise 16982).
//! Written by `cargo run -p xtask -- elements` from `xtask/elements.csv`: change that file, not this one.

use super::{DataType, DataType::*, InformationElement, Semantics, Semantics::*, Units, Units::*};

const fn row(id: u16, name: &'static str, t: DataType, s: Semantics, u: Units) -> InformationElement {
    InformationElement::new(16982, id, name, t, s, u)
}

#[rustfmt::skip]
pub(super) static ELEMENTS: &[InformationElement] = &[
    row(0, "sourceGeo", Unsigned8, Default, None),
    row(1, "destinationGeo", Unsigned8, Default, None),
    row(100, "HTTPUserAgent", Unsigned8, Default, None),
    row(101, "HTTPMethod", Unsigned8, Default, None),
    row(102, "HTTPDomain", String, Default, None),
    row(103, "HTTPReferer", String, Default, None),
    row(104, "HTTPContentType", Unsigned8, Default, None),
    row(105, "HTTPUrl", String, Default, None),
    row(106, "HTTPStatus", Unsigned16, Identifier, None),
    row(107, "HTTPHeaderCount", Unsigned16, Identifier, None),
    row(200, "appPID", Unsigned32, Identifier, None),
    row(201, "appName", String, Identifier, None),
    row(202, "appUID", Unsigned32, Identifier, None),
    row(203, "appMatchLevel", Unsigned8, Identifier, None),
    row(400, "tunnelSrcIPv6", Ipv6Address, Identifier, None),
    row(401, "tunnelDstIPv6", Ipv6Address, Identifier, None),
    row(402, "tunnelSrcPort", Unsigned16, Identifier, None),
    row(403, "tunnelDstPort", Unsigned16, Identifier, None),
    row(404, "tunnelProtocol", Unsigned8, Identifier, None),
    row(405, "tunnelType", Unsigned8, Identifier, None),
    row(406, "tunnelTCPFlags", Unsigned8, Identifier, None),
    row(407, "tunnelICMPcode", Unsigned16, Identifier, None),
    row(408, "tunnelTeredoHeaders", Unsigned8, Identifier, None),
    row(409, "tunnelTeredoTrailers", Unsigned8, Identifier, None),
    row(410, "tunnelSourceGeo", String, Identifier, None),
    row(411, "tunnelDestinationGeo", String, Identifier, None),
    row(412, "tunnelOuterSourceGeo", String, Identifier, None),
    row(413, "tunnelOuterDestinationGeo", String, Identifier, None),
    row(414, "tunnelHOPLimit", Unsigned8, Identifier, None),
    row(500, "HTTPRequestType", Unsigned32, Default, None),
    row(501, "HTTPRequestHost", String, Default, None),
    row(502, "HTTPRequestURL", String, Default, None),
    row(503, "HTTPRequestAgentID", Unsigned32, Default, None),
    row(504, "HTTPRequestAgent", String, Default, None),
    row(505, "HTTPRequestReferer", String, Default, None),
    row(506, "HTTPResponseCode", Unsigned32, Default, None),
    row(507, "HTTPResponseType", String, Default, None),
    row(508, "HTTPResponseTime", Unsigned32, Default, None),
    row(800, "tlsCliVer", Unsigned16, Default, None),
    row(801, "tlsSerVer", Unsigned16, Default, None),
    row(802, "tlsSerCips", Unsigned16, Default, None),
    row(803, "tlsCliCips", OctetArray, Default, None),
    row(804, "tlsCertSubject", String, Default, None),
    row(805, "tlsCertIssuer", String, Default, None),
    row(806, "tlsCertNotBefore", Unsigned64, Default, None),
    row(807, "tlsCerNotAfter", Unsigned64, Default, None),
    row(808, "tlsPkeyLength", Unsigned16, Default, None),
    row(809, "tlsPkeyExponent", Unsigned32, Default, None),
    row(810, "tlsPkeyAlgorithm", String, Default, None),
    row(811, "tlsServerName", String, Default, None),
];
