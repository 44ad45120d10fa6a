//! Amounts and shares for people, rounded so that a column adds up as it is shown: its rows, added up and rounded like the total,
//! are the total. Where rounding each row half up does not do that, the rows with the largest remainders are rounded the other
//! way.

use std::cmp::Reverse;

/// What a number is multiplied with and divided by, and what it is then called: bytes a minute are `8 / 60` bit/s.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    pub(crate) factor: u64,
    pub(crate) divisor: u64,
    /// Digits after the point of numbers that are less than 100; counts have none.
    pub(crate) digits: u32,
}

impl Unit {
    /// Bytes.
    pub(crate) const BYTES: Self = Self::whole("B");

    /// What is counted in this unit.
    pub(crate) const fn whole(name: &'static str) -> Self {
        Self { name, factor: 1, divisor: 1, digits: 0 }
    }
}

/// A number of three digits: this many of a power of ten, as an exponent of hundredths of the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rounded {
    digits: u128,
    exponent: u32,
}

const PREFIXES: [&str; 8] = ["", "k", "M", "G", "T", "P", "E", "Z"];
/// Hundredths.
const ONE: u32 = 2;

impl Rounded {
    /// Rounds a number of hundredths half up; it is a fraction with this divisor.
    fn of(number: u128, unit: Unit) -> Self {
        let mut exponent = ONE.saturating_sub(unit.digits);
        loop {
            let digits = divided(number, quantum(exponent, unit));
            if digits < 1000 {
                return Self { digits, exponent };
            }
            exponent += 1;
        }
    }

    /// In hundredths, with the divisor of the unit.
    fn number(self, unit: Unit) -> u128 {
        self.digits * quantum(self.exponent, unit)
    }

    fn text(self, unit: Unit) -> String {
        let Self { mut digits, mut exponent } = self;
        // 999 and one more are 1.00 of the next prefix, 1.00 and one less are 990 of the one before.
        if digits >= 1000 {
            (digits, exponent) = (digits / 10, exponent + 1);
        } else if digits < 100 && exponent > ONE.saturating_sub(unit.digits) {
            (digits, exponent) = (digits * 10, exponent - 1);
        }
        // So that one to three digits are before the point; less than one is so in the unit itself.
        let length = digits.checked_ilog10().unwrap_or(0) + 1;
        let thousands = (exponent + length).saturating_sub(ONE + 1) / 3;
        let point = (ONE + 3 * thousands).saturating_sub(exponent);
        let prefix = PREFIXES.get(thousands as usize).copied().unwrap_or_default();
        let divisor = 10_u128.pow(point);
        let (whole, fraction) = (digits / divisor, digits % divisor);
        match point {
            0 => format!("{whole} {prefix}{}", unit.name),
            point => format!("{whole}.{fraction:0width$} {prefix}{}", unit.name, width = point as usize),
        }
    }
}

/// The least that a digit at this exponent means.
fn quantum(exponent: u32, unit: Unit) -> u128 {
    10_u128.pow(exponent) * u128::from(unit.divisor.max(1))
}

/// Rounded half up.
const fn divided(number: u128, by: u128) -> u128 {
    (number + by / 2) / by
}

/// A number with its unit, rounded to three digits half up: `12.3 Mbit/s`.
pub(crate) fn amount(number: u64, unit: Unit) -> String {
    shown(number, Rounded::of(hundredths(number, unit), unit), unit)
}

/// A number in a unit, rounded half up to a whole one.
pub(crate) fn whole(number: u64, unit: Unit) -> u128 {
    divided(u128::from(number) * u128::from(unit.factor), u128::from(unit.divisor.max(1)))
}

/// The largest number is where sums end, so the true sum may be larger. What is not zero is not shown as zero.
fn shown(number: u64, rounded: Rounded, unit: Unit) -> String {
    match (number, rounded.digits) {
        (u64::MAX, _) => format!("≥ {}", rounded.text(unit)),
        (1.., 0) => format!("< {}", Rounded { digits: 1, ..rounded }.text(unit)),
        _ => rounded.text(unit),
    }
}

fn hundredths(number: u64, unit: Unit) -> u128 {
    u128::from(number) * u128::from(unit.factor) * 100
}

