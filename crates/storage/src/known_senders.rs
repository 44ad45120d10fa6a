//! What a collector knows of the registrations of its store on the network, on its own disk: a start needs the registered
//! senders while the store is unreachable, and a store that has lost some gets them from here. They are tables of the state
//! file (`sqlite/schema_5.sql`, `schema_6.sql`).

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flow::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::registrations::{Entry, Merged, Registration, Registrations, merge, oldest_removal, senders};
use crate::sqlite::{blocking, lock, nanoseconds, parsed, timestamp};
use crate::{Sender, StoreError, sqlite};

/// The longest time since the store listed them after which a store gets registrations from here. Removals are kept for
/// longer, so that none is undone.
const TRUSTED: Duration = Duration::from_secs(60 * 24 * 3600);
/// How old the time on disk may become while nothing changes.
const CONFIRMED_EVERY: Duration = Duration::from_secs(24 * 3600);

/// The registrations of one store, as this collector knows them.
#[derive(Clone, Debug)]
pub struct KnownSenders {
    connection: Arc<Mutex<Connection>>,
    store: Arc<str>,
    registrations: Registrations,
    /// When the store listed them last.
    confirmed: Timestamp,
    /// The time of it that is on disk, if the registrations are.
    saved: Option<Timestamp>,
    of_other_stores: u64,
}

impl KnownSenders {
    /// Those of the store of this name, in this state file.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open(path: &Path, store: &str) -> Result<Self, StoreError> {
        let connection = sqlite::open(path)?;
        let others = "SELECT count(*) FROM known_sender WHERE store != ?1 AND prefix = '' AND is_registered";
        let of_other_stores = connection.query_row(others, [store], |row| row.get::<_, i64>(0))?.cast_unsigned();
        let registrations = read(&connection, store)?;
        let confirmed = "SELECT confirmed_nanoseconds FROM known_store WHERE store = ?1";
        let confirmed = connection.query_row(confirmed, [store], |row| row.get(0)).optional()?.map(timestamp);
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            store: store.into(),
            registrations,
            confirmed: confirmed.unwrap_or(Timestamp::EPOCH),
            saved: confirmed,
            of_other_stores,
        })
    }

    /// The registered senders, sorted, without the times of their last datagrams.
    #[must_use]
    pub fn senders(&self) -> Vec<Sender> {
        senders(&self.registrations)
    }

    /// The number of senders of stores with other names, which this collector has used before. They are of no use here.
    #[must_use]
    pub fn of_other_stores(&self) -> u64 {
        self.of_other_stores
    }

    /// Compares these with what the store has now. If the store did not list them for long, the store is right.
    #[must_use]
    pub fn merge(&self, stored: Registrations, now: Timestamp) -> Merged {
        if stored == self.registrations {
            return Merged { current: stored, ..Merged::default() };
        }
        let is_trusted = now.saturating_sub(TRUSTED) <= self.confirmed;
        if is_trusted { merge(&self.registrations, &stored) } else { merge(&Registrations::new(), &stored) }
    }

    /// Replaces all of them by what the store has now, those of other stores too: one collector has one store.
    ///
    /// # Errors
    /// When they cannot be written: then the file stays as it is until the next call.
    pub async fn confirm(&mut self, mut current: Registrations, now: Timestamp) -> Result<(), StoreError> {
        let oldest = oldest_removal(now);
        current.retain(|_, registration| registration.is_registered || registration.number >= oldest);
        let is_changed = current != self.registrations;
        self.registrations = current;
        self.confirmed = now;
        if is_changed {
            self.saved = None;
        }
        if self.saved.is_some_and(|saved| saved.abs_diff(now) < CONFIRMED_EVERY) {
            return Ok(());
        }
        let Self { connection, store, registrations, .. } = self;
        let (connection, store, registrations) = (Arc::clone(connection), Arc::clone(store), registrations.clone());
        blocking(move || write(&mut lock(&connection), &store, &registrations, now)).await?;
        self.saved = Some(now);
        self.of_other_stores = 0;
        Ok(())
    }
}

fn read(connection: &Connection, store: &str) -> Result<Registrations, StoreError> {
    let select = "SELECT address, prefix, is_registered, number FROM known_sender WHERE store = ?1";
    let mut select = connection.prepare_cached(select)?;
    let mut rows = select.query([store])?;
    let mut registrations = Registrations::new();
    while let Some(row) = rows.next()? {
        let part: String = row.get(1)?;
        let entry: Entry = (parsed(row, 0)?, (!part.is_empty()).then(|| part.parse()).transpose()?);
        let number = row.get::<_, i64>(3)?.cast_unsigned();
        registrations.insert(entry, Registration { is_registered: row.get(2)?, number });
    }
    Ok(registrations)
}

