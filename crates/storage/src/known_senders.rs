//! The registered senders that a store on the network listed last, on the collector's own disk: a start needs them while
//! the store is unreachable. They are a table of the state file (`sqlite/schema_5.sql`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use flow::Prefix;
use rusqlite::{Connection, TransactionBehavior};

use crate::sqlite::{blocking, lock, parsed};
use crate::{Sender, StoreError, sqlite};

/// The senders of one store, as they were listed last.
#[derive(Clone, Debug)]
pub struct KnownSenders {
    connection: Arc<Mutex<Connection>>,
    store: Arc<str>,
}

impl KnownSenders {
    /// Those of the store of this name, in this state file. Senders of other stores are not listed.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path, store: &str) -> Result<Self, StoreError> {
        Ok(Self { connection: Arc::new(Mutex::new(sqlite::open(path)?)), store: store.into() })
    }

    /// All of them, sorted, without the times of their last datagrams.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn list(&self) -> Result<Vec<Sender>, StoreError> {
        let Self { connection, store } = self.clone();
        blocking(move || list(&lock(&connection), &store)).await
    }

    /// Replaces all of them, those of other stores too: one collector has one store.
    ///
    /// # Errors
    /// When the file cannot be written: then it stays as it is.
    pub async fn replace(&self, senders: &[Sender]) -> Result<(), StoreError> {
        let Self { connection, store } = self.clone();
        let senders = senders.to_vec();
        blocking(move || replace(&mut lock(&connection), &store, &senders)).await
    }
}

fn list(connection: &Connection, store: &str) -> Result<Vec<Sender>, StoreError> {
    let mut select = connection.prepare_cached("SELECT address, prefix FROM known_sender WHERE store = ?1")?;
    let mut rows = select.query([store])?;
    let mut senders: BTreeMap<IpAddr, Vec<Prefix>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let prefixes = senders.entry(parsed(row, 0)?).or_default();
        if !row.get::<_, String>(1)?.is_empty() {
            prefixes.push(parsed(row, 1)?);
        }
    }
    let sender = |(address, mut prefixes): (IpAddr, Vec<Prefix>)| {
        prefixes.sort_unstable();
        Sender { address, prefixes, last: None }
    };
    Ok(senders.into_iter().map(sender).collect())
}

fn replace(connection: &mut Connection, store: &str, senders: &[Sender]) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM known_sender", [])?;
    let mut insert = transaction.prepare_cached("INSERT INTO known_sender VALUES (?1, ?2, ?3)")?;
    for Sender { address, prefixes, .. } in senders {
        let address = address.to_string();
        insert.execute((store, &address, ""))?;
        for prefix in prefixes {
            insert.execute((store, &address, prefix.to_string()))?;
        }
    }
    drop(insert);
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn senders_are_listed_as_they_were_given_last_and_not_those_of_another_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let sender = |host, prefixes: &[&str]| Sender {
            address: IpAddr::from([192, 0, 2, host]),
            prefixes: prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect(),
            last: None,
        };
        let known = KnownSenders::open(&path, "redis:one").unwrap();
        assert_eq!(known.list().await.unwrap(), []);
        known.replace(&[sender(1, &["10.0.0.0/8"]), sender(3, &[])]).await.unwrap();
        let newer = [sender(1, &["10.0.0.0/9", "2001:db8::/32"]), sender(2, &[])];
        known.replace(&newer).await.unwrap();
        drop(known);
        assert_eq!(KnownSenders::open(&path, "redis:one").unwrap().list().await.unwrap(), newer);
        assert_eq!(KnownSenders::open(&path, "redis:two").unwrap().list().await.unwrap(), []);
    }
}
