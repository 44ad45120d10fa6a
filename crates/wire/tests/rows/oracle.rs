//! The columns of a record as they follow from its fields, looked up by name one after the other, and from the table of
//! columns: slow, and written without a look at how rows are made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use columns::{Column, Id, Kind, RowKind, Source, version};
use wire::{ElementId, FieldName, Record, RecordKind, Value};

/// A value of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Number(u64),
    Address(IpAddr),
}

/// A value of a field.
#[derive(Clone, Debug)]
enum Content {
    Number(u64),
    Milliseconds(u64),
    Address(IpAddr),
    Octets(Vec<u8>),
    /// The numbers in a list and in the lists inside.
    Numbers(Vec<u64>),
}

/// The fields of a record, in the order of the wire.
pub(crate) struct Oracle<'r> {
    record: &'r Record<'r>,
    fields: Vec<(Source, Content)>,
}

const IANA: u32 = 0;
const VMWARE: u32 = 6876;
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

fn number(octets: &[u8]) -> u64 {
    octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
}

fn content(value: &Value<'_>) -> Option<Content> {
    Some(match value {
        Value::Unsigned(number) => Content::Number(*number),
        Value::Time(time) => Content::Milliseconds(time.milliseconds()),
        Value::Mac(octets) => Content::Number(number(octets)),
        Value::Ipv4(address) => Content::Address((*address).into()),
        Value::Ipv6(address) => Content::Address((*address).into()),
        Value::Octets(octets) => Content::Octets(octets.to_vec()),
        Value::List(list) => {
            let mut numbers = Vec::new();
            list.visit(&mut |item| {
                item.visit(&mut |field| match (field.name, content(&field.value)) {
                    (FieldName::Named("as"), Some(Content::Number(number))) => numbers.push(number),
                    (_, Some(Content::Numbers(inner))) => numbers.extend(inner),
                    _ => {}
                });
            });
            Content::Numbers(numbers)
        }
        _ => return None,
    })
}

/// The ends of a sampled packet, which other tests compare with its headers.
fn of_packet(flow: &flow::FlowRecord, column: Id) -> Cell {
    match column {
        Id::SrcIp => Cell::Address(flow.source),
        Id::DstIp => Cell::Address(flow.destination),
        Id::SrcPort => Cell::Number(flow.source_port.into()),
        Id::DstPort => Cell::Number(flow.destination_port.into()),
        Id::Proto => Cell::Number(flow.protocol.into()),
        Id::SrcAs => Cell::Number(flow.source_as.into()),
        Id::DstAs => Cell::Number(flow.destination_as.into()),
        Id::InIf => Cell::Number(flow.input_interface.into()),
        _ => Cell::Number(flow.output_interface.into()),
    }
}

impl<'r> Oracle<'r> {
    pub(crate) fn of(record: &'r Record<'r>) -> Self {
        let mut fields = Vec::new();
        record.fields(&mut |field| {
            let source = match field.name {
                FieldName::Element(ElementId { enterprise, id }, _)
                | FieldName::Described(ElementId { enterprise, id }, _)
                | FieldName::Unknown(ElementId { enterprise, id }) => Source::Element(enterprise, id),
                FieldName::Named(name) => Source::Field(name),
            };
            fields.extend(content(&field.value).map(|content| (source, content)));
        });
        Self { record, fields }
    }

    fn all(&self, source: Source) -> impl DoubleEndedIterator<Item = &Content> {
        self.fields.iter().filter_map(move |(of, content)| (*of == source).then_some(content))
    }

    fn has(&self, enterprise: u32, id: u16) -> bool {
        self.all(Source::Element(enterprise, id)).next().is_some()
    }

