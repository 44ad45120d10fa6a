//! Remarks as rows: one that several collectors add is one row. Those that are not kept are deleted by the next collector that adds
//! some.

use std::net::IpAddr;

use flow::Timestamp;

use super::Cassandra;
use super::registry::parsed;
use crate::remarks::settled;
use crate::{Remark, Remarks, StoreError};

/// Sender, milliseconds since 1970, kind, what it was and what it became.
type Row = (String, i64, String, String, String);

impl Cassandra {
    /// All rows about a sender.
    pub(super) async fn remarks_about(&self, sender: IpAddr) -> Result<Vec<Remark>, StoreError> {
        let statements = self.link.statements().await?;
        let rows: Vec<Row> = self.link.rows(&statements.remarks, (sender.to_string(),)).await?;
        Ok(rows.into_iter().map(remark).collect())
    }

    pub(super) async fn remarks_about_all(&self) -> Result<Remarks, StoreError> {
        let statements = self.link.statements().await?;
        let rows: Vec<Row> = self.link.rows(&statements.all_remarks, ()).await?;
        let mut remarks = Remarks::new();
        for row in rows {
            remarks.entry(parsed(&row.0)?).or_default().push(remark(row));
        }
        Ok(remarks.into_iter().map(|(sender, remarks)| (sender, settled(remarks))).collect())
    }

    pub(super) async fn add_remarks(&self, remarks: &Remarks) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        for (sender, added) in remarks {
            for remark in added {
                self.link.execute(&statements.put_remark, row(*sender, remark)).await?;
            }
            let stored = self.remarks_about(*sender).await?;
            let kept = settled(stored.clone());
            for remark in stored.iter().filter(|remark| !kept.contains(remark)) {
                self.link.execute(&statements.delete_remark, row(*sender, remark)).await?;
            }
        }
        Ok(())
    }
}

fn row(sender: IpAddr, Remark { time, kind, was, is }: &Remark) -> Row {
    (sender.to_string(), time.milliseconds().cast_signed(), kind.clone(), was.clone(), is.clone())
}

fn remark((_, milliseconds, kind, was, is): Row) -> Remark {
    Remark { time: Timestamp::from_milliseconds(milliseconds.cast_unsigned()), kind, was, is }
}
