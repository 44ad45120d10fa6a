//! How a declared structure is read from XDR (RFC 4506) and listed as fields. A structure is a table of members. A member
//! that is truncated is shown as octets and ends the structure. Octets after the last member, which a later revision may
//! have added, are skipped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cursor::Cursor;
use crate::record::{ElementId, Field, FieldName, Fields, List, Value};

/// A structure of the sFlow specifications.
pub(super) struct Structure {
    /// Its data format: 20 bits of enterprise, of which 0 is sFlow's own, and 12 bits of format.
    pub(super) format: u32,
    /// Its members.
    pub(super) members: &'static [Member],
}

/// A member of a structure.
pub(super) struct Member {
    /// `structure.member`, the names of the specification.
    pub(super) name: &'static str,
    /// How it is encoded.
    pub(super) kind: Kind,
}

/// How a member is encoded.
pub(super) enum Kind {
    /// unsigned int, enumerations included.
    Unsigned,
    /// The upper N bits of a word, whose lower bits are the next member.
    Upper(u32),
    /// The lower N bits of a word.
    Lower(u32),
    /// int.
    Signed,
    /// unsigned hyper.
    UnsignedHyper,
    /// float.
    Float,
    /// Six octets and two of padding.
    Mac,
    /// ip_v4: four octets.
    Ipv4,
    /// ip_v6: sixteen octets.
    Ipv6,
    /// A union of no address, ip_v4 and ip_v6.
    Address,
    /// opaque of fixed length.
    Fixed(usize),
    /// opaque of variable length.
    Opaque,
    /// string.
    Text,
    /// An array of variable length.
    Array(&'static [Member]),
}

/// Declares the members of a structure: `name { member: Kind, ... }`.
macro_rules! members {
    ($structure:ident { $($member:ident: $kind:expr),* $(,)? }) => {
        &[$($crate::sflow::structure::Member {
            name: concat!(stringify!($structure), ".", stringify!($member)),
            kind: $kind,
        }),*]
    };
}

/// Declares structures: `format name { member: Kind, ... }`.
macro_rules! structures {
    ($($format:tt $structure:ident { $($members:tt)* })*) => {
        &[$($crate::sflow::structure::Structure {
            format: $format,
            members: $crate::sflow::structure::members! { $structure { $($members)* } },
        }),*]
    };
}

/// Declares the items of an array: `member: Kind, ...`.
macro_rules! items {
    ($($member:ident: $kind:expr),* $(,)?) => {
        $crate::sflow::structure::Kind::Array(&[$($crate::sflow::structure::Member {
            name: stringify!($member),
            kind: $kind,
        }),*])
    };
}
pub(super) use {items, members, structures};

/// The structure of a format, if it is declared in the table, which is sorted by format.
pub(super) fn find(table: &'static [Structure], format: u32) -> Option<&'static Structure> {
    let index = table.binary_search_by_key(&format, |structure| structure.format).ok()?;
    table.get(index)
}

/// Lists a structure; one that is not declared is shown as octets under `enterprise.format`.
pub(super) fn show(
    table: &'static [Structure],
    format: u32,
    mut octets: Cursor<'_>,
    visitor: &mut dyn FnMut(&Field<'_>),
) {
    match find(table, format) {
        Some(structure) => {
            let _ = read(structure.members, &mut octets, visitor);
        }
        None => visitor(&Field {
            name: FieldName::Unknown(ElementId { enterprise: format >> 12, id: (format & 0xfff) as u16 }),
            scope: false,
            value: Value::Octets(octets.rest()),
        }),
    }
}

/// Visits each member; `None` if the octets end before the members.
pub(super) fn read(
    members: &'static [Member],
    octets: &mut Cursor<'_>,
    visitor: &mut dyn FnMut(&Field<'_>),
) -> Option<()> {
    for member in members {
        let before = *octets;
        let whole = match &member.kind {
            Kind::Array(members) => {
                Array::read(members, octets).map(|array| visitor(&named(member.name, Value::List(&array))))
            }
            kind => scalar(kind, octets).map(|value| visitor(&named(member.name, value))),
        };
        if whole.is_none() {
            if !before.is_empty() {
                visitor(&named(member.name, Value::Octets(before.rest())));
            }
            return None;
        }
    }
    Some(())
}

/// A field by the name in its specification.
pub(super) fn named<'a>(name: &'static str, value: Value<'a>) -> Field<'a> {
    Field { name: FieldName::Named(name), scope: false, value }
}

fn scalar<'a>(kind: &Kind, octets: &mut Cursor<'a>) -> Option<Value<'a>> {
    Some(match kind {
        Kind::Unsigned => Value::Unsigned(octets.u32()?.into()),
        Kind::Upper(bits) => {
            let mut word = *octets;
            Value::Unsigned((word.u32()? >> (u32::BITS - bits)).into())
        }
        Kind::Lower(bits) => Value::Unsigned((octets.u32()? & ((1 << bits) - 1)).into()),
        Kind::Signed => Value::Signed(octets.u32()?.cast_signed().into()),
        Kind::UnsignedHyper => Value::Unsigned(octets.u64()?),
        Kind::Float => Value::Float(f32::from_bits(octets.u32()?).into()),
        Kind::Mac => {
            let [a, b, c, d, e, f, _, _] = octets.array()?;
            Value::Mac([a, b, c, d, e, f])
        }
        Kind::Ipv4 => Value::Ipv4(Ipv4Addr::from(octets.array::<4>()?)),
        Kind::Ipv6 => Value::Ipv6(Ipv6Addr::from(octets.array::<16>()?)),
        Kind::Address => address_value(address(octets)?),
        Kind::Fixed(length) => Value::Octets(opaque(octets, *length)?),
        Kind::Opaque => {
            let length = length(octets)?;
            Value::Octets(opaque(octets, length)?)
        }
        Kind::Text => {
            let length = length(octets)?;
            Value::Text(opaque(octets, length)?)
        }
        // Read by the caller, which can lend it out.
        Kind::Array(_) => return None,
    })
}

/// Opaque data: padded to whole words (RFC 4506, section 4.9); some agents omit the padding at the end of a record.
pub(super) fn opaque<'a>(octets: &mut Cursor<'a>, length: usize) -> Option<&'a [u8]> {
    let data = octets.take(length)?;
    let fill = length.wrapping_neg() % 4;
    let _ = octets.skip(fill.min(octets.remaining()));
    Some(data)
}

