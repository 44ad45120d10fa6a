//! Queue of the flushes that a store on the network has not accepted yet, on the collector's own disk, in the order of their
//! numbers. Accepted flushes stay until they were found in the store again, since it may lose what it accepted a moment
//! ago. The spool is two tables of the state file (`sqlite/schema_1.sql`, `schema_2.sql`).
//!
//! A flush is kept with all its blocks, those of coarser periods included, and with the watermarks of its writer by which
//! these were decided. It is put exactly so until it is accepted, whatever is rolled up meanwhile; a change of the
//! decision is written here first.
//!
//! What senders have announced is kept here as well, made durable with the flush that counts the flows decoded with it:
//! else flows after a changed template could be decoded with the old one after a crash. It stays when the store has taken it,
//! for a start while the store is unreachable.
//!
//! **Invariant:** nothing is rolled up while a flush is queued: its minutes would be missing in the sum.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use accounting::block::{Block, BlockKey, TableSet, WriterId};
use accounting::period::{Interval, Minute, Period};
use accounting::watermarks::Watermarks;
use flow::{Counted, FlushNumber};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};

use crate::sqlite::{OpenFiles, keep_announced, note_counted, note_durable, parsed, templates};
use crate::{Flush, StoreError, sqlite};

/// The flushes of one collector on their way to its store.
#[derive(Debug)]
pub struct Spool {
    connection: Connection,
    files: OpenFiles,
    writer: WriterId,
    limit_bytes: Arc<AtomicU64>,
    bytes: u64,
    /// Those of accepted flushes.
    accepted_bytes: u64,
    waiting: u64,
}