    /// The value of a column.
    pub(crate) fn cell(&self, column: &Column) -> Cell {
        let (message, flow) = (self.record.message, self.record.flow);
        let of_flow = |value: fn(&flow::FlowRecord) -> u64| Cell::Number(flow.map_or(0, value));
        match column.id {
            Id::Received => Cell::Number(message.received.milliseconds()),
            Id::Exported => Cell::Number(message.exported.milliseconds()),
            Id::Exporter => Cell::Address(message.exporter.address),
            Id::Domain => Cell::Number(message.domain.into()),
            Id::Version => Cell::Number(version(message.protocol)),
            Id::Kind => Cell::Number(self.kind() as u64),
            // Which of several counters is counted is not the matter of rows.
            Id::Bytes => of_flow(|flow| flow.forward.bytes),
            Id::Packets => of_flow(|flow| flow.forward.packets),
            Id::Flows => of_flow(|flow| flow.forward.flows),
            Id::RevBytes => of_flow(|flow| flow.reverse.bytes),
            Id::RevPackets => of_flow(|flow| flow.reverse.packets),
            Id::Rate => Cell::Number(flow.map_or(1, |flow| flow.sampling.rate.into())),
            Id::FlowRate => of_flow(|flow| if flow.sampling.flows > 1 { flow.sampling.flows.into() } else { 0 }),
            Id::SrcPort | Id::DstPort if self.is_icmp() => Cell::Number(0),
            Id::SrcIp
            | Id::DstIp
            | Id::SrcPort
            | Id::DstPort
            | Id::Proto
            | Id::SrcAs
            | Id::DstAs
            | Id::InIf
            | Id::OutIf => match flow {
                Some(flow) if self.kind() == RowKind::Packet => of_packet(flow, column.id),
                _ => self.booked(column),
            },
            // Nothing was looked up: an AS number is that of the flow.
            Id::SrcAsFrom => self.is_set(Id::SrcAs),
            Id::DstAsFrom => self.is_set(Id::DstAs),
            Id::IcmpType => Cell::Number(self.icmp().map_or(0, |(kind, _)| kind)),
            Id::IcmpCode => Cell::Number(self.icmp().map_or(0, |(_, code)| code)),
            Id::InnerSrcIp | Id::InnerDstIp | Id::InnerSrcPort | Id::InnerDstPort | Id::InnerProto => {
                self.inner(column)
            }
            _ => self.first(column, column.sources.iter().copied()),
        }
    }

    /// 1 if a column has a value.
    fn is_set(&self, id: Id) -> Cell {
        Cell::Number(u64::from(self.cell(id.column()) != Cell::Number(0)))
    }

    /// The value as accounting reads it: of the first element that the record has, and IPv6 where there is no IPv4.
    fn booked(&self, column: &Column) -> Cell {
        let first = |ids: &[u16]| {
            ids.iter().find_map(|id| {
                let source = Source::Element(IANA, *id);
                self.all(source).find_map(|content| self.value(column, source, content))
            })
        };
        let ids: Vec<u16> = column
            .sources
            .iter()
            .filter_map(|source| if let Source::Element(IANA, id) = source { Some(*id) } else { None })
            .collect();
        match (column.id, ids.as_slice()) {
            (Id::SrcIp | Id::DstIp, [v4, v4_prefix, v6, v6_prefix]) => {
                let v4 = first(&[*v4, *v4_prefix]).filter(|cell| *cell != Cell::Address(NO_ADDRESS));
                v4.or_else(|| first(&[*v6, *v6_prefix])).unwrap_or(Cell::Address(NO_ADDRESS))
            }
            (Id::InIf | Id::OutIf, [ip, physical]) => {
                let ip = first(&[*ip]).filter(|cell| *cell != Cell::Number(0));
                ip.or_else(|| first(&[*physical])).unwrap_or(Cell::Number(0))
            }
            (_, ids) => first(ids).unwrap_or(Cell::Number(0)),
        }
    }

    /// The first value that is not 0.
    fn first(&self, column: &Column, sources: impl Iterator<Item = Source>) -> Cell {
        let mut cells =
            sources.filter_map(|source| self.all(source).find_map(|content| self.value(column, source, content)));
        let is_empty = |cell: &Cell| match cell {
            Cell::Number(number) => *number == 0,
            Cell::Address(address) => address.is_unspecified(),
        };
        let found = cells.find(|cell| !is_empty(cell));
        found.unwrap_or(if column.kind == Kind::Address { Cell::Address(NO_ADDRESS) } else { Cell::Number(0) })
    }

