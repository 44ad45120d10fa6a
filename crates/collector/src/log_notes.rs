//! What the collector notes in the segments of the journal for readers of the log: lines of text, a keyword and its values.
//!
//! - At the end of a flush, how many datagrams were admitted or carried over in it, and how many records were shown: a reader
//!   compares them with what it finds.
//! - At the beginning, which exporters were forgotten at the cut before: their templates and queued data are gone.

use std::fmt::Write;
use std::net::IpAddr;

const SEALED: &str = "sealed";
const FORGOTTEN: &str = "forgotten";

/// The sums of a flush, of all shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SealedSums {
    /// Datagrams that were admitted, and data that were carried over into it.
    pub(crate) datagrams: u64,
    /// Records that decoding has shown.
    pub(crate) records: u64,
}

/// The notes in a flush.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// `None` if the flush was not sealed, because the collector was killed, or if the note is damaged.
    pub(crate) sums: Option<SealedSums>,
    /// Exporters forgotten before it.
    pub(crate) forgotten: Vec<IpAddr>,
}

/// The note at the end of a flush.
pub(crate) fn sealed(SealedSums { datagrams, records }: SealedSums) -> String {
    format!("{SEALED} {datagrams} {records}")
}

/// The notes that these exporters are forgotten.
pub(crate) fn forgotten(exporters: &[IpAddr]) -> impl Iterator<Item = String> {
    exporters.chunks(1000).map(|exporters| {
        let mut note = FORGOTTEN.to_owned();
        for exporter in exporters {
            // Writing to a string cannot fail.
            let _ = write!(note, " {exporter}");
        }
        note
    })
}

impl Notes {
    /// Reads notes. Unknown ones are those of a newer program.
    pub(crate) fn read<'n>(notes: impl Iterator<Item = &'n [u8]>) -> Self {
        let mut read = Self::default();
        for note in notes.filter_map(|note| str::from_utf8(note).ok()) {
            match note.split_once(' ') {
                Some((SEALED, sums)) => {
                    let mut sums = sums.split(' ').map(str::parse);
                    if let (Some(Ok(datagrams)), Some(Ok(records))) = (sums.next(), sums.next()) {
                        read.sums = Some(SealedSums { datagrams, records });
                    }
                }
                Some((FORGOTTEN, exporters)) => {
                    read.forgotten.extend(exporters.split(' ').filter_map(|exporter| exporter.parse::<IpAddr>().ok()));
                }
                _ => {}
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written() {
        let sums = SealedSums { datagrams: 7, records: 200 };
        let exporters: Vec<IpAddr> =
            (0..2500_u16).map(|last| IpAddr::from([10, 0, (last >> 8) as u8, last as u8])).collect();
        let mut notes: Vec<String> = forgotten(&exporters).collect();
        notes.extend([sealed(sums), "of a newer program".to_owned()]);
        let read = Notes::read(notes.iter().map(String::as_bytes));
        assert_eq!(read, Notes { sums: Some(sums), forgotten: exporters });
        assert_eq!(Notes::read([b"sealed x".as_slice(), b"\xff"].into_iter()), Notes::default());
    }
}
