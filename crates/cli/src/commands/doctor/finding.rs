//! A finding: the problem, the evidence, and the commands that fix it, as text and as JSON.

use std::io::{self, Write};
use std::net::IpAddr;

use serde::Serialize;

/// A problem that keeps flows from being counted correctly.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// Its name, documented in docs/troubleshooting.md.
    finding: &'static str,
    /// The router concerned; `None` for the collector as a whole.
    router: Option<IpAddr>,
    what: String,
    evidence: Vec<String>,
    /// Commands for a shell or the router, and comments that begin with `#`.
    run: Vec<String>,
}

impl Finding {
    /// A finding about the collector as a whole.
    pub(super) fn new(finding: &'static str, what: impl Into<String>) -> Self {
        Self { finding, router: None, what: what.into(), evidence: Vec::new(), run: Vec::new() }
    }

    /// Sets the router concerned.
    pub(super) fn about(self, router: IpAddr) -> Self {
        Self { router: Some(router), ..self }
    }

    /// Adds evidence.
    pub(super) fn evidence(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// Adds a command to run.
    pub(super) fn run(mut self, line: impl Into<String>) -> Self {
        self.run.push(line.into());
        self
    }

    pub(super) const fn name(&self) -> &'static str {
        self.finding
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    pub(super) fn all_evidence(&self) -> &[String] {
        &self.evidence
    }

    pub(super) fn commands(&self) -> &[String] {
        &self.run
    }

    pub(super) const fn router(&self) -> Option<IpAddr> {
        self.router
    }

    /// Writes it as text.
    pub(super) fn write(&self, bold: Bold, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "  {}  [{}]", bold.of(&self.what), self.finding)?;
        for evidence in &self.evidence {
            writeln!(out, "    evidence  {evidence}")?;
        }
        for line in &self.run {
            writeln!(out, "    run       {line}")?;
        }
        Ok(())
    }
}

impl From<Finding> for api::Finding {
    fn from(Finding { finding, router, what, evidence, run }: Finding) -> Self {
        Self { finding, router, what, evidence, run }
    }
}

/// Whether headings are bold: only on a terminal.
#[derive(Clone, Copy)]
pub(super) struct Bold(pub(super) bool);

impl Bold {
    pub(super) fn of(self, text: &str) -> String {
        if self.0 { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}
