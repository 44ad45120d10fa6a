//! Flow records to datagrams: an exporter for tests and load. The structs are those of the decoders. The messages that
//! the collector itself writes are in `message_writer`; sFlow has its own encoder: [`crate::sflow::encode`].
//!
//! Versions, counts and lengths are filled in here; everything else of a header is as it is given. A test that needs a
//! wrong one patches the octets afterwards.

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{Immutable, IntoBytes};

use crate::field_specifier::VARIABLE_LENGTH;
use crate::message_writer::{count, padded_set};
use crate::{netflow_v1, netflow_v5, netflow_v6, netflow_v7, netflow_v8};

pub use crate::message_writer::{Ipfix, NetflowV9, TemplateSpec};

/// A NetFlow v1 datagram.
#[must_use]
pub fn netflow_v1(header: &netflow_v1::Header, records: &[netflow_v1::Record]) -> Vec<u8> {
    fixed(&netflow_v1::Header { version: U16::new(1), count: count(records.len()), ..*header }, records)
}

/// A NetFlow v5 datagram.
#[must_use]
pub fn netflow_v5(header: &netflow_v5::Header, records: &[netflow_v5::Record]) -> Vec<u8> {
    fixed(&netflow_v5::Header { version: U16::new(5), count: count(records.len()), ..*header }, records)
}

/// A NetFlow v6 datagram.
#[must_use]
pub fn netflow_v6(header: &netflow_v6::Header, records: &[netflow_v6::Record]) -> Vec<u8> {
    fixed(&netflow_v6::Header { version: U16::new(6), count: count(records.len()), ..*header }, records)
}

/// A NetFlow v7 datagram.
#[must_use]
pub fn netflow_v7(header: &netflow_v7::Header, records: &[netflow_v7::Record]) -> Vec<u8> {
    fixed(&netflow_v7::Header { version: U16::new(7), count: count(records.len()), ..*header }, records)
}

/// A NetFlow v8 datagram. The records are octets as [`netflow_v8::record`] makes them, all of the header's scheme.
#[must_use]
pub fn netflow_v8(header: &netflow_v8::Header, records: &[Vec<u8>]) -> Vec<u8> {
    let header = netflow_v8::Header { version: U16::new(8), count: count(records.len()), ..*header };
    let mut datagram = header.as_bytes().to_vec();
    datagram.extend(records.iter().flatten());
    datagram
}

fn fixed<H: IntoBytes + Immutable, R: IntoBytes + Immutable>(header: &H, records: &[R]) -> Vec<u8> {
    let mut datagram = header.as_bytes().to_vec();
    for record in records {
        datagram.extend_from_slice(record.as_bytes());
    }
    datagram
}

impl TemplateSpec {
    /// A record of this template from the octets of its fields: those of variable length get their length before them
    /// (RFC 7011, section 7); the others must have the length in the template.
    #[must_use]
    pub fn record(&self, fields: &[&[u8]]) -> Vec<u8> {
        let mut record = Vec::new();
        for (specifier, octets) in self.fields.iter().zip(fields) {
            if specifier.length == VARIABLE_LENGTH {
                variable_length(&mut record, octets.len());
            }
            record.extend_from_slice(octets);
        }
        record
    }
}

fn variable_length(record: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 255 => record.push(short),
        _ => {
            record.push(255);
            record.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
}

impl NetflowV9 {
    /// Adds a data flow set of this template.
    #[must_use]
    pub fn data(mut self, template: &TemplateSpec, records: &[Vec<u8>]) -> Self {
        data_set(&mut self.sets, template, records);
        self.records += records.len();
        self
    }
}

impl Ipfix {
    /// Adds a data set of this template.
    #[must_use]
    pub fn data(mut self, template: &TemplateSpec, records: &[Vec<u8>]) -> Self {
        data_set(&mut self.sets, template, records);
        self
    }
}

fn data_set(sets: &mut Vec<u8>, template: &TemplateSpec, records: &[Vec<u8>]) {
    let shortest = template.fields.iter().map(|field| field.fixed_length().map_or(1, usize::from)).sum();
    padded_set(sets, template.id, &records.concat(), shortest);
}
