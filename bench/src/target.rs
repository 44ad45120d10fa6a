//! Targets: the required value, the measured value, and whether the target is reached.

use crate::table::print_lines;

/// One line of the table of results.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    what: String,
    wanted: String,
    measured: String,
    /// `None` if there is no target.
    reached: Option<bool>,
}

impl Target {
    /// A figure with an upper limit.
    pub(crate) fn at_most(what: impl Into<String>, measured: f64, most: f64, unit: &str) -> Self {
        let reached = Some(measured <= most);
        Self {
            what: what.into(),
            wanted: format!("<= {}", shown(most, unit)),
            measured: shown(measured, unit),
            reached,
        }
    }

    /// A figure with a lower limit.
    pub(crate) fn at_least(what: impl Into<String>, measured: f64, least: f64, unit: &str) -> Self {
        let reached = Some(measured >= least);
        Self {
            what: what.into(),
            wanted: format!(">= {}", shown(least, unit)),
            measured: shown(measured, unit),
            reached,
        }
    }

    /// A condition; `detail` is shown as the measured value.
    pub(crate) fn holds(what: impl Into<String>, holds: bool, detail: impl Into<String>) -> Self {
        Self { what: what.into(), wanted: "yes".into(), measured: detail.into(), reached: Some(holds) }
    }

    /// A figure without a target.
    pub(crate) fn figure(what: impl Into<String>, measured: f64, unit: &str) -> Self {
        Self { what: what.into(), wanted: String::new(), measured: shown(measured, unit), reached: None }
    }

    /// The same line with the name of its scenario.
    pub(crate) fn of(self, scenario: &str) -> Self {
        Self { what: format!("{scenario}: {}", self.what), ..self }
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

/// Prints the results as a Markdown table.
pub(crate) fn print_targets(targets: &[Target]) {
    let mut lines: Vec<Vec<String>> = vec![["figure", "target", "measured", ""].map(str::to_owned).into()];
    lines.extend(targets.iter().map(Target::cells));
    println!();
    print_lines(&lines);
}
