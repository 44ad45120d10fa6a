//! A record as onlookers see it: what is counted of it, and the few fields beside that everybody asks for. Which fields
//! those are depends on the protocol; everything else that a record carries is left to `netflow decode`.

use flow::FlowRecord;
use tap::{Details, Tapped};
use wire::{ElementId, Field, FieldName, Record, Value};

/// Shows the flow of a record, if it has one, to those who look on.
#[cold]
pub(crate) fn show(record: &Record<'_>, onlookers: &Tapped) {
    let Some(flow) = record.flow else { return };
    // A record tells the address of IPv4 that stands in IPv6 as it likes; a filter knows one form.
    let (source, destination) = (flow::canonical(flow.source), flow::canonical(flow.destination));
    let flow = FlowRecord { source, destination, ..*flow };
    onlookers.show(record.message.received, record.message.protocol, &flow, || details(record));
}

fn details(record: &Record<'_>) -> Details {
    let mut details = Details::default();
    record.fields(&mut |field| note(field, &mut details));
    details
}

/// The first field of its kind counts: what comes later belongs to something else, such as the packet in a tunnel.
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
