//! Reads the journal as a log: flush by flush after a cursor, and within a flush the shards' segments merged by their
//! receive times. The result depends only on the cursor and the segments.
//!
//! Each shard received in order. The merge gives shards the templates that they shared in nearly the original order;
//! data that arrived before their template are queued for it, as they were then.
//!
//! This file does not decide which flushes are durable or which segments are released.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use flow::{Counted, Timestamp};

use crate::disk::{Disk, uninterrupted};
use crate::segment::{Damaged, Entry, EntryKind, SegmentName, SegmentReader};
use crate::terms::StatedTerms;

/// Statistics of a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Segments opened.
    pub segments: u64,
    /// Datagrams returned.
    pub datagrams: u64,
    /// Carried-over data skipped, because an earlier flush has returned them.
    pub skipped: u64,
    /// Segments with an incomplete end.
    pub torn: u64,
    /// Damaged places within segments, which were skipped.
    pub damaged: Damaged,
}

/// A segment cannot be read. Then nothing in the journal may be made durable, because that would release this segment
/// too.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read journal/{segment} in dataDir: {source}; nothing of the journal was stored or removed. Start again when the disk can be read, or move the file away to start without its content"
)]
pub struct Unreadable {
    /// The segment.
    pub segment: SegmentName,
    /// The error of the disk.
    pub source: io::Error,
}

/// A datagram, or the sets of it that were queued: no exporter has two at the same nanosecond.
pub(crate) type Identity = (SocketAddr, Timestamp);

/// Reads the datagrams of all flushes after a cursor.
///
/// Data that were queued for a template at a cut are also in the next segment, and again in the one after it if they were
/// still queued then. A reader returns them once: those that it has returned in an earlier flush are skipped. Whether it
/// reads that flush depends on what was released, which may be anything beside another database.
pub struct Reader {
    disk: Arc<dyn Disk>,
    /// Whether the segments may be in the log, and may be forced out of it meanwhile.
    is_of_log: bool,
    /// Segments of flushes not opened yet, sorted.
    segments: VecDeque<SegmentName>,
    /// All that is carried over into a segment, and whether an earlier flush has returned it; `None` before the first flush.
    carried: Option<HashMap<Identity, bool>>,
    /// What the open flush has returned of it, or an earlier reader.
    returned: Vec<Identity>,
    /// The segments of the open flush, for each shard. Those of a shard that is read to its end have terms still, which
    /// [`terms_of`](Self::terms_of) the datagrams of other shards may be.
    shards: Vec<Chain>,
    /// The shard of the current datagram.
    current: Option<usize>,
    counts: ReadCounts,
}

/// The segments of one shard and flush, one after the other.
struct Chain {
    shard: u16,
    parts: VecDeque<SegmentName>,
    open: Option<(SegmentName, SegmentReader)>,
    /// The terms that are in force where it reads, by sender.
    terms: HashMap<IpAddr, StatedTerms>,
    /// The notes so far.
    notes: Vec<Box<[u8]>>,
    /// The annotations of the current datagram.
    annotations: [Vec<u8>; 2],
}

impl Reader {
    /// A reader of these segments, which are sorted.
    pub(crate) fn new(disk: Arc<dyn Disk>, segments: impl IntoIterator<Item = SegmentName>) -> Self {
        Self {
            disk,
            is_of_log: false,
            segments: segments.into_iter().collect(),
            carried: None,
            returned: Vec::new(),
            shards: Vec::new(),
            current: None,
            counts: ReadCounts::default(),
        }
    }

    /// A reader of a flush of the log, with the segments of some later ones. What was returned earlier is skipped.
    pub(crate) fn of_log(disk: Arc<dyn Disk>, segments: Vec<SegmentName>, returned: HashSet<Identity>) -> Self {
        Self { is_of_log: true, returned: returned.into_iter().collect(), ..Self::new(disk, segments) }
    }

