//! A bar: what was asked for, what was measured, and whether that is enough.

use crate::table::print_lines;

/// One line of the table of bars.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    what: String,
    wanted: String,
    measured: String,
    /// `None` when nothing was asked for.
    reached: Option<bool>,
}

impl Bar {
    /// Something that must not be more.
    pub(crate) fn at_most(what: impl Into<String>, measured: f64, most: f64, unit: &str) -> Self {
        let reached = Some(measured <= most);
        Self {
            what: what.into(),
            wanted: format!("<= {}", shown(most, unit)),
            measured: shown(measured, unit),
            reached,
        }
    }

    /// Something that must not be less.
    pub(crate) fn at_least(what: impl Into<String>, measured: f64, least: f64, unit: &str) -> Self {
        let reached = Some(measured >= least);
        Self {
            what: what.into(),
            wanted: format!(">= {}", shown(least, unit)),
            measured: shown(measured, unit),
            reached,
        }
    }

    /// Something that must be so.
    pub(crate) fn holds(what: impl Into<String>, holds: bool, told: impl Into<String>) -> Self {
        Self { what: what.into(), wanted: "yes".into(), measured: told.into(), reached: Some(holds) }
    }

    /// Something to know.
    pub(crate) fn told(what: impl Into<String>, measured: f64, unit: &str) -> Self {
        Self { what: what.into(), wanted: String::new(), measured: shown(measured, unit), reached: None }
    }

    fn cells(&self) -> Vec<String> {
        let reached = match self.reached {
            Some(true) => "reached",
            Some(false) => "MISSED",
            None => "",
        };
        vec![self.what.clone(), self.wanted.clone(), self.measured.clone(), reached.into()]
    }
}

fn shown(number: f64, unit: &str) -> String {
    let decimals = if number.abs() < 10.0 { 2 } else { 0 };
    format!("{number:.decimals$} {unit}").trim_end().to_owned()
}

/// Prints them as a Markdown table.
pub(crate) fn print_bars(bars: &[Bar]) {
    let mut lines: Vec<Vec<String>> = vec![["bar", "wanted", "measured", ""].map(str::to_owned).into()];
    lines.extend(bars.iter().map(Bar::cells));
    println!();
    print_lines(&lines);
}
