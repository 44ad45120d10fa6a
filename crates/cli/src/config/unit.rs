//! Durations and sizes: a whole number and a unit, such as `10s`, `7d`, `8MiB`.

use std::time::Duration;

use super::{DAY, HOUR, MINUTE, SECOND, YEAR};

const DURATIONS: [(&str, u64); 5] = [("y", YEAR), ("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND)];
const SIZES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// The form of durations, for messages.
pub(crate) const DURATION_FORM: &str = "a whole number and a unit of s, m, h, d or y (365 d), such as \"10s\"";
/// The form of sizes, for messages.
pub(super) const SIZE_FORM: &str = "a whole number and a unit of KiB, MiB or GiB, such as \"8MiB\"";

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit())?);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(value: u64, units: &[(&str, u64)], smallest: &str) -> String {
    match units.iter().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => format!("{value}{smallest}"),
    }
}

/// `10s` as a duration.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATIONS).map(Duration::from_secs)
}

/// A duration in the largest unit that it is a multiple of.
pub(super) fn show_duration(duration: Duration) -> String {
    show(duration.as_secs(), &DURATIONS, "s")
}

/// `8MiB` in bytes.
pub(super) fn parse_size(text: &str) -> Option<usize> {
    parse(text, &SIZES).and_then(|octets| usize::try_from(octets).ok())
}

/// Bytes in the largest unit that they are a multiple of.
pub(crate) fn show_size(octets: usize) -> String {
    show(octets as u64, &SIZES, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_and_written_the_same() {
        for text in ["10s", "90s", "5m", "36h", "7d", "5y"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(parse_duration("1y"), parse_duration("365d"));
        for text in ["64KiB", "8MiB", "1GiB"] {
            assert_eq!(show_size(parse_size(text).unwrap()), text);
        }
        assert_eq!(parse_size(" 8 MiB "), parse_size("8192KiB"));
    }

    #[test]
    fn values_without_a_unit_or_number_are_rejected() {
        for text in
            ["", "10", "s", "10 seconds", "-1s", "+1s", "1.5h", "1h30m", "99999999999999999999s", "9999999999999y"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        for text in ["8M", "8mib", "8", "MiB", "99999999999GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
