//! Blocks as rows, and the rows that list them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::SystemTime;

use accounting::block::{Block, BlockKey, Origin, TableSet, WriterId};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use async_trait::async_trait;
use flow::{Prefix, Timestamp};

use super::registry::parsed;
use super::{Cassandra, SPARE};
use crate::selection::merged;
use crate::{Blocks, Retention, Selection, StoreError};

/// The longest time to live: 20 years. Blocks to be kept longer are kept forever.
const LONGEST_SECONDS: u64 = 20 * 365 * 24 * 3600;

/// The shortest one: a block that comes after its time is still there while its roll-up is under way.
const SHORTEST_SECONDS: u64 = 24 * 3600;

/// How many blocks are asked for by their keys in one statement.
const KEYS_AT_ONCE: usize = 50;

/// How many groups are listed in one statement: less than the 5 KiB at which a server warns.
const SERIES_AT_ONCE: usize = 40;

/// Writer, epoch, sequence, part and tables of a block.
type Clustering = (i64, i64, i64, i32, i64);

/// Where the blocks of an interval, sender and prefix are.
type Place = (Interval, IpAddr, Prefix);

fn clustering(key: &BlockKey) -> Clustering {
    let (epoch, sequence) = key.origin.numbers();
    (key.writer.0.cast_signed(), epoch.into(), sequence.cast_signed(), key.part.into(), key.tables.bits().cast_signed())
}

fn key_of((interval, sender, prefix): Place, row: Clustering) -> Result<BlockKey, StoreError> {
    let (writer, epoch, sequence, part, tables) = row;
    let parse = || {
        Some(BlockKey {
            interval,
            sender,
            prefix,
            writer: WriterId(writer.cast_unsigned()),
            origin: Origin::of_numbers(epoch.try_into().ok()?, sequence.cast_unsigned())?,
            part: part.try_into().ok()?,
            tables: TableSet::of_bits(tables.cast_unsigned()),
        })
    };
    parse().ok_or_else(|| StoreError::Corrupt(format!("{row:?} is no key of a block").into()))
}

fn period_number(period: Period) -> i8 {
    period as i8
}

