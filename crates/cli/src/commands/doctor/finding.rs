//! What is wrong, by what it shows, and what to type: for a terminal, and as JSON.

use std::io::{self, Write};
use std::net::IpAddr;

use serde::Serialize;

/// One thing that keeps flows from being counted right.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// Its name, by which docs/troubleshooting.md tells of it.
    finding: &'static str,
    /// The router that it is about; `None` when it is about the collector.
    router: Option<IpAddr>,
    what: String,
    evidence: Vec<String>,
    /// Lines for a shell or for the router; those that begin with `#` are for people.
    #[serde(rename = "type")]
    lines: Vec<String>,
}

impl Finding {
    /// A finding about the collector as a whole.
    pub(super) fn new(finding: &'static str, what: impl Into<String>) -> Self {
        Self { finding, router: None, what: what.into(), evidence: Vec::new(), lines: Vec::new() }
    }

    /// Says which router it is about.
    pub(super) fn about(self, router: IpAddr) -> Self {
        Self { router: Some(router), ..self }
    }

    /// Adds what shows it.
    pub(super) fn seen(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// Adds what to type.
    pub(super) fn then_type(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    pub(super) const fn router(&self) -> Option<IpAddr> {
        self.router
    }

    /// Writes it for people.
    pub(super) fn write(&self, bold: Bold, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "  {}  [{}]", bold.of(&self.what), self.finding)?;
        for evidence in &self.evidence {
            writeln!(out, "    seen  {evidence}")?;
        }
        for line in &self.lines {
            writeln!(out, "    type  {line}")?;
        }
        Ok(())
    }
}

/// Whether what matters most stands out: only on a terminal.
#[derive(Clone, Copy)]
pub(super) struct Bold(pub(super) bool);

impl Bold {
    pub(super) fn of(self, text: &str) -> String {
        if self.0 { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}
