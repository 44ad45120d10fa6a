//! Changes of registrations, and their numbers (`registrations.rs`). The numbers of a sender and its prefixes are in a row
//! of their own beside that of the sender, `<address> changes`, which programs before 0.1 take for a sender that is not
//! registered, and leave. A change and its numbers are one batch with a condition: that the numbers are those that were
//! read. Those of removals expire.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::SystemTime;

use flow::{Prefix, Setting, Timestamp};
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use super::Cassandra;
use super::registry::parsed;
use super::schema::ChangeStatements;
use crate::StoreError;
use crate::registrations::{
    ADOPTED, Entry, Part, PartKind, REMOVALS_KEPT, Registration, Registrations, changes, replacements,
};

/// Follows the address in the row of the numbers.
const CHANGES: &str = " changes";

/// How many senders get their first numbers at a reading, which takes about 4 ms each.
const ADOPTED_AT_ONCE: usize = 500;

/// How often a change is tried while others change the same sender.
const TRIES: usize = 100;

/// Address, whether it is registered, prefixes, numbers by address or prefix.
type Row = (String, Option<bool>, Option<BTreeSet<String>>, Option<BTreeMap<String, i64>>);

/// A statement with its values.
type Bound = (PreparedStatement, Box<dyn SerializeRow + Send + Sync>);

/// A sender with its numbers.
#[derive(Default)]
struct Numbered {
    is_registered: bool,
    prefixes: BTreeSet<String>,
    numbers: BTreeMap<String, i64>,
}

impl Numbered {
    fn add(&mut self, (address, registered, prefixes, numbers): Row) {
        if address.ends_with(CHANGES) {
            self.numbers = numbers.unwrap_or_default();
        } else {
            self.is_registered = registered == Some(true);
            self.prefixes = prefixes.filter(|_| self.is_registered).unwrap_or_default();
        }
    }

    /// The number of a change that is made now.
    fn next(&self) -> u64 {
        let now = Timestamp::from(SystemTime::now()).milliseconds();
        self.numbers.values().fold(now, |next, number| next.max(number.unsigned_abs() + 1))
    }

    fn registrations(&self, sender: IpAddr) -> Result<Registrations, StoreError> {
        let mut registrations = Registrations::new();
        let address = sender.to_string();
        let registered = self.is_registered.then_some(&address).into_iter().chain(&self.prefixes);
        for text in registered.chain(self.numbers.keys()) {
            let is_sender = *text == address;
            let entry = (sender, (!is_sender).then(|| text.parse()).transpose()?);
            let is_registered = if is_sender { self.is_registered } else { self.prefixes.contains(text) };
            let number = self.numbers.get(text).map_or(0, |number| number.unsigned_abs());
            registrations.insert(entry, Registration { is_registered, number });
        }
        Ok(registrations)
    }
}

impl Cassandra {
    /// Adds a sender and prefixes of it.
    pub(super) async fn add(&self, sender: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
        self.change(sender, |stored| {
            let registration = Registration { is_registered: true, number: stored.next() };
            let entries = prefixes.iter().copied().map(Part::Prefix).map(Some).chain([None]);
            Ok(Some(entries.map(|part| ((sender, part), registration)).collect()))
        })
        .await?;
        Ok(())
    }

