//! Formats of answers. For people: aligned columns, amounts with units, sparklines; for programs: CSV.

use std::io::{self, Write};

use crate::amounts::{self, Unit};

/// The output format of an answer. Global, so that `netflow senders --json` has it as `netflow senders list --json` does.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Format {
    /// Print the answer as JSON
    #[arg(long, global = true, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Print comma-separated values, unrounded
    #[arg(long, global = true)]
    pub(crate) csv: bool,
}

/// Rows with headings.
pub(crate) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// One value.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// Left-aligned.
    Text(String),
    /// Right-aligned with a unit; CSV has none.
    Bytes(u64),
    /// Right-aligned with a unit; CSV has none.
    BitsPerSecond(u64),
    /// Right-aligned with a unit: what this number is in it.
    Rate(u64, Unit),
    /// Right-aligned, in percent: what this number is of the last one of the column, of rows that add up.
    Share(u64),
    /// Right-aligned: already for people.
    Rounded(String),
    /// Right-aligned.
    Count(u64),
    /// Right-aligned: a number that is no amount.
    Number(u64),
    /// Left-aligned: a number with a name for people.
    Named(u64, String),
    /// Right-aligned: a number of tenths.
    Tenths(u64),
    /// No data.
    Gap,
}

impl Cell {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => printable(text),
            Self::Bytes(bytes) => scaled(*bytes, "B"),
            Self::BitsPerSecond(rate) => scaled(*rate, "bit/s"),
            Self::Rate(number, unit) => amounts::amount(*number, *unit),
            Self::Rounded(text) => text.clone(),
            Self::Count(count) => grouped(*count),
            Self::Number(number) => number.to_string(),
            Self::Named(_, name) => name.clone(),
            Self::Share(number) => number.to_string(),
            Self::Tenths(tenths) => format!("{}.{}", grouped(tenths / 10), tenths % 10),
            Self::Gap => "-".to_owned(),
        }
    }

    fn plain(&self) -> String {
        match self {
            Self::Text(text) | Self::Rounded(text) => csv_text(text),
            Self::Rate(number, unit) => amounts::whole(*number, *unit).to_string(),
            Self::Tenths(tenths) => format!("{}.{}", tenths / 10, tenths % 10),
            Self::Bytes(number)
            | Self::BitsPerSecond(number)
            | Self::Count(number)
            | Self::Number(number)
            | Self::Share(number)
            | Self::Named(number, _) => number.to_string(),
            Self::Gap => String::new(),
        }
    }
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { headings: headings.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rounds the rows from this one on for people, so that they add up to the last one, their total.
    pub(crate) fn add_up(&mut self, from: usize) {
        for column in 0..self.headings.len() {
            let mut cells: Vec<&mut Cell> =
                self.rows.iter_mut().skip(from).filter_map(|row| row.get_mut(column)).collect();
            if let Some(rounded) = rounded(&cells) {
                cells.iter_mut().zip(rounded).for_each(|(cell, text)| **cell = Cell::Rounded(text));
            }
        }
    }

    /// Writes it.
    pub(crate) fn write(&self, csv: bool, out: &mut impl Write) -> io::Result<()> {
        if csv { self.write_csv(out) } else { self.write_aligned(out) }
    }

    fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.headings.join(","))?;
        for row in &self.rows {
            writeln!(out, "{}", row.iter().map(Cell::plain).collect::<Vec<_>>().join(","))?;
        }
        Ok(())
    }

    fn write_aligned(&self, out: &mut impl Write) -> io::Result<()> {
        let shown: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(Cell::shown).collect()).collect();
        let width = |column: usize| {
            let cells = shown.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(self.headings.get(column).map(|heading| heading.len())).max().unwrap_or(0)
        };
        // A missing value has no form of its own.
        let is_text = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !matches!(cell, Cell::Gap));
            let mut cells = cells.peekable();
            (self.rows.is_empty() || cells.peek().is_some())
                && cells.all(|cell| matches!(cell, Cell::Text(_) | Cell::Named(..)))
        };
        let layout: Vec<_> = (0..self.headings.len()).map(|column| (width(column), is_text(column))).collect();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for (cell, (width, left)) in cells.zip(&layout) {
                let space = " ".repeat(width.saturating_sub(cell.chars().count()));
                line.push_str(&if *left { format!("{cell}{space}  ") } else { format!("{space}{cell}  ") });
            }
            writeln!(out, "{}", line.trim_end())
        };
        line(&mut self.headings.iter().map(String::as_str))?;
        shown.iter().try_for_each(|row| line(&mut row.iter().map(String::as_str)))
    }
}

