//! The values of one record.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use flow::{Country, Protocol, Timestamp};

use crate::column::Kind;
use crate::table::{ADDRESSES, COUNT, Id, TABLE, TEXTS};

/// The values of one record, by column. What was not set is 0, or 0.0.0.0. A row is large and meant to be used again.
#[derive(Debug)]
pub struct Row {
    /// By column; 0 for those of addresses and texts.
    numbers: [u64; COUNT],
    /// By the place of the column among those of addresses.
    addresses: [IpAddr; ADDRESSES],
    /// By the place of the column among those of texts. Rows share them.
    texts: [Option<Arc<str>>; TEXTS],
    /// The columns that are set.
    set: Columns,
}

/// Some columns, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns(u128);

const _: () = assert!(COUNT <= u128::BITS as usize);

impl Columns {
    /// No columns.
    pub const NONE: Self = Self(0);
    /// All columns.
    pub const ALL: Self = Self(u128::MAX >> (u128::BITS as usize - COUNT));

    /// These columns.
    #[must_use]
    pub const fn of(mut ids: &[Id]) -> Self {
        let mut columns = Self::NONE;
        while let [id, rest @ ..] = ids {
            columns.add(*id);
            ids = rest;
        }
        columns
    }

    /// Those of them that are among others, and the rest.
    #[must_use]
    pub const fn split(self, others: Self) -> (Self, Self) {
        (Self(self.0 & others.0), Self(self.0 & !others.0))
    }

    /// Adds a column.
    #[inline]
    pub const fn add(&mut self, id: Id) {
        self.0 |= 1 << id as u32;
    }

    /// Adds others.
    #[inline]
    pub const fn add_all(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// The columns in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Id> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let id = Id::ALL.get(rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(*id)
        })
    }
}

/// A value, as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(u64),
    /// A time.
    Time(Timestamp),
    /// A MAC address.
    Mac([u8; 6]),
    /// A country; `None` if it is unknown.
    Country(Option<Country>),
    /// An address.
    Address(IpAddr),
    /// An AS path; `None` if there is none.
    AsPath(Option<Arc<str>>),
}

/// For each column the place among those of addresses, or [`NO_PLACE`].
const ADDRESS_PLACES: [u8; COUNT] = places(false);
/// For each column the place among those of texts, or [`NO_PLACE`].
const TEXT_PLACES: [u8; COUNT] = places(true);
const NO_PLACE: u8 = u8::MAX;

#[expect(clippy::indexing_slicing, reason = "runs at compile time, where a panic is a compile error")]
const fn places(of_texts: bool) -> [u8; COUNT] {
    let mut places = [NO_PLACE; COUNT];
    let (mut index, mut next) = (0, 0);
    while index < COUNT {
        let is_among = match TABLE[index].kind {
            Kind::Address => !of_texts,
            Kind::AsPath => of_texts,
            _ => false,
        };
        if is_among {
            places[index] = next;
            next += 1;
        }
        index += 1;
    }
    places
}

/// For each column the largest number, which is also the mask of its bits.
const LARGEST: [u64; COUNT] = largest();

#[expect(clippy::indexing_slicing, reason = "runs at compile time, where a panic is a compile error")]
const fn largest() -> [u64; COUNT] {
    let mut largest = [0; COUNT];
    let mut index = 0;
    while index < COUNT {
        largest[index] = TABLE[index].kind.largest();
        index += 1;
    }
    largest
}

impl Clone for Row {
    fn clone(&self) -> Self {
        let Self { numbers, addresses, texts, set } = self;
        Self { numbers: *numbers, addresses: *addresses, texts: texts.clone(), set: *set }
    }

    /// In place, because rows are large.
    #[inline]
    fn clone_from(&mut self, source: &Self) {
        self.numbers = source.numbers;
        self.addresses = source.addresses;
        self.texts.clone_from(&source.texts);
        self.set = source.set;
    }
}

impl Row {
    /// A row without values.
    #[must_use]
    pub const fn new() -> Self {
        Self { numbers: [0; COUNT], addresses: [NONE; ADDRESSES], texts: [const { None }; TEXTS], set: Columns::NONE }
    }

    /// Removes all values.
    #[inline]
    pub fn clear(&mut self) {
        // A whole new row would be made elsewhere first, and rows are large.
        self.numbers = [0; COUNT];
        self.addresses = [NONE; ADDRESSES];
        self.texts.iter_mut().for_each(|text| drop(text.take()));
        self.set = Columns::NONE;
    }

    /// Sets a number. One that is too wide for the column keeps its low bits. No address has a number.
    #[inline]
    pub fn set(&mut self, id: Id, number: u64) {
        self.put(id, number);
        self.set.add(id);
    }

    /// Sets a number of a column that is [marked](Self::mark).
    #[inline]
    pub fn put(&mut self, id: Id, number: u64) {
        let index = id as usize;
        if let (Some(cell), Some(mask)) = (self.numbers.get_mut(index), LARGEST.get(index)) {
            *cell = number & mask;
        }
    }

    /// Marks columns as set, for [`put`](Self::put): cheaper for many columns than to mark each.
    #[inline]
    pub const fn mark(&mut self, columns: Columns) {
        self.set.add_all(columns);
    }

