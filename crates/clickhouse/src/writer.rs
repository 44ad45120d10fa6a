//! Sends the flows of a flush to ClickHouse: each is there once, whatever becomes of requests and answers.
//!
//! A part of a flush is one insert, which is one block of one partition: it is there as a whole or not at all. Three things keep it
//! from being there twice:
//!
//! - When the outcome of an insert is unknown, the server is asked whether the part is there before it is sent again.
//! - The insert itself asks: it inserts nothing if the part is there. A request that was delayed on its way, in a queue of the
//!   server perhaps, and is carried out after it was sent again, changes nothing.
//! - It has the names of part and table as its `query_id`, of which a server runs only one at a time.
//!
//! Of a replicated table, the replica that is asked first fetches what others have. For what is still under way on another one, the
//! name of the part is the token by which ClickHouse recognises an insert that it already has (`insert_deduplication_token`).

use std::io::Write as _;
use std::time::Duration;

use columns::Row;
use flow::{FlushNumber, WriterId};

use crate::client::{Client, Request};
use crate::error::Error;
use crate::native;
use crate::part::{Content, Identity, MOST_ROWS, Part, Parts};
use crate::schema::{self, Kept};
use crate::settings::{Compression, Settings};
use crate::statements;

/// How long an insert may take, with sending its data.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is in ClickHouse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Flows.
    pub flows: u64,
    /// Inserts.
    pub inserts: u64,
    /// Octets of them, compressed.
    pub octets: u64,
    /// Flows of inserts whose outcome was unknown, and which were there.
    pub found: u64,
}

/// Sends flows, flush by flush.
#[derive(Debug)]
pub struct Writer {
    client: Client,
    compression: Compression,
    /// The table, if it is known to be as it must be.
    table: Option<Kept>,
    /// The flush whose flows are taken.
    flush: Option<(WriterId, FlushNumber)>,
    parts: Parts,
    /// The parts of the flush that are there.
    there: Vec<(u32, Content)>,
    /// Whether parts of the flush may be there that are not in the list: after a start, and after an error.
    is_doubtful: bool,
    /// The newest flush that is there. The log may have gone back before it.
    ended: Option<(WriterId, FlushNumber)>,
    body: Vec<u8>,
    sent: Sent,
}

impl Writer {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(settings: Settings, compression: Compression) -> Self {
        Self {
            client: Client::new(settings),
            compression,
            table: None,
            flush: None,
            parts: Parts::default(),
            there: Vec::new(),
            is_doubtful: true,
            ended: None,
            body: Vec::new(),
            sent: Sent::default(),
        }
    }

    /// What was sent so far.
    #[must_use]
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// Takes the next flow of a flush, and sends parts that are full. After an error, the flush has to come again from its first
    /// flow, after [`rewind`](Self::rewind).
    ///
    /// # Errors
    /// If ClickHouse does not take what is sent.
    pub fn take(&mut self, writer: WriterId, flush: FlushNumber, row: &Row) -> Result<(), Error> {
        if self.flush != Some((writer, flush)) {
            self.flush = Some((writer, flush));
            self.there.clear();
            self.is_doubtful |= self.ended.is_some_and(|(of, newest)| of == writer && flush <= newest);
        }
        if self.parts.are_full_for(row) {
            self.send()?;
        }
        self.parts.add(row);
        Ok(())
    }

    /// Sends what is left of the flush. When it returns, all of its flows are there.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn end_flush(&mut self) -> Result<(), Error> {
        self.send()?;
        self.parts.begin_flush();
        if let Some((writer, flush)) = self.flush.take() {
            let newest = self.ended.filter(|(of, _)| *of == writer).map_or(flush, |(_, newest)| newest.max(flush));
            self.ended = Some((writer, newest));
        }
        self.is_doubtful = false;
        Ok(())
    }

    /// Forgets what was taken: the flush comes again. What is there of it is not sent again.
    pub fn rewind(&mut self) {
        self.parts.begin_flush();
        self.is_doubtful = true;
        // What is wrong may be the table.
        self.table = None;
    }

    /// As [`rewind`](Self::rewind), but what is there of the flush is asked for again: the table may not have it any more.
    pub fn begin_again(&mut self) {
        self.rewind();
        self.flush = None;
    }

    /// Sends the open parts.
    fn send(&mut self) -> Result<(), Error> {
        let Some((writer, flush)) = self.flush else { return Ok(()) };
        for part in self.parts.filled() {
            let content = part.content();
            match self.there.iter().find(|(number, _)| *number == part.number) {
                Some((_, there)) if *there == content => continue,
                // The flush was decoded differently: the part as it is sent now is not the one that is there.
                Some(_) => self.is_doubtful = true,
                None => {}
            }
            let kept = match self.table {
                Some(kept) => kept,
                None => *self.table.insert(schema::check(&self.client)?),
            };
            let identity = Identity { writer, flush, number: part.number };
            if self.is_doubtful && is_there(&self.client, kept, &identity, part)? {
                self.sent.found += content.rows;
            } else {
                self.sent.octets += insert(&self.client, self.compression, &mut self.body, &identity, part)?;
                self.sent.inserts += 1;
                if kept != Kept::Once && count(&self.client, kept, &identity, part)?.rows == 0 {
                    return Err(was_repetition(&self.client, &identity));
                }
            }
            self.sent.flows += content.rows;
            self.there.push((part.number, content));
        }
        self.parts.close();
        Ok(())
    }
}

