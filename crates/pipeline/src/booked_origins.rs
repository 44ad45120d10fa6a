//! What was found of the origins of a datagram's flows, as octets to be kept beside the datagram: recovery and readers of the
//! log, which decode it again, use these, whatever tables are there then, and look nothing up.
//!
//! | octets | |
//! | --- | --- |
//! | LEB128 | how many octets follow |
//! | 4 | [`mark`] of the datagram, little-endian |
//! | LEB128 | how many AS paths; for each its octets (LEB128), then the path as text |
//! | LEB128 | how many origins; for each an octet: [`AsSource`] in the low four bits, 16 if it has a country, 32 if it has a path; then the AS (LEB128) unless it is none or the exporter's, two letters, and the number of the path (LEB128) |
//! | the rest | for each flow its [`key`], little-endian, then the origin of its source and that of its destination (LEB128) |
//!
//! Origins and paths are counted from 0; a flow has the number of an origin plus 1, or 0: then its AS is what the exporter sent,
//! and nothing else is known. Flows are found by their keys, because queued data may come in another order, or with another
//! datagram, when datagrams of several threads are decoded again.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use bmp::Path;
use flow::{AsSource, FlowRecord};

/// The longest text of a path. A longer one is left out, of taps as well: each datagram would have it again.
pub(crate) const LONGEST_PATH: usize = 1000;

const HAS_COUNTRY: u8 = 16;
const HAS_PATH: u8 = 32;
const SOURCE: u8 = 15;

/// The bits of a number in an octet of LEB128, and the bit of those that another one follows.
const BITS: u32 = 7;
const MORE: u8 = 1 << BITS;
/// Smaller numbers have one octet.
const SHORT: u32 = 1 << BITS;

/// Recognises a datagram: a note whose datagram is damaged must not be read with the next one.
pub(crate) fn mark(payload: &[u8]) -> u32 {
    // Every header of a protocol has its sequence number within these.
    crc32fast::hash(payload.get(..32).unwrap_or(payload)) ^ payload.len() as u32
}

/// Recognises a flow by what its origins depend on: the router that it is of, its addresses, and what the exporter sent of them.
#[inline]
pub(crate) fn key(router: IpAddr, flow: &FlowRecord) -> u32 {
    let ases = u64::from(flow.source_as) | u64::from(flow.destination_as) << 32;
    let ends = mixed(ases ^ number(&flow.source).rotate_left(32) ^ number(&router)) ^ number(&flow.destination);
    (mixed(ends) >> 32) as u32
}

/// An address as a number, the same for IPv4 addresses and those that map them. It is read where it is: copies are slower.
#[inline(always)]
fn number(address: &IpAddr) -> u64 {
    let ipv6 = match address {
        IpAddr::V4(address) => return address.to_bits().into(),
        IpAddr::V6(address) => address,
    };
    match ipv6.to_ipv4_mapped() {
        Some(address) => address.to_bits().into(),
        None => mixed((ipv6.to_bits() >> 64) as u64) ^ ipv6.to_bits() as u64,
    }
}

#[inline]
const fn mixed(number: u64) -> u64 {
    let product = number.wrapping_mul(MIXER);
    product ^ product >> 32
}

/// The golden ratio, for hashes by multiplication.
const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The origin of an end of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// 0 if it is none or that of the exporter.
    pub(crate) asn: u32,
    pub(crate) from: AsSource,
    /// The number of its letters.
    pub(crate) country: u16,
    /// The number of its path plus 1; 0 if it has none.
    pub(crate) path: u32,
}

/// The origins of a flow's source and destination, as numbers plus 1.
pub(crate) type Ends = [u32; 2];

/// Collects what is found of a datagram.
#[derive(Debug)]
pub(crate) struct Booking {
    /// Where in `text` each path is, with the address of the path.
    paths: Vec<(usize, Range<usize>)>,
    text: String,
    /// By their numbers plus 1, those of the present datagram first; what follows is room for more.
    origins: Vec<Packed>,
    /// How many are those of the present datagram.
    count: usize,
    /// For a hash of an origin its number plus 1, if it is not the same as that of another.
    places: [u32; PLACES],
    /// The octets of the flows.
    flows: Vec<u8>,
    /// Whether a flow has an origin that is booked.
    has_any: bool,
    octets: Vec<u8>,
}

/// Enough for two ends of each flow of an ordinary datagram.
const PLACES: usize = 256;

