//! MaxMind databases (<https://maxmind.github.io/MaxMind-DB/>): all networks of the search tree, and their records.
//!
//! `maxminddb` reads the metadata and the records. The search tree is walked here, because its iterator follows whatever the
//! file has: nodes that many others share make it visit 2^128 networks, or never return. Here, a walk visits each node a few
//! times at most, and each record is decoded once.
//!
//! An IPv6 tree has the IPv4 addresses in ::/96. Writers let other networks that embed IPv4 addresses (::ffff:0:0/96,
//! 2001::/32, 2002::/16) point to the same nodes. These aliases are skipped: a mapped address is looked up as the IPv4
//! address anyway, and a tunnel's address (Teredo, 6to4) belongs to no AS of a file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashMap;
use maxminddb::{MaxMindDbError, Reader};

use crate::contents::{Collected, Kind, push};
use crate::error::{DOWNLOAD, Fault, Place};
use crate::limits::RANGES;
use crate::mmdb::record::Record;
use crate::names::printable;
use crate::origin::Origin;
use crate::pieces::Range;

mod record;

/// Begins the metadata.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// The metadata are within this many octets before the end.
const METADATA_BYTES: usize = 128 << 10;
/// Octets between the search tree and the data.
const SEPARATOR_BYTES: usize = 16;
/// Visits for each node of the search tree. One is enough for a tree; some writers may share nodes.
const VISITS_PER_NODE: usize = 4;
/// Octets and values of records that are decoded, for each octet of the data. Names in several languages, which many records
/// share, make it about 10 in a city database.
const WORK_PER_OCTET: u64 = 32;
/// The same for all data: a few seconds.
const WORK: u64 = 1 << 30;

/// Whether it is a MaxMind database, complete or not.
pub(crate) fn is_mmdb(octets: &[u8]) -> bool {
    let end = octets.get(octets.len().saturating_sub(METADATA_BYTES + MARKER.len())..).unwrap_or_default();
    end.windows(MARKER.len()).any(|window| window == MARKER)
}

/// Reads all networks and names; returns also when the database was built.
pub(crate) fn parse(octets: &[u8], collected: &mut Collected) -> Result<(Kind, Option<u64>), Fault> {
    let reader = Reader::from_source(octets).map_err(|error| {
        let fault = fault_of(&error, octets);
        Fault { problem: format!("metadata: {}", fault.problem), ..fault }
    })?;
    let metadata = reader.metadata();
    let tree = Tree { octets, node_count: metadata.node_count, record_bits: metadata.record_size };
    let data_bytes = octets.len().saturating_sub(tree.bytes());
    let records = Records {
        octets,
        reader: &reader,
        node_count: metadata.node_count,
        known: HashMap::new(),
        work_left: (data_bytes as u64).saturating_mul(WORK_PER_OCTET).min(WORK),
        collected,
        mapped: Vec::new(),
    };
    match metadata.ip_version {
        4 => walk(&tree, 32, None, records)?,
        _ => walk(&tree, 128, tree.ipv4_root(), records)?,
    }
    let kind = Kind::MaxMind(printable(&metadata.database_type));
    Ok((kind, Some(metadata.build_epoch)))
}

/// The search tree: nodes of two numbers each.
struct Tree<'o> {
    octets: &'o [u8],
    node_count: u32,
    record_bits: u16,
}

impl Tree<'_> {
    fn node_bytes(&self) -> usize {
        usize::from(self.record_bits) / 4
    }

    fn bytes(&self) -> usize {
        self.node_count as usize * self.node_bytes()
    }

    fn offset(&self, node: u32) -> usize {
        node as usize * self.node_bytes()
    }

    /// What a node has for the next bit 0 and 1: a node, if less than the number of nodes; nothing, if equal; or a place in
    /// the data. `None` outside the file.
    fn children(&self, node: u32) -> Option<[u32; 2]> {
        let node = self.octets.get(self.offset(node)..)?.get(..self.node_bytes())?;
        let number = |octets: &[u8]| octets.iter().fold(0, |number, octet| number << 8 | u32::from(*octet));
        match *node {
            [_, _, _, _, _, _] => Some([number(node.get(..3)?), number(node.get(3..)?)]),
            // The shared octet has the upper four bits of both.
            [_, _, _, shared, _, _, _] => {
                let upper = [u32::from(shared >> 4) << 24, u32::from(shared & 0xf) << 24];
                Some([upper[0] | number(node.get(..3)?), upper[1] | number(node.get(4..)?)])
            }
            _ => Some([number(node.get(..4)?), number(node.get(4..)?)]),
        }
    }

    /// The node of ::/96, if it has one.
    fn ipv4_root(&self) -> Option<u32> {
        (0..96).try_fold(0, |node, _| self.children(node).map(|[zero, _]| zero).filter(|zero| *zero < self.node_count))
    }
}

/// A place in the search tree that is still to be visited.
struct Visit {
    /// Or what else a node has.
    node: u32,
    /// The first address.
    first: u128,
    /// The length of the prefix.
    length: u32,
    /// The octet that led there.
    offset: usize,
}

