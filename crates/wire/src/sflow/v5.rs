//! sFlow version 5. Samples and records have a format and a length, so unknown ones are skipped.

use columns::{Row, RowKind};
use flow::sender_settings::Tunnels;

use super::header::Header;
use super::packet::{Gateway, Packet, Stripped, show_header};
use super::structure::{self, Kind, Member, Structure, members};
use super::{counter_data, flow_data, interface, row};
use crate::cursor::Cursor;
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::record::{Field, Fields, Record, RecordKind};
use crate::sequence_number::{DataSource, Numbered, SequenceNumber};

/// Samples of an unknown format are shown as octets; one that exceeds the datagram ends it.
pub(super) fn decode(
    header: &Header,
    mut octets: Cursor<'_>,
    tunnels: Tunnels,
    visit: &mut impl FnMut(&Record<'_>),
    count: &mut impl FnMut(&SequenceNumber),
    report: &mut Decoded,
) {
    for _ in 0..header.samples {
        if octets.is_empty() {
            return report.error(octets.offset(), ErrorKind::TruncatedRecords);
        }
        let offset = octets.offset();
        let Some((format, sample)) = take(&mut octets) else {
            return report.error(offset, ErrorKind::TruncatedSample);
        };
        let Some(shape) = SHAPES.iter().find(|shape| shape.format == format) else {
            show_unknown(header, format, sample, visit, report);
            continue;
        };
        if read_sample(header, shape, sample, tunnels, visit, count, report).is_none() {
            report.error(offset, ErrorKind::TruncatedSample);
        }
    }
}

/// Takes a sample or record off the octets: its data format and its content.
fn take<'a>(octets: &mut Cursor<'a>) -> Option<(u32, Cursor<'a>)> {
    let format = octets.u32()?;
    let length = structure::length(octets)?;
    Some((format, octets.section(length)?))
}

/// The structure of a sample format: a head, which ends with the number of records, then the records.
struct Shape {
    /// The data format of the sample.
    format: u32,
    kind: RecordKind,
    form: Form,
    numbered: fn(DataSource) -> Numbered,
    /// The fields of the head.
    head: &'static [Member],
    /// Octets of the head after the data source; for flow samples between the rate and the interfaces.
    rest_of_head: usize,
    /// The structures of its records.
    records: &'static [Structure],
}

/// How data sources and interfaces are encoded.
#[derive(Clone, Copy)]
enum Form {
    /// Both parts share a word.
    Compact,
    /// Each part has a word.
    Expanded,
}

impl Form {
    fn source(self, octets: &mut Cursor<'_>) -> Option<DataSource> {
        match self {
            Self::Compact => DataSource::compact(octets),
            Self::Expanded => DataSource::expanded(octets),
        }
    }

    fn interface(self, octets: &mut Cursor<'_>) -> Option<u32> {
        match self {
            Self::Compact => interface::compact(octets),
            Self::Expanded => interface::expanded(octets),
        }
    }
}

/// One member for each sample format.
const SHAPES: &[Shape] = &[
    Shape {
        format: 1,
        kind: RecordKind::Data,
        form: Form::Compact,
        numbered: Numbered::FlowSamples,
        head: members! { flow_sample {
            sequence_number: Kind::Unsigned,
            source_id_type: Kind::Upper(8),
            source_id_index: Kind::Lower(24),
            sampling_rate: Kind::Unsigned,
            sample_pool: Kind::Unsigned,
            drops: Kind::Unsigned,
            input_format: Kind::Upper(2),
            input_value: Kind::Lower(30),
            output_format: Kind::Upper(2),
            output_value: Kind::Lower(30),
        } },
        rest_of_head: 8,
        records: flow_data::V5,
    },
    Shape {
        format: 3,
        kind: RecordKind::Data,
        form: Form::Expanded,
        numbered: Numbered::FlowSamples,
        head: members! { flow_sample {
            sequence_number: Kind::Unsigned,
            source_id_type: Kind::Unsigned,
            source_id_index: Kind::Unsigned,
            sampling_rate: Kind::Unsigned,
            sample_pool: Kind::Unsigned,
            drops: Kind::Unsigned,
            input_format: Kind::Unsigned,
            input_value: Kind::Unsigned,
            output_format: Kind::Unsigned,
            output_value: Kind::Unsigned,
        } },
        rest_of_head: 8,
        records: flow_data::V5,
    },
    Shape {
        format: 2,
        kind: RecordKind::Counters,
        form: Form::Compact,
        numbered: Numbered::CounterSamples,
        head: members! { counters_sample {
            sequence_number: Kind::Unsigned,
            source_id_type: Kind::Upper(8),
            source_id_index: Kind::Lower(24),
        } },
        rest_of_head: 0,
        records: counter_data::V5,
    },
    Shape {
        format: 4,
        kind: RecordKind::Counters,
        form: Form::Expanded,
        numbered: Numbered::CounterSamples,
        head: members! { counters_sample {
            sequence_number: Kind::Unsigned,
            source_id_type: Kind::Unsigned,
            source_id_index: Kind::Unsigned,
        } },
        rest_of_head: 0,
        records: counter_data::V5,
    },
    Shape {
        format: 5,
        kind: RecordKind::Drop,
        form: Form::Expanded,
        numbered: Numbered::Drops,
        head: members! { discarded_packet {
            sequence_number: Kind::Unsigned,
            source_id_type: Kind::Unsigned,
            source_id_index: Kind::Unsigned,
            drops: Kind::Unsigned,
            inputifindex: Kind::Unsigned,
            outputifindex: Kind::Unsigned,
            reason: Kind::Unsigned,
        } },
        rest_of_head: 16,
        records: flow_data::V5,
    },
];

