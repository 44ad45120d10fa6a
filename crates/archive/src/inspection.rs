//! Reads a file completely, and compares what it has with what its footer states. A question reads only what it needs, and
//! believes the statistics of the footer.

use std::path::Path;

use columns::{Addresses, Columns, Id, Values};
use filter::{Bounds, ColumnValues};
use flow::Counters;

use crate::part_name::PartName;
use crate::scan::{Budget, Counted, GroupRows, PartFile, Unusable};

/// What a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inspected {
    pub(crate) rows: u64,
    /// As sent, in both directions.
    pub(crate) sums: Counters,
    /// A checksum of all values of all rows, whatever their order.
    pub(crate) digest: u64,
}

/// What is wrong with a file.
#[derive(Debug)]
pub(crate) struct Damaged(pub(crate) String);

impl Inspected {
    pub(crate) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.sums.add(other.sums);
        self.digest = self.digest.wrapping_add(other.digest);
    }
}

/// Opens a file of the archive to inspect it.
pub(crate) fn open(folder: &Path, name: PartName) -> Result<PartFile<'static>, Damaged> {
    open_at(&folder.join(name.path()), name)
}

/// Opens a file that does not have its name yet.
pub(crate) fn open_at(path: &Path, name: PartName) -> Result<PartFile<'static>, Damaged> {
    static NO_LIMIT: Budget = Budget::new(usize::MAX);
    match PartFile::open_at(path, name, &NO_LIMIT) {
        Ok(part) => Ok(part.unabridged()),
        Err(Unusable::File(problem)) => Err(Damaged(problem)),
        Err(Unusable::Memory) => Err(Damaged("it does not fit into memory".to_owned())),
    }
}

/// Reads a file completely. Calls back with its rows, some thousand at a time.
pub(crate) fn inspect(part: &PartFile<'_>, mut visit: impl FnMut(&GroupRows<'_>)) -> Result<Inspected, Damaged> {
    check_octets(part)?;
    let mut found = Inspected::default();
    let (mut amounts, mut digests) = (Vec::new(), Vec::new());
    for group in 0..part.groups() {
        let mut rows = GroupRows::new(part, group);
        while rows.rows() > 0 {
            rows.read(Columns::ALL).map_err(|error| damaged_at(part, group, &rows, &error.to_string()))?;
            if let Some(id) = Id::ALL.into_iter().find(|id| !are_within(part.bounds(group, *id), rows.values(*id))) {
                let problem = format!("{} is beyond the statistics of the footer", id.column().name);
                return Err(damaged_at(part, group, &rows, &problem));
            }
            let all: Vec<u32> = (0..rows.rows() as u32).collect();
            Counted::AS_SENT.fill(&rows, &all, &mut amounts);
            for [_, bytes, packets, flows] in amounts.iter().copied() {
                found.sums.add(Counters { bytes, packets, flows });
            }
            found.rows += all.len() as u64;
            found.digest = found.digest.wrapping_add(digest(&rows, &mut digests));
            visit(&rows);
            rows.advance();
        }
    }
    let Counters { bytes, packets, flows } = found.sums;
    for (key, sum) in [("bytes", bytes), ("packets", packets), ("flows", flows)] {
        let stated = part.value(key).unwrap_or("nothing");
        if stated != sum.to_string() {
            return Err(Damaged(format!("its rows have {sum} {key} in all, its footer states {stated}")));
        }
    }
    Ok(found)
}

fn damaged_at(part: &PartFile<'_>, group: usize, rows: &GroupRows<'_>, problem: &str) -> Damaged {
    let first = part.first_row(group);
    let window = rows.window();
    Damaged(format!("rows {} to {}: {problem}", first + window.start as u64, first + window.end as u64 - 1))
}

/// Compares the octets of all pages with their checksum, if the footer states one.
fn check_octets(part: &PartFile<'_>) -> Result<(), Damaged> {
    let Some((end, stated)) = part.value("checksum").and_then(|stated| stated.split_once('-')) else { return Ok(()) };
    let end = end.parse().map_err(|_| Damaged("its footer is damaged".to_owned()))?;
    let mut checksum = crc32fast::Hasher::new();
    part.each_piece(end, |piece| checksum.update(piece))
        .map_err(|error| Damaged(format!("it cannot be read: {error}")))?;
    let found = format!("{:08x}", checksum.finalize());
    if found == stated {
        return Ok(());
    }
    Err(Damaged(format!("its octets have the checksum {found}, its footer states {stated}")))
}

