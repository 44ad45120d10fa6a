//! The cursor of a reader of the log: the last flush that it has read, everything that exporters had announced until then, and
//! the data that it has queued for a template. All of it changes in one step, which is durable when it is done. Queued data are
//! also carried over into the next segment, but a loss of power may damage that copy while the flush is not durable.
//!
//! A cursor is in a file `reader-NAME-GENERATION.cursor` of the journal's directory. Its records are a length and a CRC-32
//! (4 octets each, little-endian), and
//!
//! | octets | content |
//! | --- | --- |
//! | 1 | the sum of 1 if a flush was read, 2 if the reader is paused, 4 if it skips flushes |
//! | 4, 8, 8 | the epoch, sequence and writer of the flush |
//! | 8, 8 | segments and octets that the reader has lost because the log was full |
//! | 8 | if it is paused: since when, in nanoseconds |
//! | 4, 8, 8 | if it skips flushes: the epoch, sequence and writer of the last of them |
//! | 4 | number of data sets that are queued, or carried over into the next segment, and that the reader has read |
//! | 1, 16, 2, 8, 4, … | for each: 4 or 6, its exporter's address (IPv4: 4 octets) and port, the nanoseconds of its receipt; 4 and its octets if it is queued, else 0 |
//! | 1, 16, 4, … | for each exporter: 4 or 6, its address (IPv4: 4 octets), the length of what it has announced, and that |
//!
//! The first record has all exporters, each further one those whose announcements have changed; no announcements remove an
//! exporter. A crash may leave an incomplete record at the end, which does not count. A file that has grown to twice its
//! first record is replaced by the next generation, and so is one to which a write failed. The newest file with a complete
//! first record counts.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use flow::{FlushNumber, Timestamp, WriterId};

use crate::disk::{Disk, File, append_all, uninterrupted};
use crate::log::Position;
use crate::lost::ForcedOut;
use crate::reader::Identity;

/// A file may always grow to this size. Octets.
const SMALL: usize = 64 << 10;

/// The flags of a record.
const IS_READ: u8 = 1;
const IS_PAUSED: u8 = 2;
const SKIPS: u8 = 4;

/// The content of a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The last flush that was read; `None` before the first one.
    pub(crate) position: Option<Position>,
    /// What the reader has lost.
    pub(crate) forced_out: ForcedOut,
    /// Data that may be carried over after it, and that were read before it, with those that are queued for a template.
    pub(crate) known: Vec<Known>,
    /// What exporters had announced then.
    pub(crate) announced: BTreeMap<IpAddr, Vec<u8>>,
    /// What the operator has ordered.
    pub(crate) orders: Orders,
}

/// What the operator has ordered of a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Since when it reads nothing.
    pub(crate) paused: Option<Timestamp>,
    /// Up to this flush, it only learns what exporters have announced.
    pub(crate) skip_to: Option<Position>,
}

/// Data that were read, and if they are queued for a template, a message of them.
pub(crate) type Known = (Identity, Vec<u8>);

/// The name of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CursorFile {
    pub(crate) reader: String,
    pub(crate) generation: u64,
}

/// A cursor and its files.
#[derive(Debug)]
pub(crate) struct StoredCursor {
    /// `None` if it is not known yet where the reader begins.
    cursor: Option<Cursor>,
    /// The newest file.
    name: CursorFile,
    /// `None` if the next step has to make a file.
    open: Option<Box<dyn File>>,
    /// Octets of the first record and of all.
    first: usize,
    octets: usize,
    /// Files that go when the next step is done.
    replaced: Vec<String>,
    /// How often it was set to another place while its reader was reading.
    resets: u64,
}

impl fmt::Display for CursorFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reader-{}-{}.cursor", self.reader, self.generation)
    }
}

