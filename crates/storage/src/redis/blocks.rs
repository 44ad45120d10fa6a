//! Blocks as fields of hashes, and the sets that list them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use accounting::block::{Block, BlockKey, TableSet, WriterId};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use async_trait::async_trait;
use flow::Prefix;
use redis::Pipeline;

use super::Redis;
use super::key::{self, Place};
use crate::selection::merged;
use crate::{Blocks, Retention, Selection, StoreError, Writers};

/// Notes a minute of a period, unless a later one is noted.
const NOTE_EXPIRED: &str = "
if tonumber(ARGV[2]) > tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0) then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end";

#[async_trait]
impl Blocks for Redis {
    async fn put_blocks(&self, blocks: &[Block]) -> Result<(), StoreError> {
        let mut places: BTreeMap<Place, Vec<&Block>> = BTreeMap::new();
        let mut groups: BTreeMap<(WriterId, Interval), BTreeSet<String>> = BTreeMap::new();
        for block in blocks {
            let place = Place::of(&block.key);
            groups.entry((block.key.writer, block.key.interval)).or_default().insert(place.group());
            places.entry(place).or_default().push(block);
        }
        // What lists a block is there before the block: one that is not listed would never be rolled up.
        let mut lists = Vec::new();
        for ((writer, interval), groups) in groups {
            let start = interval.start.number();
            let mut pipeline = Pipeline::new();
            pipeline.cmd("ZADD").arg(key::intervals(&self.namespace, writer, interval.period)).arg(start).arg(start);
            lists.push(pipeline);
            let name = key::groups(&self.namespace, writer, interval);
            let mut pipeline = Pipeline::new();
            pipeline.cmd("SADD").arg(&name).arg(groups.into_iter().collect::<Vec<_>>());
            lists.push(pipeline);
        }
        self.link.run(lists).await?;
        let puts = places.into_iter().map(|(place, blocks)| {
            let name = place.name(&self.namespace);
            let mut pipeline = Pipeline::new();
            let put = pipeline.cmd("HSET").arg(&name);
            for block in blocks {
                put.arg(key::field(&block.key)).arg(&*block.content);
            }
            pipeline
        });
        self.link.run(puts.collect()).await
    }

    async fn read_blocks(&self, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        self.read(selections, None).await
    }

    async fn read_blocks_of(&self, writer: WriterId, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        self.read(selections, Some(writer)).await
    }

    async fn missing(&self, keys: &[BlockKey]) -> Result<Vec<BlockKey>, StoreError> {
        let mut places: BTreeMap<Place, Vec<BlockKey>> = BTreeMap::new();
        for key in keys {
            places.entry(Place::of(key)).or_default().push(*key);
        }
        let lists: BTreeSet<(WriterId, Place)> = keys.iter().map(|key| (key.writer, Place::of(key))).collect();
        let found = self.link.each(places, |(place, keys)| async move {
            let name = place.name(&self.namespace);
            let mut pipeline = Pipeline::new();
            for key in &keys {
                pipeline.cmd("HEXISTS").arg(&name).arg(key::field(key));
            }
            let found: Vec<bool> = self.link.pipeline(&pipeline).await?;
            Ok(keys.into_iter().zip(found).filter_map(|(key, found)| found.then_some(key)).collect::<Vec<_>>())
        });
        let found: BTreeSet<BlockKey> = found.await?.into_iter().flatten().collect();
        let listed = self.listed_places(lists).await?;
        let is_found = |key: &BlockKey| found.contains(key) && listed.contains(&(key.writer, Place::of(key)));
        Ok(keys.iter().copied().filter(|key| !is_found(key)).collect())
    }

    async fn groups(&self, writer: WriterId, interval: Interval) -> Result<Vec<(IpAddr, Prefix)>, StoreError> {
        let name = key::groups(&self.namespace, writer, interval);
        let members: Vec<String> = self.link.command(redis::cmd("SMEMBERS").arg(name)).await?;
        let mut groups = members.iter().map(|member| key::parse_group(member)).collect::<Result<Vec<_>, _>>()?;
        groups.sort_unstable();
        Ok(groups)
    }

    async fn first_interval(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
    ) -> Result<Option<Interval>, StoreError> {
        Ok(self.listed(writer, period, from, None, Some(1)).await?.pop())
    }

    async fn intervals(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
        before: Minute,
    ) -> Result<Vec<Interval>, StoreError> {
        self.listed(writer, period, from, Some(before), None).await
    }

