//! From the octets of one field to its value (RFC 7011, section 6).
//!
//! Lists (RFC 6313) need templates and are read elsewhere: see
//! [`structured_data`](crate::structured_data).

use std::net::{Ipv4Addr, Ipv6Addr};

use flow::Timestamp;

use crate::information_element::{DataType, InformationElement, lookup, lookup_v9};
use crate::record::{ElementId, FieldName, Value};

/// Name and value of a field of an IPFIX record. Elements that are not in the registry, known ones whose length does
/// not fit their type, and lists are octets.
#[must_use]
pub fn decode(element: ElementId, octets: &[u8]) -> (FieldName<'static>, Value<'_>) {
    describe(lookup(element), element, octets)
}

/// The same for a field type of NetFlow v9, which has rules of its own.
#[must_use]
pub fn decode_v9(field_type: u16, octets: &[u8]) -> (FieldName<'static>, Value<'_>) {
    describe(lookup_v9(field_type), ElementId { enterprise: 0, id: field_type }, octets)
}

/// The name of a field whose element has been looked up.
#[must_use]
pub fn name(known: Option<&'static InformationElement>, element: ElementId) -> FieldName<'static> {
    known.map_or(FieldName::Unknown(element), |known| FieldName::Element(known.id, known.name))
}

fn describe<'r>(
    known: Option<&'static InformationElement>,
    element: ElementId,
    octets: &'r [u8],
) -> (FieldName<'static>, Value<'r>) {
    (name(known, element), known.map_or(Value::Octets(octets), |known| typed(known.data_type, octets)))
}

/// The value of a field of this type; octets when their number does not fit the type.
///
/// Integers and floats may come in fewer octets than their type has (RFC 7011, section 6.2). Integers are taken up
/// to 8 octets whatever their type, because exporters send more than the registry's width too (32-bit counters as
/// 8 octets, port numbers as 4) and nothing else could be meant.
#[must_use]
pub fn typed(data_type: DataType, octets: &[u8]) -> Value<'_> {
    use DataType::{
        BasicList, Boolean, DateTimeMicroseconds, DateTimeMilliseconds, DateTimeNanoseconds, DateTimeSeconds, Float32,
        Float64, Ipv4Address, Ipv6Address, MacAddress, OctetArray, Signed8, Signed16, Signed32, Signed64,
        SubTemplateList, SubTemplateMultiList, Unsigned8, Unsigned16, Unsigned32, Unsigned64, Unsigned256,
    };
    let value = match data_type {
        Unsigned8 | Unsigned16 | Unsigned32 | Unsigned64 | Unsigned256 => unsigned(octets).map(Value::Unsigned),
        Signed8 | Signed16 | Signed32 | Signed64 => signed(octets).map(Value::Signed),
        Float32 | Float64 => float(octets).map(Value::Float),
        Boolean => match octets {
            [1] => Some(Value::Boolean(true)),
            [2] => Some(Value::Boolean(false)),
            _ => None,
        },
        MacAddress => octets.try_into().ok().map(Value::Mac),
        Ipv4Address => octets.try_into().ok().map(|octets: [u8; 4]| Value::Ipv4(Ipv4Addr::from(octets))),
        Ipv6Address => octets.try_into().ok().map(|octets: [u8; 16]| Value::Ipv6(Ipv6Addr::from(octets))),
        DataType::String => Some(Value::Text(without_padding(octets))),
        DateTimeSeconds => {
            octets.try_into().ok().map(|octets| Value::Time(Timestamp::from_seconds(u32::from_be_bytes(octets).into())))
        }
        DateTimeMilliseconds => {
            octets.try_into().ok().map(|octets| Value::Time(Timestamp::from_milliseconds(u64::from_be_bytes(octets))))
        }
        DateTimeMicroseconds => octets.try_into().ok().and_then(ntp_microseconds).map(Value::Time),
        DateTimeNanoseconds => octets.try_into().ok().and_then(ntp_nanoseconds).map(Value::Time),
        OctetArray | BasicList | SubTemplateList | SubTemplateMultiList => None,
    };
    value.unwrap_or(Value::Octets(octets))
}

/// 1 to 8 octets in network byte order.
fn unsigned(octets: &[u8]) -> Option<u64> {
    if !(1..=8).contains(&octets.len()) {
        return None;
    }
    Some(octets.iter().fold(0, |value, octet| value << 8 | u64::from(*octet)))
}

/// 1 to 8 octets in network byte order; the highest bit that was sent is the sign.
fn signed(octets: &[u8]) -> Option<i64> {
    let value = unsigned(octets)?;
    let unused_bits = 64 - 8 * octets.len();
    Some((value << unused_bits).cast_signed() >> unused_bits)
}

/// A float64 may be sent as float32 (RFC 7011, section 6.2).
fn float(octets: &[u8]) -> Option<f64> {
    match octets.len() {
        4 => octets.try_into().ok().map(|octets| f64::from(f32::from_be_bytes(octets))),
        8 => octets.try_into().ok().map(f64::from_be_bytes),
        _ => None,
    }
}

/// A string field of fixed length is filled up with NULs by the exporters.
fn without_padding(octets: &[u8]) -> &[u8] {
    let end = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    octets.get(..end).unwrap_or(octets)
}

/// From the NTP epoch, 1900-01-01, to the Unix epoch.
const NTP_TO_UNIX_SECONDS: u32 = 2_208_988_800;

/// RFC 7011, section 6.1.9: in microseconds; the lowest 11 bits of the fraction are ignored.
pub(crate) fn ntp_microseconds(octets: [u8; 8]) -> Option<Timestamp> {
    ntp(u64::from_be_bytes(octets) & !0x7ff, 1_000_000)
}

/// RFC 7011, section 6.1.10.
pub(crate) fn ntp_nanoseconds(octets: [u8; 8]) -> Option<Timestamp> {
    ntp(u64::from_be_bytes(octets), 1_000_000_000)
}

/// An NTP timestamp (RFC 5905, section 6), rounded to the nearest unit: an exporter has cut the
/// fraction down to the next lower multiple of 2^-32 s, so rounding down again would lose one unit.
///
/// The 32 bits of seconds wrap in 2036; what would lie before 1970 is of the next era, hence times reach from 1970 to
/// 2106. All zeros mean that the exporter does not know the time.
fn ntp(timestamp: u64, units_per_second: u64) -> Option<Timestamp> {
    if timestamp == 0 {
        return None;
    }
    let (seconds, fraction) = ((timestamp >> 32) as u32, timestamp & 0xffff_ffff);
    let units = (fraction * units_per_second + (1 << 31)) >> 32;
    let nanoseconds = units * (1_000_000_000 / units_per_second);
    let seconds = u64::from(seconds.wrapping_sub(NTP_TO_UNIX_SECONDS));
    Some(Timestamp::from_nanoseconds(seconds * 1_000_000_000 + nanoseconds))
}

#[cfg(test)]
mod tests;