/// Why a flush is not in the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// There is no room for it.
    #[error("the spool is full: {bytes} of {limit_bytes} bytes are queued for the store")]
    Full {
        /// Bytes of content in the queue.
        bytes: u64,
        /// The limit of the queue.
        limit_bytes: u64,
    },
    /// The disk refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Spool {
    /// The spool of this state file. Blocks of one writer only: the file has one identity.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path, writer: WriterId, limit_bytes: u64) -> Result<Self, StoreError> {
        let connection = sqlite::open(path)?;
        let count = "SELECT coalesce(sum(bytes), 0), coalesce(sum(bytes) FILTER (WHERE accepted), 0),
             count(*) FILTER (WHERE NOT accepted) FROM spool_flush";
        let number = |row: &Row<'_>, column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.cast_unsigned());
        let (bytes, accepted_bytes, waiting) =
            connection.query_row(count, [], |row| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?)))?;
        let files = OpenFiles::of(path);
        let limit_bytes = Arc::new(AtomicU64::new(limit_bytes));
        Ok(Self { connection, files, writer, limit_bytes, bytes, accepted_bytes, waiting })
    }

    /// The limit of the queue, in octets. A change applies to the next [`push`](Self::push), also of a flush that was refused.
    #[must_use]
    pub fn limit(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.limit_bytes)
    }

    /// How many flushes are not accepted yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Octets of content that are kept, of flushes that were accepted too.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of content in the queue.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.accepted_bytes)
    }

    /// Keeps a flush, what senders have announced until it was made, and which flushes of the journal are counted with it.
    /// All are on disk when this returns. Of a flush without blocks only the others are kept: there is nothing to put.
    ///
    /// # Errors
    /// When the spool is full or the disk refuses: nothing is kept then.
    pub fn push(
        &mut self,
        flush: &Flush,
        announced: &[(IpAddr, Vec<u8>)],
        counted: &[Counted],
    ) -> Result<(), SpoolError> {
        let bytes = octets(&flush.blocks);
        let limit_bytes = self.limit_bytes.load(Ordering::Relaxed);
        if self.bytes + bytes > limit_bytes {
            return Err(SpoolError::Full { bytes: self.bytes, limit_bytes });
        }
        self.insert(flush, bytes, announced, counted)?;
        self.bytes += bytes;
        self.waiting += u64::from(!flush.blocks.is_empty());
        Ok(())
    }

    fn insert(
        &mut self,
        flush: &Flush,
        bytes: u64,
        announced: &[(IpAddr, Vec<u8>)],
        counted: &[Counted],
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !flush.blocks.is_empty() {
            let (epoch, sequence) = columns(flush.number);
            let [minutes, hours, days, months] = flush.watermarks.to_array().map(Minute::number);
            transaction
                .prepare_cached(
                    "INSERT INTO spool_flush (epoch, sequence, bytes, minutes_rolled_up, hours_rolled_up,
                     days_rolled_up, months_rolled_up) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute((epoch, sequence, bytes.cast_signed(), minutes, hours, days, months))?;
            insert_blocks(&transaction, flush)?;
        }
        keep_announced(&transaction, announced)?;
        note_durable(&transaction, self.writer, flush.number)?;
        note_counted(&transaction, counted)?;
        self.files.check()?;
        transaction.commit()?;
        Ok(())
    }

    /// What senders have announced that the store has not taken yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn announced(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
        templates(&self.connection, "WHERE NOT is_stored")
    }

    /// What senders have announced to this collector, whether the store has taken it or not.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn all_announced(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
        templates(&self.connection, "")
    }

    /// The store has taken what this sender has announced.
    ///
    /// # Errors
    /// When the disk refuses: it is put once more after a restart.
    pub fn remembered(&mut self, sender: IpAddr) -> Result<(), StoreError> {
        let update = "UPDATE sender_templates SET is_stored = 1 WHERE address = ?1";
        self.connection.prepare_cached(update)?.execute([sender.to_string()])?;
        Ok(())
    }

    /// The store has lost what senders have announced.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn announce_again(&mut self) -> Result<(), StoreError> {
        self.connection.execute("UPDATE sender_templates SET is_stored = 0", [])?;
        Ok(())
    }

    /// Replaces what was decided of a flush: its blocks, and the watermarks. There is always room for it.
    ///
    /// # Errors
    /// When the disk refuses: then the former decision remains.
    pub fn decide(&mut self, flush: &Flush) -> Result<(), StoreError> {
        let bytes = octets(&flush.blocks);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (epoch, sequence) = columns(flush.number);
        let of_flush = "SELECT bytes, accepted FROM spool_flush WHERE epoch = ?1 AND sequence = ?2";
        let (before, accepted): (i64, bool) =
            transaction.query_row(of_flush, (epoch, sequence), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let [minutes, hours, days, months] = flush.watermarks.to_array().map(Minute::number);
        transaction.execute(
            "UPDATE spool_flush SET bytes = ?3, minutes_rolled_up = ?4, hours_rolled_up = ?5, days_rolled_up = ?6,
             months_rolled_up = ?7 WHERE epoch = ?1 AND sequence = ?2",
            (epoch, sequence, bytes.cast_signed(), minutes, hours, days, months),
        )?;
        transaction.execute("DELETE FROM spool_block WHERE epoch = ?1 AND sequence = ?2", (epoch, sequence))?;
        insert_blocks(&transaction, flush)?;
        transaction.commit()?;
        self.bytes = self.bytes.saturating_sub(before.cast_unsigned()) + bytes;
        if accepted {
            self.accepted_bytes = self.accepted_bytes.saturating_sub(before.cast_unsigned()) + bytes;
        }
        Ok(())
    }

    /// The flush that has waited longest.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn oldest(&self) -> Result<Option<Flush>, StoreError> {
        let number = self
            .connection
            .prepare_cached(
                "SELECT epoch, sequence FROM spool_flush WHERE accepted = 0 ORDER BY epoch, sequence LIMIT 1",
            )?
            .query_row([], numbers)
            .optional()?;
        number.map_or(Ok(None), |number| self.read(number))
    }

    /// One flush, queued or accepted.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self, number: FlushNumber) -> Result<Option<Flush>, StoreError> {
        let watermarks = self
            .connection
            .prepare_cached(
                "SELECT minutes_rolled_up, hours_rolled_up, days_rolled_up, months_rolled_up FROM spool_flush
                 WHERE epoch = ?1 AND sequence = ?2",
            )?
            .query_row(columns(number), |row| {
                Ok(Watermarks::new([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?].map(Minute::new)))
            })
            .optional()?;
        let Some(watermarks) = watermarks else { return Ok(None) };
        let mut select = self.connection.prepare_cached(
            "SELECT period, start, sender, prefix, part, tables, content FROM spool_block
             WHERE epoch = ?1 AND sequence = ?2 ORDER BY rowid",
        )?;
        let mut rows = select.query(columns(number))?;
        let mut blocks = Vec::new();
        while let Some(row) = rows.next()? {
            blocks.push(self.block(number, row)?);
        }
        Ok(Some(Flush { number, watermarks, blocks }))
    }

    /// The flushes that the store has accepted, with the intervals of their blocks; in their order.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn accepted(&self) -> Result<Vec<(FlushNumber, BTreeSet<Interval>)>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT DISTINCT epoch, sequence, period, start FROM spool_flush JOIN spool_block USING (epoch, sequence)
             WHERE accepted = 1 ORDER BY epoch, sequence",
        )?;
        let mut rows = select.query([])?;
        let mut accepted: BTreeMap<FlushNumber, BTreeSet<Interval>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let interval = Interval { period: period(row.get(2)?)?, start: Minute::new(row.get(3)?) };
            accepted.entry(numbers(row)?).or_default().insert(interval);
        }
        Ok(accepted.into_iter().collect())
    }

    /// Marks a flush as accepted by the store; it stays until it is removed.
    ///
    /// # Errors
    /// When the file cannot be written: then the flush is put once more, which is harmless.
    pub fn accept(&mut self, number: FlushNumber) -> Result<(), StoreError> {
        let update =
            "UPDATE spool_flush SET accepted = 1 WHERE epoch = ?1 AND sequence = ?2 AND accepted = 0 RETURNING bytes";
        let mut update = self.connection.prepare_cached(update)?;
        let bytes: Option<i64> = update.query_row(columns(number), |row| row.get(0)).optional()?;
        if let Some(bytes) = bytes {
            self.waiting = self.waiting.saturating_sub(1);
            self.accepted_bytes += bytes.cast_unsigned();
        }
        Ok(())
    }

    fn block(&self, number: FlushNumber, row: &Row<'_>) -> Result<Block, StoreError> {
        let key = BlockKey {
            interval: Interval { period: period(row.get(0)?)?, start: Minute::new(row.get(1)?) },
            sender: parsed(row, 2)?,
            prefix: parsed(row, 3)?,
            writer: self.writer,
            origin: number.into(),
            part: row.get(4)?,
            tables: TableSet::of_bits(row.get::<_, i64>(5)?.cast_unsigned()),
        };
        Ok(Block { key, content: row.get::<_, Vec<u8>>(6)?.into() })
    }

    /// Removes a flush.
    ///
    /// # Errors
    /// When the file cannot be written: then the flush stays.
    pub fn remove(&mut self, number: FlushNumber) -> Result<(), StoreError> {
        let of_flush = columns(number);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let delete = "DELETE FROM spool_flush WHERE epoch = ?1 AND sequence = ?2 RETURNING bytes, accepted";
        let removed: Option<(i64, bool)> =
            transaction.query_row(delete, of_flush, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        transaction.execute("DELETE FROM spool_block WHERE epoch = ?1 AND sequence = ?2", of_flush)?;
        transaction.commit()?;
        if let Some((bytes, accepted)) = removed {
            let bytes = bytes.cast_unsigned();
            self.bytes = self.bytes.saturating_sub(bytes);
            match accepted {
                true => self.accepted_bytes = self.accepted_bytes.saturating_sub(bytes),
                false => self.waiting = self.waiting.saturating_sub(1),
            }
        }
        Ok(())
    }
}

