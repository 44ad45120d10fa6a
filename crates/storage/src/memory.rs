//! A store in memory: nothing survives the process. For tests and for looking at captures; also the plainest reading
//! of what [`Store`] asks for, which the others are compared with.
//!
//! Layout: blocks by interval, then by sender and prefix, then by key; senders and writers in maps of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use accounting::block::{Block, BlockKey, WriterId};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use async_trait::async_trait;
use bytes::Bytes;
use flow::{FlushNumber, Prefix, Setting, Timestamp};

use crate::registrations::{Entry, Part, PartKind, changes, replacements};
use crate::remarks::settled;
use crate::selection::merged;
use crate::{
    Blocks, Progress, Registration, Registrations, Registry, Remark, Remarks, Retention, Selection, Sender, Store,
    StoreError, WriterState, Writers,
};

/// A store in memory.
#[derive(Debug, Default)]
pub struct Memory {
    contents: Mutex<Contents>,
}

/// The blocks of an interval, sender and prefix.
type Group = BTreeMap<BlockKey, Bytes>;

#[derive(Clone, Debug, Default)]
struct Contents {
    blocks: BTreeMap<Interval, BTreeMap<(IpAddr, Prefix), Group>>,
    expired: PerPeriod<Minute>,
    senders: BTreeMap<IpAddr, Registered>,
    /// Of each registration and removal so far.
    changes: BTreeMap<Entry, u64>,
    remarks: Remarks,
    writers: BTreeMap<WriterId, WriterState>,
    flushed: BTreeMap<WriterId, FlushNumber>,
}

#[derive(Clone, Debug, Default)]
struct Registered {
    parts: BTreeSet<Part>,
    last: Option<Timestamp>,
    announcements: Option<Vec<u8>>,
}

impl Registered {
    fn sender(&self, address: IpAddr) -> Sender {
        let mut sender = Sender::new(address, self.last);
        self.parts.iter().for_each(|part| sender.add(part.clone()));
        sender
    }
}

impl Memory {
    /// A copy of everything, as a replica has it.
    #[must_use]
    pub fn replica(&self) -> Self {
        Self { contents: Mutex::new(self.lock().clone()) }
    }

    /// Continues with the data of a replica: what came since it was made is lost.
    pub fn fail_over_to(&self, replica: &Self) {
        let contents = replica.lock().clone();
        *self.lock() = contents;
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // No method leaves the maps half changed, so what a panicking thread held is whole.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    /// Numbers a change of an entry.
    fn number(&mut self, entry: Entry) {
        let last = self.changes.entry(entry).or_default();
        *last = Timestamp::from(SystemTime::now()).milliseconds().max(*last + 1);
    }

    /// Registers a sender, and changes its parts.
    fn change(&mut self, address: IpAddr, change: impl FnOnce(&BTreeSet<Part>) -> BTreeMap<Part, bool>) {
        let parts = &mut self.senders.entry(address).or_default().parts;
        let changed = change(parts);
        for (part, is_registered) in &changed {
            if *is_registered {
                parts.insert(part.clone())
            } else {
                parts.remove(part)
            };
        }
        self.number((address, None));
        changed.into_iter().for_each(|(part, _)| self.number((address, Some(part))));
    }

    fn is_registered(&self, (address, part): &Entry) -> bool {
        let sender = self.senders.get(address);
        sender.is_some_and(|sender| part.as_ref().is_none_or(|part| sender.parts.contains(part)))
    }

    fn selected(&self, selection: Selection) -> impl Iterator<Item = Block> {
        self.blocks
            .get(&selection.interval)
            .and_then(|groups| groups.get(&(selection.sender, selection.prefix)))
            .into_iter()
            .flatten()
            .filter(move |(key, _)| key.tables.intersects(selection.tables))
            .map(|(key, content)| Block { key: *key, content: content.clone() })
    }

    /// Keeps the blocks whose keys pass, and no empty maps; returns how many went.
    fn retain(&mut self, keep: impl Fn(&BlockKey) -> bool) -> u64 {
        let mut gone = 0;
        self.blocks.retain(|_, groups| {
            groups.retain(|_, blocks| {
                blocks.retain(|key, _| {
                    let keep = keep(key);
                    gone += u64::from(!keep);
                    keep
                });
                !blocks.is_empty()
            });
            !groups.is_empty()
        });
        gone
    }
}

#[async_trait]
impl Registry for Memory {
    async fn senders(&self) -> Result<Vec<Sender>, StoreError> {
        Ok(self.lock().senders.iter().map(|(address, registration)| registration.sender(*address)).collect())
    }

