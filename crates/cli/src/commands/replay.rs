//! `netflow replay`: counts the export datagrams of captures into the configured store, with their capture times and
//! sources.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use accounting::block::WriterId;
use anyhow::Context;
use capture::Capture;
use collector::replay::Replay;
use flow::Exporter;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use wire::Datagram;

use crate::commands::own_records::OwnRecords;
use crate::commands::progress::Progress;
use crate::config::Loaded;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::{configured_store, output};

/// The captures to replay.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Only datagrams of registered senders are counted, by their captured source addresses. Replaying the same files again
replaces their counters.

Examples:
  netflow replay monday.pcap tuesday.pcap
  netflow replay --config /etc/netflow/netflow.toml capture.pcapng")]
pub(crate) struct Arguments {
    /// Capture files, pcap or pcapng, counted in this order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Replays all files; prints the fates of their datagrams.
pub(crate) fn run(loaded: Loaded, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let config = loaded.config;
    configured_store::make_directory(&config.data_dir).or_exit(ExitCode::Store)?;
    let store = configured_store::open(&config).or_exit(ExitCode::Store)?;
    let writer = identity(&arguments.files).or_exit(ExitCode::Input)?;
    let runtime = Runtime::new().or_exit(ExitCode::Failure)?;
    runtime.block_on(async {
        let (rules, own) = (config.rules(), config.stated());
        let begun = Replay::begin(store, writer, rules, &own, config.flush_interval, config.keep());
        let mut replay = begun.await.or_exit(ExitCode::Store)?;
        let mut progress = Progress::new();
        let read = replay_files(&mut replay, &arguments.files, &mut progress).await;
        progress.clear();
        // The readable part of a damaged file is counted too.
        let counts = replay.finish(SystemTime::now().into()).await.or_exit(ExitCode::Store)?;
        output::print_line(counts)?;
        read
    })?;
    Ok(ExitCode::Success)
}

async fn replay_files(replay: &mut Replay, files: &[PathBuf], progress: &mut Progress) -> Result<(), Failure> {
    for path in files {
        replay_file(replay, path, progress).await?;
    }
    Ok(())
}

async fn replay_file(replay: &mut Replay, path: &Path, progress: &mut Progress) -> Result<(), Failure> {
    let unreadable = || format!("{}: everything before this was counted", path.display());
    let mut capture = Capture::open(path).with_context(unreadable).or_exit(ExitCode::Input)?;
    let mut own = OwnRecords::default();
    while let Some(udp) = capture.next().with_context(unreadable).or_exit(ExitCode::Input)? {
        if own.has(&udp) {
            continue;
        }
        let datagram = Datagram {
            exporter: Exporter::udp(udp.source.ip(), udp.source.port()),
            received: udp.received,
            payload: udp.payload,
        };
        progress.show(|| format!("{}: counted up to {}", path.display(), udp.received));
        replay.take(&datagram).await.or_exit(ExitCode::Store)?;
    }
    progress.clear();
    own.report(path);
    Ok(())
}

/// A writer identified by the content of the files, so that replaying them again replaces their counters.
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
