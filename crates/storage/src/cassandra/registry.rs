//! Senders, and what they have announced, as rows.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use async_trait::async_trait;
use flow::{Prefix, Setting, Timestamp};

use super::Cassandra;
use crate::registrations::{Part, PartKind};
use crate::remarks::settled;
use crate::{Registrations, Registry, Remark, Remarks, Sender, StoreError};

/// Address, whether it is registered, prefixes, nanoseconds of its last datagram. A datagram that met a removal may
/// leave a row that is not registered.
type SenderRow = (String, Option<bool>, Option<BTreeSet<String>>, Option<i64>);

/// Address, whether it is registered, what it has announced.
type TemplateRow = (String, Option<bool>, Option<Vec<u8>>);

#[async_trait]
impl Registry for Cassandra {
    async fn senders(&self) -> Result<Vec<Sender>, StoreError> {
        let statements = self.link.statements().await?;
        let rows: Vec<SenderRow> = self.link.rows(&statements.senders, ()).await?;
        let senders = rows.into_iter().filter_map(|row| sender_of(row).transpose());
        let mut senders = senders.collect::<Result<Vec<_>, _>>()?;
        senders.sort_unstable_by_key(|sender| sender.address);
        Ok(senders)
    }

    async fn sender(&self, address: IpAddr) -> Result<Option<Sender>, StoreError> {
        let statements = self.link.statements().await?;
        let rows: Vec<SenderRow> = self.link.rows(&statements.sender, (address.to_string(),)).await?;
        rows.into_iter().next().map_or(Ok(None), sender_of)
    }

    async fn add_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
        self.add(address, prefixes).await
    }

    async fn remove_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError> {
        self.remove(address, prefixes).await
    }

    async fn set(&self, address: IpAddr, settings: &[Setting]) -> Result<(), StoreError> {
        self.set_of(address, settings).await
    }

    async fn replace(&self, address: IpAddr, kind: PartKind, parts: &[Part]) -> Result<(), StoreError> {
        self.replace_of(address, kind, parts).await
    }

    async fn remove_sender(&self, address: IpAddr) -> Result<bool, StoreError> {
        self.forget(address).await
    }

    /// The time of the datagram is the time of the write, so that the newest wins whatever the order.
    async fn touch_senders(&self, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        let touched = self.link.each(last.to_vec(), |(address, time)| async move {
            let nanoseconds = nanoseconds(time);
            self.link.execute(&statements.touch_sender, (nanoseconds / 1_000, nanoseconds, address.to_string())).await
        });
        touched.await?;
        Ok(())
    }

    async fn put_templates(&self, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        for (address, announcements) in announced {
            self.link.execute(&statements.put_templates, (announcements.as_slice(), address.to_string())).await?;
        }
        Ok(())
    }

    async fn templates(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
        let statements = self.link.statements().await?;
        let rows: Vec<TemplateRow> = self.link.rows(&statements.templates, ()).await?;
        let known = rows.into_iter().filter_map(|(address, registered, announcements)| {
            Some(parsed(&address).map(|address| (address, announcements))).filter(|_| registered == Some(true))
        });
        known.filter_map(|row| row.map(|(address, known)| Some((address, known?))).transpose()).collect()
    }

    async fn remarks(&self, address: IpAddr) -> Result<Vec<Remark>, StoreError> {
        Ok(settled(self.remarks_about(address).await?))
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

fn sender_of((address, registered, prefixes, last): SenderRow) -> Result<Option<Sender>, StoreError> {
    if registered != Some(true) {
        return Ok(None);
    }
    let last = last.map(|last| Timestamp::from_nanoseconds(u64::try_from(last).unwrap_or(0)));
    let mut sender = Sender::new(parsed(&address)?, last);
    for part in prefixes.unwrap_or_default() {
        sender.add(part.parse()?);
    }
    sender.prefixes.sort_unstable();
    Ok(Some(sender))
}

/// An address or prefix that was stored as text.
pub(super) fn parsed<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt(format!("'{text}' is no address or prefix").into()))
}

/// Times after the year 2262 count as its end.
pub(super) fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.nanoseconds()).unwrap_or(i64::MAX)
}