/// A sample of a vendor's own format.
fn show_unknown(
    header: &Header,
    format: u32,
    octets: Cursor<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) {
    report.options += 1;
    visit(&Record {
        message: &header.message,
        kind: RecordKind::Options,
        format: Some(format),
        flow: None,
        content: &UnknownSample { header, format, octets },
    });
}

/// `None` if the sample ends within its head. One that ends within its records is reported, and still visited.
fn read_sample(
    header: &Header,
    shape: &Shape,
    sample: Cursor<'_>,
    tunnels: Tunnels,
    visit: &mut impl FnMut(&Record<'_>),
    count: &mut impl FnMut(&SequenceNumber),
    report: &mut Decoded,
) -> Option<()> {
    let mut octets = sample;
    let number = octets.u32()?;
    let source = shape.form.source(&mut octets)?;
    let is_flow = shape.kind == RecordKind::Data;
    let rate = if is_flow { octets.u32()? } else { 0 };
    octets.skip(shape.rest_of_head)?;
    let mut packet = Packet::new(header.message.exported, rate);
    if is_flow {
        packet.interfaces(shape.form.interface(&mut octets)?, shape.form.interface(&mut octets)?);
    }
    let records = Records { count: octets.u32()?, octets };
    count(&header.sequence_number((shape.numbered)(source), number));

    let whole = records.each(|format, record| {
        if is_flow {
            // What was read of a truncated record is used.
            let _ = read_flow_record(&mut packet, format, record);
        }
    });
    if let Err(offset) = whole {
        report.error(offset, ErrorKind::TruncatedSample);
    }
    if packet.is_in_tunnel()
        && let Some(sampled) = records.first(flow_data::SAMPLED_HEADER)
    {
        let _ = packet.enter_tunnel(sampled, Stripped::Stated, tunnels, report);
    }
    let (kind, flow) = packet.into_flow();
    *if is_flow { &mut report.data } else { &mut report.options } += 1;
    visit(&Record {
        message: &header.message,
        kind: if is_flow { kind } else { shape.kind },
        format: Some(shape.format),
        flow: is_flow.then_some(&flow),
        content: &Sample { header, shape, octets: sample },
    });
    Some(())
}

/// The records that accounting uses.
#[inline(always)]
fn read_flow_record(packet: &mut Packet, format: u32, mut record: Cursor<'_>) -> Option<()> {
    match format {
        flow_data::SAMPLED_HEADER => packet.header(&mut record, Stripped::Stated),
        flow_data::SAMPLED_ETHERNET => packet.ethernet(&mut record),
        flow_data::SAMPLED_IPV4 => packet.ipv4(&mut record),
        flow_data::SAMPLED_IPV6 => packet.ipv6(&mut record),
        flow_data::EXTENDED_ROUTER => packet.router(&mut record),
        flow_data::EXTENDED_GATEWAY => packet.gateway(&mut record, Gateway::NextHopAndSegments),
        flow_data::EXTENDED_DECAPSULATE_EGRESS | flow_data::EXTENDED_DECAPSULATE_INGRESS => {
            packet.inner_header(&mut record)
        }
        _ => Some(()),
    }
}

/// The records of a sample.
struct Records<'a> {
    count: u32,
    octets: Cursor<'a>,
}

