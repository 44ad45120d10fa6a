//! The octets of a record, from which a plan reads fields: of fixed length, at known offsets, or of variable length, which are
//! found by walking the record.

use std::net::{IpAddr, Ipv4Addr};

use super::{Form, Location, MOST_FIELDS, PlacedField};
use crate::cursor::{Cursor, unsigned};
use crate::field_specifier::{VARIABLE_LENGTH, variable_length_content};

/// Octets that are read at once for a number.
pub(super) const EIGHT: usize = size_of::<u64>();

impl Location {
    /// Of a field in a record of fixed length. The eight octets begin with the number, or earlier if the record ends before
    /// they do; a shorter record is padded.
    pub(super) fn new(position: usize, field: &PlacedField, record_length: u16) -> Self {
        let PlacedField { offset, length, .. } = *field;
        let position = position as u16;
        let eight = EIGHT as u16;
        if length > eight {
            return Self { field: position, at: offset, before: 0, others: 0 };
        }
        let at = offset.min(record_length.max(eight) - eight);
        Self { field: position, at, before: (8 * (offset - at)) as u8, others: (8 * (eight - length)) as u8 }
    }
}

/// How records with fields of variable length are walked.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// The lengths of the fields, up to the last one that is read.
    pub(super) lengths: Box<[u16]>,
    /// The positions of the fields that are read.
    pub(super) read: Box<[u16]>,
}

/// The octets of a record, from which fields are read.
pub(super) trait Octets {
    /// The number in a field; `None` if its length in this record does not fit.
    fn number(&self, at: &Location, form: Form) -> Option<u64>;

    /// The address in a field.
    fn address(&self, at: &Location, form: Form) -> Option<IpAddr>;
}

/// A record of fixed length, at least eight octets.
pub(super) struct Fixed<'r>(pub(super) &'r [u8]);

impl Octets for Fixed<'_> {
    #[inline(always)]
    fn number(&self, at: &Location, _: Form) -> Option<u64> {
        let eight = self.0.get(at.at.into()..)?.first_chunk::<EIGHT>()?;
        Some(u64::from_be_bytes(*eight) << at.before >> at.others)
    }

    #[inline(always)]
    fn address(&self, at: &Location, form: Form) -> Option<IpAddr> {
        if form == Form::Ipv6 {
            return self.0.get(at.at.into()..)?.first_chunk::<16>().map(|octets| IpAddr::from(*octets));
        }
        self.number(at, form).map(|bits| Ipv4Addr::from_bits(bits as u32).into())
    }
}

/// A record that has been walked.
pub(super) struct Walked<'r> {
    octets: &'r [u8],
    /// Offset and length of each field that is read.
    fields: [(u16, u16); MOST_FIELDS],
}

impl<'r> Walked<'r> {
    pub(super) fn new(walk: &Walk, octets: &'r [u8]) -> Self {
        let mut walked = Self { octets, fields: [(0, 0); MOST_FIELDS] };
        let mut cursor = Cursor::new(octets);
        let (mut read, mut found) = (walk.read.iter().peekable(), walked.fields.iter_mut());
        for (position, &length) in walk.lengths.iter().enumerate() {
            let content = match length {
                VARIABLE_LENGTH => variable_length_content(&mut cursor),
                length => cursor.take(length.into()),
            };
            let Some(content) = content else { break };
            if read.next_if(|read| usize::from(**read) == position).is_some()
                && let Some(field) = found.next()
            {
                *field = ((cursor.offset() - content.len()) as u16, content.len() as u16);
            }
        }
        walked
    }

    fn field(&self, at: &Location) -> Option<&'r [u8]> {
        let &(offset, length) = self.fields.get(usize::from(at.field))?;
        self.octets.get(offset.into()..)?.get(..length.into())
    }
}

impl Octets for Walked<'_> {
    fn number(&self, at: &Location, form: Form) -> Option<u64> {
        self.field(at).filter(|octets| form.accepts(octets.len() as u16)).map(unsigned)
    }

    fn address(&self, at: &Location, form: Form) -> Option<IpAddr> {
        let octets = self.field(at).filter(|octets| form.accepts(octets.len() as u16))?;
        let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
    }
}
