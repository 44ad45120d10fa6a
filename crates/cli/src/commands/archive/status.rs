//! `netflow archive status`: what is in the archive.

use std::io::{self, Write};
use std::path::Path;

use accounting::period::Interval;
use anyhow::Context;
use archive::Missing;
use archive::status::{Amount, Status, hours_of_gap};
use clap::Args;
use serde_json::{Value, json};

use super::Folder;
use crate::commands::ask::Zone;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;
use crate::table::{Cell, Format, Table, count_of, printable, scaled};

/// The options of `netflow archive status`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  netflow archive status
  netflow archive status --tz Europe/Berlin
  netflow archive status --json | jq .gaps")]
pub(crate) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    zone: Zone,
    #[command(flatten)]
    format: Format,
}

/// Prints it.
pub(super) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let folder = arguments.folder.path(config)?;
    let status = Status::of(&folder).with_context(|| format!("cannot read {}", folder.display()));
    let status = status.or_exit(ExitCode::Store)?;
    let Format { json, csv } = arguments.format;
    let zone = arguments.zone.of_dates()?;
    output::print(|out| {
        if json {
            return writeln!(out, "{}", document(&folder, &status));
        }
        table(&status, csv).write(csv, out)?;
        if csv { Ok(()) } else { write_notes(&folder, &status, &zone, out) }
    })?;
    Ok(ExitCode::Success)
}

fn table(status: &Status, csv: bool) -> Table {
    let mut table = Table::new(&["day", "hours", "files", "flows", "bytes", "bytes a flow"]);
    let mut push = |name: String, amount: &Amount| {
        table.push(vec![
            Cell::Text(name),
            Cell::Count(amount.hours),
            Cell::Count(amount.files),
            Cell::Count(amount.rows),
            Cell::Bytes(amount.octets),
            amount.tenths_of_octets_a_row().map_or(Cell::Gap, Cell::Tenths),
        ]);
    };
    status.days.iter().for_each(|(day, amount)| push(day.to_string(), amount));
    if !csv {
        push("total".to_owned(), &status.total);
        table.add_up(0);
    }
    table
}

/// What is beyond the amounts. Days are those of the files, in UTC; times are in the zone.
fn write_notes(folder: &Path, status: &Status, zone: &accounting::zone::Zone, out: &mut impl Write) -> io::Result<()> {
    let hour = |hour: &Interval| zone.display(hour.start);
    let path = |path: &Path| printable(&path.to_string_lossy());
    writeln!(out, "\narchive: {}", path(folder))?;
    match status.hours {
        Some((oldest, newest)) if zone.is_utc() => writeln!(out, "hours: {oldest} to {newest} (UTC)")?,
        Some((oldest, newest)) => writeln!(out, "hours: {} to {}", hour(&oldest), hour(&newest))?,
        None => writeln!(out, "no flows")?,
    }
    for (writer, amount) in &status.writers {
        writeln!(out, "collector {writer}: {}, {}", count_of(amount.files, "file"), count_of(amount.rows, "flow"))?;
    }
    for (first, after) in &status.gaps {
        let hours = count_of(hours_of_gap(*first, *after).into(), "hour");
        match zone.is_utc() {
            true => writeln!(out, "no flows from {first} until before {after}: {hours}")?,
            false => writeln!(out, "no flows from {} until before {}: {hours}", hour(first), hour(after))?,
        }
    }
    for missing in &status.missing {
        let Missing { from, until, segments, records, reason, .. } = missing;
        let (segments, records) = (count_of(*segments, "segment"), count_of(*records, "record"));
        let [from, until] = [from, until].map(|time| zone.display_time(*time));
        writeln!(out, "missing: received from {from} to {until}: {segments}, {records}: {}", reason.name())?;
    }
    for finding in &status.left_out {
        writeln!(out, "left out in answers: {}: {}", path(&finding.path), printable(&finding.problem))?;
    }
    for superseded in &status.superseded {
        writeln!(out, "joined already, to be removed: {}", path(superseded))?;
    }
    for (unfinished, octets) in &status.unfinished {
        writeln!(out, "being written: {} ({})", path(unfinished), scaled(*octets, "B"))?;
    }
    Ok(())
}

fn document(folder: &Path, status: &Status) -> Value {
    let amount = |amount: &Amount| {
        json!({
            "hours": amount.hours,
            "files": amount.files,
            "flows": amount.rows,
            "bytes": amount.octets,
            "bytesPerFlow": amount.tenths_of_octets_a_row().map(|tenths| tenths as f64 / 10.0),
        })
    };
    let of_day = |(day, of_day): (&Interval, &Amount)| {
        let mut value = amount(of_day);
        if let Some(members) = value.as_object_mut() {
            members.insert("day".to_owned(), day.to_string().into());
        }
        value
    };
    let hour = |hour: Interval| hour.start.timestamp().to_string();
    json!({
        "folder": folder.to_string_lossy(),
        "from": status.hours.map(|(oldest, _)| hour(oldest)),
        "to": status.hours.map(|(_, newest)| newest.end().timestamp().to_string()),
        "total": amount(&status.total),
        "days": status.days.iter().map(of_day).collect::<Vec<_>>(),
        "collectors": status.writers.iter().map(|(writer, of_writer)| json!({
            "id": writer.to_string(), "files": of_writer.files, "flows": of_writer.rows, "bytes": of_writer.octets,
        })).collect::<Vec<_>>(),
        "gaps": status.gaps.iter().map(|(first, after)| json!({
            "from": hour(*first), "to": hour(*after), "hours": hours_of_gap(*first, *after),
        })).collect::<Vec<_>>(),
        "missing": status.missing.iter().map(|missing| json!({
            "from": missing.from.to_string(),
            "until": missing.until.to_string(),
            "collector": missing.writer.to_string(),
            "segments": missing.segments,
            "bytes": missing.octets,
            "records": missing.records,
            "reason": missing.reason.name(),
        })).collect::<Vec<_>>(),
        "leftOut": status.left_out.iter().map(|finding| json!({
            "file": finding.path.to_string_lossy(), "problem": finding.problem,
        })).collect::<Vec<_>>(),
        "superseded": status.superseded.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
        "unfinished": status.unfinished.iter().map(|(path, octets)| json!({
            "file": path.to_string_lossy(), "bytes": octets,
        })).collect::<Vec<_>>(),
    })
}
