//! The table of all files: what a look-up asks.

use std::net::IpAddr;

use arrayvec::ArrayVec;
use flow::FlowRecord;

use crate::contents::{Contents, SourceFile};
use crate::error::Error;
use crate::files::too_many;
use crate::limits::FILES;
use crate::lookup_ipv4::Ipv4Lookup;
use crate::lookup_ipv6::Ipv6Lookup;
use crate::names::{Names, NamesBuilder};
use crate::origin::Origin;
use crate::pieces::Pieces;

/// How many flows are looked up together, source and destination.
pub(crate) const FLOWS_AT_ONCE: usize = AT_ONCE / 2;
/// How many look-ups take their steps together: enough for all that memory can answer at once.
pub(crate) const AT_ONCE: usize = 64;

/// An address as a number. An IPv4-mapped IPv6 address is the IPv4 address.
enum Number {
    Ipv4(u32),
    Ipv6(u128),
}

impl Number {
    /// The address is read where it is: a copy of its 17 octets is written and read in parts that differ, for which a processor
    /// waits longer than a look-up takes.
    #[inline(always)]
    fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::Ipv4(address.to_bits()),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => Self::Ipv4(address.to_bits()),
                None => Self::Ipv6(address.to_bits()),
            },
        }
    }
}

/// What is known of flows before they are looked up one by one.
#[expect(clippy::large_enum_variant, reason = "it stays where it is made, and a box would be made for each datagram")]
pub(crate) enum Prepared {
    /// Nothing: no file is asked.
    Nothing,
    /// All addresses are IPv4, and what is read for them was fetched. What is found of them is not kept: code that fills many places
    /// is fetched again for each datagram.
    Fetched,
    /// The origins of source and destination of each flow.
    Found([[Origin; 2]; FLOWS_AT_ONCE]),
}

/// The origins of all addresses. It never changes: a new one replaces it.
#[derive(Clone, Debug)]
pub struct Table {
    ipv4: Ipv4Lookup,
    ipv6: Ipv6Lookup,
    names: Names,
    files: Vec<SourceFile>,
}

impl Default for Table {
    /// A table that knows nothing.
    fn default() -> Self {
        Self {
            ipv4: Ipv4Lookup::new(&Pieces::default()),
            ipv6: Ipv6Lookup::new(&Pieces::default()),
            names: Names::default(),
            files: Vec::new(),
        }
    }
}

impl Table {
    /// Merges files, the most trusted first. The AS of an address is that of the first file that has one for it, and so is
    /// the country, and so is the name of an AS. Within a file, the smallest network that contains the address counts.
    ///
    /// # Errors
    ///
    /// If there are more than [`FILES`] files.
    pub fn new(contents: Vec<Contents>) -> Result<Self, Error> {
        if let Some(file) = contents.get(FILES) {
            return Err(too_many(&file.file.path));
        }
        let (mut ipv4, mut ipv6, mut names) = (Pieces::default(), Pieces::default(), NamesBuilder::default());
        let mut files = Vec::new();
        for contents in contents {
            ipv4 = ipv4.or(contents.ipv4);
            ipv6 = ipv6.or(contents.ipv6);
            for (asn, name) in contents.names.iter() {
                // Names beyond the limit are those of the files that are trusted least.
                let _ = names.add(asn, name);
            }
            files.push(contents.file);
        }
        Ok(Self { ipv4: Ipv4Lookup::new(&ipv4), ipv6: Ipv6Lookup::new(&ipv6), names: names.finish(), files })
    }

    /// What is known of an address; `None` if nothing is. An IPv4-mapped IPv6 address counts as the IPv4 address.
    #[inline]
    #[must_use]
    pub fn get(&self, address: IpAddr) -> Option<Origin> {
        let origin = match Number::of(&address) {
            Number::Ipv4(address) => self.ipv4.get(address),
            Number::Ipv6(address) => self.ipv6.get(address),
        };
        (origin != Origin::UNKNOWN).then_some(origin)
    }

    /// Prepares look-ups of source and destination of up to [`FLOWS_AT_ONCE`] flows: fetches what is read for them, so that none
    /// waits for the memory of another.
    #[inline(always)]
    pub(crate) fn prepare(&self, flows: &[FlowRecord]) -> Prepared {
        let mut has_ipv6 = false;
        for flow in flows {
            has_ipv6 |= !self.prefetch(&flow.source) | !self.prefetch(&flow.destination);
        }
        if has_ipv6 { Prepared::Found(self.get_all(flows)) } else { Prepared::Fetched }
    }

    /// Fetches what a look-up of an IPv4 address reads. False for others.
    #[inline(always)]
    fn prefetch(&self, address: &IpAddr) -> bool {
        match Number::of(address) {
            Number::Ipv4(address) => self.ipv4.prefetch(address),
            Number::Ipv6(_) => return false,
        }
        true
    }

    /// What is known of an IPv4 address.
    #[inline(always)]
    pub(crate) fn get_ipv4(&self, address: &IpAddr) -> Origin {
        match Number::of(address) {
            Number::Ipv4(address) => self.ipv4.get(address),
            Number::Ipv6(_) => Origin::UNKNOWN,
        }
    }

    /// Looks source and destination of flows up. IPv6 addresses take their steps together.
    #[inline(never)]
    fn get_all(&self, flows: &[FlowRecord]) -> [[Origin; 2]; FLOWS_AT_ONCE] {
        let mut found = [[Origin::UNKNOWN; 2]; FLOWS_AT_ONCE];
        let mut ipv6 = ArrayVec::<_, AT_ONCE>::new();
        let mut get = |place: u32, address: &IpAddr| match Number::of(address) {
            Number::Ipv4(address) => self.ipv4.get(address),
            Number::Ipv6(address) => {
                ipv6.push((place, address));
                Origin::UNKNOWN
            }
        };
        for ((number, flow), found) in (0..).zip(flows).zip(&mut found) {
            *found = [get(2 * number, &flow.source), get(2 * number + 1, &flow.destination)];
        }
        self.ipv6.get_all(&ipv6, found.as_flattened_mut());
        found
    }

    /// The name of an AS, wherever its number is from.
    #[must_use]
    pub fn name(&self, asn: u32) -> Option<&str> {
        self.names.get(asn)
    }

    /// The files, the most trusted first.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// How many ranges of IPv4 and of IPv6 addresses have an answer.
    #[must_use]
    pub fn ranges(&self) -> (usize, usize) {
        (self.ipv4.answers(), self.ipv6.answers())
    }

    /// How many AS have a name.
    #[must_use]
    pub fn names(&self) -> usize {
        self.names.len()
    }

    /// What the table occupies on the heap, without the paths of its files.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.ipv4.heap_bytes() + self.ipv6.heap_bytes() + self.names.heap_bytes()
    }
}
