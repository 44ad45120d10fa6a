//! The embedded store: one SQLite file under the data directory, and what of the configuration the commands that fill
//! it have in common.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use collector::flusher::Keep;
use collector::shard::Rules;
use storage::sqlite::Sqlite;
use storage::{Store, StoreError};

use crate::config::{Config, Storage};

/// Makes the data directory, for its owner alone, when it is not there.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_directory(directory: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.with_context(|| format!("cannot make the data directory {} (dataDir)", directory.display()))
}

/// The file that holds everything: the collector's identity, senders and blocks.
pub(crate) fn path(config: &Config) -> PathBuf {
    config.data_dir.join("netflow.sqlite")
}

/// Opens the store that is configured.
///
/// # Errors
/// When it cannot be opened; nothing was changed then.
pub(crate) fn open(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    match config.storage {
        Storage::Sqlite => Ok(Arc::new(Sqlite::open(&path(config))?)),
    }
}

impl Config {
    /// How flows are counted.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            scale_samples: self.netflow.calculate_samples,
            clock_limit: self.clock_limit,
            session: wire::SessionLimits::default(),
            tally: accounting::tally::TallyLimits::default(),
        }
    }

    /// How long blocks are kept.
    pub(crate) fn keep(&self) -> Keep {
        let kept = &self.retention;
        Keep { periods: [kept.minutes, kept.hours, kept.days, kept.months, kept.years] }
    }

    /// How many threads receive and count.
    pub(crate) fn threads(&self) -> usize {
        self.server.cores.or_else(|| thread::available_parallelism().ok()).map_or(1, usize::from)
    }
}