/// Rows and their total, which they add up to. If they do not, because sums end at the largest number, each is rounded alone.
pub(crate) fn column(rows: &[u64], total: u64, unit: Unit) -> (Vec<String>, String) {
    let mut rounded: Vec<Rounded> = rows.iter().map(|row| Rounded::of(hundredths(*row, unit), unit)).collect();
    let of_total = Rounded::of(hundredths(total, unit), unit);
    if rows.iter().map(|row| u128::from(*row)).sum::<u128>() == u128::from(total) {
        let exact: Vec<u128> = rows.iter().map(|row| hundredths(*row, unit)).collect();
        add_up(&mut rounded, &exact, of_total, unit);
    }
    let texts = rows.iter().zip(rounded).map(|(row, rounded)| shown(*row, rounded, unit)).collect();
    (texts, shown(total, of_total, unit))
}

/// Rounds rows the other way until their sum rounds to the total.
fn add_up(rows: &mut [Rounded], exact: &[u128], total: Rounded, unit: Unit) {
    let (aim, step) = (total.number(unit), quantum(total.exponent, unit));
    // A total of 1.00 k may be the sum of rows with more digits.
    let sum = |rows: &[Rounded]| -> u128 { divided(rows.iter().map(|row| row.number(unit)).sum(), step) * step };
    let is_low = sum(rows) < aim;
    let remainder = |index: &usize| {
        let (row, exact) =
            (rows.get(*index).map_or(0, |row| row.number(unit)), exact.get(*index).copied().unwrap_or(0));
        if is_low { exact.saturating_sub(row) } else { row.saturating_sub(exact) }
    };
    let mut by_remainder: Vec<usize> = (0..rows.len()).filter(|index| remainder(index) > 0).collect();
    // Of equal ones, the largest row changes least.
    by_remainder.sort_by_key(|index| (Reverse(remainder(index)), Reverse(exact.get(*index).copied())));
    for index in by_remainder {
        if sum(rows) == aim {
            return;
        }
        if let Some(row) = rows.get_mut(index) {
            row.digits = if is_low { row.digits + 1 } else { row.digits.saturating_sub(1) };
        }
    }
}

