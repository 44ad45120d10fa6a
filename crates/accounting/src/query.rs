//! The dates of the REST interface.

use jiff::civil::{Date, DateTime};

use crate::period::{Interval, Period, minute_at};

/// A text that is not a date of the requested period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a valid {name}: write {form} ({zone})", name = .period.name(), form = form(*.period))]
pub struct DateError {
    /// The requested period.
    pub period: Period,
    /// The text.
    pub text: String,
    /// The time zone of the date.
    pub zone: String,
}

/// How the dates of a period are written, with an example.
fn form(period: Period) -> &'static str {
    match period {
        Period::Minute => "YYYY-MM-DD hh:mm, such as 2014-02-02 05:00",
        Period::Hour => "YYYY-MM-DD hh, such as 2014-02-02 05",
        Period::Day => "YYYY-MM-DD, such as 2014-02-02",
        Period::Month => "YYYY-MM, such as 2014-02",
        Period::Year => "YYYY, such as 2014",
    }
}

/// Parses an interval of UTC: `2013`, `2013-01`, `2014-02-02`, `2014-02-02 05` or `2014-02-02 05:00`, in
/// the form of the period, as [`Interval`] displays it.
///
/// # Errors
/// When the text has another form, is not a date, or is before 1970.
pub fn parse_interval(period: Period, text: &str) -> Result<Interval, DateError> {
    let start = civil_start(period, text).and_then(minute_at);
    let start = start.ok_or_else(|| DateError { period, text: text.to_owned(), zone: "UTC".to_owned() })?;
    Ok(Interval { period, start })
}

/// The first civil time of a date.
pub(crate) fn civil_start(period: Period, text: &str) -> Option<DateTime> {
    const SHAPE: &[u8] = b"0000-00-00 00:00";
    let length = match period {
        Period::Minute => 16,
        Period::Hour => 13,
        Period::Day => 10,
        Period::Month => 7,
        Period::Year => 4,
    };
    let fits = |(byte, shape): (u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == *shape };
    if text.len() != length || !text.bytes().zip(SHAPE).all(fits) {
        return None;
    }
    // A missing part has its smallest value.
    let number = |from: usize, smallest: i8| match text.get(from..from + 2) {
        Some(digits) => digits.parse().ok(),
        None => Some(smallest),
    };
    let date = Date::new(text.get(..4)?.parse().ok()?, number(5, 1)?, number(8, 1)?).ok()?;
    Some(DateTime::from_parts(date, jiff::civil::Time::new(number(11, 0)?, number(14, 0)?, 0, 0).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_parsed_as_displayed() {
        for (period, text) in [
            (Period::Year, "2013"),
            (Period::Month, "2013-01"),
            (Period::Day, "2016-02-29"),
            (Period::Hour, "2014-02-02 05"),
            (Period::Minute, "2014-02-02 05:00"),
            (Period::Minute, "9999-12-31 23:59"),
            (Period::Year, "1970"),
        ] {
            let interval = parse_interval(period, text).unwrap();
            assert_eq!(interval.to_string(), text);
            assert_eq!(interval, Interval::containing(period, interval.start));
        }
    }

    #[test]
    fn an_invalid_date_is_an_error_with_the_text_and_the_form() {
        for (period, text) in [
            (Period::Year, ""),
            (Period::Year, "13"),
            (Period::Year, "+013"),
            (Period::Year, "1969"),
            (Period::Year, "0000"),
            (Period::Month, "2013"),
            (Period::Month, "2013-13"),
            (Period::Month, "2013-1"),
            (Period::Day, "2014-02-29"),
            (Period::Day, "2014/02/02"),
            (Period::Day, "2014-02-02 "),
            (Period::Hour, "2014-02-02 24"),
            (Period::Hour, "2014-02-02T05"),
            (Period::Minute, "2014-02-02 05:60"),
            (Period::Minute, "2014-02-02 05:00:00"),
            (Period::Minute, "2014-02-02 05:0é"),
        ] {
            let error = parse_interval(period, text).unwrap_err();
            assert_eq!(error, DateError { period, text: text.to_owned(), zone: "UTC".to_owned() });
        }
        assert_eq!(
            parse_interval(Period::Hour, "yesterday").unwrap_err().to_string(),
            "'yesterday' is not a valid hour: write YYYY-MM-DD hh, such as 2014-02-02 05 (UTC)"
        );
    }
}