    /// The value of a column from a field; `None` if it does not fit.
    fn value(&self, column: &Column, source: Source, content: &Content) -> Option<Cell> {
        let id = if let Source::Element(IANA, id) = source { id } else { 0 };
        let cell = |number: u64| Some(Cell::Number(number & column.kind.largest()));
        match (column.kind, content) {
            (Kind::Address, Content::Address(address)) => Some(Cell::Address(*address)),
            // Elements that are only in the registry of NetFlow v9.
            (Kind::Address, Content::Octets(octets)) if (40001..=40002).contains(&id) => {
                <[u8; 4]>::try_from(octets.as_slice()).ok().map(|octets| Cell::Address(octets.into()))
            }
            (Kind::Address, _) => None,
            (Kind::Time, Content::Milliseconds(milliseconds)) => cell(*milliseconds),
            (Kind::Time, Content::Number(number)) => cell(self.relative_time(id, *number)),
            (_, Content::Number(number)) if column.id == Id::Direction => {
                cell(if *number < 2 { number + 1 } else { 0 })
            }
            (_, Content::Number(number)) => cell(*number),
            (_, Content::Octets(octets)) => match (id, octets.len()) {
                (70, 3) => cell(number(octets) >> 4),
                (95 | 40003..=40005, 1..=8) => cell(number(octets)),
                _ => None,
            },
            (_, Content::Numbers(numbers)) => cell(*numbers.first()?),
            _ => None,
        }
    }

    fn relative_time(&self, id: u16, number: u64) -> u64 {
        let message = self.record.message;
        let exported = message.exported.milliseconds();
        if [158, 159].contains(&id) {
            return (message.exported.nanoseconds() / 1000).saturating_sub(number) / 1000;
        }
        let started = self.all(Source::Element(IANA, 160)).find_map(|content| match content {
            Content::Milliseconds(started) if *started != 0 => Some(*started),
            _ => None,
        });
        let uptime = match (message.uptime, started) {
            (Some(uptime), _) => i64::from(uptime),
            (None, Some(started)) => (i128::from(exported) - i128::from(started)).rem_euclid(1 << 32) as i64,
            (None, None) => return 0,
        };
        // Both are counters of 32 bits: the nearer way around.
        let before = (uptime - (number & 0xffff_ffff) as i64).rem_euclid(1 << 32);
        let before = if before >= 1 << 31 { before - (1 << 32) } else { before };
        u64::try_from(i128::from(exported) - i128::from(before)).unwrap_or(0)
    }

    fn is_icmp(&self) -> bool {
        [Cell::Number(1), Cell::Number(58)].contains(&self.cell(Id::Proto.column()))
    }

    fn icmp(&self) -> Option<(u64, u64)> {
        if !self.is_icmp() {
            return None;
        }
        let of = |sources: &[Source]| {
            // Of each element the first field, in the order of the wire.
            let mut seen = Vec::new();
            let mut found = Vec::new();
            for (source, content) in self.fields.iter().filter(|(source, _)| sources.contains(source)) {
                if let Content::Number(number) = content
                    && !seen.contains(source)
                {
                    seen.push(*source);
                    found.push(*number);
                }
            }
            found.iter().find(|number| **number != 0).or(found.first()).copied()
        };
        let element = |id| Source::Element(IANA, id);
        let kind = of(&[element(176), element(178), Source::Field("packet.icmp_type")]);
        let code = of(&[element(177), element(179), Source::Field("packet.icmp_code")]);
        let split = |both: u64| (both >> 8 & 0xff, both & 0xff);
        match kind {
            Some(kind) => Some((kind & 0xff, code.unwrap_or(0) & 0xff)),
            None => [of(&[element(32), element(139)]), of(&[element(11)])]
                .into_iter()
                .flatten()
                .find(|both| *both != 0)
                .map(split),
        }
    }

