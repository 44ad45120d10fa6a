//! `netflow store`: check, copy and export a store. The work is done in the `storage` crate; here are options and output.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `store/check.rs` | verifies a store |
//! | `store/copy.rs` | copies a store into another |
//! | `store/export.rs` | prints counters |
//! | `store/address.rs` | addresses of stores |

mod address;
mod check;
mod copy;
mod export;

use clap::Subcommand;
use tokio::runtime::Runtime;

use crate::config::Loaded;
use crate::exit_code::{ExitCode, Failure, OrExit};

/// An action on a store.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verify that everything stored can be read and adds up
    ///
    /// Reads every block. In each flush the values of a field must add up to the total, and each hour, day, month and year
    /// must be the sum of its finer periods, where retention has kept them. The collector may keep running. Prints one line
    /// per violation, then a summary.
    Check(check::Arguments),
    /// Copy a store into another
    ///
    /// Data that the target already has is not written again: repeat an interrupted copy to finish it, and a finished one
    /// to copy newer data.
    Copy(copy::Arguments),
    /// Print counters, one per line
    ///
    /// Adds up the counters of all collectors. Times are UTC. Values that a limit has folded into one are a line of their
    /// own, with a name such as srcip:other.
    Export(export::Arguments),
}

impl Command {
    /// Runs it.
    pub(crate) fn run(self, loaded: &Loaded) -> Result<ExitCode, Failure> {
        let runtime = Runtime::new().or_exit(ExitCode::Failure)?;
        runtime.block_on(async {
            match self {
                Self::Check(arguments) => check::run(&loaded.config, &arguments).await,
                Self::Copy(arguments) => copy::run(&loaded.config, &arguments).await,
                Self::Export(arguments) => export::run(&loaded.config, &arguments).await,
            }
        })
    }
}