    /// Sets a number unless it is 0 in the width of the column.
    #[inline]
    pub fn set_some(&mut self, id: Id, number: u64) {
        let mask = LARGEST.get(id as usize).copied().unwrap_or_default();
        if number & mask != 0 {
            self.set(id, number);
        }
    }

    /// Sets an address. An IPv6 address that maps an IPv4 address is that IPv4 address.
    #[inline]
    pub fn set_address(&mut self, id: Id, address: IpAddr) {
        let place = ADDRESS_PLACES.get(id as usize).copied().unwrap_or(NO_PLACE);
        if let Some(cell) = self.addresses.get_mut(usize::from(place)) {
            *cell = address.to_canonical();
            self.set.add(id);
        }
    }

    /// Sets a text.
    #[inline]
    pub fn set_text(&mut self, id: Id, text: Arc<str>) {
        let place = TEXT_PLACES.get(id as usize).copied().unwrap_or(NO_PLACE);
        if let Some(cell) = self.texts.get_mut(usize::from(place)) {
            *cell = Some(text);
            self.set.add(id);
        }
    }

    /// The number of a column; 0 if it has none.
    #[inline]
    #[must_use]
    pub fn number(&self, id: Id) -> u64 {
        self.numbers.get(id as usize).copied().unwrap_or_default()
    }

    /// The address of a column; 0.0.0.0 if it has none.
    #[inline]
    #[must_use]
    pub fn address(&self, id: Id) -> IpAddr {
        let place = ADDRESS_PLACES.get(id as usize).copied().unwrap_or(NO_PLACE);
        self.addresses.get(usize::from(place)).copied().unwrap_or(NONE)
    }

    /// The text of a column, if it is one of texts and has one.
    #[inline]
    #[must_use]
    pub fn text(&self, id: Id) -> Option<&Arc<str>> {
        let place = TEXT_PLACES.get(id as usize).copied().unwrap_or(NO_PLACE);
        self.texts.get(usize::from(place))?.as_ref().filter(|text| !text.is_empty())
    }

    /// The value of a column.
    #[must_use]
    pub fn value(&self, id: Id) -> Value {
        let number = self.number(id);
        match id.column().kind {
            Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => Value::Number(number),
            Kind::Time => Value::Time(Timestamp::from_milliseconds(number)),
            Kind::Mac => {
                let [_, _, octets @ ..] = number.to_be_bytes();
                Value::Mac(octets)
            }
            Kind::Country => Value::Country(Country::of_number(number as u16)),
            Kind::Address => Value::Address(self.address(id)),
            Kind::AsPath => Value::AsPath(self.text(id).cloned()),
        }
    }

    /// The columns that are set, be it to 0. All others are 0.
    #[must_use]
    pub const fn columns(&self) -> Columns {
        self.set
    }
}

const NONE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Default for Row {
    fn default() -> Self {
        Self::new()
    }
}

/// What kind of record a row is of: the values of the column `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RowKind {
    /// A flow, with counters.
    Flow = 0,
    /// A sampled packet.
    Packet = 1,
    /// An event of address translation.
    Nat = 2,
    /// A block of ports that address translation has allocated or freed.
    PortBlock = 3,
    /// An event of a firewall.
    Firewall = 4,
    /// Another record without counters.
    Event = 5,
}

impl RowKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [Self::Flow, Self::Packet, Self::Nat, Self::PortBlock, Self::Firewall, Self::Event];

    /// Short lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Packet => "packet",
            Self::Nat => "nat",
            Self::PortBlock => "portblock",
            Self::Firewall => "firewall",
            Self::Event => "event",
        }
    }
}

/// The value of the column `version`: the version on the wire, and for sFlow 20 more.
#[must_use]
pub const fn version(protocol: Protocol) -> u64 {
    match protocol {
        Protocol::NetflowV1 => 1,
        Protocol::NetflowV5 => 5,
        Protocol::NetflowV6 => 6,
        Protocol::NetflowV7 => 7,
        Protocol::NetflowV8 => 8,
        Protocol::NetflowV9 => 9,
        Protocol::Ipfix => 10,
        Protocol::SflowV2 => 22,
        Protocol::SflowV4 => 24,
        Protocol::SflowV5 => 25,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_used_again_has_nothing_of_the_record_before() {
        let mut row = Row::new();
        row.set(Id::Bytes, 1500);
        row.set_address(Id::SrcIp, [192, 0, 2, 1].into());
        assert_eq!((row.number(Id::Bytes), row.address(Id::SrcIp)), (1500, IpAddr::from([192, 0, 2, 1])));
        row.clear();
        assert_eq!((row.number(Id::Bytes), row.address(Id::SrcIp)), (0, NONE));
    }

    #[test]
    fn a_number_that_is_too_wide_keeps_its_low_bits() {
        let mut row = Row::new();
        row.set(Id::SrcPort, 0x1_0050);
        row.set(Id::SrcMac, u64::MAX);
        assert_eq!(row.number(Id::SrcPort), 80);
        assert_eq!(row.value(Id::SrcMac), Value::Mac([0xff; 6]));
    }

    #[test]
    fn numbers_and_addresses_do_not_mix() {
        let mut row = Row::new();
        row.set_address(Id::Bytes, [192, 0, 2, 1].into());
        row.set(Id::SrcIp, 7);
        assert_eq!((row.number(Id::Bytes), row.number(Id::SrcIp)), (0, 0));
        assert_eq!(row.address(Id::SrcIp), NONE);
    }
}
