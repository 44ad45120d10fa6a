//! Flushes that a store on the network has not accepted yet wait here, on the collector's own disk, in the order in which
//! they were made. The spool is two tables of the state file (`sqlite/schema_1.sql`).
//!
//! **Invariant:** nothing is rolled up while a flush waits here. Its late blocks were made for what was rolled up when it
//! was pushed, and its minutes would be missing in the sum.

use std::path::Path;

use accounting::block::{Block, BlockKey, TableSet, WriterId};
use accounting::period::{Interval, Minute, Period};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};

use crate::sqlite::{note_durable, parsed};
use crate::{StoreError, sqlite};

/// The flushes of one collector on their way to its store.
#[derive(Debug)]
pub struct Spool {
    connection: Connection,
    writer: WriterId,
    limit_bytes: u64,
    bytes: u64,
    waiting: u64,
}

/// Why a flush is not in the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// So much waits already that there is no room for it.
    #[error("the spool is full: {bytes} of {limit_bytes} octets wait for the store")]
    Full {
        /// Octets of content that wait.
        bytes: u64,
        /// Octets of content that may wait.
        limit_bytes: u64,
    },
    /// The disk refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A flush by the numbers in the keys of its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlushNumber {
    /// The start of the writer.
    pub epoch: u32,
    /// The flush within the epoch.
    pub sequence: u64,
}

