//! Remarks as rows.

use std::net::IpAddr;

use flow::Timestamp;
use rusqlite::{Connection, Row};

use super::registry::parsed;
use crate::remarks::settled;
use crate::{Remark, Remarks, StoreError};

/// The remarks about a sender.
pub(crate) fn of(connection: &Connection, sender: IpAddr) -> Result<Vec<Remark>, StoreError> {
    let select = "SELECT sender, milliseconds, kind, was, became FROM remark WHERE sender = ?1 ORDER BY milliseconds, kind, was, became";
    let mut select = connection.prepare_cached(select)?;
    let mut rows = select.query([sender.to_string()])?;
    let mut remarks = Vec::new();
    while let Some(row) = rows.next()? {
        remarks.push(remark(row)?);
    }
    Ok(remarks)
}

/// All remarks.
pub(crate) fn all(connection: &Connection) -> Result<Remarks, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT sender, milliseconds, kind, was, became FROM remark ORDER BY milliseconds, kind, was, became",
    )?;
    let mut rows = select.query([])?;
    let mut remarks = Remarks::new();
    while let Some(row) = rows.next()? {
        remarks.entry(parsed(row, 0)?).or_default().push(remark(row)?);
    }
    Ok(remarks)
}

/// Adds remarks about a sender.
pub(crate) fn put(connection: &Connection, sender: IpAddr, added: &[Remark]) -> Result<(), StoreError> {
    let mut remarks = of(connection, sender)?;
    remarks.extend_from_slice(added);
    let sender = sender.to_string();
    connection.prepare_cached("DELETE FROM remark WHERE sender = ?1")?.execute([&sender])?;
    let mut insert = connection
        .prepare_cached("INSERT INTO remark (sender, milliseconds, kind, was, became) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for Remark { time, kind, was, is } in settled(remarks) {
        insert.execute((&sender, time.milliseconds().cast_signed(), kind, was, is))?;
    }
    Ok(())
}

fn remark(row: &Row<'_>) -> Result<Remark, StoreError> {
    let time = Timestamp::from_milliseconds(row.get::<_, i64>(1)?.cast_unsigned());
    Ok(Remark { time, kind: row.get(2)?, was: row.get(3)?, is: row.get(4)? })
}
