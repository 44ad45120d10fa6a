//! The table: a row for each program, its figures as medians of all rounds with the spread, and how they stand to ours.

use crate::run::Outcome;

/// All that was measured of a program.
pub(crate) struct Row {
    name: String,
    /// At the moderate rate, one of each round.
    pub(crate) moderate: Vec<Outcome>,
    /// At the highest rate without loss; `None` where none was found.
    pub(crate) highest: Vec<Option<Outcome>>,
}

/// A figure of several rounds.
pub(crate) struct Figure {
    pub(crate) middle: f64,
    least: f64,
    most: f64,
}

impl Figure {
    fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let (least, most) = (*figures.first()?, *figures.last()?);
        let half = figures.len() / 2;
        let upper = *figures.get(half)?;
        let middle = if figures.len().is_multiple_of(2) { (figures.get(half - 1)? + upper) / 2.0 } else { upper };
        Some(Self { middle, least, most })
    }

    fn shown(&self, scale: f64, decimals: usize) -> String {
        let Self { middle, least, most } = self;
        let (middle, least, most) = (middle / scale, least / scale, most / scale);
        format!("{middle:.decimals$} ({least:.decimals$}-{most:.decimals$})")
    }
}

impl Row {
    pub(crate) const fn new(name: String) -> Self {
        Self { name, moderate: Vec::new(), highest: Vec::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether what was counted at the moderate rate is not what was sent.
    pub(crate) fn is_wrong(&self) -> bool {
        !self.moderate.iter().all(Outcome::is_right)
    }

    pub(crate) fn cost(&self) -> Option<Figure> {
        Figure::of(self.moderate.iter().map(Outcome::cost))
    }

    /// Zero where no rate was found.
    pub(crate) fn rate(&self) -> Option<Figure> {
        Figure::of(self.highest.iter().map(|outcome| outcome.as_ref().map_or(0.0, Outcome::offered)))
    }

    fn cells(&self, first: &Self) -> Vec<String> {
        let ratio = |own: Option<Figure>, first: Option<Figure>| match (own, first) {
            (Some(own), Some(first)) if first.middle > 0.0 => format!("{:.2}", own.middle / first.middle),
            _ => String::new(),
        };
        let sum = |of: fn(&Outcome) -> u64| self.moderate.iter().map(of).sum::<u64>();
        let share = Figure::of(self.moderate.iter().map(|outcome| 100.0 * outcome.share_counted()));
        let peak = self.moderate.iter().map(|outcome| outcome.peak_memory).max();
        vec![
            self.name.clone(),
            Figure::of(self.moderate.iter().map(Outcome::offered)).map_or(String::new(), |f| f.shown(1e6, 2)),
            share.map_or(String::new(), |share| format!("{:.3} %", share.least)),
            sum(|outcome| outcome.drops).to_string(),
            if self.moderate.is_empty() {
                ""
            } else if !self.is_wrong() {
                "right"
            } else {
                "WRONG"
            }
            .into(),
            self.cost().map_or(String::new(), |cost| cost.shown(1.0, 3)),
            ratio(self.cost(), first.cost()),
            peak.map_or(String::new(), |peak| format!("{}", peak >> 20)),
            self.rate().map_or(String::new(), |rate| rate.shown(1e6, 3)),
            ratio(self.rate(), first.rate()),
        ]
    }
}

const HEAD: [&str; 10] = [
    "program",
    "offered, M flows/s",
    "counted",
    "drops",
    "totals",
    "CPU s / M flows",
    "x ours",
    "peak MiB",
    "highest loss-free, M flows/s",
    "x ours",
];

/// Prints rows as a Markdown table; the first one is ours.
pub(crate) fn print_table(rows: &[Row]) {
    let Some(first) = rows.first() else { return };
    let mut lines: Vec<Vec<String>> = vec![HEAD.map(str::to_owned).into()];
    lines.extend(rows.iter().map(|row| row.cells(first)));
    print_lines(&lines);
}

/// Prints lines of cells as a Markdown table, the first as its head.
pub(crate) fn print_lines(lines: &[Vec<String>]) {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (number, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("| {} |", cells.join(" | "));
        if number == 0 {
            println!("|{}|", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|"));
        }
    }
}
