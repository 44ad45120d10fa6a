//! `netflow archive export`: all flows of a range of time, one after the other, in little memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use accounting::zone::Zone;
use anyhow::{Context, anyhow};
use archive::RowFile;
use archive::scan::Read;
use clap::{Args, ValueEnum};
use columns::{Columns, Id, Row, Value};
use flow::Timestamp;
use questions::{RowsQuestion, Words};
use wire::row_writer::{RowCounters, RowWriter};

use super::Folder;
use crate::commands::ask::flows::{ipfix, refuse_terminal, scan};
use crate::commands::progress::Progress;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output::{self, Output};
use crate::table::{grouped, printable};

/// The options of `netflow archive export`.
#[derive(Args, Debug)]
#[command(after_help = "\
Counters are as the exporter sent them: multiply bytes and packets by rate to estimate the traffic; in an IPFIX file, each flow of a
sampling router has its rate as samplingInterval. Flows that are in no file yet are not among them. `netflow flows` asks a running
collector.

Examples:
  netflow archive export --from 2026-11-28 --to 2026-11-29 -o parquet -w day.parquet
  netflow archive export --columns received,srcip,dstip,bytes,rate dst port 53 | head
  netflow archive export --from yesterday --to today -o ipfix -w day.ipfix 'exporter 192.0.2.1'
  netflow archive export --folder /backup/flows -o json 'net 192.0.2.0/24' | jq .srcip")]
pub(crate) struct Arguments {
    /// Received at or after this time, such as 2026-11-23T05:01Z, 2026-11-23, 14:00, yesterday or -2h [default: all]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Received before this time [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Time zone of times: an IANA name such as Europe/Berlin, or an offset such as +05:30 [default: UTC]
    #[arg(long, env = "NETFLOW_TZ", value_name = "ZONE", allow_hyphen_values = true)]
    tz: Option<String>,
    /// The columns, in this order
    #[arg(long, value_name = "COLUMNS", default_value = "all")]
    columns: String,
    /// The format
    #[arg(short, long, value_enum, default_value_t = Format::Csv)]
    output: Format,
    /// As -o json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// The file to create, or - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    write: PathBuf,
    /// A filter, such as: src net 10.0.0.0/8 and not port 53
    filter: Vec<String>,
    #[command(flatten)]
    folder: Folder,
}

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated values, with a heading
    Csv,
    /// One JSON object per line
    Json,
    /// Parquet, with addresses as in the archive
    Parquet,
    /// An IPFIX file (RFC 5655)
    Ipfix,
}

/// Writes all flows.
pub(super) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let question = question(arguments).or_exit(ExitCode::Refused)?;
    let folder = arguments.folder.path(config)?;
    let format = if arguments.json { Format::Json } else { arguments.output };
    if format == Format::Ipfix && arguments.columns != "all" {
        ipfix::check(question.columns.iter().copied()).or_exit(ExitCode::Refused)?;
    }
    let export = Export { folder: &folder, question: &question, format, clock_limit: config.rules().clock_limit };
    let path = &arguments.write;
    if path.as_os_str() == "-" {
        match format {
            Format::Parquet => refuse_terminal("a Parquet", "parquet")?,
            Format::Ipfix => refuse_terminal("an IPFIX", "ipfix")?,
            Format::Csv | Format::Json => {}
        }
        let (written, read) = export.write(Output::new())?;
        output::outcome(written)?;
        return Ok(verdict(&read));
    }
    let unfinished = Unfinished::create(path).or_exit(ExitCode::Failure)?;
    let out = BufWriter::new(unfinished.file.try_clone().or_exit(ExitCode::Failure)?);
    let (written, read) = export.write(out)?;
    let written = written.with_context(|| format!("cannot write {}", path.display()));
    written.and_then(|()| unfinished.finish(path)).or_exit(ExitCode::Failure)?;
    Ok(verdict(&read))
}

fn question(arguments: &Arguments) -> Result<RowsQuestion, questions::QuestionError> {
    let Arguments { from, to, tz, columns, filter, .. } = arguments;
    let filter = filter.join(" ");
    let words = [
        ("from", from.as_deref().unwrap_or("1970-01-01T00:00Z")),
        ("to", to.as_deref().unwrap_or_default()),
        ("tz", tz.as_deref().unwrap_or_default()),
        ("columns", columns),
        ("filter", &filter),
    ];
    let words: Words<'_> = words.into_iter().collect();
    RowsQuestion::read(&words, SystemTime::now().into())
}

/// What is exported, and how.
struct Export<'a> {
    folder: &'a Path,
    question: &'a RowsQuestion,
    format: Format,
    clock_limit: Duration,
}