    async fn delete_blocks(&self, keys: &[BlockKey]) -> Result<(), StoreError> {
        let mut places: BTreeMap<Place, Vec<BlockKey>> = BTreeMap::new();
        for key in keys {
            places.entry(Place::of(key)).or_default().push(*key);
        }
        let emptied = self.link.each(places, |(place, keys)| self.delete_in(place, keys)).await?;
        let mut groups: BTreeMap<(WriterId, Interval), Vec<String>> = BTreeMap::new();
        for (writer, place) in emptied.into_iter().flatten() {
            groups.entry((writer, place.interval)).or_default().push(place.group());
        }
        self.link.each(groups, |((writer, interval), groups)| self.unlist(writer, interval, groups)).await?;
        Ok(())
    }

    async fn forget_writer(&self, writer: WriterId) -> Result<(), StoreError> {
        for period in Period::ALL {
            self.delete_before(writer, Retention { period, before: Minute::MAX }).await?;
        }
        Ok(())
    }

    async fn expire(&self, writer: WriterId, retention: Retention) -> Result<u64, StoreError> {
        let known = self.writers().await?;
        let bounded = retention.bounded(known.iter().find(|state| state.writer == writer));
        let Retention { period, before } = bounded;
        if let Some(last) = self.listed(writer, period, Minute::EPOCH, Some(before), None).await?.pop() {
            // First: what is interrupted is known to have expired.
            self.note_expired(period, last.end()).await?;
        }
        self.delete_before(writer, bounded).await
    }

    async fn expired(&self) -> Result<PerPeriod<Minute>, StoreError> {
        let noted: BTreeMap<String, u32> = self.link.command(redis::cmd("HGETALL").arg(self.expired_key())).await?;
        let before = |period: Period| noted.get(period.name()).copied().unwrap_or_default();
        Ok(PerPeriod::new(Period::ALL.map(|period| Minute::new(before(period)))))
    }

    async fn put_expired(&self, before: PerPeriod<Minute>) -> Result<(), StoreError> {
        for (period, before) in before.iter() {
            self.note_expired(period, *before).await?;
        }
        Ok(())
    }
}

impl Redis {
    async fn read(&self, selections: &[Selection], writer: Option<WriterId>) -> Result<Vec<Block>, StoreError> {
        let read = self.link.each(merged(selections), |selection| self.read_place(selection, writer)).await?;
        Ok(read.into_iter().flatten().collect())
    }

    async fn read_place(&self, selection: Selection, writer: Option<WriterId>) -> Result<Vec<Block>, StoreError> {
        let Selection { interval, sender, prefix, tables } = selection;
        let place = Place { interval, sender, prefix };
        let name = place.name(&self.namespace);
        if tables == TableSet::ALL && writer.is_none() {
            let all: Vec<(Vec<u8>, Vec<u8>)> = self.link.command(redis::cmd("HGETALL").arg(name)).await?;
            let block = |(field, content): (Vec<u8>, Vec<u8>)| {
                Ok(Block { key: key::parse_field(place, &field)?, content: content.into() })
            };
            return all.into_iter().map(block).collect();
        }
        let mut keys = self.keys(place).await?;
        keys.retain(|key| key.tables.intersects(tables) && writer.is_none_or(|writer| key.writer == writer));
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let fields: Vec<Vec<u8>> = keys.iter().map(key::field).collect();
        let contents: Vec<Option<Vec<u8>>> = self.link.command(redis::cmd("HMGET").arg(name).arg(fields)).await?;
        // A block that was deleted since has no content.
        let blocks = keys.into_iter().zip(contents);
        Ok(blocks.filter_map(|(key, content)| Some(Block { key, content: content?.into() })).collect())
    }

    /// The places that are in both lists of their writer. A failover may lose a list and keep its blocks: they are on
    /// different masters of a cluster.
    async fn listed_places(
        &self,
        places: BTreeSet<(WriterId, Place)>,
    ) -> Result<BTreeSet<(WriterId, Place)>, StoreError> {
        let mut by_list: BTreeMap<(WriterId, Interval), Vec<Place>> = BTreeMap::new();
        for (writer, place) in places {
            by_list.entry((writer, place.interval)).or_default().push(place);
        }
        let listed = self.link.each(by_list, |((writer, interval), places)| async move {
            let name = key::intervals(&self.namespace, writer, interval.period);
            let rank: Option<u64> =
                self.link.command(redis::cmd("ZRANK").arg(name).arg(interval.start.number())).await?;
            if rank.is_none() {
                return Ok(Vec::new());
            }
            let mut command = redis::cmd("SMISMEMBER");
            command.arg(key::groups(&self.namespace, writer, interval));
            command.arg(places.iter().map(Place::group).collect::<Vec<_>>());
            let members: Vec<bool> = self.link.command(&command).await?;
            let listed = places.into_iter().zip(members).filter(|(_, is_member)| *is_member);
            Ok(listed.map(|(place, _)| (writer, place)).collect())
        });
        Ok(listed.await?.into_iter().flatten().collect())
    }