/// Whether values are as the statistics of their group have it.
fn are_within(bounds: Bounds, values: &Values) -> bool {
    match (bounds, values) {
        (Bounds::Numbers(min, max), Values::U8(values)) => all_within(min, max, values),
        (Bounds::Numbers(min, max), Values::U16(values)) => all_within(min, max, values),
        (Bounds::Numbers(min, max), Values::U32(values)) => all_within(min, max, values),
        (Bounds::Numbers(min, max), Values::U64(values)) => all_within(min, max, values),
        // All are empty.
        (Bounds::Numbers(..), Values::Texts(values)) => values.numbers.iter().all(|number| *number == 0),
        (Bounds::Addresses { v4, v6 }, Values::Addresses(values)) => {
            let is_v6 = |row: usize| values.is_v6.get(row).copied().unwrap_or_default();
            let has_v4 = values.is_v6.is_empty() || values.is_v6.contains(&false);
            let v4_is_within = match v4 {
                None => !has_v4,
                Some((min, max)) => {
                    let mut of_v4 = values.v4.iter().enumerate().filter(|(row, _)| !is_v6(*row));
                    of_v4.all(|(_, address)| (min..=max).contains(address)) && (!values.v4.is_empty() || min == 0)
                }
            };
            v4_is_within && values.v6.iter().all(|address| v6.is_some_and(|(min, max)| (min..=max).contains(address)))
        }
        _ => true,
    }
}

/// No values are as many zeros.
fn all_within<T: Copy + Into<u64>>(min: u64, max: u64, values: &[T]) -> bool {
    values.iter().all(|value| (min..=max).contains(&(*value).into())) && (!values.is_empty() || min == 0)
}

/// A checksum of rows that does not depend on their order.
fn digest(rows: &impl ColumnValues, digests: &mut Vec<u64>) -> u64 {
    digests.clear();
    digests.resize(rows.rows(), 0);
    for id in Id::ALL {
        match rows.values(id) {
            Values::U8(values) => mix_numbers(id, values, digests),
            Values::U16(values) => mix_numbers(id, values, digests),
            Values::U32(values) => mix_numbers(id, values, digests),
            Values::U64(values) => mix_numbers(id, values, digests),
            Values::Texts(texts) => {
                for (row, digest) in digests.iter_mut().enumerate() {
                    texts.of_row(row).into_iter().for_each(|text| *digest = mix_text(*digest, id, text));
                }
            }
            Values::Addresses(Addresses { v4, is_v6, v6 }) => {
                mix_numbers(id, v4, digests);
                let of_v6 = digests.iter_mut().zip(is_v6).filter_map(|(digest, is_v6)| is_v6.then_some(digest));
                for (digest, address) in of_v6.zip(v6) {
                    let address = u128::from_be_bytes(*address);
                    *digest = mix(mix(*digest, id, (address >> 64) as u64), id, address as u64);
                }
            }
        }
    }
    digests.iter().fold(0, |sum, digest| sum.wrapping_add(*digest))
}

/// Zeros are left out: a column may be without values if all are 0.
fn mix_numbers<T: Copy + Into<u64>>(id: Id, values: &[T], digests: &mut [u64]) {
    for (digest, value) in digests.iter_mut().zip(values) {
        let value = (*value).into();
        if value != 0 {
            *digest = mix(*digest, id, value);
        }
    }
}

fn mix_text(digest: u64, id: Id, text: &str) -> u64 {
    let numbers =
        text.as_bytes().chunks(8).map(|octets| octets.iter().fold(0, |all, octet| all << 8 | u64::from(*octet)));
    numbers.fold(mix(digest, id, text.len() as u64), |digest, number| mix(digest, id, number))
}

fn mix(digest: u64, id: Id, value: u64) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    (digest ^ value).wrapping_mul(ODD).rotate_left(29) ^ (id as u64 + 1).wrapping_mul(ODD)
}
