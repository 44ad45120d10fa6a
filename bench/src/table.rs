//! The table of programs: a row for each, with the medians of all rounds, their minimum and maximum, and ratios to
//! ours.

use crate::run::Outcome;

/// All measurements of a program.
pub(crate) struct Row {
    name: String,
    /// The runs at the moderate rate, one for each round.
    pub(crate) moderate: Vec<Outcome>,
    /// The runs at the highest rate without loss; `None` if none was found.
    pub(crate) highest: Vec<Option<Outcome>>,
}

/// The median, minimum and maximum of several rounds.
pub(crate) struct Figure {
    pub(crate) median: f64,
    minimum: f64,
    maximum: f64,
}

impl Figure {
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let (minimum, maximum) = (*figures.first()?, *figures.last()?);
        let half = figures.len() / 2;
        let upper = *figures.get(half)?;
        let median = if figures.len().is_multiple_of(2) { (figures.get(half - 1)? + upper) / 2.0 } else { upper };
        Some(Self { median, minimum, maximum })
    }

    fn shown(&self, scale: f64, decimals: usize) -> String {
        let Self { median, minimum, maximum } = self;
        let (median, minimum, maximum) = (median / scale, minimum / scale, maximum / scale);
        format!("{median:.decimals$} ({minimum:.decimals$}-{maximum:.decimals$})")
    }
}

impl Row {
    pub(crate) const fn new(name: String) -> Self {
        Self { name, moderate: Vec::new(), highest: Vec::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether any run at the moderate rate did not count what was sent.
    pub(crate) fn is_wrong(&self) -> bool {
        !self.moderate.iter().all(Outcome::is_right)
    }

    pub(crate) fn cost(&self) -> Option<Figure> {
        Figure::of(self.moderate.iter().map(Outcome::cost))
    }

    /// The highest rate without loss; zero if none was found.
    pub(crate) fn rate(&self) -> Option<Figure> {
        Figure::of(self.highest.iter().map(|outcome| outcome.as_ref().map_or(0.0, Outcome::offered)))
    }

    fn cells(&self, first: &Self) -> Vec<String> {
        let ratio = |own: Option<Figure>, first: Option<Figure>| match (own, first) {
            (Some(own), Some(first)) if first.median > 0.0 => format!("{:.2}", own.median / first.median),
            _ => String::new(),
        };
        let sum = |of: fn(&Outcome) -> u64| self.moderate.iter().map(of).sum::<u64>();
        let share = Figure::of(self.moderate.iter().map(|outcome| 100.0 * outcome.share_counted()));
        let peak = self.moderate.iter().map(|outcome| outcome.peak_memory).max();
        vec![
            self.name.clone(),
            Figure::of(self.moderate.iter().map(Outcome::offered)).map_or(String::new(), |f| f.shown(1e6, 2)),
            share.map_or(String::new(), |share| format!("{:.3} %", share.minimum)),
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

const HEADER: [&str; 10] = [
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

/// Prints rows as a Markdown table. The first one is our collector.
pub(crate) fn print_table<'r>(rows: impl Iterator<Item = &'r Row> + Clone) {
    let Some(first) = rows.clone().next() else { return };
    let mut lines: Vec<Vec<String>> = vec![HEADER.map(str::to_owned).into()];
    lines.extend(rows.map(|row| row.cells(first)));
    print_lines(&lines);
}

/// Prints lines of cells as a Markdown table; the first line is the header.
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
