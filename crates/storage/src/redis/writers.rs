//! Writers as a hash.

use std::collections::BTreeMap;

use accounting::block::WriterId;
use accounting::period::Minute;
use async_trait::async_trait;
use flow::Timestamp;

use super::Redis;
use crate::{StoreError, WriterState, Writers};

#[async_trait]
impl Writers for Redis {
    async fn writers(&self) -> Result<Vec<WriterState>, StoreError> {
        let fields: BTreeMap<String, String> = self.link.command(redis::cmd("HGETALL").arg(self.writers_key())).await?;
        // Sixteen digits sort as the numbers do.
        fields.iter().map(|(writer, state)| parse_writer(writer, state)).collect()
    }

    async fn put_writer(&self, state: &WriterState) -> Result<(), StoreError> {
        let [minutes, hours, days, months] = state.rolled_up.map(|minute| minute.0);
        let value = format!("{} {} {minutes} {hours} {days} {months}", state.epoch, state.seen.nanoseconds());
        let name = self.writers_key();
        self.link.command(redis::cmd("HSET").arg(name).arg(state.writer.to_string()).arg(value)).await
    }
}

impl Redis {
    fn writers_key(&self) -> String {
        format!("{}:writers", self.namespace)
    }
}

fn parse_writer(writer: &str, state: &str) -> Result<WriterState, StoreError> {
    let parse = || {
        let writer = WriterId(u64::from_str_radix(writer, 16).ok()?);
        let mut numbers = state.split(' ');
        let epoch = numbers.next()?.parse().ok()?;
        let seen = Timestamp::from_nanoseconds(numbers.next()?.parse().ok()?);
        let mut minute = || Some(Minute(numbers.next()?.parse().ok()?));
        Some(WriterState { writer, epoch, seen, rolled_up: [minute()?, minute()?, minute()?, minute()?] })
    };
    parse().ok_or_else(|| StoreError::Corrupt(format!("'{state}' is no state of writer {writer}")))
}
