//! Values as they are written in filters.

use std::net::IpAddr;

use flow::Country;

use crate::quantity::{Form, Quantity};
use crate::ranges::AddressRange;
use crate::words::{FLAGS, names_of};

/// A value or a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Numbers(u64, u64),
    Addresses(AddressRange),
}

/// Reads a value for this quantity.
///
/// # Errors
/// If it is none: with what is wrong, if that is more than that it is no value.
pub(crate) fn read(quantity: Quantity, text: &str) -> Result<Value, Option<String>> {
    if quantity.form() == Form::Address {
        return addresses(text).map(Value::Addresses);
    }
    let (first, last) = numbers(quantity, text).ok_or(None)?;
    if first > last {
        return Err(Some(format!("the range {text} is empty: write the smaller number first")));
    }
    if last > quantity.largest() { Err(None) } else { Ok(Value::Numbers(first, last)) }
}

/// The names that an error has as examples.
const USUAL_NAMES: [&str; 13] =
    ["tcp", "udp", "icmp", "ssh", "dns", "https", "flow", "nat", "ingress", "egress", "arp", "ipv4", "mpls"];

/// What a value for this quantity looks like.
pub(crate) fn expected(quantity: Quantity) -> String {
    let largest = quantity.largest();
    match quantity.form() {
        Form::Address => "an address such as 192.0.2.1 or 2001:db8::1, or a prefix such as 10.0.0.0/8".to_owned(),
        Form::AsPath => "ASes of a path such as 64500 or 64500_64501, or 0 for none".to_owned(),
        Form::Mac => "a MAC address such as 00:00:5e:00:53:01".to_owned(),
        Form::Country => "the two letters of a country such as CH, or 0 for none".to_owned(),
        Form::Time => "a time in UTC such as 2026-11-29 or 2026-11-29T14:00:30".to_owned(),
        Form::Milliseconds => "a duration such as 500ms, 10s, 5m, 2h, or a number of milliseconds".to_owned(),
        Form::Flags => "TCP flags such as SA (of FSRPAUEC, X for the first six), or a number".to_owned(),
        Form::Number => {
            let named = names_of(quantity).map_or_else(String::new, |names| {
                let usual = names.all().iter().map(|(name, _)| *name).filter(|name| USUAL_NAMES.contains(name));
                format!(", or a name such as {}", usual.collect::<Vec<_>>().join(", "))
            });
            match largest {
                u64::MAX => "a number such as 1000 or 1.5m".to_owned(),
                _ => format!("a number from 0 to {largest}{named}"),
            }
        }
    }
}

fn numbers(quantity: Quantity, text: &str) -> Option<(u64, u64)> {
    let read = |text: &str| match quantity.form() {
        Form::Mac => mac(text).or_else(|| integer(text)),
        Form::Country => Country::new(text).map(|country| country.number().into()).or_else(|| integer(text)),
        Form::Time => time(text).or_else(|| integer(text)),
        Form::Milliseconds => with_unit(text, &DURATIONS),
        Form::Flags => flags(text).or_else(|| integer(text)),
        Form::Number => named(quantity, text).or_else(|| with_unit(text, &FACTORS)),
        Form::Address | Form::AsPath => None,
    };
    if let Some(number) = read(text) {
        return Some((number, number));
    }
    let (first, last) = text.split_once('-')?;
    Some((read(first)?, read(last)?))
}

fn named(quantity: Quantity, text: &str) -> Option<u64> {
    names_of(quantity)?.number(text)
}

/// Decimal digits, or hexadecimal ones after `0x`.
fn integer(text: &str) -> Option<u64> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((text, 10), |digits| (digits, 16));
    // Rust parses `+8` as a number.
    let is_number = digits.chars().all(|digit| digit.is_digit(radix));
    u64::from_str_radix(digits, radix).ok().filter(|_| is_number)
}

/// What a number is multiplied by.
const FACTORS: [(&str, u64); 9] = [
    ("", 1),
    ("k", 1000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("t", 1_000_000_000_000),
    ("ki", 1 << 10),
    ("mi", 1 << 20),
    ("gi", 1 << 30),
    ("ti", 1 << 40),
];

/// Milliseconds.
const DURATIONS: [(&str, u64); 6] =
    [("", 1), ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A number with a unit, and possibly a fraction: `10`, `1.5m`.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    if let Some(number) = integer(text) {
        return Some(number);
    }
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let factor = units.iter().find_map(|(name, factor)| name.eq_ignore_ascii_case(unit).then_some(*factor))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // More digits have no meaning, and would overflow.
    if fraction.len() > 9 {
        return None;
    }
    let parts = u128::from(integer(fraction)?) * u128::from(factor) / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    integer(whole)?.checked_mul(factor)?.checked_add(u64::try_from(parts).ok()?)
}

/// Six octets in hexadecimal digits, with colons between them.
fn mac(text: &str) -> Option<u64> {
    let octets = text.split(':').map(|octet| {
        let is_octet = (1..=2).contains(&octet.len()) && octet.chars().all(|digit| digit.is_ascii_hexdigit());
        u64::from_str_radix(octet, 16).ok().filter(|_| is_octet)
    });
    let octets = octets.collect::<Option<Vec<_>>>()?;
    (octets.len() == 6).then(|| octets.iter().fold(0, |mac, octet| mac << 8 | octet))
}

/// Milliseconds since 1970 of a date or a date with a time, in UTC.
fn time(text: &str) -> Option<u64> {
    // A shorter text is a number.
    let local = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if !local.contains('-') {
        return None;
    }
    let time: jiff::civil::DateTime = local.parse().ok()?;
    let time = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

/// Letters in any order; `X` is all of the first six.
fn flags(text: &str) -> Option<u64> {
    const FIRST_SIX: u64 = 0x3f;
    let mut bits = text.chars().map(|letter| match letter.to_ascii_uppercase() {
        'X' => Some(FIRST_SIX),
        letter => FLAGS.iter().find_map(|(known, bit)| (*known == letter).then_some(*bit)),
    });
    bits.try_fold(0, |all, bit| Some(all | bit?))
}

fn addresses(text: &str) -> Result<AddressRange, Option<String>> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return AddressRange::new(address, address).ok_or(None);
    }
    if let Some((address, length)) = text.split_once('/') {
        let prefix = format!("{}/{length}", padded(address)).parse();
        return match prefix {
            Ok(prefix) => Ok(AddressRange::of_prefix(&prefix)),
            Err(flow::PrefixError::Form(_)) => Err(None),
            Err(error) => Err(Some(error.to_string())),
        };
    }
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (first.parse().map_err(|_| None)?, last.parse().map_err(|_| None)?);
        let complaint = || Some(format!("the range {text} is empty: write the smaller address first"));
        return AddressRange::new(first, last).ok_or_else(complaint);
    }
    let octets = text.split('.').count();
    let is_short = octets < 4 && text.split('.').all(|octet| octet.parse::<u8>().is_ok());
    Err(is_short.then(|| format!("{text} is no address: did you mean {}/{}?", padded(text), 8 * octets)))
}

