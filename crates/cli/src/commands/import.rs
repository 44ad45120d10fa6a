//! `netflow import`: counts the export datagrams of captures into the configured store, with their capture times and
//! sources, and without a collector; also the messages of IPFIX files, with their export times, for a sender.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use accounting::block::WriterId;
use anyhow::{Context, anyhow};
use capture::{Capture, CaptureError, UdpDatagram};
use collector::import::{Counted, Import, Preview, Previewed};
use pipeline::Counts;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use storage::Store;
use tokio::runtime::Runtime;
use wire::Datagram;

use crate::commands::ipfix_files::SentBy;
use crate::commands::own_records::{OwnRecords, ended_connection};
use crate::commands::progress::Progress;
use crate::config::{Config, Loaded};
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::{configured_store, output};

/// The files to import.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Only datagrams of registered senders are counted, by their captured source addresses; the exit code is 13 if there are
others. Importing the same files again replaces their counters. If anything else has counted datagrams of the same sender
in the same minutes, such as the collector when it received them, nothing is counted, unless you add --add.

An IPFIX file has neither addresses nor times of receipt: its messages count for the sender that --sender names, as if received
when they were exported.

Examples:
  netflow import monday.pcap tuesday.pcap
  netflow import --sender 192.0.2.1 flows.ipfix
  netflow import --config /etc/netflow/netflow.toml capture.pcapng")]
pub(crate) struct Arguments {
    /// Captures (pcap, pcapng) or IPFIX files, counted in this order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The registered sender that the messages of IPFIX files count for
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<IpAddr>,
    /// Count also what something else has counted in the same minutes
    #[arg(long)]
    add: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// How many senders and addresses a message lists.
const LISTED: usize = 20;

/// Imports all files, unless something has counted the same; prints the fates of their datagrams.
pub(crate) fn run(loaded: Loaded, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let config = loaded.config;
    configured_store::make_directory(&config.data_dir).or_exit(ExitCode::Store)?;
    let store = configured_store::open(&config).or_exit(ExitCode::Store)?;
    let files = Files::read(arguments)?;
    let writer = identity(&arguments.files).or_exit(ExitCode::Input)?;
    let runtime = Runtime::new().or_exit(ExitCode::Failure)?;
    runtime.block_on(async {
        let Previewed { counted, unregistered } = preview(&config, store.as_ref(), writer, &files).await?;
        if !counted.is_empty() && !arguments.add {
            if arguments.json {
                output::print_line(document(None, &counted, &unregistered))?;
            }
            return Err(Failure::new(ExitCode::NotCounted, anyhow!(already_counted(&counted))));
        }
        let (counts, read) = import(&config, store, writer, &files).await?;
        match arguments.json {
            true => output::print_line(document(Some(&counts), &counted, &unregistered))?,
            false => output::print_line(counts)?,
        }
        read?;
        if unregistered.is_empty() {
            return Ok(ExitCode::Success);
        }
        output::report(not_registered(&unregistered));
        Ok(ExitCode::NotCounted)
    })
}

/// The files, and who sent the messages of those that have no addresses.
struct Files<'a> {
    paths: &'a [PathBuf],
    sender: IpAddr,
}

impl<'a> Files<'a> {
    /// Whether a sender is named if it is needed, and only then, is checked before anything is counted.
    fn read(arguments: &'a Arguments) -> Result<Self, Failure> {
        let Arguments { files, sender, .. } = arguments;
        let is_ipfix = |path: &PathBuf| Capture::open(path).is_ok_and(|capture| !capture.has_addresses());
        let error = match (files.iter().find(|path| is_ipfix(path)), sender) {
            (Some(path), None) => anyhow!(
                "{} is an IPFIX file, which has no addresses: add --sender ADDRESS, the sender that its flows count for",
                path.display()
            ),
            (None, Some(_)) => {
                anyhow!("--sender is for IPFIX files, and none of these is one: captures have the addresses of senders")
            }
            _ => {
                let sender = sender.map_or(Ipv4Addr::UNSPECIFIED.into(), flow::canonical);
                return Ok(Self { paths: files, sender });
            }
        };
        Err(Failure::new(ExitCode::CommandLine, error))
    }

    /// Each file, opened, with its path and who sent its datagrams.
    fn open(&self) -> impl Iterator<Item = (&Path, Result<(Capture, SentBy), CaptureError>)> {
        self.paths.iter().enumerate().map(|(place, path)| {
            let opened = Capture::open(path).map(|capture| {
                let sent_by = SentBy::of(&capture, self.sender, place);
                (capture, sent_by)
            });
            (path.as_path(), opened)
        })
    }
}

/// What the files have, of which the readable part is looked at.
async fn preview(
    config: &Config,
    store: &dyn Store,
    writer: WriterId,
    files: &Files<'_>,
) -> Result<Previewed, Failure> {
    let (stated, keep) = (config.stated(), config.keep());
    let begun = Preview::begin(store, config.rules(), &stated, config.flush_interval);
    let mut preview = begun.await.or_exit(ExitCode::Store)?;
    let mut progress = Progress::new();
    for (path, opened) in files.open() {
        let Ok((mut capture, sent_by)) = opened else { continue };
        let mut own = OwnRecords::default();
        while let Ok(Some(udp)) = capture.next() {
            ended_connection(&udp).iter().for_each(|ended| preview.end_connection(ended));
            if own.has(&udp) {
                continue;
            }
            progress.show(|| format!("{}: looked at up to {}", path.display(), udp.received));
            preview.take(&datagram(&udp, sent_by));
        }
    }
    progress.clear();
    let found = preview.finish(store, writer, &keep, SystemTime::now().into());
    found.await.or_exit(ExitCode::Store)
}

