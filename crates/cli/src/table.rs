//! Answers as people read them: aligned columns, amounts with units, a line that shows the course of a series; and as
//! programs do: CSV.

use std::io::{self, Write};

/// How an answer is printed.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Format {
    /// Print the collector's answer as JSON
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Print comma-separated values, numbers in full
    #[arg(long)]
    pub(crate) csv: bool,
}

/// Rows under headings.
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// One value.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// On the left.
    Text(String),
    /// On the right; CSV has it without a unit.
    Bytes(u64),
    /// On the right, with a unit; CSV has it without.
    BitsPerSecond(u64),
    /// On the right.
    Count(u64),
    /// Nothing is known.
    Gap,
}

impl Cell {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Bytes(bytes) => scaled(*bytes, "B"),
            Self::BitsPerSecond(rate) => scaled(*rate, "bit/s"),
            Self::Count(count) => grouped(*count),
            Self::Gap => "-".to_owned(),
        }
    }

    fn plain(&self) -> String {
        match self {
            Self::Text(text) if text.contains([',', '"', '\n']) => format!("\"{}\"", text.replace('"', "\"\"")),
            Self::Text(text) => text.clone(),
            Self::Bytes(number) | Self::BitsPerSecond(number) | Self::Count(number) => number.to_string(),
            Self::Gap => String::new(),
        }
    }
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
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
        let on_the_left = |column: usize| self.rows.iter().all(|row| matches!(row.get(column), Some(Cell::Text(_))));
        let layout: Vec<_> = (0..self.headings.len()).map(|column| (width(column), on_the_left(column))).collect();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for (cell, (width, left)) in cells.zip(&layout) {
                let space = " ".repeat(width.saturating_sub(cell.chars().count()));
                line.push_str(&if *left { format!("{cell}{space}  ") } else { format!("{space}{cell}  ") });
            }
            writeln!(out, "{}", line.trim_end())
        };
        line(&mut self.headings.iter().copied())?;
        shown.iter().try_for_each(|row| line(&mut row.iter().map(String::as_str)))
    }
}

/// A number with three digits or more and a unit of thousands, as network engineers count: `12.3 GB`.
pub(crate) fn scaled(number: u64, unit: &str) -> String {
    const PREFIXES: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    if number < 1000 {
        return format!("{number} {unit}");
    }
    let mut thousands = number;
    let mut rest = 0;
    let mut prefix = "";
    for next in PREFIXES {
        if thousands < 1000 {
            break;
        }
        (rest, thousands, prefix) = (thousands % 1000, thousands / 1000, next);
    }
    // Cut, not rounded: 999,999 is not 1000 k.
    match thousands {
        0..10 => format!("{thousands}.{:02} {prefix}{unit}", rest / 10),
        10..100 => format!("{thousands}.{} {prefix}{unit}", rest / 100),
        _ => format!("{thousands} {prefix}{unit}"),
    }
}

/// A number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The course of a series, a character for each step: from nothing (`▁`) to the most (`█`); a gap is a space.
pub(crate) fn sparkline(values: &[Option<u64>]) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = u128::from(values.iter().flatten().copied().max().unwrap_or(0)).max(1);
    let level = |value: u64| usize::try_from(u128::from(value) * 7 / most).ok().and_then(|level| LEVELS.get(level));
    values.iter().map(|value| value.and_then(level).copied().unwrap_or(' ')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_three_digits_and_a_unit() {
        for (number, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_999, "999 kB"),
            (1_245_876, "1.24 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(scaled(number, "B"), expected);
        }
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn a_sparkline_tells_zero_from_a_gap() {
        assert_eq!(sparkline(&[Some(0), None, Some(50), Some(100)]), "▁ ▄█");
        assert_eq!(sparkline(&[Some(u64::MAX), Some(0)]), "█▁");
        assert_eq!(sparkline(&[Some(0), Some(0)]), "▁▁");
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
