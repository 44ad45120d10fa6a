//! `netflow backup`: everything that a collector keeps on this machine, as of one moment, while the collector runs.
//!
//! What is received is first in the journal only, then also in the database, and then its segment is deleted. So the database
//! and the segments that it does not count are complete together if no flush became durable between the two being opened.
//! What is open stays readable when it is deleted.
//!
//! With a store on the network, the journal is left out: its datagrams are in the store a moment later, and only the database
//! that is left behind would know of it. A restored journal would be counted twice.
//!
//! The log is left out too: its datagrams are counted. Only the archive lacks those that it has not stored yet.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use collector::Interfaces;
use flow::Counted;
use journal::SegmentName;
use serde_json::{Value, json};
use storage::BackupSource;

use super::progress::Progress;
use crate::config::{Config, Storage};
use crate::configured_store::{DATABASE, JOURNAL, NONCES};
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::{configured_store, durable, keys, output, restoration};

/// How often the database and the journal are opened, until no flush comes between.
const TRIES: u32 = 100;

/// The options of `netflow backup`.
#[derive(Args, Debug)]
#[command(after_help = "\
The copy contains the keys of the REST interface: only its owner can read it.

Examples:
  netflow backup /backup/netflow-$(date -u +%F)
  sudo -u netflow netflow backup /var/backups/netflow/today --config /etc/netflow/netflow.toml")]
pub(crate) struct Arguments {
    /// The directory to create; it must not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Makes the copy, and prints what it contains.
pub(crate) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let directory = &arguments.directory;
    let copied = copy(config, directory).or_exit(ExitCode::Store)?;
    if arguments.json {
        output::print_line(document(config, directory, &copied))?;
        return Ok(ExitCode::Success);
    }
    let Copied { octets, segments, others, unread } = copied;
    let others: String = others.iter().map(|name| format!(", {name}")).collect();
    let directory = directory.display();
    output::print_line(format_args!(
        "backed up to {directory}: {DATABASE} ({octets} bytes), {segments} journal segments{others}"
    ))?;
    if config.storage != Storage::Sqlite {
        let store = config.storage.name();
        output::print_line(format_args!(
            "not included: routers and counters in {store}, and datagrams that are not yet counted"
        ))?;
    }
    if unread > 0 {
        output::print_line(format_args!(
            "not included: {unread} bytes of datagrams that are counted, and not archived yet"
        ))?;
    }
    Ok(ExitCode::Success)
}

fn document(config: &Config, directory: &Path, copied: &Copied) -> Value {
    let Copied { octets, segments, others, unread } = copied;
    let is_elsewhere = config.storage != Storage::Sqlite;
    json!({
        "directory": directory.to_string_lossy(),
        "database": { "file": DATABASE, "bytes": octets },
        "journalSegments": segments,
        "otherFiles": others,
        // Its routers and counters, and the journal, are not in the backup.
        "storeNotIncluded": is_elsewhere.then(|| config.storage.name()),
        "unarchivedBytesNotIncluded": unread,
    })
}

/// What was copied.
struct Copied {
    /// The size of the database.
    octets: u64,
    segments: usize,
    others: Vec<&'static str>,
    /// Octets of the log, which are not.
    unread: u64,
}

fn copy(config: &Config, directory: &Path) -> anyhow::Result<Copied> {
    restoration::refuse_unfinished(&config.data_dir)?;
    let draft = Draft::begin(directory)?;
    let Moment { database, segments } = Moment::of(config)?;
    let mut others = Vec::new();
    for name in [keys::FILE_NAME, NONCES, Interfaces::FILE] {
        if durable::copy_if_present(&config.data_dir.join(name), &draft.path.join(name))? {
            others.push(name);
        }
    }
    let journal = draft.path.join(JOURNAL);
    durable::make_directory(&journal)?;
    for Segment { name, file, octets } in &segments {
        durable::copy(file.take(*octets), &journal.join(name))?;
    }
    durable::sync_names(&journal)?;
    let path = draft.path.join(DATABASE);
    let mut progress = Progress::new();
    database.copy_to(&path, |share| progress.show(|| format!("{DATABASE}: {:.0} %", share * 100.0)))?;
    progress.clear();
    let octets = fs::metadata(&path).with_context(|| path.display().to_string())?.len();
    draft.finish()?;
    let unread = octets_of_log(&config.data_dir.join(JOURNAL))?;
    Ok(Copied { octets, segments: segments.len(), others, unread })
}