    /// The keys of all blocks in a place.
    async fn keys(&self, place: Place) -> Result<Vec<BlockKey>, StoreError> {
        let fields: Vec<Vec<u8>> = self.link.command(redis::cmd("HKEYS").arg(place.name(&self.namespace))).await?;
        fields.iter().map(|field| key::parse_field(place, field)).collect()
    }

    /// The intervals that start at or after `from`, before `before`, at most `limit`.
    async fn listed(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
        before: Option<Minute>,
        limit: Option<u32>,
    ) -> Result<Vec<Interval>, StoreError> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(key::intervals(&self.namespace, writer, period)).arg(from.number());
        match before {
            Some(before) => command.arg(format!("({}", before.number())),
            None => command.arg("+inf"),
        };
        if let Some(limit) = limit {
            command.arg("LIMIT").arg(0).arg(limit);
        }
        let starts: Vec<u32> = self.link.command(&command).await?;
        Ok(starts.into_iter().map(|start| Interval { period, start: Minute::new(start) }).collect())
    }

    fn expired_key(&self) -> String {
        format!("{}:expired", self.namespace)
    }

    async fn note_expired(&self, period: Period, before: Minute) -> Result<(), StoreError> {
        let mut command = redis::cmd("EVAL");
        command.arg(NOTE_EXPIRED).arg(1).arg(self.expired_key());
        self.link.command(command.arg(period.name()).arg(before.number())).await
    }

    /// Deletes blocks of one place; returns the writers that have none left there.
    async fn delete_in(&self, place: Place, keys: Vec<BlockKey>) -> Result<Vec<(WriterId, Place)>, StoreError> {
        let fields: Vec<Vec<u8>> = keys.iter().map(key::field).collect();
        let name = place.name(&self.namespace);
        self.link.command::<()>(redis::cmd("HDEL").arg(name).arg(fields)).await?;
        let left: BTreeSet<WriterId> = self.keys(place).await?.into_iter().map(|key| key.writer).collect();
        let writers: BTreeSet<WriterId> = keys.into_iter().map(|key| key.writer).collect();
        Ok(writers.difference(&left).map(|writer| (*writer, place)).collect())
    }

    /// Takes groups of a writer from the lists, and the interval when none is left.
    async fn unlist(&self, writer: WriterId, interval: Interval, groups: Vec<String>) -> Result<(), StoreError> {
        let name = key::groups(&self.namespace, writer, interval);
        let mut pipeline = Pipeline::new();
        pipeline.cmd("SREM").arg(&name).arg(groups).ignore();
        pipeline.cmd("EXISTS").arg(&name);
        let (left,): (bool,) = self.link.pipeline(&pipeline).await?;
        if !left {
            let name = key::intervals(&self.namespace, writer, interval.period);
            self.link.command::<()>(redis::cmd("ZREM").arg(name).arg(interval.start.number())).await?;
        }
        Ok(())
    }

    async fn delete_before(&self, writer: WriterId, retention: Retention) -> Result<u64, StoreError> {
        let Retention { period, before } = retention;
        let mut gone = 0;
        for interval in self.listed(writer, period, Minute::EPOCH, Some(before), None).await? {
            let groups = self.groups(writer, interval).await?;
            let keys = self
                .link
                .each(groups.clone(), |(sender, prefix)| self.keys(Place { interval, sender, prefix }))
                .await?;
            let keys: Vec<BlockKey> = keys.into_iter().flatten().filter(|key| key.writer == writer).collect();
            self.delete_blocks(&keys).await?;
            gone += keys.len() as u64;
            // Also where the blocks had expired by themselves.
            let rest = groups.into_iter().map(|(sender, prefix)| Place { interval, sender, prefix }.group()).collect();
            self.unlist(writer, interval, rest).await?;
        }
        Ok(gone)
    }
}
