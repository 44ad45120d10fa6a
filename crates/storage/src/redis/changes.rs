//! Changes of registrations, and their numbers (`registrations.rs`): `n` of a registration, `-n` of a removal. What is
//! registered is the hash of senders alone, since programs before 0.1 change it without a number. Each change and its
//! number are one script.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::SystemTime;

use flow::{Prefix, Setting};
use redis::{Cmd, Pipeline};

use super::Redis;
use crate::StoreError;
use crate::registrations::{
    ADOPTED, Entry, Part, PartKind, REMOVALS_KEPT, Registration, Registrations, oldest_removal,
};

/// How many registrations one script changes: the server does nothing else meanwhile.
const AT_ONCE: usize = 10_000;

/// Before a script: the time, and a function that numbers a change. The first key is the hash of senders, the second one
/// that of changes.
const NUMBER: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function number(field, sign)
    local last = math.abs(tonumber(redis.call('HGET', KEYS[2], field) or 0))
    redis.call('HSET', KEYS[2], field, string.format('%s%.0f', sign, math.max(now, last + 1)))
end";

/// A sender, and prefixes of it.
const ADD: &str = "
redis.call('HSETNX', KEYS[1], ARGV[1], '')
number(ARGV[1], '')
for i = 2, #ARGV do
    local field = ARGV[1] .. ' ' .. ARGV[i]
    redis.call('HSET', KEYS[1], field, '')
    number(field, '')
end";

/// A sender, and of each setting its start and its field; that is empty for the default, and for a removal.
const SET: &str = "
redis.call('HSETNX', KEYS[1], ARGV[1], '')
number(ARGV[1], '')
local fields = redis.call('HKEYS', KEYS[1])
for i = 2, #ARGV, 2 do
    local start, wanted = ARGV[i], ARGV[i + 1]
    for _, field in ipairs(fields) do
        if string.sub(field, 1, #start) == start and field ~= wanted then
            redis.call('HDEL', KEYS[1], field)
            number(field, '-')
        end
    end
    if wanted ~= '' then
        redis.call('HSET', KEYS[1], wanted, '')
        number(wanted, '')
    end
end";

/// A sender, the start of the fields of some parts of it, and those that it has from now on.
const REPLACE: &str = "
redis.call('HSETNX', KEYS[1], ARGV[1], '')
number(ARGV[1], '')
local start, wanted = ARGV[2], {}
for i = 3, #ARGV do wanted[ARGV[i]] = true end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #start) == start and not wanted[field] then
        redis.call('HDEL', KEYS[1], field)
        number(field, '-')
    end
end
for i = 3, #ARGV do
    redis.call('HSET', KEYS[1], ARGV[i], '')
    number(ARGV[i], '')
end";

/// A sender, and prefixes of it; whether there is the sender.
const REMOVE: &str = "
for i = 2, #ARGV do
    local field = ARGV[1] .. ' ' .. ARGV[i]
    if redis.call('HDEL', KEYS[1], field) == 1 then number(field, '-') end
end
return redis.call('HEXISTS', KEYS[1], ARGV[1])";

/// A sender; whether there was one.
const FORGET: &str = "
local start = ARGV[1] .. ' '
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #start) == start then
        redis.call('HDEL', KEYS[1], field)
        number(field, '-')
    end
end
local found = redis.call('HDEL', KEYS[1], ARGV[1])
if found == 1 then number(ARGV[1], '-') end
return found";

/// Gives what has no number the first one.
const ADOPT: &str = "
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do redis.call('HSETNX', KEYS[2], field, ARGV[1]) end";

/// Fields, each with its number; those that were removed.
const PUT: &str = "
local removed = {}
for i = 1, #ARGV, 2 do
    local field, number = ARGV[i], tonumber(ARGV[i + 1])
    if math.abs(tonumber(redis.call('HGET', KEYS[2], field) or 0)) < math.abs(number) then
        redis.call('HSET', KEYS[2], field, ARGV[i + 1])
        if number > 0 then
            redis.call('HSETNX', KEYS[1], field, '')
        elseif redis.call('HDEL', KEYS[1], field) == 1 then
            table.insert(removed, field)
        end
    end
end
return removed";

/// For how long removals are kept, and the fields of some that may be older.
const EXPIRE: &str = "
for i = 2, #ARGV do
    local number = tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or 0)
    if number < 0 and -number < now - ARGV[1] then redis.call('HDEL', KEYS[2], ARGV[i]) end
end";

impl Redis {
    /// Adds a sender and prefixes of it.
    pub(super) async fn add(&self, sender: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
        self.link.command(self.script(&format!("{NUMBER}{ADD}")).arg(sender.to_string()).arg(texts(prefixes))).await
    }

