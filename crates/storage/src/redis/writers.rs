//! Writers as a hash, and their newest complete flushes as another.

use std::collections::BTreeMap;
use std::time::SystemTime;

use accounting::block::WriterId;
use accounting::period::Minute;
use accounting::watermarks::Watermarks;
use async_trait::async_trait;
use flow::{FlushNumber, Timestamp};

use super::Redis;
use crate::{Presence, Progress, StoreError, WriterState, Writers};

/// Replaces a state by another one if it is this one; whether the other one is there now.
const REPLACE: &str = "
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored == ARGV[2] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return stored == ARGV[2] or stored == ARGV[3]";

#[async_trait]
impl Writers for Redis {
    async fn writers(&self) -> Result<Vec<WriterState>, StoreError> {
        let fields: BTreeMap<String, String> = self.link.command(redis::cmd("HGETALL").arg(self.writers_key())).await?;
        // Sixteen digits sort as the numbers do.
        fields.iter().map(|(writer, state)| parse_writer(writer, state)).collect()
    }

    async fn put_writer(&self, state: &WriterState) -> Result<(), StoreError> {
        let mut command = redis::cmd("HSET");
        command.arg(self.writers_key()).arg(state.writer.to_string()).arg(format_writer(state));
        self.link.command(&command).await
    }

    async fn replace_writer(&self, known: &WriterState, state: &WriterState) -> Result<bool, StoreError> {
        let mut command = redis::cmd("EVAL");
        command.arg(REPLACE).arg(1).arg(self.writers_key()).arg(state.writer.to_string());
        self.link.command(command.arg(format_writer(known)).arg(format_writer(state))).await
    }

    async fn put_flushed(&self, writer: WriterId, number: FlushNumber) -> Result<(), StoreError> {
        let mut command = redis::cmd("HSET");
        command.arg(self.flushed_key()).arg(writer.to_string());
        self.link.command(command.arg(format!("{} {}", number.epoch, number.sequence))).await
    }

    async fn progress(&self) -> Result<Vec<Progress>, StoreError> {
        // In this order: what is rolled up in a state was flushed before it.
        let states = self.writers().await?;
        let flushed: BTreeMap<String, String> =
            self.link.command(redis::cmd("HGETALL").arg(self.flushed_key())).await?;
        let now = Timestamp::from(SystemTime::now());
        let noted =
            |writer: WriterId| flushed.get(&writer.to_string()).map(|text| parse_number(writer, text)).transpose();
        states.into_iter().map(|state| Ok(Progress::of_stored(state, noted(state.writer)?).if_running(now))).collect()
    }
}

impl Redis {
    fn writers_key(&self) -> String {
        format!("{}:writers", self.namespace)
    }

    fn flushed_key(&self) -> String {
        format!("{}:flushed", self.namespace)
    }
}

fn format_writer(state: &WriterState) -> String {
    let [minutes, hours, days, months] = state.watermarks.to_array().map(Minute::number);
    format!("{} {} {minutes} {hours} {days} {months}", state.epoch, state.presence.stored().nanoseconds())
}

fn parse_writer(writer: &str, state: &str) -> Result<WriterState, StoreError> {
    let parse = || {
        let writer = WriterId(u64::from_str_radix(writer, 16).ok()?);
        let mut numbers = state.split(' ');
        let epoch = numbers.next()?.parse().ok()?;
        let presence = Presence::of_stored(Timestamp::from_nanoseconds(numbers.next()?.parse().ok()?));
        let mut minute = || Some(Minute::new(numbers.next()?.parse().ok()?));
        let watermarks = Watermarks::new([minute()?, minute()?, minute()?, minute()?]);
        Some(WriterState { writer, epoch, presence, watermarks })
    };
    parse().ok_or_else(|| StoreError::Corrupt(format!("'{state}' is no state of writer {writer}").into()))
}

fn parse_number(writer: WriterId, text: &str) -> Result<FlushNumber, StoreError> {
    let parse = || {
        let (epoch, sequence) = text.split_once(' ')?;
        Some(FlushNumber { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? })
    };
    parse().ok_or_else(|| StoreError::Corrupt(format!("'{text}' is no flush of writer {writer}").into()))
}
