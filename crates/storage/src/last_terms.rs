//! By which terms a collector counted each sender last, on its own disk: a start, a reload and a change of registrations
//! compare theirs with these, and what differs becomes remarks. Both are stored in one step, so that no change goes
//! unnoticed, whenever the process ends. With the embedded store it is the store's own file; for a store on the network,
//! the collector passes the remarks on.
//!
//! The terms of a sender that was removed stay, as its counters do.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::sqlite::{blocking, lock, remarks};
use crate::{Remark, Remarks, StoreError, sqlite};

/// The terms by which each sender was counted last.
#[derive(Clone, Debug)]
pub struct LastTerms {
    connection: Arc<Mutex<Connection>>,
}

impl LastTerms {
    /// Those in this state file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: Arc::new(Mutex::new(sqlite::open(path)?)) })
    }

    /// Replaces the terms of these senders, and adds what `differences` remarks about the former and the new ones, which it
    /// also returns. Senders without former terms are counted for the first time.
    ///
    /// # Errors
    /// When they cannot be stored: then nothing has changed.
    pub async fn replace(
        &self,
        terms: Vec<(IpAddr, Vec<u8>)>,
        differences: impl Fn(&[u8], &[u8]) -> Vec<Remark> + Send + 'static,
    ) -> Result<Remarks, StoreError> {
        let connection = Arc::clone(&self.connection);
        blocking(move || {
            let mut connection = lock(&connection);
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut found = Remarks::new();
            for (sender, new) in terms {
                let former = former(&transaction, sender)?;
                if former.as_ref() == Some(&new) {
                    continue;
                }
                let remarked = former.map(|former| differences(&former, &new)).unwrap_or_default();
                if !remarked.is_empty() {
                    remarks::put(&transaction, sender, &remarked)?;
                    found.insert(sender, remarked);
                }
                let mut replace =
                    transaction.prepare_cached("INSERT OR REPLACE INTO last_terms (sender, terms) VALUES (?1, ?2)")?;
                replace.execute((sender.to_string(), new))?;
            }
            transaction.commit()?;
            Ok(found)
        })
        .await
    }

    /// All remarks that this collector has made.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn remarks(&self) -> Result<Remarks, StoreError> {
        let connection = Arc::clone(&self.connection);
        blocking(move || remarks::all(&lock(&connection))).await
    }
}

fn former(connection: &Connection, sender: IpAddr) -> Result<Option<Vec<u8>>, StoreError> {
    let mut select = connection.prepare_cached("SELECT terms FROM last_terms WHERE sender = ?1")?;
    Ok(select.query_row([sender.to_string()], |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests {
    use flow::Timestamp;

    use super::*;
    use crate::{Registry, Sqlite};

    #[tokio::test]
    async fn terms_that_differ_from_those_of_an_earlier_run_are_remarked_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Sqlite::open(&path).unwrap();
        let [one, other] = [1, 2].map(|host| IpAddr::from([192, 0, 2, host]));
        let remark = |was: &[u8], is: &[u8]| {
            let [was, is] = [was, is].map(|terms| String::from_utf8(terms.to_vec()).unwrap());
            Remark { time: Timestamp::from_seconds(7), kind: "terms".into(), was, is }
        };
        let replace = async |terms: &[(IpAddr, &str)]| {
            let terms = terms.iter().map(|(sender, terms)| (*sender, terms.as_bytes().to_vec())).collect();
            let last = LastTerms::open(&path).unwrap();
            last.replace(terms, move |was, is| vec![remark(was, is)]).await.unwrap()
        };
        assert_eq!(replace(&[(one, "a"), (other, "a")]).await, Remarks::new(), "none was counted before");
        let expected = Remarks::from([(one, vec![remark(b"a", b"b")])]);
        assert_eq!(replace(&[(one, "b"), (other, "a")]).await, expected);
        assert_eq!(replace(&[(one, "b")]).await, Remarks::new());
        assert_eq!(store.all_remarks().await.unwrap(), expected);
        assert_eq!(LastTerms::open(&path).unwrap().remarks().await.unwrap(), expected);
    }
}