/// An origin in two words, which are compared without a branch for each of its parts.
#[derive(Clone, Copy, Debug)]
struct Packed {
    /// The AS, then the country, then the source.
    word: u64,
    path: u32,
}

impl Packed {
    /// Equal to no origin.
    const NONE: Self = Self { word: u64::MAX, path: 0 };

    #[inline]
    const fn new(Origin { asn, from, country, path }: Origin) -> Self {
        Self { word: asn as u64 | (country as u64) << 32 | (from as u64) << 48, path }
    }

    /// Its place among those of a datagram.
    #[inline]
    const fn hash(self) -> usize {
        ((self.word ^ (self.path as u64) << 40).wrapping_mul(MIXER) >> (u64::BITS - PLACES.ilog2())) as usize
    }
}

impl Default for Booking {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            text: String::new(),
            origins: vec![Packed::NONE; 2],
            count: 0,
            places: [0; PLACES],
            flows: Vec::new(),
            has_any: false,
            octets: Vec::new(),
        }
    }
}

impl Booking {
    /// The octets of the last datagram; empty if nothing was looked up.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Nothing was looked up for this datagram.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.octets.clear();
    }

    /// A flow with this key has these origins.
    #[inline]
    pub(crate) fn flow(&mut self, key: u32, ends: Ends) {
        self.has_any |= ends != [0, 0];
        let [first, second, third, fourth] = key.to_le_bytes();
        if let [source @ 0..SHORT, destination @ 0..SHORT] = ends {
            self.flows.extend_from_slice(&[first, second, third, fourth, source as u8, destination as u8]);
        } else {
            self.flows.extend([first, second, third, fourth]);
            ends.into_iter().for_each(|number| put(number.into(), &mut self.flows));
        }
    }

    /// The number of an origin, plus 1.
    #[inline(always)]
    pub(crate) fn number(&mut self, origin: Origin, path: Option<&Path>) -> u32 {
        let origin = match path {
            Some(path) => Origin { path: self.path(path), ..origin },
            None => origin,
        };
        if self.count + 1 >= self.origins.len() {
            self.make_room();
        }
        let packed = Packed::new(origin);
        let Some(place) = self.places.get_mut(packed.hash()) else { return 0 };
        // Without a branch: whether an end of a flow has the origin of another one is as random as its direction.
        let Some(known) = self.origins.get(*place as usize) else { return 0 };
        let is_known = (known.word ^ packed.word) | u64::from(known.path ^ packed.path) == 0;
        let number = std::hint::select_unpredictable(is_known, *place as usize, self.count + 1);
        let Some(booked) = self.origins.get_mut(number) else { return 0 };
        *booked = packed;
        self.count = self.count.max(number);
        *place = number as u32;
        *place
    }

    #[cold]
    fn make_room(&mut self) {
        self.origins.resize(2 * self.origins.len(), Packed::NONE);
    }

    /// The number of a path plus 1. The paths of a datagram are those of one snapshot of a router.
    #[inline(never)]
    fn path(&mut self, path: &Path) -> u32 {
        let address = std::ptr::from_ref(path).addr();
        if let Some(known) = self.paths.iter().position(|(of, _)| *of == address) {
            return known as u32 + 1;
        }
        let (start, text) = (self.text.len(), path.to_string());
        if text.len() > LONGEST_PATH {
            return 0;
        }
        self.text.push_str(&text);
        self.paths.push((address, start..self.text.len()));
        self.paths.len() as u32
    }

    /// Makes the octets of a datagram with this mark.
    pub(crate) fn finish(&mut self, mark: u32) {
        self.octets.clear();
        if std::mem::take(&mut self.has_any) {
            self.write(mark);
            self.count = 0;
            self.places.fill(0);
            self.paths.clear();
            self.text.clear();
        }
        self.flows.clear();
    }

    fn write(&mut self, mark: u32) {
        let Self { paths, text, origins, count, flows, octets, .. } = self;
        // Room for the length, in four octets of LEB128 however small it is.
        octets.extend([0; LENGTH]);
        octets.extend(mark.to_le_bytes());
        put(paths.len() as u64, octets);
        for (_, range) in paths {
            let path = text.get(range.clone()).unwrap_or_default();
            put(path.len() as u64, octets);
            octets.extend(path.as_bytes());
        }
        put(*count as u64, octets);
        for Packed { word, path } in origins.iter().skip(1).take(*count) {
            let (asn, country, from) = (*word as u32, (word >> 32) as u16, (word >> 48) as u8);
            let flags = if country == 0 { 0 } else { HAS_COUNTRY } | if *path == 0 { 0 } else { HAS_PATH };
            // At most an octet, five and two: written at once, whatever is needed of it.
            let (mut word, mut length) = (u64::from(from | flags), 1);
            if AsSource::of_number(from).is_some_and(has_asn) {
                let (number, octets) = leb128(asn);
                word |= number << (8 * length);
                length += octets;
            }
            if country != 0 {
                word |= u64::from(country.swap_bytes()) << (8 * length);
                length += 2;
            }
            octets.extend_from_slice(&word.to_le_bytes());
            octets.truncate(octets.len() - (size_of::<u64>() - length));
            if *path != 0 {
                put((*path - 1).into(), octets);
            }
        }
        octets.extend_from_slice(flows);
        let mut length = octets.len() - LENGTH;
        for (number, octet) in octets.iter_mut().take(LENGTH).enumerate() {
            *octet = length as u8 & !MORE | if number + 1 < LENGTH { MORE } else { 0 };
            length >>= BITS;
        }
    }
}

