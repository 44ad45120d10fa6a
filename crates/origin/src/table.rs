//! The table of all files: what a look-up asks.

use std::net::IpAddr;

use arrayvec::ArrayVec;
use flow::FlowRecord;

use crate::contents::{Contents, SourceFile};
use crate::error::Error;
use crate::files::too_many;
use crate::limits::FILES;
use crate::lookup::{AT_ONCE, Lookup};
use crate::names::{Names, NamesBuilder};
use crate::origin::Origin;
use crate::pieces::Pieces;

/// How many flows are looked up together, source and destination.
pub(crate) const FLOWS_AT_ONCE: usize = AT_ONCE / 2;

/// The origins of all addresses. It never changes: a new one replaces it.
#[derive(Clone, Debug)]
pub struct Table {
    ipv4: Lookup<u32>,
    ipv6: Lookup<u128>,
    names: Names,
    files: Vec<SourceFile>,
}

impl Default for Table {
    /// A table that knows nothing.
    fn default() -> Self {
        Self {
            ipv4: Lookup::new(&Pieces::default()),
            ipv6: Lookup::new(&Pieces::default()),
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
        for (contents, number) in contents.into_iter().zip(0..) {
            ipv4 = ipv4.or(contents.ipv4, number);
            ipv6 = ipv6.or(contents.ipv6, number);
            for (asn, name) in contents.names.iter() {
                // Names beyond the limit are those of the files that are trusted least.
                let _ = names.add(asn, name);
            }
            files.push(contents.file);
        }
        Ok(Self { ipv4: Lookup::new(&ipv4), ipv6: Lookup::new(&ipv6), names: names.finish(), files })
    }

    /// What is known of an address; `None` if nothing is. An IPv4-mapped IPv6 address counts as the IPv4 address.
    #[inline]
    #[must_use]
    pub fn get(&self, address: IpAddr) -> Option<Origin> {
        let origin = match flow::canonical(address) {
            IpAddr::V4(address) => self.ipv4.get(address.to_bits()),
            IpAddr::V6(address) => self.ipv6.get(address.to_bits()),
        };
        (origin != Origin::UNKNOWN).then_some(origin)
    }

    /// Looks up source and destination of up to [`FLOWS_AT_ONCE`] flows, in a fraction of the time that as many calls of
    /// [`get`](Self::get) take.
    #[inline]
    pub(crate) fn get_all(&self, flows: &[FlowRecord]) -> [[Origin; 2]; FLOWS_AT_ONCE] {
        let (mut ipv4, mut ipv6) = (ArrayVec::new(), ArrayVec::new());
        let mut add = |place, address| match flow::canonical(address) {
            IpAddr::V4(address) => ipv4.push((place, address.to_bits())),
            IpAddr::V6(address) => ipv6.push((place, address.to_bits())),
        };
        for (number, flow) in flows.iter().take(FLOWS_AT_ONCE).enumerate() {
            add(2 * number, flow.source);
            add(2 * number + 1, flow.destination);
        }
        let mut found = [[Origin::UNKNOWN; 2]; FLOWS_AT_ONCE];
        self.ipv4.get_all(&ipv4, found.as_flattened_mut());
        self.ipv6.get_all(&ipv6, found.as_flattened_mut());
        found
    }

    /// The name of an AS, wherever its number is from.
    #[must_use]
    pub fn name(&self, asn: u32) -> Option<&str> {
        self.names.get(asn)
    }

    /// The files, the most trusted first; [`Origin::asn_file`] and [`Origin::country_file`] are places in it.
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