    async fn sender(&self, address: IpAddr) -> Result<Option<Sender>, StoreError> {
        Ok(self.lock().senders.get(&address).map(|registration| registration.sender(address)))
    }

    async fn add_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
        let mut contents = self.lock();
        let parts = prefixes.iter().copied().map(Part::Prefix);
        contents.senders.entry(address).or_default().parts.extend(parts.clone());
        contents.number((address, None));
        parts.for_each(|part| contents.number((address, Some(part))));
        Ok(())
    }

    async fn remove_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError> {
        let mut contents = self.lock();
        let Some(registration) = contents.senders.get_mut(&address) else { return Ok(false) };
        let parts = prefixes.iter().copied().map(Part::Prefix);
        let removed: Vec<Part> = parts.filter(|part| registration.parts.remove(part)).collect();
        removed.into_iter().for_each(|part| contents.number((address, Some(part))));
        Ok(true)
    }

    async fn set(&self, address: IpAddr, settings: &[Setting]) -> Result<(), StoreError> {
        self.lock().change(address, |parts| changes(parts.iter(), settings));
        Ok(())
    }

    async fn replace(&self, address: IpAddr, kind: PartKind, parts: &[Part]) -> Result<(), StoreError> {
        self.lock().change(address, |registered| replacements(registered.iter(), kind, parts));
        Ok(())
    }

    async fn remove_sender(&self, address: IpAddr) -> Result<bool, StoreError> {
        let mut contents = self.lock();
        let Some(removed) = contents.senders.remove(&address) else { return Ok(false) };
        contents.number((address, None));
        removed.parts.into_iter().for_each(|part| contents.number((address, Some(part))));
        Ok(true)
    }

