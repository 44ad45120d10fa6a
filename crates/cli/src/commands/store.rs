//! `netflow store`: what operators do with everything that is stored. What it means lives in the `storage` crate; here is
//! which store, and how it reads.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `store/check.rs` | whether everything holds together |
//! | `store/copy.rs` | everything from one store into another |
//! | `store/export.rs` | what was counted, as lines |
//! | `store/address.rs` | which store is meant |

mod address;
mod check;
mod copy;
mod export;

use clap::Subcommand;
use tokio::runtime::Runtime;

use crate::config::Loaded;
use crate::exit_code::{ExitCode, Failure, OrExit};

/// What can be done with a store.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verifies that everything that is stored can be read and adds up
    ///
    /// Every block is read. In each flush the values of a field have to add up to all, and each hour, day, month and year
    /// to its finer parts, as far as retention has left them. The collector may go on running meanwhile. Prints a line
    /// for each thing that does not hold, then a summary.
    Check(check::Arguments),
    /// Copies everything from one store into another
    ///
    /// What the target has already is not written again: repeat an interrupted copy to finish it, and a finished one to
    /// take over what was stored meanwhile.
    Copy(copy::Arguments),
    /// Prints what was counted, one line for each counter
    ///
    /// Counters of all collectors are added up. Times are UTC. What a limit has folded of a field is a line of its own,
    /// with a name such as srcip:other.
    Export(export::Arguments),
}

impl Command {
    /// Does it.
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
