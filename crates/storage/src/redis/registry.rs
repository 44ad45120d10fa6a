//! Senders, and what they have announced, as hashes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use async_trait::async_trait;
use flow::{Prefix, Setting, Timestamp};

use super::Redis;
use super::changes::parse_entry;
use crate::registrations::{Part, PartKind};
use crate::{Registrations, Registry, Remark, Remarks, Sender, StoreError};

/// Times have twenty digits, so that they compare as text; a sender without one has none.
const TOUCH: &str = "
for i = 1, #ARGV, 2 do
    local last = redis.call('HGET', KEYS[1], ARGV[i])
    if last and last < ARGV[i + 1] then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end";

/// The value of a sender, then its prefixes: what a sender needs is found where the hash is, instead of sending all of it.
const SENDER: &str = "
local last = redis.call('HGET', KEYS[1], ARGV[1])
if not last then return {} end
local found, start, cursor = {last}, ARGV[1] .. ' ', '0'
repeat
    local page = redis.call('HSCAN', KEYS[1], cursor, 'MATCH', start .. '*', 'COUNT', 10000)
    for i = 1, #page[2], 2 do table.insert(found, string.sub(page[2][i], #start + 1)) end
    cursor = page[1]
until cursor == '0'
return found";

#[async_trait]
impl Registry for Redis {
    async fn senders(&self) -> Result<Vec<Sender>, StoreError> {
        let fields: BTreeMap<String, String> = self.link.command(redis::cmd("HGETALL").arg(self.senders_key())).await?;
        let mut senders: BTreeMap<IpAddr, Sender> = BTreeMap::new();
        // A sender sorts before its prefixes; prefixes without a sender are left from a removal that met an addition.
        for (field, value) in fields {
            if field.contains(' ') {
                if let (address, Some(part)) = parse_entry(&field)?
                    && let Some(sender) = senders.get_mut(&address)
                {
                    sender.add(part);
                }
            } else {
                let address =
                    field.parse().map_err(|_| StoreError::Corrupt(format!("'{field}' is no address").into()))?;
                senders.insert(address, Sender::new(address, parse_last(&value)));
            }
        }
        let mut senders: Vec<Sender> = senders.into_values().collect();
        for sender in &mut senders {
            sender.prefixes.sort_unstable();
        }
        Ok(senders)
    }

    async fn sender(&self, address: IpAddr) -> Result<Option<Sender>, StoreError> {
        let mut command = redis::cmd("EVAL");
        command.arg(SENDER).arg(1).arg(self.senders_key()).arg(address.to_string());
        let found: Vec<String> = self.link.command(&command).await?;
        let Some((last, parts)) = found.split_first() else { return Ok(None) };
        // A scan may return a field twice.
        let parts: BTreeSet<Part> = parts.iter().map(|part| part.parse()).collect::<Result<_, _>>()?;
        let mut sender = Sender::new(address, parse_last(last));
        parts.into_iter().for_each(|part| sender.add(part));
        Ok(Some(sender))
    }

    async fn add_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
        self.add(address, prefixes).await
    }

    async fn remove_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError> {
        self.remove(address, prefixes).await
    }

    async fn set(&self, address: IpAddr, settings: &[Setting]) -> Result<(), StoreError> {
        self.change(address, settings).await
    }

    async fn replace(&self, address: IpAddr, kind: PartKind, parts: &[Part]) -> Result<(), StoreError> {
        self.replace_of(address, kind, parts).await
    }

    async fn remove_sender(&self, address: IpAddr) -> Result<bool, StoreError> {
        self.remove_templates(&[address.to_string()]).await?;
        self.forget(address).await
    }

    async fn touch_senders(&self, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError> {
        if last.is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("EVAL");
        command.arg(TOUCH).arg(1).arg(self.senders_key());
        for (address, time) in last {
            command.arg(address.to_string()).arg(format!("{:020}", time.nanoseconds()));
        }
        self.link.command(&command).await
    }

    async fn put_templates(&self, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
        if announced.is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("HSET");
        command.arg(self.templates_key());
        for (address, announcements) in announced {
            command.arg(address.to_string()).arg(announcements.as_slice());
        }
        self.link.command(&command).await
    }

    async fn templates(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
        let name = self.templates_key();
        let fields: BTreeMap<String, Vec<u8>> = self.link.command(redis::cmd("HGETALL").arg(name)).await?;
        let parse = |(address, announcements): (String, Vec<u8>)| match address.parse() {
            Ok(address) => Ok((address, announcements)),
            Err(_) => Err(StoreError::Corrupt(format!("'{address}' is no address").into())),
        };
        fields.into_iter().map(parse).collect()
    }

    async fn remarks(&self, address: IpAddr) -> Result<Vec<Remark>, StoreError> {
        self.remarks_about(address).await
    }

    async fn all_remarks(&self) -> Result<Remarks, StoreError> {
        self.remarks_about_all().await
    }

    async fn put_remarks(&self, remarks: &Remarks) -> Result<(), StoreError> {
        self.add_remarks(remarks).await
    }

    async fn registrations(&self) -> Result<Registrations, StoreError> {
        self.numbered().await
    }

    async fn put_registrations(&self, lost: &Registrations) -> Result<(), StoreError> {
        self.put(lost).await
    }
}

impl Redis {
    pub(super) async fn remove_templates(&self, senders: &[String]) -> Result<(), StoreError> {
        if senders.is_empty() {
            return Ok(());
        }
        self.link.command(redis::cmd("HDEL").arg(self.templates_key()).arg(senders)).await
    }

    pub(super) fn senders_key(&self) -> String {
        format!("{}:senders", self.namespace)
    }

    fn templates_key(&self) -> String {
        format!("{}:templates", self.namespace)
    }
}

/// Nothing for a sender without a datagram so far.
fn parse_last(value: &str) -> Option<Timestamp> {
    value.parse().ok().map(Timestamp::from_nanoseconds)
}