fn write(
    connection: &mut Connection,
    store: &str,
    registrations: &Registrations,
    now: Timestamp,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch("DELETE FROM known_sender; DELETE FROM known_store")?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO known_sender (store, address, prefix, is_registered, number) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for ((address, part), Registration { is_registered, number }) in registrations {
        let part = part.as_ref().map(ToString::to_string).unwrap_or_default();
        insert.execute((store, address.to_string(), part, is_registered, number.cast_signed()))?;
    }
    drop(insert);
    transaction.execute("INSERT INTO known_store VALUES (?1, ?2)", (store, nanoseconds(now)))?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use flow::Prefix;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn entry(host: u8, prefix: Option<&str>) -> Entry {
        (IpAddr::from([192, 0, 2, host]), prefix.map(|prefix| prefix.parse().unwrap()))
    }

    fn registered(number: u64) -> Registration {
        Registration { is_registered: true, number }
    }

    fn removed(number: u64) -> Registration {
        Registration { is_registered: false, number }
    }

    fn open(path: &Path, store: &str) -> KnownSenders {
        KnownSenders::open(path, store).unwrap()
    }

    #[tokio::test]
    async fn senders_are_listed_as_they_were_confirmed_last_and_not_those_of_another_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut known = open(&path, "redis:one");
        assert_eq!(known.senders(), []);
        let former = [(entry(1, None), registered(1)), (entry(3, None), registered(2))];
        known.confirm(former.into(), NOW).await.unwrap();
        let recent = NOW.milliseconds();
        let newer = [
            (entry(1, None), registered(1)),
            (entry(1, Some("10.0.0.0/9")), registered(5)),
            (entry(1, Some("2001:db8::/32")), registered(6)),
            (entry(2, None), registered(3)),
            (entry(3, None), removed(recent)),
        ];
        known.confirm(newer.clone().into(), NOW).await.unwrap();
        drop(known);
        let known = open(&path, "redis:one");
        assert_eq!(known.registrations, newer.into());
        let prefixes = ["10.0.0.0/9", "2001:db8::/32"].map(|prefix| prefix.parse().unwrap());
        let sender =
            |host, prefixes: &[Prefix]| Sender { prefixes: prefixes.into(), ..Sender::new(entry(host, None).0, None) };
        assert_eq!(known.senders(), [sender(1, &prefixes), sender(2, &[])]);
        assert_eq!(known.of_other_stores(), 0);
        let mut other = open(&path, "redis:two");
        assert_eq!((other.senders(), other.of_other_stores()), (vec![], 2));
        other.confirm(Registrations::new(), NOW).await.unwrap();
        assert_eq!(open(&path, "redis:one").senders(), []);
    }

    #[tokio::test]
    async fn a_store_that_has_not_listed_them_for_two_months_gets_none_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let confirmed: Registrations = [(entry(1, None), registered(7))].into();
        open(&path, "redis:one").confirm(confirmed.clone(), NOW).await.unwrap();
        let known = open(&path, "redis:one");
        assert_eq!(known.merge(Registrations::new(), NOW.saturating_add(TRUSTED)).lost, confirmed);
        let late = NOW.saturating_add(TRUSTED + Duration::from_secs(1));
        assert_eq!(known.merge(Registrations::new(), late), Merged::default());
        assert_eq!(known.senders().len(), 1, "a start without the store uses them");
    }

    #[tokio::test]
    async fn old_removals_are_forgotten_and_while_nothing_changes_the_file_is_written_once_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut known = open(&path, "redis:one");
        let with = |number| Registrations::from([(entry(1, None), registered(7)), (entry(2, None), removed(number))]);
        let oldest = oldest_removal(NOW);
        known.confirm(with(oldest - 1), NOW).await.unwrap();
        assert_eq!(known.registrations.len(), 1);
        known.confirm(with(oldest + 90_000_000), NOW).await.unwrap();
        let confirmed = || open(&path, "redis:one").confirmed;
        for (seconds, written) in [(1, 0), (86_399, 0), (86_400, 86_400), (86_401, 86_400)] {
            let now = NOW.saturating_add(Duration::from_secs(seconds));
            known.confirm(with(oldest + 90_000_000), now).await.unwrap();
            assert_eq!(confirmed(), NOW.saturating_add(Duration::from_secs(written)));
        }
    }
}