fn octets(blocks: &[Block]) -> u64 {
    blocks.iter().map(|block| block.content.len() as u64).sum()
}

/// The numbers of a flush as SQLite keeps them.
fn columns(number: FlushNumber) -> (u32, i64) {
    (number.epoch, number.sequence.cast_signed())
}

fn numbers(row: &Row<'_>) -> Result<FlushNumber, rusqlite::Error> {
    Ok(FlushNumber { epoch: row.get(0)?, sequence: row.get::<_, i64>(1)?.cast_unsigned() })
}

fn period(number: u8) -> Result<Period, StoreError> {
    let period = Period::ALL.get(usize::from(number)).copied();
    period.ok_or_else(|| StoreError::Corrupt(format!("spool: period {number}").into()))
}

fn insert_blocks(connection: &Connection, flush: &Flush) -> Result<(), StoreError> {
    let (epoch, sequence) = columns(flush.number);
    let mut insert = connection.prepare_cached(
        "INSERT INTO spool_block (epoch, sequence, period, start, sender, prefix, part, tables, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for Block { key, content } in &flush.blocks {
        insert.execute((
            epoch,
            sequence,
            key.interval.period as u8,
            key.interval.start.number(),
            key.sender.to_string(),
            key.prefix.to_string(),
            key.part,
            key.tables.bits().cast_signed(),
            &**content,
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    const WRITER: WriterId = WriterId(u64::MAX);

    fn number(sequence: u64) -> FlushNumber {
        FlushNumber { epoch: 3, sequence }
    }

    fn block(number: FlushNumber, part: u16) -> Block {
        let key = BlockKey {
            interval: Interval { period: Period::Minute, start: Minute::new(23_188_621) },
            sender: IpAddr::from([192, 0, 2, 1]),
            prefix: "2001:db8::/32".parse().unwrap(),
            writer: WRITER,
            origin: number.into(),
            part,
            tables: TableSet::ALL,
        };
        Block { key, content: vec![part as u8; 100].into() }
    }

    fn flush(number: FlushNumber, blocks: u16) -> Flush {
        let blocks = (0..blocks).map(|part| block(number, part)).collect();
        Flush { number, watermarks: Watermarks::new([4, 3, 2, 1].map(Minute::new)), blocks }
    }

    fn open(folder: &tempfile::TempDir) -> Spool {
        Spool::open(&folder.path().join("state"), WRITER, 1000).unwrap()
    }

    fn push(spool: &mut Spool, sequence: u64, blocks: u16) -> Result<(), SpoolError> {
        let number = number(sequence);
        spool.push(&flush(number, blocks), &[], &[])
    }

    #[test]
    fn flushes_are_read_unchanged_in_their_order_and_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(&folder);
        push(&mut spool, 2, 1).unwrap();
        push(&mut spool, 10, 3).unwrap();
        drop(spool);
        let mut spool = open(&folder);
        assert_eq!((spool.waiting(), spool.bytes()), (2, 400));
        assert_eq!(spool.oldest().unwrap(), Some(flush(number(2), 1)));
        spool.remove(number(2)).unwrap();
        spool.remove(number(2)).unwrap();
        assert_eq!((spool.oldest().unwrap(), spool.bytes()), (Some(flush(number(10), 3)), 300));
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
        assert_eq!(refused.to_string(), "the spool is full: 600 of 1000 bytes are queued for the store");
        assert_eq!((spool.waiting(), spool.bytes()), (1, 600));
        spool.limit().store(999, Ordering::Relaxed);
        push(&mut spool, 3, 4).unwrap_err();
        spool.limit().store(1000, Ordering::Relaxed);
        push(&mut spool, 3, 4).unwrap();
        spool.remove(number(1)).unwrap();
        push(&mut spool, 4, 6).unwrap();
        assert_eq!(spool.oldest().unwrap().unwrap().number, number(3));
    }

    #[test]
    fn what_was_accepted_stays_until_it_is_removed_and_takes_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(&folder);
        push(&mut spool, 1, 5).unwrap();
        push(&mut spool, 2, 4).unwrap();
        spool.accept(number(1)).unwrap();
        spool.accept(number(1)).unwrap();
        drop(spool);
        let mut spool = open(&folder);
        assert_eq!((spool.waiting(), spool.bytes(), spool.waiting_bytes()), (1, 900, 400));
        assert_eq!(spool.oldest().unwrap(), Some(flush(number(2), 4)));
        let interval = block(number(1), 0).key.interval;
        assert_eq!(spool.accepted().unwrap(), [(number(1), BTreeSet::from([interval]))]);
        assert_eq!(spool.read(number(1)).unwrap(), Some(flush(number(1), 5)));
        assert!(matches!(push(&mut spool, 3, 2), Err(SpoolError::Full { .. })));
        spool.remove(number(1)).unwrap();
        assert_eq!((spool.waiting(), spool.bytes(), spool.accepted().unwrap()), (1, 400, vec![]));
        assert_eq!(spool.read(number(1)).unwrap(), None);
    }

    #[test]
    fn announcements_that_the_store_has_taken_stay_for_a_start_without_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(&folder);
        let [one, other] = [1, 2].map(|host| (IpAddr::from([192, 0, 2, host]), vec![host]));
        spool.push(&flush(number(1), 0), &[one.clone(), other.clone()], &[]).unwrap();
        spool.remembered(one.0).unwrap();
        drop(spool);
        let mut spool = open(&folder);
        assert_eq!(spool.announced().unwrap(), slice::from_ref(&other));
        assert_eq!(spool.all_announced().unwrap(), [one.clone(), other.clone()]);
        let newer = (one.0, vec![3]);
        spool.push(&flush(number(2), 0), slice::from_ref(&newer), &[]).unwrap();
        assert_eq!(spool.announced().unwrap(), [other, newer]);
    }

    #[test]
    fn a_decision_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(&folder);
        push(&mut spool, 1, 2).unwrap();
        let other = Flush { watermarks: Watermarks::new([9, 8, 7, 6].map(Minute::new)), ..flush(number(1), 3) };
        spool.decide(&other).unwrap();
        assert_eq!((spool.oldest().unwrap(), spool.bytes()), (Some(other.clone()), 300));
        drop(spool);
        assert_eq!((open(&folder).oldest().unwrap(), open(&folder).bytes()), (Some(other), 300));
    }
}