impl<'a> Records<'a> {
    /// Visits each record; the offset of the first incomplete one, if any.
    fn each(&self, mut visitor: impl FnMut(u32, Cursor<'a>)) -> Result<(), usize> {
        let mut octets = self.octets;
        for _ in 0..self.count {
            let offset = octets.offset();
            let (format, record) = take(&mut octets).ok_or(offset)?;
            visitor(format, record);
        }
        Ok(())
    }

    /// The first whole record of a format.
    fn first(&self, wanted: u32) -> Option<Cursor<'a>> {
        let mut octets = self.octets;
        (0..self.count)
            .map_while(|_| take(&mut octets))
            .find_map(|(format, record)| (format == wanted).then_some(record))
    }
}

/// The fields of a sample.
struct Sample<'a> {
    header: &'a Header,
    shape: &'a Shape,
    octets: Cursor<'a>,
}

impl Fields for Sample<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        self.header.show(visitor);
        let mut octets = self.octets;
        let Some(()) = structure::read(self.shape.head, &mut octets, visitor) else { return };
        let Some(count) = octets.u32() else { return };
        // A truncated record was reported when the sample was read.
        let _ = Records { count, octets }.each(|format, record| {
            structure::show(self.shape.records, format, record, visitor);
            if self.shape.kind != RecordKind::Counters && format == flow_data::SAMPLED_HEADER {
                let mut header = record;
                let _ = show_header(&mut header, Stripped::Stated, visitor);
            }
        });
    }

    fn set_columns(&self, _has_flow: bool, row: &mut Row) -> RowKind {
        let _ = self.set_structures(row);
        RowKind::Packet
    }
}

impl Sample<'_> {
    /// `None` if the sample ends within its head, or within a structure; what was read of it is in the row.
    fn set_structures(&self, row: &mut Row) -> Option<()> {
        let mut octets = self.octets;
        octets.skip(4)?;
        self.shape.form.source(&mut octets)?;
        // The rate, the rest of the head, and the interfaces.
        octets.skip(4 + self.shape.rest_of_head)?;
        self.shape.form.interface(&mut octets)?;
        self.shape.form.interface(&mut octets)?;
        let records = Records { count: octets.u32()?, octets };

        let mut inner_offset = None;
        let _ = records.each(|format, mut record| match format {
            flow_data::EXTENDED_DECAPSULATE_EGRESS | flow_data::EXTENDED_DECAPSULATE_INGRESS => {
                inner_offset = record.u32();
            }
            _ => {}
        });
        if let Some(header) = records.first(flow_data::SAMPLED_HEADER) {
            let _ = row::header(header, Stripped::Stated, inner_offset, &self.header.message, row);
        }
        let _ = records.each(|format, record| {
            let _ = set_structure(format, record, row);
        });
        Some(())
    }
}

/// The structures that have columns.
fn set_structure(format: u32, mut record: Cursor<'_>, row: &mut Row) -> Option<()> {
    match format {
        flow_data::SAMPLED_ETHERNET => row::ethernet(&mut record, row),
        flow_data::SAMPLED_IPV4 => row::network(&mut record, 4, row),
        flow_data::SAMPLED_IPV6 => row::network(&mut record, 16, row),
        flow_data::EXTENDED_SWITCH => row::switch(&mut record, row),
        flow_data::EXTENDED_ROUTER => row::router(&mut record, row),
        flow_data::EXTENDED_GATEWAY => row::gateway(&mut record, Gateway::NextHopAndSegments, row),
        flow_data::EXTENDED_NAT => row::nat(&mut record, row),
        flow_data::EXTENDED_NAT_PORT => row::nat_port(&mut record, row),
        flow_data::EXTENDED_VNI_EGRESS | flow_data::EXTENDED_VNI_INGRESS => row::vni(&mut record, row),
        _ => Some(()),
    }
}

/// The fields of a sample of an unknown format.
struct UnknownSample<'a> {
    header: &'a Header,
    format: u32,
    octets: Cursor<'a>,
}

impl Fields for UnknownSample<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        self.header.show(visitor);
        structure::show(&[], self.format, self.octets, visitor);
    }
}