    async fn touch_senders(&self, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError> {
        let mut contents = self.lock();
        for (address, time) in last {
            if let Some(registration) = contents.senders.get_mut(address) {
                registration.last = registration.last.max(Some(*time));
            }
        }
        Ok(())
    }

    async fn put_templates(&self, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
        let mut contents = self.lock();
        for (address, announcements) in announced {
            if let Some(registration) = contents.senders.get_mut(address) {
                registration.announcements = Some(announcements.clone());
            }
        }
        Ok(())
    }

    async fn templates(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
        let contents = self.lock();
        let known = |(address, registration): (&IpAddr, &Registered)| {
            registration.announcements.clone().map(|announcements| (*address, announcements))
        };
        Ok(contents.senders.iter().filter_map(known).collect())
    }

    async fn remarks(&self, address: IpAddr) -> Result<Vec<Remark>, StoreError> {
        Ok(self.lock().remarks.get(&address).cloned().unwrap_or_default())
    }

    async fn all_remarks(&self) -> Result<Remarks, StoreError> {
        Ok(self.lock().remarks.clone())
    }

    async fn put_remarks(&self, remarks: &Remarks) -> Result<(), StoreError> {
        let mut contents = self.lock();
        for (address, added) in remarks {
            let stored = contents.remarks.entry(*address).or_default();
            stored.extend_from_slice(added);
            *stored = settled(std::mem::take(stored));
        }
        Ok(())
    }

    async fn registrations(&self) -> Result<Registrations, StoreError> {
        let contents = self.lock();
        let registration = |(entry, number): (&Entry, &u64)| {
            (entry.clone(), Registration { is_registered: contents.is_registered(entry), number: *number })
        };
        Ok(contents.changes.iter().map(registration).collect())
    }

    async fn put_registrations(&self, lost: &Registrations) -> Result<(), StoreError> {
        let mut contents = self.lock();
        for (entry @ (address, part), Registration { is_registered, number }) in lost {
            if contents.changes.get(entry).is_some_and(|stored| stored >= number) {
                continue;
            }
            contents.changes.insert(entry.clone(), *number);
            match (part, is_registered) {
                (None, true) => drop(contents.senders.entry(*address).or_default()),
                (None, false) => drop(contents.senders.remove(address)),
                (Some(part), true) => drop(contents.senders.entry(*address).or_default().parts.insert(part.clone())),
                (Some(part), false) => {
                    contents.senders.get_mut(address).map(|sender| sender.parts.remove(part));
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Blocks for Memory {
    async fn put_blocks(&self, blocks: &[Block]) -> Result<(), StoreError> {
        let mut contents = self.lock();
        for Block { key, content } in blocks {
            let groups = contents.blocks.entry(key.interval).or_default();
            groups.entry((key.sender, key.prefix)).or_default().insert(*key, content.clone());
        }
        Ok(())
    }

    async fn read_blocks(&self, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        let contents = self.lock();
        Ok(merged(selections).into_iter().flat_map(|selection| contents.selected(selection)).collect())
    }

    async fn groups(&self, writer: WriterId, interval: Interval) -> Result<Vec<(IpAddr, Prefix)>, StoreError> {
        let contents = self.lock();
        let groups = contents.blocks.get(&interval).into_iter().flatten();
        let of_writer = groups.filter(|(_, blocks)| blocks.keys().any(|key| key.writer == writer));
        Ok(of_writer.map(|(group, _)| *group).collect())
    }

    async fn first_interval(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
    ) -> Result<Option<Interval>, StoreError> {
        let contents = self.lock();
        let later = contents.blocks.range(Interval { period, start: from }..);
        let mut of_period = later.take_while(|(interval, _)| interval.period == period);
        let found = of_period.find(|(_, groups)| groups.values().flatten().any(|(key, _)| key.writer == writer));
        Ok(found.map(|(interval, _)| *interval))
    }

    async fn delete_blocks(&self, keys: &[BlockKey]) -> Result<(), StoreError> {
        let keys: BTreeSet<&BlockKey> = keys.iter().collect();
        self.lock().retain(|key| !keys.contains(key));
        Ok(())
    }

    async fn forget_writer(&self, writer: WriterId) -> Result<(), StoreError> {
        self.lock().retain(|key| key.writer != writer);
        Ok(())
    }

    async fn expire(&self, writer: WriterId, retention: Retention) -> Result<u64, StoreError> {
        let mut contents = self.lock();
        let Retention { period, before } = retention.bounded(contents.writers.get(&writer));
        let goes =
            |key: &BlockKey| key.writer == writer && key.interval.period == period && key.interval.start < before;
        let groups = contents.blocks.values().flat_map(BTreeMap::values);
        let going = groups.flat_map(BTreeMap::keys).filter(|key| goes(key));
        let end = going.map(|key| key.interval.end()).max().unwrap_or_default();
        contents.expired[period] = end.max(contents.expired[period]);
        Ok(contents.retain(|key| !goes(key)))
    }

    async fn expired(&self) -> Result<PerPeriod<Minute>, StoreError> {
        Ok(self.lock().expired)
    }

    async fn put_expired(&self, before: PerPeriod<Minute>) -> Result<(), StoreError> {
        let mut contents = self.lock();
        for (period, before) in before.iter() {
            contents.expired[period] = contents.expired[period].max(*before);
        }
        Ok(())
    }
}

#[async_trait]
impl Writers for Memory {
    async fn writers(&self) -> Result<Vec<WriterState>, StoreError> {
        Ok(self.lock().writers.values().copied().collect())
    }

    async fn put_writer(&self, state: &WriterState) -> Result<(), StoreError> {
        self.lock().writers.insert(state.writer, *state);
        Ok(())
    }

    async fn replace_writer(&self, known: &WriterState, state: &WriterState) -> Result<bool, StoreError> {
        let mut contents = self.lock();
        let stored = contents.writers.get_mut(&state.writer).filter(|stored| *stored == known || *stored == state);
        Ok(stored.map(|stored| *stored = *state).is_some())
    }

    async fn put_flushed(&self, writer: WriterId, number: FlushNumber) -> Result<(), StoreError> {
        self.lock().flushed.insert(writer, number);
        Ok(())
    }

    async fn progress(&self) -> Result<Vec<Progress>, StoreError> {
        let contents = self.lock();
        let noted = |state: &WriterState| contents.flushed.get(&state.writer).copied();
        Ok(contents.writers.values().map(|state| Progress::of_stored(*state, noted(state))).collect())
    }
}

impl Store for Memory {}