/// A length, which may exceed the octets.
pub(super) fn length(octets: &mut Cursor<'_>) -> Option<usize> {
    usize::try_from(octets.u32()?).ok()
}

/// An address union: type 0 is an unknown address, without content.
pub(super) fn address(octets: &mut Cursor<'_>) -> Option<Option<IpAddr>> {
    Some(match octets.u32()? {
        0 => None,
        1 => Some(IpAddr::from(octets.array::<4>()?)),
        2 => Some(IpAddr::from(octets.array::<16>()?)),
        _ => return None,
    })
}

/// The value of an address; an unknown one is `0.0.0.0`.
pub(super) fn address_value(address: Option<IpAddr>) -> Value<'static> {
    match address {
        None => Value::Ipv4(Ipv4Addr::UNSPECIFIED),
        Some(IpAddr::V4(address)) => Value::Ipv4(address),
        Some(IpAddr::V6(address)) => Value::Ipv6(address),
    }
}

/// An array whose items are read on request.
struct Array<'a> {
    members: &'static [Member],
    items: Cursor<'a>,
    count: u32,
}

/// An item of an array.
struct Item<'a> {
    members: &'static [Member],
    octets: Cursor<'a>,
}

impl<'a> Array<'a> {
    /// Takes an array off the octets. The count cannot cause more work than there are octets, because each item takes some.
    fn read(members: &'static [Member], octets: &mut Cursor<'a>) -> Option<Self> {
        let count = octets.u32()?;
        let items = *octets;
        for _ in 0..count {
            read(members, octets, &mut |_| ())?;
        }
        Some(Self { members, items, count })
    }
}

impl List for Array<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&dyn Fields)) {
        let mut items = self.items;
        for _ in 0..self.count {
            visitor(&Item { members: self.members, octets: items });
            if read(self.members, &mut items, &mut |_| ()).is_none() {
                return;
            }
        }
    }
}

impl Fields for Item<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        let mut octets = self.octets;
        let _ = read(self.members, &mut octets, visitor);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::{counter_data, flow_data};
    use super::*;

    const TABLES: [&[Structure]; 5] =
        [flow_data::V5, flow_data::PACKET_V4, flow_data::EXTENDED_V4, flow_data::EXTENDED_V2, counter_data::V5];

    /// Octets of a structure: every number 1, every string and array of one item.
    fn example(members: &[Member], octets: &mut Vec<u8>) {
        for member in members {
            match &member.kind {
                Kind::Upper(_) => {}
                Kind::Unsigned | Kind::Lower(_) | Kind::Signed | Kind::Float => octets.extend(1_u32.to_be_bytes()),
                Kind::UnsignedHyper | Kind::Mac => octets.extend(1_u64.to_be_bytes()),
                Kind::Ipv4 => octets.extend([192, 0, 2, 1]),
                Kind::Ipv6 => octets.extend(Ipv6Addr::LOCALHOST.octets()),
                Kind::Address => octets.extend([0, 0, 0, 1, 192, 0, 2, 1]),
                Kind::Fixed(length) => octets.extend(vec![7; length.next_multiple_of(4)]),
                Kind::Opaque | Kind::Text => octets.extend([0, 0, 0, 1, b'x', 0, 0, 0]),
                Kind::Array(members) => {
                    octets.extend(1_u32.to_be_bytes());
                    example(members, octets);
                }
            }
        }
    }

    #[test]
    fn every_structure_is_found_by_its_format_and_read_to_its_last_octet() {
        for table in TABLES {
            for structure in table {
                let found = find(table, structure.format).unwrap();
                let mut octets = Vec::new();
                example(found.members, &mut octets);
                let (mut shown, mut cursor) = (Vec::new(), Cursor::new(&octets));
                read(found.members, &mut cursor, &mut |field| shown.push(field.name.to_string())).unwrap();
                assert!(cursor.is_empty(), "{}", structure.members[0].name);
                let names: Vec<_> = structure.members.iter().map(|member| member.name).collect();
                assert_eq!(shown, names);
                // Truncated anywhere, it returns `None`, and shows the rest as octets.
                for length in 0..octets.len() - 3 {
                    let mut cursor = Cursor::new(&octets[..length]);
                    assert_eq!(
                        read(found.members, &mut cursor, &mut |_| ()),
                        None,
                        "{} {length}",
                        structure.members[0].name
                    );
                }
            }
        }
    }

    #[test]
    fn no_format_and_no_name_is_twice_in_a_table() {
        for table in TABLES {
            assert!(table.is_sorted_by(|left, right| left.format < right.format));
            let mut names = HashSet::new();
            for member in table.iter().flat_map(|structure| structure.members) {
                assert!(names.insert(member.name), "{}", member.name);
            }
        }
    }

    #[test]
    fn counters_of_versions_2_and_4_consist_of_declared_structures() {
        for format in counter_data::V4.iter().copied().flatten() {
            assert!(find(counter_data::V5, *format).is_some(), "{format}");
        }
    }
}
