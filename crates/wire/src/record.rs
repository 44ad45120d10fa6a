//! The output of decoding: one record of a datagram. Its flow is ready for accounting. Its fields are read from the wire
//! only on request: `netflow decode` shows all of them, but the collector counts few.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use columns::{Row, RowKind};
use flow::{FlowRecord, Timestamp};

use crate::ambiguity::{Ambiguities, ReadOptions};
use crate::datagram::Message;

/// One record, borrowed from the datagram that carried it.
#[derive(Clone, Copy)]
pub struct Record<'r> {
    /// The message that contained it.
    pub message: &'r Message,
    /// The kind of record.
    pub kind: RecordKind,
    /// Its template (v9, IPFIX), aggregation scheme (v8) or sample format (sFlow).
    pub format: Option<u32>,
    /// The flow to count; `None` for records that are no flows (options, sFlow counters) or have no counters (firewall and
    /// NAT events). Without addresses, and not to be counted, for [`RecordKind::NoIpHeader`].
    pub flow: Option<&'r FlowRecord>,
    /// The fields, which each protocol lists in its own way.
    pub content: &'r dyn Fields,
}

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A data record: a flow or an event; in sFlow a flow sample.
    Data,
    /// A data record of a sampled packet in which no IP header was found.
    NoIpHeader,
    /// An options data record: about the exporter, not about traffic.
    Options,
    /// An sFlow counter sample.
    Counters,
    /// An sFlow notification of a dropped packet.
    Drop,
}

/// Something that can list its fields in the order of the wire.
pub trait Fields {
    /// Calls the visitor with each field.
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>));

    /// The exporter that they name as the origin of the record; `None` if they name none.
    fn exporter(&self) -> Option<IpAddr> {
        None
    }

    /// Sets the columns of a row that neither the datagram nor the flow has, if there is one. Returns what it is a row of.
    fn set_columns(&self, _has_flow: bool, _row: &mut Row) -> RowKind {
        RowKind::Event
    }

    /// Their octets, where those of each record are known.
    fn length(&self) -> usize {
        0
    }

    /// Fills a flow that was read from them by the default options as other options say. Returns what of it is ambiguous.
    fn fill(&self, _read: &ReadOptions, _flow: &mut FlowRecord) -> Ambiguities {
        Ambiguities::default()
    }
}

impl Record<'_> {
    /// The exporter that it names: another one than that of its message if a relay has sent it. It is in
    /// originalExporterIPv4Address or originalExporterIPv6Address (403 and 404, RFC 7119), else in exporterIPv4Address or
    /// exporterIPv6Address (130 and 131, RFC 5102). Only data records of NetFlow v9 and IPFIX have these.
    #[must_use]
    pub fn exporter(&self) -> Option<IpAddr> {
        self.content.exporter()
    }

    /// The octets of a record that a template describes; 0 for others.
    #[must_use]
    pub fn length(&self) -> usize {
        self.content.length()
    }

    /// Fills its flow, which was read by the default options, as other options say. Returns what of it is ambiguous.
    pub fn fill(&self, read: &ReadOptions, flow: &mut FlowRecord) -> Ambiguities {
        self.content.fill(read, flow)
    }

    /// Calls the visitor with each field of the record, in the order of the wire.
    pub fn fields(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        self.content.visit(visitor);
    }
}

/// One field of a record.
#[derive(Clone, Copy, Debug)]
pub struct Field<'r> {
    /// Its name.
    pub name: FieldName<'r>,
    /// Whether it is a scope field of an options record.
    pub scope: bool,
    /// Its value.
    pub value: Value<'r>,
}

/// The name of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldName<'r> {
    /// An information element that is in the registry.
    Element(ElementId, &'static str),
    /// An information element that is in no registry, by the name in its exporter's description (RFC 5610): letters, digits,
    /// `_`, `-` and `.`.
    Described(ElementId, &'r str),
    /// An information element that is neither in the registry nor described; shown as `pen.id`.
    Unknown(ElementId),
    /// A field of a protocol without information elements, by the name in its specification.
    Named(&'static str),
}

/// The identity of an information element (RFC 7011, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ElementId {
    /// Private Enterprise Number; 0 for IANA's own elements.
    pub enterprise: u32,
    /// The element identifier, without the enterprise bit.
    pub id: u16,
}

/// The value of a field, by the abstract data types of RFC 7012, section 3.1.
#[derive(Clone, Copy)]
pub enum Value<'r> {
    /// unsigned8 to unsigned64, in full width.
    Unsigned(u64),
    /// signed8 to signed64.
    Signed(i64),
    /// float32 and float64.
    Float(f64),
    /// boolean: 1 or 2 on the wire; other values are octets.
    Boolean(bool),
    /// macAddress.
    Mac([u8; 6]),
    /// ipv4Address.
    Ipv4(Ipv4Addr),
    /// ipv6Address.
    Ipv6(Ipv6Addr),
    /// A date and time of any precision.
    Time(Timestamp),
    /// string: bytes that are supposed to be UTF-8.
    Text(&'r [u8]),
    /// octetArray, unknown elements, and known ones whose length does not match their type.
    Octets(&'r [u8]),
    /// A list of values or records: structured data (RFC 6313), an AS path, an MPLS stack.
    List(&'r dyn List),
}

/// Something that can list its items: each item is a record of its own, a list of a single unnamed value included.
pub trait List {
    /// Calls the visitor with the fields of each item.
    fn visit(&self, visitor: &mut dyn FnMut(&dyn Fields));
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(value) => write!(f, "{value}"),
            Self::Signed(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Mac(octets) => write!(f, "{octets:02x?}"),
            Self::Ipv4(address) => write!(f, "{address}"),
            Self::Ipv6(address) => write!(f, "{address}"),
            Self::Time(time) => write!(f, "{time}"),
            Self::Text(octets) => write!(f, "{:?}", String::from_utf8_lossy(octets)),
            Self::Octets(octets) => write!(f, "{octets:02x?}"),
            Self::List(_) => f.write_str("[..]"),
        }
    }
}

impl fmt::Display for FieldName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(_, name) | Self::Named(name) => f.write_str(name),
            Self::Described(_, name) => f.write_str(name),
            Self::Unknown(ElementId { enterprise, id }) => write!(f, "{enterprise}.{id}"),
        }
    }
}
