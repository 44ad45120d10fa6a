//! What the operator orders of a reader of the log: to pause, to read again what the log still has, or to skip what it has not
//! read. An order is durable, in the cursor of the reader, when it is accepted; the reader obeys at its next step.
//!
//! A reader that reads again begins where the last reader is, with what exporters had announced there: the log has everything
//! after that, except what was forced out. A reader that skips reads on without handing anything on, because it needs what
//! exporters announce on the way.

use std::io;
use std::sync::{Arc, Mutex};

use flow::Timestamp;

use crate::Journal;
use crate::cursor::{Cursor, Orders, StoredCursor};
use crate::lock::locked;
use crate::log::{Log, Position};

/// Flushes in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// How many.
    pub flushes: u64,
    /// Their segments.
    pub segments: u64,
    /// The octets of these.
    pub octets: u64,
}

/// Why a reader does not obey.
#[derive(Debug)]
pub enum OrderError {
    /// There is no reader with this name.
    Unknown,
    /// The disk refuses. After a crash, it may obey nevertheless.
    Disk(io::Error),
}

impl From<io::Error> for OrderError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl Journal {
    /// Pauses a reader, or lets it read again. A reader that is paused already stays so since then.
    ///
    /// # Errors
    /// If there is none with this name, or the disk refuses.
    pub fn pause_reader(&self, name: &str, since: Option<Timestamp>) -> Result<(), OrderError> {
        let _ordering = locked(&self.ordering);
        let cursor = self.cursor_of(name)?;
        let mut cursor = locked(&cursor);
        let changed = cursor.get().cloned().ok_or(OrderError::Unknown)?;
        if changed.orders.paused.is_some() != since.is_some() {
            let orders = Orders { paused: since, ..changed.orders };
            self.order(name, &mut cursor, Cursor { orders, ..changed })?;
        }
        Ok(())
    }

    /// Lets a reader read again everything that the log still has. Returns how much of it the reader had read.
    ///
    /// # Errors
    /// If there is none with this name, or the disk refuses.
    pub fn reset_to_oldest(&self, name: &str) -> Result<Unread, OrderError> {
        let _ordering = locked(&self.ordering);
        let own = self.cursor_of(name)?;
        let last = locked(&self.log).last_reader().ok_or(OrderError::Unknown)?;
        let mut own_cursor = locked(&own);
        let before = own_cursor.get().cloned().ok_or(OrderError::Unknown)?;
        let last = (!Arc::ptr_eq(&own, &last)).then(|| locked(&last));
        let there = last.as_ref().and_then(|last| last.get()).filter(|there| there.position < before.position);
        let there = there.unwrap_or(&before);
        // Before the other reader can move on: what it leaves stays in the log for this one from now on.
        let stayed_for = self.keep_after(name, there.position);
        let orders = Orders { skip_to: None, ..before.orders };
        let changed = Cursor { forced_out: before.forced_out, orders, ..there.clone() };
        let from = changed.position;
        drop(last);
        if let Err(error) = own_cursor.reset(self.disk.as_ref(), changed) {
            self.keep_after(name, stayed_for);
            return Err(error.into());
        }
        let mut log = locked(&self.log);
        log.reading(name).iter_mut().for_each(|reading| reading.orders = orders);
        Ok(if from < before.position { log.unread(from, before.position) } else { Unread::default() })
    }

    /// Lets a reader skip everything that is in the log now. Returns how much that is, with what it has read and not made durable.
    ///
    /// # Errors
    /// If there is none with this name, or the disk refuses.
    pub fn reset_to_newest(&self, name: &str) -> Result<Unread, OrderError> {
        let _ordering = locked(&self.ordering);
        let cursor = self.cursor_of(name)?;
        let mut cursor = locked(&cursor);
        let changed = cursor.get().cloned().ok_or(OrderError::Unknown)?;
        let (skip_to, unread) = {
            let log = locked(&self.log);
            (log.last(), log.unread(changed.position, None))
        };
        if unread.flushes > 0 {
            let orders = Orders { skip_to, ..changed.orders };
            self.order(name, &mut cursor, Cursor { orders, ..changed })?;
        }
        Ok(unread)
    }

    /// What is ordered of a reader.
    pub(crate) fn orders(&self, name: &str) -> Orders {
        locked(&self.log).reading(name).map(|reading| reading.orders).unwrap_or_default()
    }

    fn order(&self, name: &str, cursor: &mut StoredCursor, changed: Cursor) -> io::Result<()> {
        let orders = changed.orders;
        cursor.change(self.disk.as_ref(), changed)?;
        locked(&self.log).reading(name).iter_mut().for_each(|reading| reading.orders = orders);
        Ok(())
    }

    fn cursor_of(&self, name: &str) -> Result<Arc<Mutex<StoredCursor>>, OrderError> {
        let mut log = locked(&self.log);
        log.reading(name).map(|reading| Arc::clone(&reading.cursor)).ok_or(OrderError::Unknown)
    }

    /// Keeps what is after a position for a reader, and returns after which one it was kept.
    fn keep_after(&self, name: &str, position: Option<Position>) -> Option<Position> {
        let mut log = locked(&self.log);
        let reading = log.reading(name)?;
        std::mem::replace(&mut reading.position, position)
    }
}

impl Log {
    /// The cursor of the reader that has read least.
    fn last_reader(&self) -> Option<Arc<Mutex<StoredCursor>>> {
        let last = self.readers.iter().min_by_key(|reading| reading.position);
        last.map(|reading| Arc::clone(&reading.cursor))
    }
}
