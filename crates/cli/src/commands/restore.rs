//! `netflow restore`: replaces the data of a stopped collector with a backup. How the replacement survives a kill at any
//! moment is in `restoration`.
//!
//! The journal that is there stays, because the restored database counts each segment once
//! (docs/reliability.md). So does the log, for the archive to read on. So do the keys and nonces, which may be newer than the backup.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use storage::{BackupSource, backup, identity};

use crate::config::{Config, Storage};
use crate::configured_store::{DATABASE, JOURNAL, NONCES};
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::restoration::{self, Staged};
use crate::{configured_store, keys, output};

/// The options of `netflow restore`.
#[derive(Args, Debug)]
#[command(after_help = "\
Stop the collector first. The journal, the keys and the nonces that are in dataDir stay; those of the backup are added.

Examples:
  netflow restore /backup/netflow-2026-11-28
  sudo -u netflow netflow restore /var/backups/netflow/today --config /etc/netflow/netflow.toml")]
pub(crate) struct Arguments {
    /// A directory that netflow backup has made
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Restores, and prints where the replaced files are.
pub(crate) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let replaced = restore(config, arguments).or_exit(ExitCode::Store)?;
    if arguments.json {
        let kept = replaced.is_dir().then(|| replaced.to_string_lossy());
        let (from, to) = (arguments.directory.to_string_lossy(), config.data_dir.to_string_lossy());
        output::print_line(json!({ "from": from, "to": to, "replaced": kept }))?;
        return Ok(ExitCode::Success);
    }
    output::print_line(format_args!("restored {} to {}", arguments.directory.display(), config.data_dir.display()))?;
    if replaced.is_dir() {
        output::print_line(format_args!(
            "the replaced {DATABASE} is in {}: delete it when you no longer need it",
            replaced.display()
        ))?;
    }
    Ok(ExitCode::Success)
}

fn restore(config: &Config, Arguments { directory, .. }: &Arguments) -> anyhow::Result<PathBuf> {
    let (data_dir, path) = (&config.data_dir, configured_store::path(config));
    if directory.as_os_str().as_encoded_bytes().ends_with(restoration::INCOMPLETE.as_bytes()) {
        bail!("{} is incomplete: its netflow backup was interrupted", directory.display());
    }
    let source = directory.join(DATABASE);
    if !source.is_file() {
        bail!("{} is no backup: it has no {DATABASE}", directory.display());
    }
    configured_store::make_directory(data_dir)?;
    let canonical = |path: &PathBuf| path.canonicalize().with_context(|| path.display().to_string());
    if canonical(directory)? == canonical(data_dir)? {
        bail!("{} is the dataDir itself", directory.display());
    }
    let _lock = identity::lock(&path).context("stop the collector before you restore")?;
    restoration::finish(data_dir)?;
    let staged = Staged::begin(data_dir)?;
    staged.copy(&source, DATABASE)?;
    let copy = staged.path(DATABASE);
    // A connection leaves no files when it is closed.
    backup::check(&copy).with_context(|| format!("{} cannot be restored", source.display()))?;
    staged.copy(&directory.join(keys::FILE_NAME), keys::FILE_NAME)?;
    staged.copy(&directory.join(NONCES), NONCES)?;
    match config.storage {
        Storage::Sqlite => staged.copy_journal(&directory.join(JOURNAL))?,
        Storage::Redis | Storage::Cassandra => delete_counted(config)?,
    }
    staged.commit()
}

/// Deletes the segments whose flushes are on the way to a store on the network. Only the database that will be replaced
/// knows of them; the restored one would count them a second time.
fn delete_counted(config: &Config) -> anyhow::Result<()> {
    let path = configured_store::path(config);
    if !path.exists() {
        return Ok(());
    }
    match BackupSource::open(&path).and_then(|database| database.counted()) {
        Ok(counted) => restoration::delete_segments(&config.data_dir.join(JOURNAL), &counted),
        Err(error) => {
            output::report(format_args!(
                "netflow: cannot read {} ({error}): segments of the journal whose flows are stored are counted again",
                path.display()
            ));
            Ok(())
        }
    }
}