    /// Removes prefixes of a sender; `false` when there is no such sender.
    pub(super) async fn remove(&self, sender: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError> {
        self.link.command(self.script(&format!("{NUMBER}{REMOVE}")).arg(sender.to_string()).arg(texts(prefixes))).await
    }

    /// Adds a sender, and changes settings of it.
    pub(super) async fn change(&self, sender: IpAddr, settings: &[Setting]) -> Result<(), StoreError> {
        let mut script = self.script(&format!("{NUMBER}{SET}"));
        script.arg(sender.to_string());
        for setting in settings {
            let wanted = (!setting.is_default()).then(|| field(&(sender, Some(Part::Setting(*setting)))));
            script.arg(format!("{sender} {}=", setting.name())).arg(wanted.unwrap_or_default());
        }
        self.link.command(&script).await
    }

    /// Adds a sender, and replaces its parts of a kind.
    pub(super) async fn replace_of(&self, sender: IpAddr, kind: PartKind, parts: &[Part]) -> Result<(), StoreError> {
        let mut script = self.script(&format!("{NUMBER}{REPLACE}"));
        script.arg(sender.to_string()).arg(format!("{sender} {}", kind.start()));
        for part in parts {
            script.arg(field(&(sender, Some(part.clone()))));
        }
        self.link.command(&script).await
    }

    /// Removes a sender with its prefixes; `false` when there was none.
    pub(super) async fn forget(&self, sender: IpAddr) -> Result<bool, StoreError> {
        self.link.command(self.script(&format!("{NUMBER}{FORGET}")).arg(sender.to_string())).await
    }

    /// Everything with its number.
    pub(super) async fn numbered(&self) -> Result<Registrations, StoreError> {
        let (senders, changes) = self.fields().await?;
        if senders.keys().all(|field| changes.contains_key(field)) {
            self.expire_removals(&changes).await?;
            return registrations_of(&senders, &changes);
        }
        let () = self.link.command(self.script(ADOPT).arg(ADOPTED)).await?;
        let (senders, changes) = self.fields().await?;
        registrations_of(&senders, &changes)
    }

    /// Stores registrations and removals of which the store has no number as great.
    pub(super) async fn put(&self, lost: &Registrations) -> Result<(), StoreError> {
        let lost: Vec<_> = lost.iter().collect();
        for some in lost.chunks(AT_ONCE) {
            let mut script = self.script(PUT);
            for (entry, registration) in some {
                let sign = if registration.is_registered { "" } else { "-" };
                script.arg(field(entry)).arg(format!("{sign}{}", registration.number));
            }
            let removed: Vec<String> = self.link.command(&script).await?;
            // Of prefixes there are none.
            self.remove_templates(&removed).await?;
        }
        Ok(())
    }

    /// Both hashes, of one moment.
    async fn fields(&self) -> Result<(BTreeMap<String, String>, BTreeMap<String, i64>), StoreError> {
        let mut both = Pipeline::new();
        both.atomic().cmd("HGETALL").arg(self.senders_key()).cmd("HGETALL").arg(self.changes_key());
        self.link.pipeline(&both).await
    }

    async fn expire_removals(&self, changes: &BTreeMap<String, i64>) -> Result<(), StoreError> {
        let oldest = oldest_removal(SystemTime::now().into());
        let old = changes.iter().filter(|(_, number)| **number < 0 && number.unsigned_abs() < oldest);
        let old: Vec<&String> = old.map(|(field, _)| field).take(AT_ONCE).collect();
        if old.is_empty() {
            return Ok(());
        }
        // By the clock of the server: that of a collector may be wrong.
        let kept = u64::try_from(REMOVALS_KEPT.as_millis()).unwrap_or(u64::MAX);
        self.link.command(self.script(&format!("{NUMBER}{EXPIRE}")).arg(kept).arg(old)).await
    }

    /// A script about both hashes.
    fn script(&self, text: &str) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(text).arg(2).arg(self.senders_key()).arg(self.changes_key());
        command
    }

    /// In a cluster, on the node of the senders. A namespace may have a hash tag of its own.
    fn changes_key(&self) -> String {
        let senders = self.senders_key();
        if senders.contains('{') { format!("{senders}:changes") } else { format!("{{{senders}}}:changes") }
    }
}

fn texts(prefixes: &[Prefix]) -> Vec<String> {
    prefixes.iter().map(Prefix::to_string).collect()
}

fn field((sender, part): &Entry) -> String {
    part.as_ref().map_or_else(|| sender.to_string(), |part| format!("{sender} {part}"))
}

fn registrations_of(
    senders: &BTreeMap<String, String>,
    changes: &BTreeMap<String, i64>,
) -> Result<Registrations, StoreError> {
    let fields: BTreeSet<&String> = senders.keys().chain(changes.keys()).collect();
    let registration = |field: &String| Registration {
        is_registered: senders.contains_key(field),
        number: changes.get(field).copied().unwrap_or_default().unsigned_abs(),
    };
    fields.into_iter().map(|field| Ok((parse_entry(field)?, registration(field)))).collect()
}

pub(super) fn parse_entry(field: &str) -> Result<Entry, StoreError> {
    let (sender, part) = field.split_once(' ').map_or((field, None), |(sender, part)| (sender, Some(part)));
    let sender = sender.parse().map_err(|_| StoreError::Corrupt(format!("'{field}' is no address").into()))?;
    Ok((sender, part.map(str::parse).transpose()?))
}
