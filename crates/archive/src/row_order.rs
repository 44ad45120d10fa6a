//! The order of rows in joined files: those of a host are together, so that few pages have an address, and pages are smaller.
//!
//! A flow has two hosts, and a row one place: that of the host with more rows in the group. So the rows of a busy host are in
//! a few pages as source and as destination, and those of another host are at its busy peers.

use std::collections::HashMap;
use std::sync::Arc;

use columns::{Addresses, Id, Texts, Values};

use crate::chunk::{Chunk, ROWS_OF_A_PAGE};
use crate::text_pages::GroupTexts;

/// The ends of a row: an IPv4 address as its number.
type Ends = (u128, u128);

/// The rows of a group in the order of their busier hosts. All chunks but the last one are full.
pub(crate) fn by_host(chunks: &[Chunk]) -> Vec<Chunk> {
    let ends = ends(chunks);
    let mut counts: HashMap<u128, u32> = HashMap::new();
    for (source, destination) in &ends {
        *counts.entry(*source).or_default() += 1;
        *counts.entry(*destination).or_default() += 1;
    }
    let count = |end: &u128| counts.get(end).copied().unwrap_or_default();
    let place = |(row, (source, destination)): (u32, &Ends)| {
        let is_sent = count(source) > count(destination);
        let (host, peer) = if is_sent { (*source, *destination) } else { (*destination, *source) };
        (host, is_sent, peer, row)
    };
    let mut places: Vec<_> = (0..).zip(&ends).map(place).collect();
    places.sort_unstable();
    let order: Vec<u32> = places.into_iter().map(|(.., row)| row).collect();
    in_order(chunks, &order)
}

/// The ends of all rows.
fn ends(chunks: &[Chunk]) -> Vec<Ends> {
    let [sources, destinations] =
        [Id::SrcIp, Id::DstIp].map(|id| chunks.iter().flat_map(move |chunk| numbers(chunk, id)));
    sources.zip(destinations).collect()
}

/// The addresses of a column as numbers.
fn numbers(chunk: &Chunk, id: Id) -> impl Iterator<Item = u128> + '_ {
    let (v4, is_v6, v6) = match chunk.values(id) {
        Values::Addresses(Addresses { v4, is_v6, v6 }) => (v4.as_slice(), is_v6.as_slice(), v6.as_slice()),
        _ => (&[][..], &[][..], &[][..]),
    };
    let mut v6 = v6.iter();
    (0..chunk.rows()).map(move |row| {
        if is_v6.get(row).copied().unwrap_or_default() {
            v6.next().map_or(0, |octets| u128::from_be_bytes(*octets))
        } else {
            v4.get(row).copied().unwrap_or_default().into()
        }
    })
}

/// Rows in another order, in chunks of the usual size.
fn in_order(chunks: &[Chunk], order: &[u32]) -> Vec<Chunk> {
    let mut columns: Vec<_> = Id::ALL.into_iter().map(|id| column_in_order(chunks, id, order).into_iter()).collect();
    let rows = order.chunks(ROWS_OF_A_PAGE).map(<[u32]>::len);
    rows.map(|rows| Chunk::new(rows, columns.iter_mut().filter_map(Iterator::next))).collect()
}

/// The values of a column in another order, for each chunk.
fn column_in_order(chunks: &[Chunk], id: Id, order: &[u32]) -> Vec<Values> {
    let all = || chunks.iter().map(move |chunk| (chunk.values(id), chunk.rows()));
    let pieces = || order.chunks(ROWS_OF_A_PAGE);
    if all().all(|(values, _)| values.is_empty()) {
        return pieces().map(|_| Values::new(id.column().kind)).collect();
    }
    macro_rules! numbers {
        ($kind:ident) => {{
            let mut values = Vec::with_capacity(order.len());
            for (of_chunk, rows) in all() {
                append(&mut values, if let Values::$kind(of_chunk) = of_chunk { of_chunk } else { &[] }, rows);
            }
            pieces().map(|order| Values::$kind(picked(&values, order))).collect()
        }};
    }
    match Values::new(id.column().kind) {
        Values::U8(_) => numbers!(U8),
        Values::U16(_) => numbers!(U16),
        Values::U32(_) => numbers!(U32),
        Values::U64(_) => numbers!(U64),
        Values::Addresses(_) => addresses_in_order(all(), order),
        Values::Texts(_) => {
            let GroupTexts { dictionary, numbers } = GroupTexts::of(chunks, id);
            let dictionary = Arc::new(dictionary);
            let texts = |order| Texts { numbers: picked(&numbers, order), dictionary: Arc::clone(&dictionary) };
            pieces().map(|order| Values::Texts(texts(order))).collect()
        }
    }
}

