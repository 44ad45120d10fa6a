//! The parts of a flush: what one insert has. They are cut by the rows alone, so that a flush that comes again has the same parts
//! with the same rows.
//!
//! The limits are part of that: with other ones, a flush that was begun before an upgrade would be cut differently after it.

use columns::{Batch, Id, Row, Values};
use flow::{FlushNumber, WriterId};

/// The rows of all open parts: ClickHouse makes one block of them, and neither side needs much memory.
pub(crate) const MOST_ROWS: usize = 131_072;
/// The octets of their texts, which are the only values without a fixed size.
const MOST_TEXT: usize = 16 << 20;
/// The days that parts are open for. Around midnight there are two; data that waited for a template may be older.
const MOST_DAYS: usize = 4;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) writer: WriterId,
    pub(crate) flush: FlushNumber,
    /// From 0.
    pub(crate) number: u32,
}

/// Rows of one partition.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Its place in the flush.
    pub(crate) number: u32,
    pub(crate) batch: Batch,
    /// When the first and the last row were received, in milliseconds since 1970.
    pub(crate) from: u64,
    pub(crate) until: u64,
    day: u64,
}

/// By what a part that is in the table is recognised as this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) rows: u64,
    /// Sums, which begin again at 2^64, as in ClickHouse.
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
}

impl Part {
    /// What it has, when it is filled.
    pub(crate) fn content(&self) -> Content {
        let sum = |id| match self.batch.filled(id) {
            Values::U64(values) => values.iter().fold(0, |sum: u64, value| sum.wrapping_add(*value)),
            _ => 0,
        };
        Content { rows: self.batch.rows() as u64, bytes: sum(Id::Bytes), packets: sum(Id::Packets) }
    }
}

/// The open parts of a flush.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    open: Vec<Part>,
    /// Of earlier parts, whose memory is used again.
    spare: Vec<Batch>,
    rows: usize,
    text: usize,
    next: u32,
}

impl Parts {
    /// Whether all open parts have to be sent before this row is added.
    pub(crate) fn are_full_for(&self, row: &Row) -> bool {
        let is_new_day = || !self.open.iter().any(|part| part.day == day(row));
        self.rows >= MOST_ROWS || self.text >= MOST_TEXT || self.open.len() >= MOST_DAYS && is_new_day()
    }

    /// Adds a row to the part of its day.
    pub(crate) fn add(&mut self, row: &Row) {
        self.rows += 1;
        self.text += row.text(Id::DstAsPath).map_or(0, |text| text.len());
        let (received, day) = (row.number(Id::Received), day(row));
        let index = self.open.iter().position(|part| part.day == day);
        let index = index.unwrap_or_else(|| self.begin(day, received));
        if let Some(part) = self.open.get_mut(index) {
            part.from = part.from.min(received);
            part.until = part.until.max(received);
            part.batch.push(row);
        }
    }

    fn begin(&mut self, day: u64, received: u64) -> usize {
        let batch = self.spare.pop().unwrap_or_default();
        self.open.push(Part { number: self.next, batch, from: received, until: received, day });
        self.next += 1;
        self.open.len() - 1
    }

    /// All open parts, ready to be read. They are open until [`close`](Self::close).
    pub(crate) fn filled(&mut self) -> &[Part] {
        self.open.iter_mut().for_each(|part| part.batch.fill());
        &self.open
    }

    /// The open parts were sent.
    pub(crate) fn close(&mut self) {
        (self.rows, self.text) = (0, 0);
        self.spare.extend(self.open.drain(..).map(|mut part| {
            part.batch.clear();
            part.batch
        }));
        // One is enough but for midnight.
        self.spare.truncate(1);
    }

    /// The flush has ended, or comes again.
    pub(crate) fn begin_flush(&mut self) {
        self.close();
        self.next = 0;
    }
}

fn day(row: &Row) -> u64 {
    row.number(Id::Received) / DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(received: u64) -> Row {
        let mut row = Row::new();
        row.set(Id::Received, received);
        row.set(Id::Bytes, received % 97);
        row
    }

    /// The parts of rows: number, day, rows.
    fn cut(times: &[u64]) -> Vec<(u32, u64, usize)> {
        let (mut parts, mut found) = (Parts::default(), Vec::new());
        let mut send = |parts: &mut Parts| {
            found.extend(parts.filled().iter().map(|part| (part.number, part.day, part.batch.rows())));
            parts.close();
        };
        for time in times {
            let row = row(*time);
            if parts.are_full_for(&row) {
                send(&mut parts);
            }
            parts.add(&row);
        }
        send(&mut parts);
        found
    }

    #[test]
    fn a_part_is_of_one_day() {
        let times = [DAY - 1, DAY, DAY - 2, DAY + 5, 2 * DAY - 1];
        assert_eq!(cut(&times), [(0, 0, 2), (1, 1, 3)]);
    }

    #[test]
    fn no_more_days_and_rows_are_open_than_permitted() {
        let days: Vec<u64> = (0..6).map(|day| day * DAY).collect();
        assert_eq!(cut(&days), [(0, 0, 1), (1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1), (5, 5, 1)]);
        let times = vec![DAY; MOST_ROWS + 1];
        assert_eq!(cut(&times), [(0, 1, MOST_ROWS), (1, 1, 1)]);
    }

    #[test]
    fn long_texts_make_small_parts() {
        let mut parts = Parts::default();
        let mut long = row(DAY);
        long.set_text(Id::DstAsPath, "64500 ".repeat(MOST_TEXT / 12).into());
        parts.add(&long);
        assert!(!parts.are_full_for(&long));
        parts.add(&long);
        parts.add(&long);
        assert!(parts.are_full_for(&row(DAY)));
    }

    #[test]
    fn a_flush_that_comes_again_is_cut_in_the_same_way() {
        let mut parts = Parts::default();
        parts.add(&row(5));
        parts.add(&row(DAY));
        parts.begin_flush();
        parts.add(&row(DAY + 3));
        let [part] = parts.filled() else { panic!("one part") };
        assert_eq!((part.number, part.from, part.until, part.batch.rows()), (0, DAY + 3, DAY + 3, 1));
    }
}