/// Everything that has been received by one moment.
struct Moment {
    database: BackupSource,
    segments: Vec<Segment>,
}

/// A segment that the database does not count.
struct Segment {
    name: String,
    file: File,
    /// When it was opened.
    octets: u64,
}

impl Moment {
    fn of(config: &Config) -> anyhow::Result<Self> {
        let path = configured_store::path(config);
        let open = || configured_store::in_file(&path, BackupSource::open(&path));
        for _ in 0..TRIES {
            let database = open()?;
            let counted = configured_store::in_file(&path, database.counted())?;
            let segments = match config.storage {
                Storage::Sqlite => uncounted(&config.data_dir.join(JOURNAL), &counted)?,
                Storage::Redis | Storage::Cassandra => Vec::new(),
            };
            // Otherwise segments may be missing.
            if open()?.counted()? == counted {
                return Ok(Self { database, segments });
            }
        }
        bail!("the collector stores flushes faster than its files can be opened: try again")
    }
}

/// The files of the journal, and their names.
fn files(journal: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let entries = match fs::read_dir(journal) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", journal.display())),
    };
    let named = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.with_context(|| format!("cannot read {}", journal.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((path, name))
    };
    entries.map(named).collect()
}

/// The size of the segments in the log.
fn octets_of_log(journal: &Path) -> anyhow::Result<u64> {
    let mut octets = 0;
    for (path, _) in files(journal)?.into_iter().filter(|(_, name)| SegmentName::parse_in_log(name).is_some()) {
        // It may have been read by now.
        octets += fs::metadata(&path).map_or(0, |found| found.len());
    }
    Ok(octets)
}

/// The segments of the journal that are not counted.
fn uncounted(journal: &Path, counted: &[Counted]) -> anyhow::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for (path, name) in files(journal)? {
        let Some(segment) = SegmentName::parse(&name) else { continue };
        if counted.iter().any(|counted| counted.includes(&segment.counted())) {
            continue;
        }
        match File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file))) {
            Ok((octets, file)) => segments.push(Segment { name, file, octets }),
            // Its flush is durable now.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
    Ok(segments)
}

/// The copy until it is complete: a directory beside the target.
struct Draft {
    path: PathBuf,
    target: PathBuf,
    /// Locked, so that another command does not write there too.
    _directory: File,
}

impl Draft {
    /// Creates it, or empties that of an interrupted command.
    fn begin(target: &Path) -> anyhow::Result<Self> {
        refuse_existing(target)?;
        let name =
            target.file_name().with_context(|| format!("{} is no name for a new directory", target.display()))?;
        let mut name = name.to_owned();
        name.push(restoration::INCOMPLETE);
        let path = target.with_file_name(name);
        durable::make_directory(&path)?;
        let failed = || format!("cannot use {}", path.display());
        let directory = File::open(&path).with_context(failed)?;
        match directory.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another netflow backup is writing {}", path.display()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
        // Another command may have finished it before it was locked.
        let locked = directory.metadata().with_context(failed)?.ino();
        if fs::metadata(&path).with_context(failed)?.ino() != locked {
            bail!("another netflow backup has written {}", target.display());
        }
        for name in [DATABASE, keys::FILE_NAME, NONCES, Interfaces::FILE] {
            remove(fs::remove_file(path.join(name))).with_context(failed)?;
        }
        remove(fs::remove_dir_all(path.join(JOURNAL))).with_context(failed)?;
        Ok(Self { path, target: target.to_owned(), _directory: directory })
    }

    /// Gives it the name of the target.
    fn finish(self) -> anyhow::Result<()> {
        durable::sync_names(&self.path)?;
        refuse_existing(&self.target)?;
        durable::rename(&self.path, &self.target)
    }
}

fn refuse_existing(target: &Path) -> anyhow::Result<()> {
    match target.symlink_metadata() {
        Ok(_) => Err(anyhow!("{} exists: give the backup a new directory", target.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| target.display().to_string()),
    }
}

/// Whatever was removed does not exist.
fn remove(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