/// Visits all networks, in the order of their addresses.
fn walk(tree: &Tree<'_>, bits: u32, ipv4_root: Option<u32>, mut records: Records<'_, '_>) -> Result<(), Fault> {
    let mut visits_left = (tree.node_count as usize).saturating_mul(VISITS_PER_NODE);
    // At most one more for each bit.
    let mut stack = vec![Visit { node: 0, first: 0, length: 0, offset: 0 }];
    while let Some(visit) = stack.pop() {
        let Visit { node, first, length, offset } = visit;
        if node == tree.node_count || ipv4_root == Some(node) && first != 0 {
            continue;
        }
        if node > tree.node_count {
            records.add(&visit, bits)?;
            continue;
        }
        let place = Place::Offset(offset);
        if length == bits {
            return Err(Fault::new(place, "the search tree has a cycle", DOWNLOAD));
        }
        visits_left = visits_left
            .checked_sub(1)
            .ok_or_else(|| Fault::new(place, "the search tree leads to the same nodes again and again", DOWNLOAD))?;
        let Some([zero, one]) = tree.children(node) else {
            return Err(Fault::new(place, "the search tree is truncated", DOWNLOAD));
        };
        let offset = tree.offset(node);
        let upper = first | 1 << (bits - 1 - length);
        stack.push(Visit { node: one, first: upper, length: length + 1, offset });
        stack.push(Visit { node: zero, first, length: length + 1, offset });
    }
    records.finish()
}

/// Records of networks, each decoded once.
struct Records<'o, 'c> {
    octets: &'o [u8],
    reader: &'c Reader<&'o [u8]>,
    node_count: u32,
    known: HashMap<u32, Origin>,
    work_left: u64,
    collected: &'c mut Collected,
    /// Networks in ::ffff:0:0/96 that are no alias.
    mapped: Vec<Range<u32>>,
}

impl Records<'_, '_> {
    /// Adds a network.
    fn add(&mut self, visit: &Visit, bits: u32) -> Result<(), Fault> {
        let origin = self.origin(visit, bits)?;
        if origin == Origin::UNKNOWN {
            return Ok(());
        }
        let Visit { first, length, offset, .. } = *visit;
        let last = first | u128::MAX.checked_shr(128 - bits + length).unwrap_or(0);
        let place = Place::Offset(offset);
        let low = |address: u128| address as u32;
        if bits == 32 || length >= 96 && first >> 32 == 0 {
            return self.add_ipv4(low(first), low(last), origin, place);
        }
        if length >= 96 && first >> 32 == 0xffff {
            return push(&mut self.mapped, Range { first: low(first), last: low(last), origin }, place);
        }
        if first == 0 {
            // It contains ::/96, and with it all IPv4 addresses.
            self.add_ipv4(0, u32::MAX, origin, place)?;
        }
        match self.collected.ipv6.last_mut() {
            Some(before) if before.last.checked_add(1) == Some(first) && before.origin == origin => before.last = last,
            _ => self.collected.add_ipv6(first, last, origin, place)?,
        }
        Ok(())
    }

    /// Adds a range, or continues the one before it: networks of a tree are disjoint.
    fn add_ipv4(&mut self, first: u32, last: u32, origin: Origin, place: Place) -> Result<(), Fault> {
        match self.collected.ipv4.last_mut() {
            Some(before) if before.last.checked_add(1) == Some(first) && before.origin == origin => before.last = last,
            _ => self.collected.add_ipv4(first, last, origin, place)?,
        }
        Ok(())
    }

    /// Networks in ::ffff:0:0/96 count if there are none in ::/96, where they belong.
    fn finish(mut self) -> Result<(), Fault> {
        if self.collected.ipv4.is_empty() {
            for Range { first, last, origin } in std::mem::take(&mut self.mapped) {
                self.add_ipv4(first, last, origin, Place::Whole)?;
            }
        }
        Ok(())
    }

    /// What the record of a network has.
    fn origin(&mut self, visit: &Visit, bits: u32) -> Result<Origin, Fault> {
        if let Some(origin) = self.known.get(&visit.node) {
            return Ok(*origin);
        }
        let place = Place::Offset(visit.offset);
        if self.known.len() == RANGES {
            return Err(Fault::new(place, format!("more than {RANGES} records"), "use a smaller file"));
        }
        let address = match bits {
            32 => IpAddr::V4(Ipv4Addr::from_bits(visit.first as u32)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(visit.first)),
        };
        let found = self.reader.lookup(address).map_err(|error| fault_of(&error, self.octets))?;
        let expected = (visit.node - self.node_count) as usize;
        if found.offset().is_none_or(|offset| offset + SEPARATOR_BYTES != expected) {
            return Err(Fault::new(place, "the search tree leads to no record", DOWNLOAD));
        }
        let record: Record<'_> = found.decode().map_err(|error| fault_of(&error, self.octets))?.unwrap_or_default();
        self.work_left = self
            .work_left
            .checked_sub(record.work)
            .ok_or_else(|| Fault::new(place, "records refer to the same data again and again", DOWNLOAD))?;
        let asn = record.asn.unwrap_or(0);
        if let Some(name) = record.name {
            self.collected.add_name(asn, name, place)?;
        }
        let origin = Origin::new(asn, record.country);
        self.known.insert(visit.node, origin);
        Ok(origin)
    }
}

/// The library's error as ours.
fn fault_of(error: &MaxMindDbError, octets: &[u8]) -> Fault {
    let (problem, offset) = match error {
        // The offset may be where a pointer leads to, outside the file.
        MaxMindDbError::InvalidDatabase { message, offset } => {
            (message.clone(), offset.filter(|offset| *offset < octets.len()))
        }
        // Their offsets are relative to a section.
        MaxMindDbError::Decoding { message, .. } | MaxMindDbError::ResourceLimit { message, .. } => {
            (message.clone(), None)
        }
        other => (other.to_string(), None),
    };
    Fault::new(offset.map_or(Place::Whole, Place::Offset), problem, DOWNLOAD)
}
