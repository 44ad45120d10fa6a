//! Sends decoded flows to open taps: the fields that are counted, and a few others that users often need. Which of
//! these exist depends on the protocol; `netflow decode` shows all fields of a record. Filters see all columns.

use columns::{Id, Row};
use flow::FlowRecord;
use origin::OfRouter;
use tap::{Details, Tapped};
use wire::{ElementId, Field, FieldName, Record, RecordKind, Value};

use crate::booked_origins::LONGEST_PATH;
use crate::origins::shown;

/// Sends the flow of a record, if it has one, to the subscribers of its exporter: with the origins that these sources know, or
/// those that it has.
#[cold]
pub(crate) fn publish(record: &Record<'_>, subscribers: &Tapped, sources: Option<OfRouter<'_>>) {
    let Some(flow) = record.flow.filter(|_| record.kind != RecordKind::NoIpHeader) else { return };
    // A record may contain IPv4-mapped IPv6 addresses; filters compare the canonical form.
    let (source, destination) = (flow::canonical(flow.source), flow::canonical(flow.destination));
    let flow = FlowRecord { source, destination, ..*flow };
    let (flow, path) = sources.map_or((flow, None), |sources| shown(&sources, &flow));
    let mut row = Row::new();
    Record { flow: Some(&flow), ..*record }.row(&mut row);
    // Through a relay, the datagram came from another address.
    row.set_address(Id::Exporter, subscribers.exporter());
    if row.number(Id::NextAs) == 0
        && let Some(asn) = path.and_then(bmp::Path::peer)
    {
        row.set_some(Id::NextAs, asn.into());
    }
    if let Some(path) = path.map(bmp::Path::to_string).filter(|path| path.len() <= LONGEST_PATH) {
        row.set_text(Id::DstAsPath, path.into());
    }
    subscribers.show(record.message.received, record.message.protocol, &flow, &row, || details(record));
}

fn details(record: &Record<'_>) -> Details {
    let mut details = Details { icmp: record.icmp(), ..Details::default() };
    record.fields(&mut |field| note(field, &mut details));
    details
}

/// The first field of each kind is used. Later ones belong to something else, such as the packet in a tunnel.
fn note(field: &Field<'_>, details: &mut Details) {
    let Value::Unsigned(number) = field.value else { return };
    match field.name {
        // tcpControlBits; many send one octet of them. In a sampled packet they are the packet's own.
        FieldName::Element(ElementId { enterprise: 0, id: 6 }, _) | FieldName::Named("packet.tcp_flags") => {
            details.tcp_flags = details.tcp_flags.or_else(|| u16::try_from(number).ok());
        }
        // ingressInterface and egressInterface, in sFlow with its format apart.
        FieldName::Element(ElementId { enterprise: 0, id: 10 }, _)
        | FieldName::Named("flow_sample.input" | "flow_sample.input_value") => {
            details.input = details.input.or_else(|| u32::try_from(number).ok());
        }
        FieldName::Element(ElementId { enterprise: 0, id: 14 }, _)
        | FieldName::Named("flow_sample.output" | "flow_sample.output_value") => {
            details.output = details.output.or_else(|| u32::try_from(number).ok());
        }
        _ => {}
    }
}