    /// Removes prefixes of a sender; `false` when there is no such sender.
    pub(super) async fn remove(&self, sender: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError> {
        self.change(sender, |stored| {
            if !stored.is_registered {
                return Ok(None);
            }
            let number = stored.next();
            let found = prefixes.iter().filter(|prefix| stored.prefixes.contains(&prefix.to_string()));
            let removed = found
                .map(|prefix| ((sender, Some(Part::Prefix(*prefix))), Registration { is_registered: false, number }));
            let mut changed: Registrations = removed.collect();
            if !changed.is_empty() {
                // Then a change that has read the numbers before is not applied.
                changed.insert((sender, None), Registration { is_registered: true, number });
            }
            Ok(Some(changed))
        })
        .await
    }

    /// Adds a sender, and changes settings of it.
    pub(super) async fn set_of(&self, sender: IpAddr, settings: &[Setting]) -> Result<(), StoreError> {
        self.change_parts(sender, |parts| changes(parts.iter(), settings)).await
    }

    /// Adds a sender, and replaces its parts of a kind.
    pub(super) async fn replace_of(&self, sender: IpAddr, kind: PartKind, parts: &[Part]) -> Result<(), StoreError> {
        self.change_parts(sender, |registered| replacements(registered.iter(), kind, parts)).await
    }

    async fn change_parts(
        &self,
        sender: IpAddr,
        change: impl Fn(&[Part]) -> BTreeMap<Part, bool> + Sync,
    ) -> Result<(), StoreError> {
        self.change(sender, |stored| {
            let number = stored.next();
            let parts = stored.prefixes.iter().map(|part| part.parse()).collect::<Result<Vec<Part>, _>>()?;
            let changed = change(&parts).into_iter();
            let changed = changed.map(|(part, is_registered)| (Some(part), Registration { is_registered, number }));
            let own = (None, Registration { is_registered: true, number });
            Ok(Some(changed.chain([own]).map(|(part, registration)| ((sender, part), registration)).collect()))
        })
        .await?;
        Ok(())
    }

    /// Removes a sender with its prefixes; `false` when there was none.
    pub(super) async fn forget(&self, sender: IpAddr) -> Result<bool, StoreError> {
        self.change(sender, |stored| {
            if !stored.is_registered {
                return Ok(None);
            }
            let removed = Registration { is_registered: false, number: stored.next() };
            let registrations = stored.registrations(sender)?.into_iter();
            Ok(Some(registrations.filter(|(_, of)| of.is_registered).map(|(entry, _)| (entry, removed)).collect()))
        })
        .await
    }

    /// Everything with its number.
    pub(super) async fn numbered(&self) -> Result<Registrations, StoreError> {
        let registrations = self.read_numbered().await?;
        let unnumbered = registrations.iter().filter(|(_, of)| of.is_registered && of.number == 0);
        let unnumbered: BTreeSet<IpAddr> = unnumbered.map(|((sender, _), _)| *sender).collect();
        if unnumbered.is_empty() {
            return Ok(registrations);
        }
        // One after the other: they are in one partition. The others wait for the next reading.
        for sender in unnumbered.into_iter().take(ADOPTED_AT_ONCE) {
            self.adopt(sender).await?;
        }
        self.read_numbered().await
    }

    /// Stores registrations and removals of which the store has no number as great.
    pub(super) async fn put(&self, lost: &Registrations) -> Result<(), StoreError> {
        let senders: BTreeSet<IpAddr> = lost.keys().map(|(sender, _)| *sender).collect();
        for sender in senders {
            self.put_of(sender, lost).await?;
        }
        Ok(())
    }

    async fn put_of(&self, sender: IpAddr, lost: &Registrations) -> Result<(), StoreError> {
        let of_sender = lost.range((sender, None)..).take_while(|((of, _), _)| *of == sender);
        let of_sender: Vec<_> = of_sender.map(|(entry, lost)| (entry.clone(), *lost)).collect();
        self.change(sender, |stored| {
            let stored = stored.registrations(sender)?;
            let is_newer =
                |entry: &Entry, lost: &Registration| stored.get(entry).is_none_or(|stored| stored.number < lost.number);
            Ok(Some(of_sender.iter().filter(|(entry, lost)| is_newer(entry, lost)).cloned().collect()))
        })
        .await?;
        Ok(())
    }

    /// Numbers what a program before 0.1 has registered.
    async fn adopt(&self, sender: IpAddr) -> Result<(), StoreError> {
        self.change(sender, |stored| {
            let adopted = Registration { is_registered: true, number: ADOPTED };
            let registrations = stored.registrations(sender)?.into_iter();
            let unnumbered = registrations.filter(|(_, of)| of.is_registered && of.number == 0);
            Ok(Some(unnumbered.map(|(entry, _)| (entry, adopted)).collect()))
        })
        .await?;
        Ok(())
    }

    /// Changes a sender in one step with the numbers, as `decide` returns it for what is stored; `false` if it returns nothing.
    async fn change(
        &self,
        sender: IpAddr,
        decide: impl Fn(&Numbered) -> Result<Option<Registrations>, StoreError> + Sync,
    ) -> Result<bool, StoreError> {
        let statements = &self.link.statements().await?.changes;
        for _ in 0..TRIES {
            let stored = self.stored(sender).await?;
            let Some(changed) = decide(&stored)? else { return Ok(false) };
            if changed.is_empty() {
                return Ok(true);
            }
            let mut batch = numbers(statements, sender, &stored, &changed);
            batch.extend(registration(statements, sender, &stored, &changed));
            let (statements, values): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            if self.link.execute_batch_if(statements, values).await? {
                return Ok(true);
            }
        }
        Err(StoreError::Retry(format!("sender {sender} is being changed by others all the time").into()))
    }

    async fn stored(&self, sender: IpAddr) -> Result<Numbered, StoreError> {
        let statements = &self.link.statements().await?.changes;
        let address = sender.to_string();
        let rows: Vec<Row> = self.link.rows(&statements.numbered_sender, (&address, changes_of(sender))).await?;
        let mut numbered = Numbered::default();
        rows.into_iter().for_each(|row| numbered.add(row));
        Ok(numbered)
    }

    async fn read_numbered(&self) -> Result<Registrations, StoreError> {
        let statements = &self.link.statements().await?.changes;
        let rows: Vec<Row> = self.link.rows(&statements.numbered, ()).await?;
        let mut senders: BTreeMap<IpAddr, Numbered> = BTreeMap::new();
        for row in rows {
            let sender = parsed(row.0.strip_suffix(CHANGES).unwrap_or(&row.0))?;
            senders.entry(sender).or_default().add(row);
        }
        let mut registrations = Registrations::new();
        for (sender, numbered) in senders {
            registrations.extend(numbered.registrations(sender)?);
        }
        Ok(registrations)
    }
}

/// Stores numbers, if those of the sender are as they were read.
fn numbers(statements: &ChangeStatements, sender: IpAddr, stored: &Numbered, changed: &Registrations) -> Vec<Bound> {
    let of = |is_registered| {
        let changed = changed.iter().filter(move |(_, of)| of.is_registered == is_registered);
        changed.map(|(entry, of)| (text(entry), of.number.cast_signed())).collect::<BTreeMap<String, i64>>()
    };
    let (address, row) = (sender.to_string(), changes_of(sender));
    let known = stored.numbers.get(&address).copied();
    let kept = i32::try_from(REMOVALS_KEPT.as_secs()).unwrap_or(i32::MAX);
    let removed = of(false);
    let mut batch: Vec<Bound> = Vec::new();
    if !removed.is_empty() {
        batch.push((statements.put_expiring_numbers.clone(), Box::new((kept, removed, row.clone()))));
    }
    batch.push((statements.put_numbers_if.clone(), Box::new((of(true), row, address, known))));
    batch
}

/// Stores the registrations themselves.
fn registration(
    statements: &ChangeStatements,
    sender: IpAddr,
    stored: &Numbered,
    changed: &Registrations,
) -> Vec<Bound> {
    let address = sender.to_string();
    if changed.get(&(sender, None)).is_some_and(|own| !own.is_registered) {
        let delete: Bound = (statements.delete_sender.clone(), Box::new((address,)));
        return stored.is_registered.then_some(delete).into_iter().collect();
    }
    // Only what differs: a program before 0.1 may change a sender in the same moment.
    let prefixes = |is_registered| {
        let changed = changed.iter().filter(move |(_, of)| of.is_registered == is_registered);
        let changed = changed.filter_map(|((_, part), _)| part.as_ref().map(ToString::to_string));
        changed.filter(move |prefix| stored.prefixes.contains(prefix) != is_registered).collect::<BTreeSet<String>>()
    };
    let (added, removed) = (prefixes(true), prefixes(false));
    let mut batch: Vec<Bound> = Vec::new();
    if !added.is_empty() || (!stored.is_registered && changed.contains_key(&(sender, None))) {
        batch.push((statements.add_prefixes.clone(), Box::new((added, address.clone()))));
    }
    if !removed.is_empty() {
        batch.push((statements.remove_prefixes.clone(), Box::new((removed, address))));
    }
    batch
}

fn changes_of(sender: IpAddr) -> String {
    format!("{sender}{CHANGES}")
}

fn text((sender, part): &Entry) -> String {
    part.as_ref().map_or_else(|| sender.to_string(), ToString::to_string)
}