    /// What has been returned of data that are carried over into later segments.
    pub(crate) fn into_returned(self) -> HashSet<Identity> {
        let before = self.carried.into_iter().flatten().filter(|(_, is_returned)| *is_returned);
        before.map(|(identity, _)| identity).chain(self.returned).collect()
    }

    /// Its statistics so far.
    #[must_use]
    pub fn counts(&self) -> ReadCounts {
        self.counts
    }

    /// The segments that it has not opened yet.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &SegmentName> {
        self.segments.iter()
    }

    /// Opens the next flush and returns it; what it returns becomes the cursor once the flush is read completely. `None` at
    /// the end. Skips the unread rest of the previous flush.
    ///
    /// # Errors
    /// If a segment cannot be read; then the reader must not be used again.
    pub fn next_flush(&mut self) -> Result<Option<Counted>, Unreadable> {
        let Some(flush) = self.segments.front().map(SegmentName::counted) else { return Ok(None) };
        self.current = None;
        self.shards.clear();
        while let Some(segment) = self.segments.pop_front_if(|segment| segment.counted() == flush) {
            match self.shards.last_mut().filter(|chain| chain.shard == segment.shard) {
                Some(chain) => chain.parts.push_back(segment),
                None => self.shards.push(Chain::new(segment)),
            }
        }
        let mut carried = match self.carried.take() {
            Some(carried) => carried,
            None => self.carried_into()?,
        };
        for identity in self.returned.drain(..) {
            carried.entry(identity).and_modify(|is_returned| *is_returned = true);
        }
        self.carried = Some(carried);
        for shard in 0..self.shards.len() {
            self.advance_shard(shard)?;
        }
        Ok(Some(flush))
    }

    /// What is carried over into the segments of this flush, which is opened, and of those that are not open yet. A writer
    /// writes it first.
    fn carried_into(&self) -> Result<HashMap<Identity, bool>, Unreadable> {
        let mut carried = HashMap::new();
        let opened = self.shards.iter().flat_map(|chain| &chain.parts);
        for segment in opened.chain(&self.segments) {
            let Some(mut reader) = open(self.disk.as_ref(), *segment, self.is_of_log)? else { continue };
            while reader.advance().map_err(|source| Unreadable { segment: *segment, source })? {
                match reader.current() {
                    Some(Entry { kind: EntryKind::Carried, source, received, .. }) => {
                        carried.insert((source, received), false);
                    }
                    Some(Entry { kind: EntryKind::Terms | EntryKind::Note | EntryKind::Ended(_), .. }) => {}
                    _ => break,
                }
            }
        }
        Ok(carried)
    }

    /// Advances to the next datagram of the open flush; `false` at the end of the flush.
    ///
    /// # Errors
    /// If a segment cannot be read; then the reader must not be used again.
    pub fn advance(&mut self) -> Result<bool, Unreadable> {
        loop {
            if let Some(last) = self.current.take() {
                self.advance_shard(last)?;
            }
            let heads = self.shards.iter().map(|chain| chain.current().map(|entry| (entry.received, entry)));
            let heads = heads.enumerate().filter_map(|(shard, head)| Some((shard, head?)));
            let Some((earliest, (received, entry))) = heads.min_by_key(|head| head.1.0) else { return Ok(false) };
            let identity = (entry.source, received);
            let known = self.carried.as_ref().and_then(|carried| carried.get(&identity)).copied();
            let is_returned_already = entry.kind == EntryKind::Carried && known == Some(true);
            let is_datagram = !matches!(entry.kind, EntryKind::Ended(_));
            if known == Some(false) {
                self.returned.push(identity);
            }
            self.current = Some(earliest);
            if !is_returned_already {
                self.counts.datagrams += u64::from(is_datagram);
                return Ok(true);
            }
            self.counts.skipped += 1;
        }
    }

    /// The current datagram.
    #[must_use]
    pub fn current(&self) -> Option<Entry<'_>> {
        self.shards.get(self.current?)?.current()
    }

    /// The terms of another sender than that of the current datagram: those that its shard has stated before it, else those
    /// that another shard has stated before its own next datagram.
    #[must_use]
    pub fn terms_of(&self, sender: IpAddr) -> Option<&[u8]> {
        let of_current = self.current.and_then(|shard| self.shards.get(shard));
        of_current.into_iter().chain(&self.shards).find_map(|chain| chain.terms_of(sender))
    }

    /// The notes in the segments of the open flush, as far as they are read.
    pub(crate) fn notes(&self) -> impl Iterator<Item = &[u8]> {
        self.shards.iter().flat_map(|chain| &chain.notes).map(AsRef::as_ref)
    }

    /// Advances to the next datagram of a shard, if there is one.
    fn advance_shard(&mut self, shard: usize) -> Result<(), Unreadable> {
        let Some(chain) = self.shards.get_mut(shard) else { return Ok(()) };
        chain.advance(self.disk.as_ref(), self.is_of_log, &mut self.counts)
    }
}