impl Export<'_> {
    /// Writes all flows into something; returns whether they could be written, and what was read.
    fn write<W: Write + Send>(&self, out: W) -> Result<(io::Result<()>, Read), Failure> {
        let RowsQuestion { scope, columns: ids, .. } = self.question;
        let mut columns = Columns::of(ids);
        if self.format == Format::Ipfix {
            columns.add_all(RowWriter::NEEDED);
        }
        let mut sink = match Sink::begin(self, ids, &scope.zone, out) {
            Ok(sink) => sink,
            Err(error) => return Ok((Err(error), Read::default())),
        };
        let (mut progress, mut rows, mut written) = (Progress::new(), 0, Ok(()));
        let read = scan(self.folder).each_row(&scope.received, &scope.matched(), columns, &mut |row| {
            rows += 1;
            progress.show(|| format!("{} flows", grouped(rows)));
            written = sink.push(row);
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        progress.clear();
        let read = read.or_exit(ExitCode::Store)?;
        Ok((written.and_then(|()| sink.finish()), read))
    }
}

/// What cannot be read was reported, and is missing.
fn verdict(read: &Read) -> ExitCode {
    for left_out in &read.left_out {
        let file = left_out.name.path();
        let rows = left_out.rows.as_ref().map(|rows| format!(" from row {} to {}", rows.start, rows.end - 1));
        let (rows, reason) = (rows.unwrap_or_default(), printable(&left_out.reason));
        output::report(format_args!("netflow: missing: {}{rows}: {reason}", file.display()));
    }
    if read.left_out.is_empty() { ExitCode::Success } else { ExitCode::Damage }
}

/// What is written.
enum Sink<'s, W: Write + Send> {
    Lines { out: W, is_json: bool, columns: &'s [Id], zone: &'s Zone },
    Parquet(Box<RowFile<W>>),
    Ipfix { out: W, writer: Box<RowWriter>, octets: Vec<u8> },
}

impl<'s, W: Write + Send> Sink<'s, W> {
    fn begin(export: &Export<'_>, columns: &'s [Id], zone: &'s Zone, mut out: W) -> io::Result<Self> {
        let is_json = match export.format {
            Format::Ipfix => {
                let writer = RowWriter::new(Columns::of(columns), RowCounters::Sent, export.clock_limit);
                return Ok(Self::Ipfix { out, writer: Box::new(writer), octets: Vec::new() });
            }
            Format::Parquet => return Ok(Self::Parquet(Box::new(RowFile::begin(out, columns)?))),
            Format::Json => true,
            Format::Csv => {
                let names: Vec<_> = columns.iter().map(|id| id.column().name).collect();
                writeln!(out, "{}", names.join(","))?;
                false
            }
        };
        Ok(Self::Lines { out, is_json, columns, zone })
    }

    fn push(&mut self, row: &Row) -> io::Result<()> {
        match self {
            Self::Parquet(file) => file.push(row),
            Self::Ipfix { out, writer, octets } => {
                writer.push(row, octets);
                out.write_all(octets)?;
                octets.clear();
                Ok(())
            }
            Self::Lines { out, is_json: false, columns, zone } => {
                for (index, id) in columns.iter().enumerate() {
                    out.write_all(if index == 0 { b"" } else { b"," })?;
                    write_value(out, row.value(*id), zone, "", "")?;
                }
                writeln!(out)
            }
            Self::Lines { out, is_json: true, columns, zone } => {
                for (index, id) in columns.iter().enumerate() {
                    let separator = if index == 0 { '{' } else { ',' };
                    write!(out, "{separator}\"{}\":", id.column().name)?;
                    write_value(out, row.value(*id), zone, "\"", "null")?;
                }
                writeln!(out, "}}")
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Parquet(file) => file.finish()?.flush(),
            Self::Ipfix { mut out, writer, mut octets } => {
                writer.finish(&mut octets);
                out.write_all(&octets)?;
                out.flush()
            }
            Self::Lines { mut out, .. } => out.flush(),
        }
    }
}

/// Writes a number, or a text in quotes; for one that the record does not carry, nothing or null. No text has characters that
/// need an escape.
fn write_value(out: &mut impl Write, value: Value, zone: &Zone, quote: &str, none: &str) -> io::Result<()> {
    match value {
        Value::Number(number) => write!(out, "{number}"),
        Value::Time(Timestamp::EPOCH) | Value::Mac([0, 0, 0, 0, 0, 0]) | Value::Country(None) | Value::AsPath(None) => {
            write!(out, "{none}")
        }
        Value::Address(IpAddr::V4(address)) if address.is_unspecified() => write!(out, "{none}"),
        Value::Time(time) => write!(out, "{quote}{}{quote}", zone.display_time(time)),
        Value::Address(address) => write!(out, "{quote}{address}{quote}"),
        Value::Country(Some(country)) => write!(out, "{quote}{country}{quote}"),
        // In CSV, members of a set have commas between them.
        Value::AsPath(Some(path)) if quote.is_empty() && path.contains(',') => write!(out, "\"{path}\""),
        Value::AsPath(Some(path)) => write!(out, "{quote}{path}{quote}"),
        Value::Mac([a, b, c, d, e, f]) => write!(out, "{quote}{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}{quote}"),
    }
}

/// A file under another name until it is complete: one that ends too early must not pass for a whole one.
struct Unfinished {
    path: PathBuf,
    file: File,
    is_finished: bool,
}

impl Unfinished {
    fn create(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            return Err(anyhow!("{} exists: name another file", path.display()));
        }
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".tmp");
        let unfinished = PathBuf::from(unfinished);
        // Flows are personal data.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
        let file = file.with_context(|| format!("cannot write {}", unfinished.display()))?;
        Ok(Self { path: unfinished, file, is_finished: false })
    }

    fn finish(mut self, path: &Path) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| format!("cannot write {}", path.display()))?;
        crate::durable::rename(&self.path, path)?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}
