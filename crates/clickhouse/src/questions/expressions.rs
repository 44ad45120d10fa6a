//! Columns, derived values, keys and sums as expressions of SQL. The table has no NULL: what a record does not carry is 0,
//! `::ffff:0.0.0.0` or the empty text, as rows have it.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use accounting::period::{Interval, Minute, Period};
use archive::scan::{Counted, Key, Order};
use columns::{Id, Kind, Value};
use filter::Quantity;
use flow::Timestamp;

use super::parameters::Parameters;

/// The last time that ClickHouse can compare: the end of 2299.
const LAST_TIME: u64 = 10_413_791_999_999;
/// The largest number. Sums of two counters that are larger end there.
const LARGEST: &str = "18446744073709551615";
/// Beyond the bits of an IPv4 address, those before it in the IPv6 address that maps it.
const V4_OFFSET: u8 = 96;

/// What is received in a range of time. As a condition of the column itself, it decides which parts of the table are read.
pub(super) fn received_in(received: &Range<Timestamp>, parameters: &mut Parameters) -> String {
    let column = Id::Received.column().clickhouse;
    let mut time = |time: Timestamp| {
        let number = parameters.bind("Int64", time.milliseconds().min(LAST_TIME));
        format!("fromUnixTimestamp64Milli({number}, 'UTC')")
    };
    let (start, end) = (time(received.start), time(received.end));
    format!("{column} >= {start} AND {column} < {end}")
}

/// The hour of a time.
pub(super) fn hour_of(time: Timestamp) -> Interval {
    Interval::containing(Period::Hour, Minute::of(time))
}

/// The number of a column.
pub(super) fn number(id: Id) -> String {
    let name = id.column().clickhouse;
    match id.column().kind {
        Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 | Kind::Mac => name.to_owned(),
        Kind::Time => format!("toUnixTimestamp64Milli({name})"),
        Kind::Country => format!("(toUInt32(ascii({name})) * 256 + ascii(substring({name}, 2, 1)))"),
        Kind::Address | Kind::AsPath => "0".to_owned(),
    }
}

/// What filters compare.
pub(super) fn quantity(quantity: Quantity) -> String {
    let both = |one: Id, other: Id| {
        let (one, other) = (number(one), number(other));
        format!("if({one} + {other} < {one}, {LARGEST}, {one} + {other})")
    };
    let bytes = || both(Id::Bytes, Id::RevBytes);
    let packets = || both(Id::Packets, Id::RevPackets);
    let duration = || {
        let (start, end) = (number(Id::Start), number(Id::End));
        format!("if({start} = 0 OR {end} < {start}, 0, {end} - {start})")
    };
    let a_second = |amount: String, factor: u32| {
        let duration = duration();
        let quotient = format!("intDiv(toUInt128({amount}) * {factor}, toUInt128(greatest({duration}, 1)))");
        format!("if({duration} = 0, 0, toUInt64(least({quotient}, toUInt128({LARGEST}))))")
    };
    match quantity {
        Quantity::Column(id) => number(id),
        Quantity::Bytes => bytes(),
        Quantity::Packets => packets(),
        Quantity::Duration => duration(),
        Quantity::BitsPerSecond => a_second(bytes(), 8 * 1000),
        Quantity::PacketsPerSecond => a_second(packets(), 1000),
        Quantity::BytesPerPacket => {
            let (bytes, packets) = (bytes(), packets());
            format!("if({packets} = 0, 0, intDiv({bytes}, greatest({packets}, 1)))")
        }
        Quantity::Dscp => format!("bitShiftRight({}, 2)", number(Id::Tos)),
        Quantity::Ecn => format!("bitAnd({}, 3)", number(Id::Tos)),
    }
}

/// Whether an address is one of IPv4.
fn is_v4(address: &str) -> String {
    format!("({address} BETWEEN toIPv6('::ffff:0.0.0.0') AND toIPv6('::ffff:255.255.255.255'))")
}