/// What parts are of their total, in percent with a tenth, so that they add up to 100.0.
pub(crate) fn shares(rows: &[u64], total: u64) -> Vec<String> {
    let (exact, total) = (rows.iter().map(|row| u128::from(*row) * 1000), u128::from(total.max(1)));
    let is_whole = rows.iter().map(|row| u128::from(*row)).sum::<u128>() == total;
    let half = if is_whole { 0 } else { total / 2 };
    let mut tenths: Vec<(u128, u128)> = exact.map(|row| ((row + half) / total, row % total)).collect();
    if is_whole {
        let mut missing = 1000_u128.saturating_sub(tenths.iter().map(|(tenths, _)| tenths).sum());
        let mut by_remainder: Vec<&mut (u128, u128)> = tenths.iter_mut().collect();
        by_remainder.sort_by_key(|(_, remainder)| Reverse(*remainder));
        for (row, _) in by_remainder {
            let one = missing.min(1);
            (*row, missing) = (*row + one, missing - one);
        }
    }
    let text = |(row, (tenths, _)): (&u64, (u128, u128))| match (row, tenths) {
        (1.., 0) => "< 0.1 %".to_owned(),
        (_, tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
    };
    rows.iter().zip(tenths).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BITS: Unit = Unit { name: "bit/s", factor: 8, divisor: 60, digits: 2 };
    const FLOWS: Unit = Unit { name: "f/s", factor: 1, divisor: 3600, digits: 2 };

    /// The number that a text shows, in hundredths.
    fn read(text: &str) -> u128 {
        let Some(text) = (!text.starts_with('<')).then(|| text.trim_start_matches("≥ ")) else { return 0 };
        let (number, unit) = text.split_once(' ').unwrap();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let prefix = PREFIXES.iter().skip(1).position(|prefix| unit.starts_with(prefix) && unit.len() > 1);
        let prefix = if matches!(unit, "B" | "bit/s" | "f/s") { 0 } else { prefix.unwrap() + 1 };
        let digits: u128 = format!("{whole}{fraction}").parse().unwrap();
        digits * 10_u128.pow(2 + 3 * u32::try_from(prefix).unwrap())
            / 10_u128.pow(u32::try_from(fraction.len()).unwrap())
    }

    #[test]
    fn amounts_are_rounded_half_up_to_three_digits() {
        for (number, unit, expected) in [
            (0, Unit::BYTES, "0 B"),
            (999, Unit::BYTES, "999 B"),
            (1000, Unit::BYTES, "1.00 kB"),
            (9_995, Unit::BYTES, "10.0 kB"),
            (348_988, Unit::BYTES, "349 kB"),
            (999_500, Unit::BYTES, "1.00 MB"),
            (1_245_000, Unit::BYTES, "1.25 MB"),
            (u64::MAX - 1, Unit::BYTES, "18.4 EB"),
            (u64::MAX, Unit::BYTES, "≥ 18.4 EB"),
            (0, BITS, "0.00 bit/s"),
            (60, BITS, "8.00 bit/s"),
            (7_500, BITS, "1.00 kbit/s"),
            (92_812, BITS, "12.4 kbit/s"),
            (1, FLOWS, "< 0.01 f/s"),
            (1800, FLOWS, "0.50 f/s"),
            (360_000, FLOWS, "100 f/s"),
        ] {
            assert_eq!(amount(number, unit), expected, "{number}");
        }
    }

    #[test]
    fn rows_add_up_to_the_total_as_shown() {
        let (rows, total) = column(&[348_400, 560_400], 908_800, Unit::BYTES);
        assert_eq!((rows.join(" + "), &*total), ("348 kB + 561 kB".to_owned(), "909 kB"));
        let (rows, total) = column(&[500_500, 400_500], 901_000, Unit::BYTES);
        assert_eq!((rows.join(" + "), &*total), ("500 kB + 401 kB".to_owned(), "901 kB"));
        let (rows, total) = column(&[999_400, 400, 400], 1_000_200, Unit::BYTES);
        assert_eq!((rows.join(" + "), &*total), ("999 kB + 400 B + 400 B".to_owned(), "1.00 MB"));
        let (rows, _) = column(&[u64::MAX, 5], u64::MAX, Unit::BYTES);
        assert_eq!(rows, ["≥ 18.4 EB", "5 B"], "sums that end add up to nothing");
        let mut random = testing::random::Random::new(7);
        for round in 0..20_000_u32 {
            let (length, bits) = (random.below(40) + 1, random.below(44) + 1);
            let mut row = || {
                let end = 1 << (random.below(bits) + 1);
                random.below(end)
            };
            let rows: Vec<u64> = (0..length).map(|_| row()).collect();
            let total = rows.iter().sum();
            for unit in [Unit::BYTES, BITS, FLOWS] {
                let (texts, of_total) = column(&rows, total, unit);
                if of_total.starts_with('<') {
                    continue;
                }
                let sum: u128 = texts.iter().map(|text| read(text)).sum();
                let digits = Rounded::of(hundredths(total, unit), unit);
                let step = 10_u128.pow(digits.exponent);
                assert_eq!(divided(sum, step) * step, read(&of_total), "{round}: {texts:?} {of_total}");
            }
        }
    }

    #[test]
    fn shares_add_up_to_a_hundred_percent() {
        assert_eq!(shares(&[1, 1, 1], 3), ["33.4 %", "33.3 %", "33.3 %"]);
        assert_eq!(shares(&[9_999, 1], 10_000), ["100.0 %", "< 0.1 %"]);
        assert_eq!(shares(&[0, 7], 7), ["0.0 %", "100.0 %"]);
        assert_eq!(shares(&[0], 0), ["0.0 %"]);
        assert_eq!(shares(&[5], 10), ["50.0 %"]);
        let parts: Vec<u64> = (1..=37).collect();
        let tenths = |text: &String| text.trim_end_matches(" %").replace('.', "").parse::<u32>().unwrap();
        assert_eq!(shares(&parts, parts.iter().sum()).iter().map(tenths).sum::<u32>(), 1000);
    }
}
