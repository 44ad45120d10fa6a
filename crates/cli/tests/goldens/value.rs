//! How others write a value, and whether it is the same as ours.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};
use wire::ElementId;
use wire::information_element::{DataType, lookup};

/// How a golden writes a value.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// As we do.
    Plain,
    /// As we do, but made from theirs by a function; `None` is never the same.
    Read(fn(&Value) -> Option<Value>),
    /// A time: milliseconds since 1970 of a number or of RFC 3339, compared to the millisecond.
    Milliseconds,
    /// The same, but one second too late is accepted: the source adds a fraction to whole seconds that were rounded up.
    OneSecondLate,
    /// A time: seconds since 1970.
    Seconds,
}

impl Form {
    /// Whether a stated value is the same as ours.
    pub(crate) fn same(self, stated: &Value, ours: &Value) -> bool {
        match self {
            Self::Plain => stated == ours,
            Self::Read(read) => read(stated).is_some_and(|stated| stated == *ours),
            Self::Milliseconds => instant(stated).is_some_and(|time| Some(time) == instant(ours)),
            Self::OneSecondLate => {
                let late = instant(stated).zip(instant(ours)).map(|(stated, ours)| stated - ours);
                late.is_some_and(|late| late == 0 || late == 1000)
            }
            Self::Seconds => stated.as_i64().is_some_and(|time| Some(time * 1000) == instant(ours)),
        }
    }
}

/// Milliseconds since 1970 of a number of them or of a text.
fn instant(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| milliseconds(value.as_str()?))
}

/// Milliseconds since 1970 of a time of RFC 3339 in UTC; further digits are cut.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, by| text.split(by).map(str::parse).collect::<Result<Vec<i64>, _>>().ok();
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let (&[year, month, day], &[hours, minutes, seconds]) = (&*numbers(date, '-')?, &*numbers(time, ':')?) else {
        return None;
    };
    let fraction = format!("{fraction:0<3}").get(..3)?.parse::<i64>().ok()?;
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    Some((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + fraction)
}

/// Whether the octets of an element, in hexadecimal, are what we print.
pub(crate) fn octets_are(element: ElementId, hexadecimal: &str, ours: &Value) -> bool {
    let Some(octets) = octets(hexadecimal) else { return false };
    let number = || octets.iter().fold(0_u64, |number, &octet| number << 8 | u64::from(octet));
    let data_type = lookup(element).map_or(DataType::OctetArray, |element| element.data_type);
    let read = match (data_type, octets.as_slice()) {
        (DataType::String, octets) => {
            let end = octets.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
            json!(String::from_utf8_lossy(&octets[..end]))
        }
        (DataType::SubTemplateList, octets) => return list_holds(octets, ours),
        (DataType::Ipv4Address, &[a, b, c, d]) => json!(Ipv4Addr::new(a, b, c, d)),
        (DataType::Ipv6Address, octets) if octets.len() == 16 => {
            json!(Ipv6Addr::from(<[u8; 16]>::try_from(octets).unwrap()))
        }
        (DataType::DateTimeMilliseconds, octets) if octets.len() == 8 => {
            return instant(ours).is_some_and(|time| time as u64 == number());
        }
        (DataType::DateTimeSeconds, octets) if octets.len() == 4 => {
            return instant(ours).is_some_and(|time| time as u64 == number() * 1000);
        }
        (DataType::Unsigned8 | DataType::Unsigned16 | DataType::Unsigned32 | DataType::Unsigned64, octets)
            if (1..=8).contains(&octets.len()) =>
        {
            json!(number())
        }
        _ => json!(hexadecimal.to_ascii_lowercase()),
    };
    read == *ours
}

/// Whether a list has the octets of the values of its items one after the other (RFC 6313, section 4.5.2: after the
/// semantic and the id of the template), as far as numbers and times in seconds go.
fn list_holds(octets: &[u8], ours: &Value) -> bool {
    let values = ours.as_array().into_iter().flatten().flat_map(|item| item.as_object().unwrap().values());
    let numbers = values.map(|value| value.as_u64().or_else(|| u64::try_from(instant(value)? / 1000).ok()));
    let octets_of = |number: Option<u64>| number.map(|number| u32::try_from(number).unwrap().to_be_bytes());
    let expected = numbers.map(octets_of).collect::<Option<Vec<_>>>().map(|octets| octets.concat());
    expected.is_some_and(|expected| octets.get(3..) == Some(&expected))
}

fn octets(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits = hexadecimal.as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