impl CursorFile {
    /// Parses a file name; `None` if it is not one that `Display` creates.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (reader, generation) = name.strip_prefix("reader-")?.strip_suffix(".cursor")?.rsplit_once('-')?;
        let file = Self { reader: reader.to_owned(), generation: generation.parse().ok()? };
        Some(file).filter(|file| file.to_string() == name)
    }

    /// The content of the file; `None` if its first record is not complete.
    pub(crate) fn read(&self, disk: &dyn Disk) -> io::Result<Option<Cursor>> {
        let mut octets = Vec::new();
        // An interrupted read continues.
        match uninterrupted(|| disk.read(&self.to_string())) {
            Ok(mut input) => drop(input.read_to_end(&mut octets)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let (mut cursor, mut rest, mut found) = (Cursor::default(), octets.as_slice(), false);
        while let Some(record) = next_record(&mut rest)
            && cursor.apply(record).is_some()
        {
            found = true;
        }
        Ok(found.then_some(cursor))
    }
}

impl StoredCursor {
    /// A cursor that is not known yet.
    pub(crate) fn new(reader: &str) -> Self {
        let name = CursorFile { reader: reader.to_owned(), generation: 0 };
        Self { cursor: None, name, open: None, first: 0, octets: 0, replaced: Vec::new(), resets: 0 }
    }

    /// Adds what a newer file has. The next step makes another one: this one may not be durable, and what follows an
    /// incomplete record would not be read.
    pub(crate) fn found(&mut self, name: &CursorFile, cursor: Option<Cursor>) {
        self.cursor = cursor.or(self.cursor.take());
        self.replaced.push(self.name.to_string());
        self.name.generation = name.generation;
    }

    /// Its content; `None` if that is not known yet.
    pub(crate) fn get(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Where the reader begins.
    pub(crate) fn set(&mut self, cursor: Cursor) {
        self.cursor = Some(cursor);
    }

    /// How often it was [reset](Self::reset).
    pub(crate) fn resets(&self) -> u64 {
        self.resets
    }

    /// Changes all of it, in one durable step. After an error, it has not changed here; on the disk it may have, until the next
    /// step.
    pub(crate) fn change(&mut self, disk: &dyn Disk, changed: Cursor) -> io::Result<()> {
        let before = self.cursor.replace(changed);
        self.store(disk).inspect_err(|_| self.cursor = before)
    }

    /// The same, to another place: what its reader has read since does not count.
    pub(crate) fn reset(&mut self, disk: &dyn Disk, changed: Cursor) -> io::Result<()> {
        self.change(disk, changed)?;
        self.resets += 1;
        Ok(())
    }

    /// Stores it in a new file, if it is known.
    pub(crate) fn store(&mut self, disk: &dyn Disk) -> io::Result<()> {
        self.open = None;
        if self.cursor.is_some() {
            self.replace(disk)?;
            self.remove_replaced(disk);
        }
        Ok(())
    }

    /// All its files.
    pub(crate) fn into_files(mut self) -> Vec<String> {
        self.replaced.push(self.name.to_string());
        self.replaced
    }

    /// Moves on, in one durable step, which has the announcements that have changed, after something else that has to be durable
    /// before it. After an error, it may or may not have moved on the disk; the next step includes this one. What the operator
    /// has ordered stays, as far as it is not done.
    pub(crate) fn advance(
        &mut self,
        disk: &dyn Disk,
        mut changed: Cursor,
        before: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let cursor = self.cursor.get_or_insert_default();
        (cursor.position, cursor.forced_out) = (changed.position, changed.forced_out);
        cursor.orders.skip_to = cursor.orders.skip_to.filter(|skip_to| changed.position < Some(*skip_to));
        changed.orders = cursor.orders;
        cursor.known.clone_from(&changed.known);
        for (exporter, octets) in &changed.announced {
            cursor.announce(*exporter, octets);
        }
        // Whatever fails, what is in the open file is not relied on any more.
        let open = self.open.take().filter(|_| self.octets <= SMALL.max(2 * self.first));
        before()?;
        match open {
            Some(file) => {
                let record = changed.record();
                append_all(file.as_ref(), &record)?;
                file.sync()?;
                self.octets += record.len();
                self.open = Some(file);
            }
            None => self.replace(disk)?,
        }
        self.remove_replaced(disk);
        Ok(())
    }

    fn remove_replaced(&mut self, disk: &dyn Disk) {
        self.replaced.retain(|file| match disk.remove(file) {
            Ok(()) => false,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        });
    }

    /// Makes a file with all of it.
    fn replace(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let Some(record) = self.cursor.as_ref().map(Cursor::record) else { return Ok(()) };
        // It may exist, complete or not.
        self.replaced.push(self.name.to_string());
        self.name.generation += 1;
        let file = disk.create(&self.name.to_string())?;
        append_all(file.as_ref(), &record)?;
        file.sync()?;
        disk.sync_names()?;
        (self.first, self.octets, self.open) = (record.len(), record.len(), Some(file));
        Ok(())
    }
}

impl Cursor {
    fn announce(&mut self, exporter: IpAddr, octets: &[u8]) {
        if octets.is_empty() {
            self.announced.remove(&exporter);
        } else {
            self.announced.insert(exporter, octets.to_owned());
        }
    }

    fn record(&self) -> Vec<u8> {
        let Self { position, forced_out: ForcedOut { segments, octets: lost }, known, announced, orders } = self;
        let Orders { paused, skip_to } = orders;
        let none = Position { flush: FlushNumber { epoch: 0, sequence: 0 }, writer: WriterId(0) };
        let mut octets = vec![0; 8];
        let flags = [(IS_READ, position.is_some()), (IS_PAUSED, paused.is_some()), (SKIPS, skip_to.is_some())];
        octets.push(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).sum());
        put_position(&mut octets, position.unwrap_or(none));
        for number in [*segments, *lost].into_iter().chain(paused.map(|since| since.nanoseconds())) {
            octets.extend(number.to_le_bytes());
        }
        skip_to.iter().for_each(|skip_to| put_position(&mut octets, *skip_to));
        octets.extend((known.len() as u32).to_le_bytes());
        for ((exporter, received), message) in known {
            put_address(&mut octets, exporter.ip());
            octets.extend(exporter.port().to_le_bytes());
            octets.extend(received.nanoseconds().to_le_bytes());
            octets.extend((message.len() as u32).to_le_bytes());
            octets.extend(message);
        }
        for (exporter, announcements) in announced {
            put_address(&mut octets, *exporter);
            octets.extend((announcements.len() as u32).to_le_bytes());
            octets.extend(announcements);
        }
        if let Some((head, content)) = octets.split_first_chunk_mut::<8>() {
            let [length, checksum] = [content.len() as u32, crc32fast::hash(content)].map(u32::to_le_bytes);
            head.copy_from_slice(&[length, checksum].concat());
        }
        octets
    }

    /// Applies the content of a record; `None` if it is not one.
    fn apply(&mut self, mut content: &[u8]) -> Option<()> {
        let rest = &mut content;
        let [flags] = take(rest)?;
        let position = take_position(rest)?;
        self.position = (flags & IS_READ != 0).then_some(position);
        self.forced_out = ForcedOut { segments: number(rest)?, octets: number(rest)? };
        let paused = if flags & IS_PAUSED == 0 { None } else { Some(Timestamp::from_nanoseconds(number(rest)?)) };
        let skip_to = if flags & SKIPS == 0 { None } else { Some(take_position(rest)?) };
        self.orders = Orders { paused, skip_to };
        self.known.clear();
        for _ in 0..u32::from_le_bytes(take(rest)?) {
            let exporter = SocketAddr::new(take_address(rest)?, u16::from_le_bytes(take(rest)?));
            let received = Timestamp::from_nanoseconds(number(rest)?);
            self.known.push(((exporter, received), take_octets(rest)?.to_vec()));
        }
        while !rest.is_empty() {
            let exporter = take_address(rest)?;
            self.announce(exporter, take_octets(rest)?);
        }
        Some(())
    }
}

/// The content of the next record; `None` if it is not complete.
fn next_record<'o>(rest: &mut &'o [u8]) -> Option<&'o [u8]> {
    let (length, checksum) = (u32::from_le_bytes(take(rest)?), u32::from_le_bytes(take(rest)?));
    let (content, after) = rest.split_at_checked(length as usize)?;
    *rest = after;
    (crc32fast::hash(content) == checksum).then_some(content)
}