/// Imports what can be read; returns what was counted, and whether all could be read.
async fn import(
    config: &Config,
    store: Arc<dyn Store>,
    writer: WriterId,
    files: &Files<'_>,
) -> Result<(Counts, Result<(), Failure>), Failure> {
    let (rules, stated) = (config.rules(), config.stated());
    let begun = Import::begin(store, writer, rules, &stated, config.flush_interval, config.keep());
    let mut import = begun.await.or_exit(ExitCode::Store)?;
    let mut progress = Progress::new();
    let read = import_files(&mut import, files, &mut progress).await;
    progress.clear();
    // The readable part of a damaged file is counted too.
    let counts = import.finish(SystemTime::now().into()).await.or_exit(ExitCode::Store)?;
    Ok((counts, read))
}

/// The answer as JSON; without counts if nothing was imported.
fn document(counts: Option<&Counts>, counted: &[Counted], unregistered: &BTreeMap<IpAddr, u64>) -> Value {
    let count_of = |counts: &Counts| {
        counts.important().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect::<Map<_, _>>()
    };
    let counted = counted.iter().map(|Counted { sender, range, octets }| {
        let [from, to] = [range.from, range.to].map(|minute| minute.timestamp().to_string());
        json!({ "sender": sender, "from": from, "to": to, "bytes": octets })
    });
    let unregistered =
        unregistered.iter().map(|(address, datagrams)| json!({ "address": address, "datagrams": datagrams }));
    json!({
        "imported": counts.map(count_of),
        "countedAlready": counted.collect::<Vec<_>>(),
        "unregistered": unregistered.collect::<Vec<_>>(),
    })
}

async fn import_files(import: &mut Import, files: &Files<'_>, progress: &mut Progress) -> Result<(), Failure> {
    for (path, opened) in files.open() {
        let unreadable = || format!("{}: everything before this was counted", path.display());
        let (mut capture, sent_by) = opened.with_context(unreadable).or_exit(ExitCode::Input)?;
        let mut own = OwnRecords::default();
        while let Some(udp) = capture.next().with_context(unreadable).or_exit(ExitCode::Input)? {
            ended_connection(&udp).iter().for_each(|ended| import.end_connection(ended));
            if own.has(&udp) {
                continue;
            }
            progress.show(|| format!("{}: counted up to {}", path.display(), udp.received));
            import.take(&datagram(&udp, sent_by)).await.or_exit(ExitCode::Store)?;
        }
        progress.clear();
        own.report(path);
    }
    Ok(())
}

fn datagram<'a>(udp: &UdpDatagram<'a>, sent_by: SentBy) -> Datagram<'a> {
    Datagram { exporter: sent_by.exporter(udp), received: udp.received, payload: udp.payload }
}

fn already_counted(counted: &[Counted]) -> String {
    let mut text = "nothing was imported, because datagrams of these senders are counted already:\n".to_owned();
    for Counted { sender, range, octets } in counted.iter().take(LISTED) {
        let (from, to) = (range.from.timestamp(), range.to.timestamp());
        text += &format!("  {sender}  {from} to {to}  {octets} octets of datagrams\n");
    }
    text += &and_others(counted.len());
    text + "If these are not the datagrams of the files, netflow import --add counts those in addition."
}

fn not_registered(unregistered: &BTreeMap<IpAddr, u64>) -> String {
    let mut text = "netflow: these addresses are not registered, so their datagrams were not counted:\n".to_owned();
    for (address, datagrams) in unregistered.iter().take(LISTED) {
        text += &format!("  {address}  {datagrams} datagrams  netflow senders add {address} PREFIX...\n");
    }
    text += &and_others(unregistered.len());
    text + "Register those that are yours, then import again: that replaces what was counted."
}

/// A line about those that are not listed.
fn and_others(all: usize) -> String {
    let others = all.saturating_sub(LISTED);
    if others == 0 { String::new() } else { format!("  and {others} others\n") }
}

/// A writer identified by the content of the files, so that importing them again replaces their counters.
fn identity(files: &[PathBuf]) -> anyhow::Result<WriterId> {
    let mut hash = Sha256::new();
    let mut octets = vec![0; 64 * 1024];
    for path in files {
        let unreadable = || format!("cannot read {}", path.display());
        let mut file = File::open(path).with_context(unreadable)?;
        while let Some(read) = Some(file.read(&mut octets).with_context(unreadable)?).filter(|read| *read > 0) {
            hash.update(octets.get(..read).unwrap_or_default());
        }
    }
    let mut first = [0; 8];
    first.iter_mut().zip(hash.finalize()).for_each(|(first, octet)| *first = octet);
    Ok(WriterId(u64::from_be_bytes(first)))
}