/// The octets of the length: a datagram has at most 65,535 flows, each with two origins of less than 1,100 octets.
const LENGTH: usize = 4;

/// Whether an AS number is booked with this source. That of the exporter is in the datagram.
const fn has_asn(from: AsSource) -> bool {
    !matches!(from, AsSource::None | AsSource::Exporter)
}

/// A number in LEB128, its octets from the lowest on, and how many they are.
#[inline]
const fn leb128(number: u32) -> (u64, usize) {
    let wide = number as u64;
    let spread = wide & 0x7f
        | (wide & 0x7f << 7) << 1
        | (wide & 0x7f << 14) << 2
        | (wide & 0x7f << 21) << 3
        | (wide & 0x7f << 28) << 4;
    let octets = (u32::BITS - (number | 1).leading_zeros()).div_ceil(BITS);
    let more = 0x80_8080_8080 & ((1 << (8 * (octets - 1))) - 1);
    (spread | more, octets as usize)
}

fn put(mut number: u64, octets: &mut Vec<u8>) {
    while number >= MORE.into() {
        octets.push(number as u8 | MORE);
        number >>= BITS;
    }
    octets.push(number as u8);
}

/// What was booked of datagrams when they were decoded before.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// Rows share them.
    paths: Vec<Arc<str>>,
    origins: Vec<Origin>,
    flows: Vec<Flow>,
    /// How many have come in their order.
    come: usize,
    /// The places of the others, once one of them has come.
    places: HashMap<u32, usize>,
    others: Others,
    /// The path to the destination of the last flow.
    path: Option<Arc<str>>,
}

/// A flow of the present datagram.
#[derive(Debug)]
struct Flow {
    key: u32,
    ends: Ends,
    has_come: bool,
}

/// The origins of source and destination, and the path to the destination.
type Found = ([Option<Origin>; 2], Option<Arc<str>>);

/// Flows that have not come with the datagram of their booking: they may come later, with another one. At most [`MOST_OTHERS`],
/// the newest.
#[derive(Debug, Default)]
struct Others {
    origins: HashMap<u32, Found>,
    order: VecDeque<u32>,
}

const MOST_OTHERS: usize = 65_536;

impl Others {
    fn add(&mut self, key: u32, ends: [Option<Origin>; 2], path: Option<Arc<str>>) {
        if self.origins.insert(key, (ends, path)).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > MOST_OTHERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.origins.remove(&oldest);
        }
    }
}

impl Before {
    /// Reads what was booked of the next datagram, which has this mark. What is damaged is left out as a whole.
    pub(crate) fn read(&mut self, mut octets: &[u8], mark: u32) {
        self.keep_others();
        // Before it may be those of datagrams that were damaged.
        while let Some(booked) = take(&mut octets).and_then(|length| octets.split_off(..length)) {
            let Some((of, mut booked)) = booked.split_first_chunk() else { continue };
            if u32::from_le_bytes(*of) == mark {
                if self.read_body(&mut booked).is_none() {
                    self.clear();
                }
                return;
            }
        }
    }

    fn clear(&mut self) {
        self.paths.clear();
        self.origins.clear();
        self.flows.clear();
        self.places.clear();
        self.come = 0;
    }