/// The octets that are left out of an IPv4 address, as in `10/8`, are 0.
fn padded(address: &str) -> String {
    let octets = address.split('.').count();
    let is_short = octets < 4 && address.split('.').all(|octet| octet.parse::<u8>().is_ok());
    if is_short { format!("{address}{}", ".0".repeat(4 - octets)) } else { address.to_owned() }
}

#[cfg(test)]
mod tests {
    use columns::Id;

    use super::*;

    fn number(quantity: Quantity, text: &str) -> Option<u64> {
        match read(quantity, text) {
            Ok(Value::Numbers(first, last)) if first == last => Some(first),
            _ => None,
        }
    }

    #[test]
    fn numbers_have_units_fractions_and_names() {
        for (text, expected) in [
            ("10", Some(10)),
            ("1k", Some(1000)),
            ("1.5M", Some(1_500_000)),
            ("2Ki", Some(2048)),
            ("0x10", Some(16)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("20000000t", None),
            ("1.5", Some(1)),
            ("1.0000000001k", None),
            ("1.k", None),
            (".5k", None),
            ("+5", None),
            ("-5", None),
            ("k", None),
            ("", None),
        ] {
            assert_eq!(number(Quantity::Bytes, text), expected, "{text}");
        }
        assert_eq!(number(Quantity::Column(Id::Proto), "TCP"), Some(6));
        assert_eq!(number(Quantity::Column(Id::SrcPort), "https"), Some(443));
        assert_eq!(number(Quantity::Column(Id::SrcPort), "65536"), None);
        assert_eq!(read(Quantity::Column(Id::SrcPort), "1-1024"), Ok(Value::Numbers(1, 1024)));
        assert!(read(Quantity::Column(Id::SrcPort), "9-1").unwrap_err().is_some());
    }

    #[test]
    fn durations_times_macs_and_flags_have_forms_of_their_own() {
        for (text, expected) in
            [("10", Some(10)), ("500ms", Some(500)), ("1.5s", Some(1500)), ("2m", Some(120_000)), ("1k", None)]
        {
            assert_eq!(number(Quantity::Duration, text), expected, "{text}");
        }
        for (text, expected) in [
            ("1970-01-02", Some(86_400_000)),
            ("2014-02-02T05:01:00.005Z", Some(1_391_317_260_005)),
            ("2014-02-02T05:01", Some(1_391_317_260_000)),
            ("1391317260005", Some(1_391_317_260_005)),
            ("1969-12-31", None),
            ("yesterday", None),
        ] {
            assert_eq!(number(Quantity::Column(Id::Start), text), expected, "{text}");
        }
        for (text, expected) in [
            ("00:00:5e:00:53:01", Some(0x5e00_5301)),
            ("0:0:5E:0:53:1", Some(0x5e00_5301)),
            ("00:00:5e:00:53", None),
            ("00:00:5e:00:53:+1", None),
        ] {
            assert_eq!(number(Quantity::Column(Id::SrcMac), text), expected, "{text}");
        }
        for (text, expected) in
            [("S", Some(2)), ("as", Some(0x12)), ("x", Some(0x3f)), ("0x12", Some(0x12)), ("q", None)]
        {
            assert_eq!(number(Quantity::Column(Id::TcpFlags), text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_may_be_short_in_prefixes_only() {
        let source = Quantity::Column(Id::SrcIp);
        for (text, same) in [
            ("10/8", "10.0.0.0/8"),
            ("172.16/12", "172.16.0.0/12"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.0-192.0.2.255", "192.0.2.0/24"),
            ("::/0", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert_eq!(read(source, text), read(source, same), "{text}");
            assert!(read(source, text).is_ok(), "{text}");
        }
        for (text, complaint) in [
            ("10", "10 is no address: did you mean 10.0.0.0/8?"),
            ("192.168", "192.168 is no address: did you mean 192.168.0.0/16?"),
            ("10.0.0.1/8", "10.0.0.1 is not the first address of its /8: did you mean 10.0.0.0/8?"),
            ("10/33", "prefix length 33 of 10.0.0.0 is out of range: it is 0 to 32"),
            ("10.0.0.2-10.0.0.1", "the range 10.0.0.2-10.0.0.1 is empty: write the smaller address first"),
        ] {
            assert_eq!(read(source, text), Err(Some(complaint.to_owned())), "{text}");
        }
        assert_eq!(read(source, "a.example"), Err(None));
    }
}