impl Chain {
    fn new(first: SegmentName) -> Self {
        Self {
            shard: first.shard,
            parts: [first].into(),
            open: None,
            terms: HashMap::new(),
            notes: Vec::new(),
            annotations: Default::default(),
        }
    }

    /// `None` when there are no more datagrams.
    fn current(&self) -> Option<Entry<'_>> {
        let entry = self.open.as_ref()?.1.current()?;
        Some(Entry {
            terms: self.terms_of(entry.source.ip()),
            annotations: self.annotations.each_ref().map(Vec::as_slice),
            ..entry
        })
    }

    fn terms_of(&self, sender: IpAddr) -> Option<&[u8]> {
        self.terms.get(&sender).and_then(StatedTerms::complete)
    }

    fn advance(&mut self, disk: &dyn Disk, is_of_log: bool, counts: &mut ReadCounts) -> Result<(), Unreadable> {
        self.annotations.iter_mut().for_each(Vec::clear);
        loop {
            if let Some((segment, reader)) = &mut self.open {
                if reader.advance().map_err(|source| Unreadable { segment: *segment, source })? {
                    match reader.current() {
                        Some(Entry { kind: EntryKind::Terms, source, payload, .. }) => {
                            self.terms.entry(source.ip()).or_default().add(payload);
                        }
                        Some(Entry { kind: EntryKind::Note, payload, .. }) => self.notes.push(payload.into()),
                        Some(Entry { kind: EntryKind::Annotation(number), payload, .. }) => {
                            let annotation = self.annotations.get_mut(usize::from(number));
                            annotation.into_iter().for_each(|annotation| annotation.extend(payload));
                        }
                        _ => return Ok(()),
                    }
                    continue;
                }
                counts.torn += u64::from(reader.is_torn());
                let damaged @ Damaged { places, octets } = reader.damaged();
                counts.damaged.merge(damaged);
                if places > 0 {
                    tracing::warn!(%segment, places, octets, "a journal segment is damaged; the datagrams there are lost");
                }
                self.open = None;
            }
            let Some(segment) = self.parts.pop_front() else { return Ok(()) };
            if let Some(reader) = open(disk, segment, is_of_log)? {
                self.open = Some((segment, reader));
                counts.segments += 1;
            }
        }
    }
}

/// Opens a segment; `None` if it was forced out of the log.
fn open(disk: &dyn Disk, segment: SegmentName, is_of_log: bool) -> Result<Option<SegmentReader>, Unreadable> {
    let by_name = |name: &str| match uninterrupted(|| disk.read(name)) {
        Err(error) if is_of_log && error.kind() == io::ErrorKind::NotFound => Ok(None),
        input => input.map(Some).map_err(|source| Unreadable { segment, source }),
    };
    let (own, in_log) = (segment.to_string(), segment.in_log());
    // It may get its name of the log between two tries.
    let names: &[&str] = if is_of_log { &[&in_log, &own, &in_log] } else { &[&own] };
    for name in names {
        if let Some(input) = by_name(name)? {
            return Ok(Some(SegmentReader::new(input, segment.salt())));
        }
    }
    Ok(None)
}