impl Spool {
    /// The spool of this state file. Blocks of one writer only: the file has one identity.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path, writer: WriterId, limit_bytes: u64) -> Result<Self, StoreError> {
        let connection = sqlite::open(path)?;
        let (bytes, waiting) =
            connection.query_row("SELECT coalesce(sum(bytes), 0), count(*) FROM spool_flush", [], |row| {
                Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
            })?;
        Ok(Self { connection, writer, limit_bytes, bytes, waiting })
    }

    /// How many flushes wait to be accepted.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Octets of content that wait.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps a flush until it is accepted. It is on disk when this returns.
    ///
    /// # Errors
    /// When the spool is full or the disk refuses: nothing is kept then.
    pub fn push(&mut self, number: FlushNumber, blocks: &[Block]) -> Result<(), SpoolError> {
        let bytes: u64 = blocks.iter().map(|block| block.content.len() as u64).sum();
        if self.bytes + bytes > self.limit_bytes {
            return Err(SpoolError::Full { bytes: self.bytes, limit_bytes: self.limit_bytes });
        }
        self.insert(number, bytes, blocks)?;
        self.bytes += bytes;
        self.waiting += 1;
        Ok(())
    }

    fn insert(&mut self, number: FlushNumber, bytes: u64, blocks: &[Block]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction
            .prepare_cached("INSERT INTO spool_flush (epoch, sequence, bytes) VALUES (?1, ?2, ?3)")?
            .execute((number.epoch, number.sequence.cast_signed(), bytes.cast_signed()))?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO spool_block (epoch, sequence, period, start, sender, prefix, part, tables, content)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            for Block { key, content } in blocks {
                insert.execute((
                    number.epoch,
                    number.sequence.cast_signed(),
                    key.interval.period as u8,
                    key.interval.start.0,
                    key.sender.to_string(),
                    key.prefix.to_string(),
                    key.part,
                    key.tables.0,
                    content,
                ))?;
            }
        }
        note_durable(&transaction, self.writer, number)?;
        transaction.commit()?;
        Ok(())
    }

    /// The flush that has waited longest, with its blocks.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn oldest(&self) -> Result<Option<(FlushNumber, Vec<Block>)>, StoreError> {
        let number = self
            .connection
            .prepare_cached("SELECT epoch, sequence FROM spool_flush ORDER BY epoch, sequence LIMIT 1")?
            .query_row([], |row| {
                Ok(FlushNumber { epoch: row.get(0)?, sequence: row.get::<_, i64>(1)?.cast_unsigned() })
            })
            .optional()?;
        let Some(number) = number else { return Ok(None) };
        let mut select = self.connection.prepare_cached(
            "SELECT period, start, sender, prefix, part, tables, content FROM spool_block
             WHERE epoch = ?1 AND sequence = ?2 ORDER BY rowid",
        )?;
        let mut rows = select.query((number.epoch, number.sequence.cast_signed()))?;
        let mut blocks = Vec::new();
        while let Some(row) = rows.next()? {
            blocks.push(self.block(number, row)?);
        }
        Ok(Some((number, blocks)))
    }

    fn block(&self, number: FlushNumber, row: &Row<'_>) -> Result<Block, StoreError> {
        let period = row.get::<_, u8>(0)?;
        let period = Period::ALL
            .get(usize::from(period))
            .ok_or_else(|| StoreError::Corrupt(format!("spool: period {period}")))?;
        let key = BlockKey {
            interval: Interval { period: *period, start: Minute(row.get(1)?) },
            sender: parsed(row, 2)?,
            prefix: parsed(row, 3)?,
            writer: self.writer,
            epoch: number.epoch,
            sequence: number.sequence,
            part: row.get(4)?,
            tables: TableSet(row.get(5)?),
        };
        Ok(Block { key, content: row.get(6)? })
    }

    /// Lets go of a flush that the store has accepted.
    ///
    /// # Errors
    /// When the file cannot be written: then the flush is put once more, which is harmless.
    pub fn remove(&mut self, number: FlushNumber) -> Result<(), StoreError> {
        let of_flush = (number.epoch, number.sequence.cast_signed());
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let delete = "DELETE FROM spool_flush WHERE epoch = ?1 AND sequence = ?2 RETURNING bytes";
        let removed: Option<i64> = transaction.query_row(delete, of_flush, |row| row.get(0)).optional()?;
        transaction.execute("DELETE FROM spool_block WHERE epoch = ?1 AND sequence = ?2", of_flush)?;
        transaction.commit()?;
        if let Some(bytes) = removed {
            self.bytes = self.bytes.saturating_sub(bytes.cast_unsigned());
            self.waiting = self.waiting.saturating_sub(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const WRITER: WriterId = WriterId(u64::MAX);

    fn number(sequence: u64) -> FlushNumber {
        FlushNumber { epoch: 3, sequence }
    }

    fn block(number: FlushNumber, part: u16) -> Block {
        let key = BlockKey {
            interval: Interval { period: Period::Minute, start: Minute(23_188_621) },
            sender: IpAddr::from([192, 0, 2, 1]),
            prefix: "2001:db8::/32".parse().unwrap(),
            writer: WRITER,
            epoch: number.epoch,
            sequence: number.sequence,
            part,
            tables: TableSet(u32::MAX),
        };
        Block { key, content: vec![part as u8; 100] }
    }

    fn open(folder: &tempfile::TempDir) -> Spool {
        Spool::open(&folder.path().join("state"), WRITER, 1000).unwrap()
    }

    fn push(spool: &mut Spool, sequence: u64, blocks: u16) -> Result<(), SpoolError> {
        let number = number(sequence);
        spool.push(number, &(0..blocks).map(|part| block(number, part)).collect::<Vec<_>>())
    }

    #[test]
    fn flushes_come_back_as_they_were_in_their_order_and_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(&folder);
        push(&mut spool, 2, 1).unwrap();
        push(&mut spool, 10, 3).unwrap();
        drop(spool);
        let mut spool = open(&folder);
        assert_eq!((spool.waiting(), spool.bytes()), (2, 400));
        assert_eq!(spool.oldest().unwrap(), Some((number(2), vec![block(number(2), 0)])));
        spool.remove(number(2)).unwrap();
        spool.remove(number(2)).unwrap();
        let (oldest, blocks) = spool.oldest().unwrap().unwrap();
        assert_eq!((oldest, blocks.len(), spool.bytes()), (number(10), 3, 300));
        assert_eq!(blocks[2], block(number(10), 2));
        spool.remove(number(10)).unwrap();
        assert_eq!(spool.oldest().unwrap(), None);
        assert_eq!((open(&folder).waiting(), open(&folder).bytes()), (0, 0));
    }

    #[test]
    fn a_full_spool_refuses_until_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(&folder);
        push(&mut spool, 1, 6).unwrap();
        let refused = push(&mut spool, 2, 6).unwrap_err();
        assert_eq!(refused.to_string(), "the spool is full: 600 of 1000 octets wait for the store");
        assert_eq!((spool.waiting(), spool.bytes()), (1, 600));
        push(&mut spool, 3, 4).unwrap();
        spool.remove(number(1)).unwrap();
        push(&mut spool, 4, 6).unwrap();
        assert_eq!(spool.oldest().unwrap().unwrap().0, number(3));
    }
}