fn put_position(octets: &mut Vec<u8>, Position { flush: FlushNumber { epoch, sequence }, writer }: Position) {
    octets.extend(epoch.to_le_bytes());
    octets.extend(sequence.to_le_bytes());
    octets.extend(writer.0.to_le_bytes());
}

fn take_position(rest: &mut &[u8]) -> Option<Position> {
    let epoch = u32::from_le_bytes(take(rest)?);
    let flush = FlushNumber { epoch, sequence: number(rest)? };
    Some(Position { flush, writer: WriterId(number(rest)?) })
}

fn put_address(octets: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            octets.push(4);
            octets.extend(address.octets());
        }
        IpAddr::V6(address) => {
            octets.push(6);
            octets.extend(address.octets());
        }
    }
}

fn take_address(rest: &mut &[u8]) -> Option<IpAddr> {
    match take(rest)? {
        [4] => Some(IpAddr::V4(Ipv4Addr::from(take::<4>(rest)?))),
        [6] => Some(IpAddr::V6(Ipv6Addr::from(take::<16>(rest)?))),
        _ => None,
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

/// Octets after their length.
fn take_octets<'o>(rest: &mut &'o [u8]) -> Option<&'o [u8]> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let (octets, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(octets)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_what_the_operator_has_ordered() {
        let flush = |sequence| Position { flush: FlushNumber { epoch: 3, sequence }, writer: WriterId(7) };
        for paused in [None, Some(Timestamp::from_seconds(9))] {
            for skip_to in [None, Some(flush(12))] {
                for position in [None, Some(flush(8))] {
                    let forced_out = ForcedOut { segments: 1, octets: 2 };
                    let announced = [(IpAddr::from([192, 0, 2, 1]), b"template".to_vec())].into();
                    let orders = Orders { paused, skip_to };
                    let cursor = Cursor { position, forced_out, known: Vec::new(), announced, orders };
                    let (record, mut read) = (cursor.record(), Cursor::default());
                    assert_eq!(next_record(&mut record.as_slice()).and_then(|content| read.apply(content)), Some(()));
                    assert_eq!(read, cursor);
                }
            }
        }
    }

    #[test]
    fn names_of_files_are_parsed() {
        let file = CursorFile { reader: "to-kafka".to_owned(), generation: 12 };
        assert_eq!(CursorFile::parse(&file.to_string()), Some(file));
        for name in ["reader-x-01.cursor", "reader-x.cursor", "x-1.cursor"] {
            assert_eq!(CursorFile::parse(name), None);
        }
    }
}