#[async_trait]
impl Blocks for Cassandra {
    async fn put_blocks(&self, blocks: &[Block]) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        let now = Timestamp::from(SystemTime::now());
        let series: BTreeSet<(WriterId, Place)> =
            blocks.iter().map(|Block { key, .. }| (key.writer, place(key))).collect();
        let intervals: BTreeSet<(WriterId, Interval)> =
            series.iter().map(|(writer, (interval, _, _))| (*writer, *interval)).collect();
        // What lists a block is there before the block: one that is not listed would never be rolled up.
        let lists = self.link.each(intervals, |(writer, interval)| async move {
            let Interval { period, start } = interval;
            let row =
                (writer.0.cast_signed(), period_number(period), i64::from(start.number()), self.life(interval, now));
            self.link.execute(&statements.put_interval, row).await
        });
        lists.await?;
        // All groups of an interval are in one partition.
        let series: Vec<(WriterId, Place)> = series.into_iter().collect();
        let together = |one: &(WriterId, Place), other: &(WriterId, Place)| (one.0, one.1.0) == (other.0, other.1.0);
        let batches: Vec<Vec<(WriterId, Place)>> = series
            .chunk_by(together)
            .flat_map(|partition| partition.chunks(SERIES_AT_ONCE))
            .map(<[(WriterId, Place)]>::to_vec)
            .collect();
        let lists = self.link.each(batches, |batch| async move {
            let row = |(writer, (interval, sender, prefix)): (WriterId, Place)| {
                let Interval { period, start } = interval;
                let (sender, prefix) = (sender.to_string(), prefix.to_string());
                let life = self.life(interval, now);
                (writer.0.cast_signed(), period_number(period), i64::from(start.number()), sender, prefix, life)
            };
            self.link.execute_batch(&statements.put_series, batch.into_iter().map(row).collect()).await
        });
        lists.await?;
        let puts = self.link.each(0..blocks.len(), |number| async move {
            let Some(Block { key, content }) = blocks.get(number) else { return Ok(()) };
            let (writer, epoch, sequence, part, tables) = clustering(key);
            let (sender, prefix) = (key.sender.to_string(), key.prefix.to_string());
            let (start, life) = (i64::from(key.interval.start.number()), self.life(key.interval, now));
            let row = (sender, prefix, start, writer, epoch, sequence, part, tables, &**content, life);
            self.link.execute(&statements.blocks[key.interval.period].put, row).await
        });
        puts.await?;
        Ok(())
    }

    async fn read_blocks(&self, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        self.read(selections, None).await
    }

    async fn read_blocks_of(&self, writer: WriterId, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        self.read(selections, Some(writer)).await
    }

    async fn missing(&self, keys: &[BlockKey]) -> Result<Vec<BlockKey>, StoreError> {
        let statements = self.link.statements().await?;
        let mut places: BTreeMap<Place, Vec<Clustering>> = BTreeMap::new();
        for key in keys {
            places.entry(place(key)).or_default().push(clustering(key));
        }
        let some: Vec<(Place, Vec<Clustering>)> = places
            .iter()
            .flat_map(|(place, keys)| keys.chunks(KEYS_AT_ONCE).map(|keys| (*place, keys.to_vec())))
            .collect();
        let found = self.link.each(some, |(place, keys)| async move {
            let (sender, prefix, start) = bound(place);
            let row = (&sender, &prefix, start, keys);
            let rows: Vec<Clustering> = self.link.rows(&statements.blocks[place.0.period].some_keys, row).await?;
            rows.into_iter().map(|row| key_of(place, row)).collect::<Result<Vec<_>, _>>()
        });
        let found: BTreeSet<BlockKey> = found.await?.into_iter().flatten().collect();
        let lists: BTreeSet<(WriterId, Interval)> = keys.iter().map(|key| (key.writer, key.interval)).collect();
        let listed = self.link.each(lists, |(writer, interval)| self.listed_places(writer, interval)).await?;
        let listed: BTreeSet<(WriterId, Place)> = listed.into_iter().flatten().collect();
        let is_found = |key: &BlockKey| found.contains(key) && listed.contains(&(key.writer, place(key)));
        Ok(keys.iter().copied().filter(|key| !is_found(key)).collect())
    }

    async fn groups(
        &self,
        writer: WriterId,
        Interval { period, start }: Interval,
    ) -> Result<Vec<(IpAddr, Prefix)>, StoreError> {
        let statements = self.link.statements().await?;
        let row = (writer.0.cast_signed(), period_number(period), i64::from(start.number()));
        let rows: Vec<(String, String)> = self.link.rows(&statements.series, row).await?;
        let groups = rows.iter().map(|(sender, prefix)| Ok((parsed(sender)?, parsed(prefix)?)));
        let mut groups = groups.collect::<Result<Vec<_>, StoreError>>()?;
        groups.sort_unstable();
        Ok(groups)
    }

    async fn first_interval(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
    ) -> Result<Option<Interval>, StoreError> {
        let statements = self.link.statements().await?;
        let row = (writer.0.cast_signed(), period_number(period), i64::from(from.number()));
        let rows: Vec<(i64,)> = self.link.rows(&statements.first_interval, row).await?;
        rows.first().map(|(start,)| interval(period, *start)).transpose()
    }

    async fn intervals(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
        before: Minute,
    ) -> Result<Vec<Interval>, StoreError> {
        if from >= before {
            return Ok(Vec::new());
        }
        let statements = self.link.statements().await?;
        let row = (writer.0.cast_signed(), period_number(period), i64::from(from.number()), i64::from(before.number()));
        let rows: Vec<(i64,)> = self.link.rows(&statements.intervals, row).await?;
        rows.into_iter().map(|(start,)| interval(period, start)).collect()
    }

    async fn delete_blocks(&self, keys: &[BlockKey]) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        let deleted = self.link.each(keys.to_vec(), |key| async move {
            let (sender, prefix, start) = bound(place(&key));
            let (writer, epoch, sequence, part, tables) = clustering(&key);
            let row = (sender, prefix, start, writer, epoch, sequence, part, tables);
            self.link.execute(&statements.blocks[key.interval.period].delete, row).await
        });
        deleted.await?;
        let touched: BTreeSet<(WriterId, Place)> = keys.iter().map(|key| (key.writer, place(key))).collect();
        let emptied = self.link.each(touched, |(writer, place)| self.unlist_group(writer, place));
        let emptied: BTreeMap<(WriterId, Interval), ()> =
            emptied.await?.into_iter().flatten().map(|interval| (interval, ())).collect();
        let unlisted = self.link.each(emptied, |((writer, interval), ())| async move {
            let row = (writer.0.cast_signed(), period_number(interval.period), i64::from(interval.start.number()));
            let left: Vec<(String,)> = self.link.rows(&statements.any_series, row).await?;
            if left.is_empty() {
                self.link.execute(&statements.delete_interval, row).await?;
            }
            Ok(())
        });
        unlisted.await?;
        Ok(())
    }

    async fn forget_writer(&self, writer: WriterId) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        let number = writer.0.cast_signed();
        for period in Period::ALL {
            for interval in self.intervals(writer, period, Minute::EPOCH, Minute::MAX).await? {
                let groups = self.groups(writer, interval).await?;
                let deleted = self.link.each(groups, |(sender, prefix)| async move {
                    let (sender, prefix, start) = bound((interval, sender, prefix));
                    let delete = &statements.blocks[period].delete_of_writer;
                    self.link.execute(delete, (sender, prefix, start, number)).await
                });
                deleted.await?;
                // The lists last: what is interrupted before is found again.
                let list = (number, period_number(period), i64::from(interval.start.number()));
                self.link.execute(&statements.delete_all_series, list).await?;
                self.link.execute(&statements.delete_interval, list).await?;
            }
        }
        Ok(())
    }

    /// Deletes nothing: blocks expire by themselves, after the retention by which they were written.
    async fn expire(&self, _writer: WriterId, retention: Retention) -> Result<u64, StoreError> {
        if let Some(keep) = self.keep[retention.period] {
            let now = Minute::of(SystemTime::now().into());
            self.note_expiring(retention.period, keep.as_secs() / 60, now).await?;
        }
        Ok(0)
    }

    async fn expired(&self) -> Result<PerPeriod<Minute>, StoreError> {
        let statements = self.link.statements().await?;
        let rows: Vec<(i8, i64, i64)> = self.link.rows(&statements.expired, ()).await?;
        let now = Minute::of(SystemTime::now().into());
        let mut expired = PerPeriod::default();
        for row in rows {
            let noted = expiring(row).ok_or_else(|| StoreError::Corrupt(format!("{row:?} is no retention").into()))?;
            let (period, minutes_kept, written_until) = noted;
            let before = written_until.min(now.saturating_sub(minutes_kept));
            expired[period] = before.max(expired[period]);
        }
        Ok(expired)
    }

    async fn put_expired(&self, before: PerPeriod<Minute>) -> Result<(), StoreError> {
        for (period, before) in before.iter() {
            self.note_expiring(period, 0, *before).await?;
        }
        Ok(())
    }
}