fn addresses_in_order<'c>(chunks: impl Iterator<Item = (&'c Values, usize)>, order: &[u32]) -> Vec<Values> {
    let (mut all_v4, mut all_is_v6, mut all_v6) = (Vec::new(), Vec::new(), Vec::new());
    for (values, rows) in chunks {
        if let Values::Addresses(Addresses { v4, is_v6, v6 }) = values {
            append(&mut all_v4, v4, rows);
            append(&mut all_is_v6, is_v6, rows);
            all_v6.extend_from_slice(v6);
        }
    }
    // Where the IPv6 address of a row is, if it has one.
    let mut places = Vec::with_capacity(all_is_v6.len());
    let mut before = 0_u32;
    for is_v6 in &all_is_v6 {
        places.push(before);
        before += u32::from(*is_v6);
    }
    let pieces = order.chunks(ROWS_OF_A_PAGE).map(|order| {
        let mut is_v6 = picked(&all_is_v6, order);
        let of_v6 = order.iter().zip(&is_v6).filter_map(|(row, is_v6)| is_v6.then_some(*row));
        let v6: Vec<[u8; 16]> = picked(&all_v6, &picked(&places, &of_v6.collect::<Vec<_>>()));
        if v6.is_empty() {
            is_v6.clear();
        }
        Values::Addresses(Addresses { v4: picked(&all_v4, order), is_v6, v6 })
    });
    pieces.collect()
}

/// Appends the values of some rows: none are zeros.
fn append<T: Copy + Default>(all: &mut Vec<T>, values: &[T], rows: usize) {
    let before = all.len();
    all.extend_from_slice(values);
    all.resize(before + rows, T::default());
}

fn picked<T: Copy + Default>(values: &[T], places: &[u32]) -> Vec<T> {
    places.iter().map(|place| values.get(*place as usize).copied().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use columns::{Batch, Row};

    use super::*;

    fn row(number: u64, source: [u8; 4], destination: [u8; 4]) -> Row {
        let mut row = Row::new();
        row.set(Id::Received, 1_000_000 + number);
        row.set(Id::Bytes, number);
        row.set(Id::SrcMac, number % 5);
        row.set(Id::Proto, number % 3);
        row.set(Id::SrcPort, number % 7);
        row.set_address(Id::SrcIp, source.into());
        row.set_address(Id::DstIp, destination.into());
        row
    }

    fn chunks(rows: &[Row]) -> Vec<Chunk> {
        let pieces = rows.chunks(ROWS_OF_A_PAGE).map(|rows| {
            let mut batch = Batch::new();
            rows.iter().for_each(|row| batch.push(row));
            Chunk::of(&mut batch)
        });
        pieces.collect()
    }

    /// The rows of chunks, as texts.
    fn rows(chunks: &[Chunk]) -> Vec<String> {
        let (mut all, mut row) = (Vec::new(), Row::new());
        for chunk in chunks {
            let mut values = crate::scan::RowValues::new(chunk, columns::Columns::ALL);
            while values.next(&mut row) {
                all.push(format!("{row:?}"));
            }
        }
        all
    }

    #[test]
    fn the_rows_of_a_busy_host_are_together_and_none_is_changed() {
        let busy = [192, 0, 2, 1];
        let mut all = Vec::new();
        for number in 0..20_000_u64 {
            let [.., a, b] = number.to_be_bytes();
            let (one, other) = ([10, 0, a, b], [10, 1, b, a]);
            all.push(match number % 10 {
                3 => row(number, busy, one),
                4 => row(number, other, busy),
                5 => {
                    let mut row = row(number, one, other);
                    row.set_address(Id::DstIp, std::net::Ipv6Addr::from(u128::from(number) << 90).into());
                    row
                }
                _ => row(number, one, other),
            });
        }
        let before = chunks(&all);
        let after = by_host(&before);
        assert_eq!(after.iter().map(Chunk::rows).collect::<Vec<_>>(), [8192, 8192, 3616]);
        let (mut expected, mut found) = (rows(&before), rows(&after));
        let is_busy = |row: &String| row.contains("192.0.2.1");
        let places: Vec<usize> = (0..found.len()).filter(|row| is_busy(&found[*row])).collect();
        assert_eq!((places.len(), places[3999] - places[0]), (4000, 3999));
        expected.sort_unstable();
        found.sort_unstable();
        assert!(expected == found);
        let first = after.iter().map(|chunk| chunk.received().0).min();
        assert_eq!(first, Some(1_000_000));
    }
}
