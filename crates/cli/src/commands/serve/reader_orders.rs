//! Orders to the readers of the log, from the REST interface to the journal.

use std::sync::Arc;
use std::time::SystemTime;

use api::{LogPart, OrderReaders, ReaderOrderError, ReaderPlace};
use flow::Timestamp;
use journal::{Journal, OrderError, Unread};

/// Gives orders to the readers of a journal's log.
pub(super) struct ReaderOrders(pub(super) Arc<Journal>);

impl OrderReaders for ReaderOrders {
    fn pause(&self, reader: &str, is_paused: bool) -> Result<(), ReaderOrderError> {
        let since = is_paused.then(|| Timestamp::from(SystemTime::now()));
        self.0.pause_reader(reader, since).map_err(refused)
    }

    fn reset(&self, reader: &str, to: ReaderPlace) -> Result<LogPart, ReaderOrderError> {
        let Unread { flushes, segments, octets } = match to {
            ReaderPlace::Oldest => self.0.reset_to_oldest(reader),
            ReaderPlace::Newest => self.0.reset_to_newest(reader),
        }
        .map_err(refused)?;
        Ok(LogPart { flushes, segments, octets })
    }
}

fn refused(error: OrderError) -> ReaderOrderError {
    match error {
        OrderError::Unknown => ReaderOrderError::Unknown,
        OrderError::Disk(error) => ReaderOrderError::Disk(error),
    }
}