    /// Keeps what was booked of the last datagram and has not come.
    fn keep_others(&mut self) {
        if self.come < self.flows.len() {
            let flows = std::mem::take(&mut self.flows);
            for flow in flows.iter().filter(|flow| !flow.has_come) {
                let ends = flow.ends.map(|number| self.origin(number));
                let path = self.path_of(ends);
                self.others.add(flow.key, ends, path);
            }
        }
        self.clear();
    }

    fn read_body(&mut self, octets: &mut &[u8]) -> Option<()> {
        for _ in 0..take(octets)? {
            let length = take(octets)?;
            self.paths.push(str::from_utf8(octets.split_off(..length)?).ok()?.into());
        }
        for _ in 0..take(octets)? {
            let flags = *octets.split_off_first()?;
            let from = AsSource::of_number(flags & SOURCE)?;
            let asn = if has_asn(from) { u32::try_from(take(octets)?).ok()? } else { 0 };
            let country = if flags & HAS_COUNTRY == 0 { 0 } else { u16::from_be_bytes(*take_chunk(octets)?) };
            let path = if flags & HAS_PATH == 0 { 0 } else { u32::try_from(take(octets)?).ok()?.checked_add(1)? };
            self.origins.push(Origin { asn, from, country, path });
        }
        while !octets.is_empty() {
            let key = u32::from_le_bytes(*take_chunk(octets)?);
            let ends = [u32::try_from(take(octets)?).ok()?, u32::try_from(take(octets)?).ok()?];
            self.flows.push(Flow { key, ends, has_come: false });
        }
        Some(())
    }

    /// Whether nothing was booked.
    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.others.order.is_empty()
    }

    /// Gives a flow of a router the origins that were booked. Returns the path to its destination.
    pub(crate) fn set(&mut self, router: IpAddr, flow: &mut FlowRecord) -> Option<&Arc<str>> {
        let (ends, path) = if self.is_empty() { Default::default() } else { self.find(key(router, flow)) };
        let [source, destination] = ends;
        set(source, &mut flow.source_as, &mut flow.source_as_from, &mut flow.source_country);
        set(destination, &mut flow.destination_as, &mut flow.destination_as_from, &mut flow.destination_country);
        self.path = path;
        self.path.as_ref()
    }

    fn find(&mut self, key: u32) -> Found {
        if self.flows.get(self.come).is_some_and(|flow| flow.key == key) {
            self.come += 1;
            return self.claim(self.come - 1);
        }
        if self.places.is_empty() {
            let flows = self.flows.iter().enumerate().skip(self.come);
            self.places.extend(flows.map(|(place, flow)| (flow.key, place)));
        }
        match self.places.get(&key) {
            Some(place) => self.claim(*place),
            None => self.others.origins.get(&key).cloned().unwrap_or_default(),
        }
    }

    fn claim(&mut self, place: usize) -> Found {
        let Some(flow) = self.flows.get_mut(place) else { return Default::default() };
        flow.has_come = true;
        let ends = flow.ends;
        let ends = ends.map(|number| self.origin(number));
        (ends, self.path_of(ends))
    }

    fn origin(&self, number: u32) -> Option<Origin> {
        self.origins.get(number.checked_sub(1)? as usize).copied()
    }

    fn path_of(&self, [_, destination]: [Option<Origin>; 2]) -> Option<Arc<str>> {
        self.paths.get(destination?.path.checked_sub(1)? as usize).cloned()
    }
}

/// Gives an end of a flow its origin; if there is none, its AS is what the exporter sent.
#[inline]
fn set(origin: Option<Origin>, asn: &mut u32, from: &mut AsSource, country: &mut u16) {
    match origin {
        None => *from = if *asn == 0 { AsSource::None } else { AsSource::Exporter },
        Some(origin) => {
            if origin.from != AsSource::Exporter {
                *asn = origin.asn;
            }
            (*from, *country) = (origin.from, origin.country);
        }
    }
}

fn take_chunk<'o, const N: usize>(octets: &mut &'o [u8]) -> Option<&'o [u8; N]> {
    let (chunk, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(chunk)
}

fn take(octets: &mut &[u8]) -> Option<usize> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(BITS as usize) {
        let octet = *octets.split_off_first()?;
        number |= u64::from(octet & !MORE) << shift;
        if octet & MORE == 0 {
            return usize::try_from(number).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests;
