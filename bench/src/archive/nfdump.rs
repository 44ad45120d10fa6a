//! nfdump, asked about the files of nfcapd.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::question::{Answer, By, MOST, Question};
use crate::process::{Cost, timed};

/// Its answer, and what the whole process took.
pub(super) fn ask(question: &Question, folder: &Path) -> anyhow::Result<(Answer, Cost)> {
    let mut command = Command::new("nfdump");
    command.arg("-R").arg(folder).arg("-N");
    let most = MOST.to_string();
    match question.by {
        By::Sources => command.args(["-q", "-s", "srcip/bytes", "-n", &most, "-o", "csv"]),
        By::SourcesAndPorts => command
            .args(["-q", "-A", "srcip,dstport", "-O", "bytes", "-n", &most])
            .args(["-o", "fmt:%sa %dp %fl %pkt %byt"]),
        // It has no steps of time: this is the sum of all.
        By::Steps => command.args(["-o", "null"]),
    };
    let filter = if question.filter.is_empty() { "any" } else { question.filter };
    let (output, cost) = timed(command.arg(filter))?;
    let lines = match question.by {
        By::Sources => {
            output.lines().skip(1).map(|line| columns(line, &[4, 5, 7, 9])).collect::<anyhow::Result<_>>()?
        }
        By::SourcesAndPorts => output,
        By::Steps => summary(&output)?,
    };
    Ok((Answer::read(&lines)?, cost))
}

/// Some columns of a line of CSV, as a line.
fn columns(line: &str, wanted: &[usize]) -> anyhow::Result<String> {
    let cells: Vec<&str> = line.split(',').collect();
    if line.is_empty() {
        return Ok(String::new());
    }
    let cell = |index: &usize| cells.get(*index).copied().with_context(|| format!("nfdump's line is short: {line}"));
    Ok(wanted.iter().map(cell).collect::<anyhow::Result<Vec<_>>>()?.join(" ") + "\n")
}

/// Flows, packets and octets of the line with the sums.
fn summary(output: &str) -> anyhow::Result<String> {
    let number = |key: &str| {
        let (_, rest) = output.split_once(key).with_context(|| format!("nfdump has no '{key}': {output}"))?;
        anyhow::Ok(rest.split(',').next().unwrap_or_default().trim())
    };
    Ok([number("total flows:")?, number("total packets:")?, number("total bytes:")?].join(" "))
}