impl Cassandra {
    async fn read(&self, selections: &[Selection], writer: Option<WriterId>) -> Result<Vec<Block>, StoreError> {
        let read = self.link.each(merged(selections), |selection| self.read_place(selection, writer)).await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// Seconds that a row of this interval lives from now on; 0 means forever.
    fn life(&self, interval: Interval, now: Timestamp) -> i32 {
        let Some(keep) = self.keep[interval.period] else { return 0 };
        let end = interval.end().timestamp().saturating_add(keep).saturating_add(SPARE);
        let seconds = end.seconds().saturating_sub(now.seconds()).max(SHORTEST_SECONDS);
        if seconds > LONGEST_SECONDS { 0 } else { i32::try_from(seconds).unwrap_or(0) }
    }

    async fn read_place(&self, selection: Selection, writer: Option<WriterId>) -> Result<Vec<Block>, StoreError> {
        let place = (selection.interval, selection.sender, selection.prefix);
        let statements = &self.link.statements().await?.blocks[selection.interval.period];
        let (sender, prefix, start) = bound(place);
        let rows: Vec<(i64, i64, i64, i32, i64, Vec<u8>)> = match (selection.tables, writer) {
            (TableSet::ALL, None) => self.link.rows(&statements.read, (sender, prefix, start)).await?,
            (TableSet::ALL, Some(writer)) => {
                let row = (sender, prefix, start, writer.0.cast_signed());
                self.link.rows(&statements.read_of_writer, row).await?
            }
            // The keys first: contents that are not asked for stay where they are.
            (tables, writer) => {
                let mut keys = self.keys(place).await?;
                keys.retain(|key| key.tables.intersects(tables) && writer.is_none_or(|writer| key.writer == writer));
                let mut rows = Vec::new();
                for some in keys.chunks(KEYS_AT_ONCE) {
                    let some: Vec<Clustering> = some.iter().map(clustering).collect();
                    let row = (&sender, &prefix, start, some);
                    rows.extend(self.link.rows(&statements.read_some, row).await?);
                }
                rows
            }
        };
        let block = |(writer, epoch, sequence, part, tables, content): (_, _, _, _, _, Vec<u8>)| {
            Ok(Block { key: key_of(place, (writer, epoch, sequence, part, tables))?, content: content.into() })
        };
        rows.into_iter().map(block).collect()
    }

    /// Notes that blocks of a period which start before a minute are kept no longer than this. The latest minute stays.
    async fn note_expiring(&self, period: Period, minutes: u64, before: Minute) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        let (minutes, before) = (i64::try_from(minutes).unwrap_or(i64::MAX), i64::from(before.number()));
        // The minute is also the write time, in microseconds.
        let row = (period_number(period), minutes, before, before * 60_000_000);
        self.link.execute(&statements.put_expired, row).await
    }

