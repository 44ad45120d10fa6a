//! `netflow archive`: what is in the archive of flows, and its care. The collector may be running. The work is done in the
//! `archive` crate; here are options and output.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `archive/status.rs` | what is in it |
//! | `archive/check.rs` | reads everything |
//! | `archive/compact.rs` | joins files |
//! | `archive/export.rs` | writes flows as CSV, JSON or Parquet |

mod check;
mod compact;
mod export;
mod status;

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use super::serve::archiver::FLOWS;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure};

/// An action on the archive.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what is in the archive: days, files, flows, gaps, and files that cannot be read
    Status(status::Arguments),
    /// Verify that every file can be read completely and has what it states
    ///
    /// Reads all octets of all files, and changes nothing. The collector may keep running. Prints one line per problem, then
    /// a summary.
    Check(check::Arguments),
    /// Join the files of past hours into one file an hour
    ///
    /// There are several after restarts of the collector. The present hour and the one before are left alone. The collector
    /// may keep running. An interrupted run changes no flow: repeat it to finish it.
    Compact(compact::Arguments),
    /// Write all flows of a time that match, as CSV, JSON or Parquet
    Export(export::Arguments),
}

impl Command {
    /// Runs it.
    pub(crate) fn run(self, config: &Config) -> Result<ExitCode, Failure> {
        match self {
            Self::Status(arguments) => status::run(config, &arguments),
            Self::Check(arguments) => check::run(config, &arguments),
            Self::Compact(arguments) => compact::run(config, &arguments),
            Self::Export(arguments) => export::run(config, &arguments),
        }
    }
}

/// Which archive.
#[derive(Args, Clone, Debug)]
pub(crate) struct Folder {
    /// The directory of the archive [default: flows in dataDir]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}

impl Folder {
    /// The directory. Only one that was named has to exist: a collector that has archived nothing has none.
    pub(crate) fn path(&self, config: &Config) -> Result<PathBuf, Failure> {
        match &self.folder {
            None => Ok(config.data_dir.join(FLOWS)),
            Some(folder) if folder.is_dir() => Ok(folder.clone()),
            Some(folder) => {
                let folder = folder.display();
                let error = anyhow!("{folder} is no directory: --folder takes the one with date=... directories");
                Err(Failure::new(ExitCode::Store, error))
            }
        }
    }
}