/// Whether a part is in the table.
fn is_there(client: &Client, kept: Kept, identity: &Identity, part: &Part) -> Result<bool, Error> {
    let Settings { database, table, .. } = client.settings();
    if kept == Kept::OnReplicas {
        let sql = statements::synchronisation(database, table);
        client.text(&Request { patience: PATIENCE, ..Request::new(&sql) })?;
    }
    let (found, expected) = (count(client, kept, identity, part)?, part.content());
    if found.rows == 0 {
        return Ok(false);
    }
    if found == expected {
        return Ok(true);
    }
    let shown = |Content { rows, bytes, packets }| format!("{rows} flows ({bytes} bytes, {packets} packets)");
    Err(Error::Table {
        table: format!("{database}.{table}"),
        what: format!(
            "has {} of {} where {} belong: some were deleted, another program has written them, or the collector has decoded them \
             again with other templates; delete the rest, so that all are sent again: DELETE FROM {} WHERE {}",
            shown(found),
            statements::token(identity),
            shown(expected),
            crate::table::full_name(database, table),
            statements::condition(identity)
        ),
    })
}

/// What the table has of a part.
fn count(client: &Client, kept: Kept, identity: &Identity, part: &Part) -> Result<Content, Error> {
    let Settings { database, table, .. } = client.settings();
    let sql = statements::content(database, table, identity, part);
    // Servers that share a storage may be behind each other.
    let consistent: &[_] = if kept == Kept::Shared { &[("select_sequential_consistency", "1")] } else { &[] };
    let text = client.text(&Request { settings: consistent, ..Request::new(&sql) })?;
    let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
    match [numbers.next().flatten(), numbers.next().flatten(), numbers.next().flatten()] {
        [Some(rows), Some(bytes), Some(packets)] => Ok(Content { rows, bytes, packets }),
        _ => Err(Error::Unreadable { host: client.host(), text: text.chars().take(80).collect() }),
    }
}

/// The error of an insert of which a replicated table has nothing.
fn was_repetition(client: &Client, identity: &Identity) -> Error {
    let Settings { database, table, .. } = client.settings();
    Error::Table {
        table: format!("{database}.{table}"),
        what: format!(
            "takes {} for an insert that it has had, although its rows are not there: they were deleted within the window of \
             deduplication (replicated_deduplication_window_seconds); shorten it, or wait until it is over",
            statements::token(identity)
        ),
    }
}

/// Inserts a part unless it is there. Returns the octets that were sent.
fn insert(
    client: &Client,
    compression: Compression,
    body: &mut Vec<u8>,
    identity: &Identity,
    part: &Part,
) -> Result<u64, Error> {
    let Settings { database, table, .. } = client.settings();
    let sql = statements::insert(database, table, identity, part);
    let token = statements::token(identity);
    let id = format!("{token}-{database}.{table}");
    let rows = (2 * MOST_ROWS).to_string();
    // One insert is one block.
    let settings = [
        ("insert_deduplication_token", token.as_str()),
        ("async_insert", "0"),
        ("max_insert_threads", "1"),
        ("max_insert_block_size", &rows),
        ("min_insert_block_size_rows", &rows),
        ("min_insert_block_size_bytes", "0"),
    ];
    body.clear();
    native::write(&part.batch, body);
    let compressed = match compression {
        Compression::None => None,
        Compression::Zstd => Some(zstd(body).map_err(Error::Compression)?),
    };
    let data = compressed.as_deref().unwrap_or(body);
    let encoding = compressed.is_some().then_some("zstd");
    let request =
        Request { settings: &settings, id: Some(&id), data, encoding, patience: PATIENCE, ..Request::new(&sql) };
    client.text(&request)?;
    Ok(data.len() as u64)
}

fn zstd(octets: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::with_capacity(octets.len() / 4), 1)?;
    encoder.write_all(octets)?;
    encoder.finish()
}