    fn kind(&self) -> RowKind {
        let message = self.record.message;
        let has_any = |ids: &[u16]| ids.iter().any(|id| self.has(IANA, *id));
        let has_section = has_any(&[315, 104, 313]);
        // Fields of lengths that fit.
        let fits = |ids: &[u16], enterprise: u32, is_fit: fn(&Content) -> bool| {
            ids.iter().any(|id| self.all(Source::Element(enterprise, *id)).any(is_fit))
        };
        let is_number = |content: &Content| matches!(content, Content::Number(_));
        let counts = fits(&[1, 2, 23, 24, 231, 232, 85, 86, 298, 299, 352, 353], IANA, is_number)
            || fits(&[1, 2, 23, 24, 85, 86, 352, 353], 29305, is_number);
        let is_address = |content: &Content| matches!(content, Content::Address(_));
        let is_addressed = fits(&[8, 12, 27, 28, 44, 45, 169, 170], IANA, is_address);
        if message.protocol.is_sflow() || has_section && (!counts || !is_addressed) {
            return RowKind::Packet;
        }
        match self.record.flow {
            Some(_) => RowKind::Flow,
            None if counts && !fits(&[233, 40005], IANA, is_number) => RowKind::Flow,
            None if has_any(&[361]) => RowKind::PortBlock,
            None if has_any(&[230]) => RowKind::Nat,
            None if has_any(&[233, 40005]) => RowKind::Firewall,
            None => RowKind::Event,
        }
    }

    /// The ends of the packet inside a tunnel: of the innermost one that was opened, else of VMware's tenant, else the last
    /// ones of repeated elements.
    fn inner(&self, column: &Column) -> Cell {
        let fields = |prefix: &'static str| {
            column
                .sources
                .iter()
                .copied()
                .filter(move |source| matches!(source, Source::Field(name) if name.starts_with(prefix)))
        };
        for (packet, address) in
            [("innermost_packet", "innermost_packet.source_address"), ("inner_packet", "inner_packet.source_address")]
        {
            if self.all(Source::Field(address)).next().is_some() {
                return self.first(column, fields(packet));
            }
        }
        let elements = |of: u32| {
            column.sources.iter().copied().filter(move |source| matches!(source, Source::Element(pen, _) if *pen == of))
        };
        let is_set = |content: &Content| match content {
            Content::Number(protocol) => *protocol & 0xff != 0,
            Content::Octets(octets) => number(octets) & 0xff != 0,
            _ => false,
        };
        if self.all(Source::Element(VMWARE, 880)).next_back().is_some_and(is_set) {
            return self.last(column, elements(VMWARE));
        }
        let protocols: Vec<_> = self.all(Source::Element(IANA, 4)).collect();
        if protocols.len() > 1 && protocols.last().is_some_and(|last| is_set(last)) {
            return self.last(column, elements(IANA));
        }
        if column.kind == Kind::Address { Cell::Address(NO_ADDRESS) } else { Cell::Number(0) }
    }

    /// The last address that is not empty, in the order of the wire, or the last number.
    fn last(&self, column: &Column, sources: impl Iterator<Item = Source>) -> Cell {
        let sources: Vec<_> = sources.collect();
        let fields = self.fields.iter().rev().filter(|(source, _)| sources.contains(source));
        if column.kind == Kind::Address {
            let address = fields.filter_map(|(_, content)| match content {
                Content::Address(address) => Some(*address),
                Content::Octets(octets) => match octets.len() {
                    4 => <[u8; 4]>::try_from(octets.as_slice()).ok().map(IpAddr::from),
                    16 => <[u8; 16]>::try_from(octets.as_slice()).ok().map(IpAddr::from),
                    _ => None,
                },
                _ => None,
            });
            let mut set = address.filter(|address| !address.is_unspecified());
            return Cell::Address(set.next().unwrap_or(NO_ADDRESS));
        }
        let mut numbers = fields.filter_map(|(_, content)| match content {
            Content::Number(number) => Some(*number),
            Content::Octets(octets) => Some(number(octets)),
            _ => None,
        });
        Cell::Number(numbers.next().unwrap_or(0) & column.kind.largest())
    }

    /// Whether the record is a flow or an event.
    pub(crate) fn is_row(&self) -> bool {
        matches!(self.record.kind, RecordKind::Data | RecordKind::NoIpHeader)
    }

    /// The fields, for messages.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{:?} {:?} flow {:?} fields {:?}",
            self.record.message.protocol, self.record.kind, self.record.flow, self.fields
        )
    }
}

/// The same address in the wider family, as batches have it.
pub(crate) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => Ipv6Addr::octets(&address),
    }
}