    /// The places of an interval that are in both lists of the writer. They are on other nodes than the blocks, so that a
    /// failure may lose a list and keep its blocks.
    async fn listed_places(&self, writer: WriterId, interval: Interval) -> Result<Vec<(WriterId, Place)>, StoreError> {
        if self.intervals(writer, interval.period, interval.start, interval.end()).await?.is_empty() {
            return Ok(Vec::new());
        }
        let groups = self.groups(writer, interval).await?.into_iter();
        Ok(groups.map(|(sender, prefix)| (writer, (interval, sender, prefix))).collect())
    }

    /// The keys of all blocks in a place.
    async fn keys(&self, place: Place) -> Result<Vec<BlockKey>, StoreError> {
        let statements = &self.link.statements().await?.blocks[place.0.period];
        let rows: Vec<Clustering> = self.link.rows(&statements.keys, bound(place)).await?;
        rows.into_iter().map(|row| key_of(place, row)).collect()
    }

    /// Takes a group from the list when the writer has no blocks left there; then the interval may be empty too.
    async fn unlist_group(&self, writer: WriterId, place: Place) -> Result<Option<(WriterId, Interval)>, StoreError> {
        let statements = self.link.statements().await?;
        let (sender, prefix, start) = bound(place);
        let number = writer.0.cast_signed();
        let any = &statements.blocks[place.0.period].any_of_writer;
        let left: Vec<(i64,)> = self.link.rows(any, (&sender, &prefix, start, number)).await?;
        if !left.is_empty() {
            return Ok(None);
        }
        let row = (number, period_number(place.0.period), start, &sender, &prefix);
        self.link.execute(&statements.delete_series, row).await?;
        Ok(Some((writer, place.0)))
    }
}

/// Period, how many minutes its blocks are kept, and before which minute they start.
fn expiring((period, minutes_kept, written_until): (i8, i64, i64)) -> Option<(Period, u32, Minute)> {
    let period = Period::ALL.get(usize::try_from(period).ok()?)?;
    let minutes_kept = u32::try_from(minutes_kept).unwrap_or(u32::MAX);
    Some((*period, minutes_kept, Minute::new(written_until.try_into().ok()?)))
}

fn place(key: &BlockKey) -> Place {
    (key.interval, key.sender, key.prefix)
}

/// A place as the values of a statement.
fn bound((interval, sender, prefix): Place) -> (String, String, i64) {
    (sender.to_string(), prefix.to_string(), interval.start.number().into())
}

fn interval(period: Period, start: i64) -> Result<Interval, StoreError> {
    let start = start.try_into().map_err(|_| StoreError::Corrupt(format!("{start} is no minute").into()))?;
    Ok(Interval { period, start: Minute::new(start) })
}