/// The ASes of a path with `_` around each; `_0_` if there is none. Those of sets follow one another.
pub(super) fn as_path(id: Id) -> String {
    let name = id.column().clickhouse;
    let ases = format!("arrayStringConcat(extractAll(toString({name}), '[0-9]+'), '_')");
    format!("concat('_', if({name} = '', '0', {ases}), '_')")
}

/// What flows of a group have in common.
pub(super) fn key(key: Key, parameters: &mut Parameters) -> String {
    let name = key.id().column().clickhouse;
    match key {
        Key::Column(id) => match id.column().kind {
            Kind::Time => number(id),
            _ => name.to_owned(),
        },
        Key::Prefix(_, v4, v6) => {
            let v4 = parameters.bind("UInt8", v4.saturating_add(V4_OFFSET));
            let v6 = parameters.bind("UInt8", v6);
            format!("tupleElement(IPv6CIDRToRange({name}, if({}, {v4}, {v6})), 1)", is_v4(name))
        }
        Key::Step(id, milliseconds) => {
            let length = parameters.bind("Int64", milliseconds.min(i64::MAX as u64));
            format!("intDiv({}, {length}) * {length}", number(id))
        }
    }
}

/// Expressions that sort as the values of a key do: IPv4 before IPv6.
pub(super) fn order_of(key: Key, expression: &str) -> String {
    match key.id().column().kind {
        Kind::Address => format!("NOT {}, {expression}", is_v4(expression)),
        _ => expression.to_owned(),
    }
}

/// A value of a key, as it is compared with the expression of the key.
pub(super) fn bound(value: &Value, parameters: &mut Parameters) -> String {
    match value {
        Value::Number(number) => parameters.bind("UInt64", number),
        Value::Time(time) => parameters.bind("Int64", time.milliseconds()),
        Value::Mac(octets) => {
            parameters.bind("UInt64", octets.iter().fold(0, |number: u64, octet| number << 8 | u64::from(*octet)))
        }
        Value::Country(country) => parameters.bind("String", country.map(|it| it.to_string()).unwrap_or_default()),
        Value::Address(address) => address_of(*address, parameters),
        Value::AsPath(path) => parameters.bind("String", path.as_deref().unwrap_or_default()),
    }
}

fn address_of(address: IpAddr, parameters: &mut Parameters) -> String {
    parameters.bind("IPv6", mapped(address))
}

/// An address as the table has it.
pub(super) fn mapped(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => mapped_v4(address),
        IpAddr::V6(address) => address.to_string(),
    }
}

fn mapped_v4(address: Ipv4Addr) -> String {
    format!("::ffff:{address}")
}

/// Sums of a group: of rows, bytes, packets and flows. They are of 128 bits, which no sum exceeds.
pub(super) fn sums(counted: Counted) -> [String; 4] {
    let sum = |is_counted: bool, ids: &[Id], rate: Id| {
        if !is_counted {
            return "toUInt128(0)".to_owned();
        }
        let amount = ids.iter().map(|id| format!("toUInt128({})", number(*id))).collect::<Vec<_>>().join(" + ");
        if !counted.is_scaled {
            return format!("sum({amount})");
        }
        // A rate of 0 is an unknown one.
        format!("sum(({amount}) * greatest({}, 1))", number(rate))
    };
    [
        "count()".to_owned(),
        sum(counted.bytes, &[Id::Bytes, Id::RevBytes], Id::Rate),
        sum(counted.packets, &[Id::Packets, Id::RevPackets], Id::Rate),
        sum(counted.flows, &[Id::Flows], Id::FlowRate),
    ]
}

/// By what groups are sorted before their keys; sums that do not fit into 64 bits are the same.
pub(super) fn amount(order: Order, [_, bytes, packets, flows]: &[String; 4], distinct: &str) -> Option<String> {
    let sum = match order {
        Order::Bytes => bytes,
        Order::Packets => packets,
        Order::Flows => flows,
        Order::Distinct => distinct,
        Order::Keys => return None,
    };
    Some(format!("least({sum}, toUInt128({LARGEST}))"))
}