/// The texts of a column of amounts whose last one is the total; `None` for other columns.
fn rounded(cells: &[&mut Cell]) -> Option<Vec<String>> {
    let number = |cell: &&mut Cell| match **cell {
        Cell::Bytes(number) => Some((number, Some(Unit::BYTES))),
        Cell::Rate(number, unit) => Some((number, Some(unit))),
        Cell::Share(number) => Some((number, None)),
        _ => None,
    };
    let (numbers, units): (Vec<u64>, Vec<_>) =
        cells.iter().map(number).collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let (total, rows) = numbers.split_last()?;
    let (mut texts, of_total) = match units.first()? {
        Some(unit) => amounts::column(rows, *total, *unit),
        None => (amounts::shares(rows, *total), amounts::shares(&[*total], *total).concat()),
    };
    texts.push(of_total);
    Some(texts)
}

/// A text without characters that control a terminal or change the direction of what follows: anybody may have written it.
pub(crate) fn printable(text: &str) -> String {
    let is_control = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut printable = String::new();
    for character in text.chars() {
        if is_control(character) {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

/// A text as a cell of CSV. One that a spreadsheet would take for a formula begins with an apostrophe.
pub(crate) fn csv_text(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    let text = printable(&text);
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// The mark before a number: the largest one is where sums end, so the true sum may be larger.
const fn bound(number: u64) -> &'static str {
    if number == u64::MAX { "≥ " } else { "" }
}

/// A number rounded to three digits, with a decimal unit prefix: `12.3 GB`.
pub(crate) fn scaled(number: u64, unit: &'static str) -> String {
    amounts::amount(number, Unit::whole(unit))
}

/// A count with its noun: `1 stream`, `2 streams`.
pub(crate) fn count_of(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A duration in its two largest units: `5d11h`.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h{:02}", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A number with thousands separators: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = bound(number).to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A chart of a series, one character per step: from zero (`▁`) to the peak (`█`); a gap is a space.
pub(crate) fn sparkline(values: &[Option<u64>]) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let peak = u128::from(values.iter().flatten().copied().max().unwrap_or(0)).max(1);
    let level = |value: u64| usize::try_from(u128::from(value) * 7 / peak).ok().and_then(|level| LEVELS.get(level));
    values.iter().map(|value| value.and_then(level).copied().unwrap_or(' ')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_to_three_digits_with_a_unit() {
        for (number, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_999, "1.00 MB"),
            (9_995, "10.0 kB"),
            (348_988, "349 kB"),
            (1_245_876, "1.25 MB"),
            (u64::MAX - 1, "18.4 EB"),
            (u64::MAX, "≥ 18.4 EB"),
        ] {
            assert_eq!(scaled(number, "B"), expected);
        }
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(u64::MAX), "≥ 18,446,744,073,709,551,615");
    }

    #[test]
    fn a_sparkline_distinguishes_zero_from_a_gap() {
        assert_eq!(sparkline(&[Some(0), None, Some(50), Some(100)]), "▁ ▄█");
        assert_eq!(sparkline(&[Some(u64::MAX), Some(0)]), "█▁");
        assert_eq!(sparkline(&[Some(0), Some(0)]), "▁▁");
    }

    #[test]
    fn texts_of_strangers_neither_control_a_terminal_nor_are_formulas() {
        assert_eq!(printable("a\x1b[2Jb\n\u{202e}c"), "a\\u{1b}[2Jb\\n\\u{202e}c");
        assert_eq!(printable("Zürich"), "Zürich");
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\\t=1"),
            ("\r=1", "'\\r=1"),
            ("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(csv_text(text), cell);
        }
        let mut out = Vec::new();
        let mut table = Table::new(&["a", "b"]);
        table.push(vec![Cell::Text("-".into()), Cell::Tenths(12_345)]);
        table.write(true, &mut out).unwrap();
        assert_eq!(out, b"a,b\n'-,1234.5\n");
    }

    #[test]
    fn columns_are_aligned_and_csv_is_plain() {
        let mut table = Table::new(&["name", "bytes", "note"]);
        table.push(vec![Cell::Text("a".into()), Cell::Bytes(1_500), Cell::Text("x, \"y\"".into())]);
        table.push(vec![Cell::Text("longer".into()), Cell::Gap, Cell::Text(String::new())]);
        let write = |csv| {
            let mut out = Vec::new();
            table.write(csv, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(write(false), "name      bytes  note\na       1.50 kB  x, \"y\"\nlonger        -\n");
        assert_eq!(write(true), "name,bytes,note\na,1500,\"x, \"\"y\"\"\"\nlonger,,\n");
    }
}
