//! The guarantees of a session about templates, pending sets, samplers and damaged datagrams, one per test. Many are
//! named after a known fault of an exporter or of another decoder.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::time::Duration;

use flow::{Counters, Exporter, FlowRecord, SamplingSource, Timestamp};
use wire::encode::{Ipfix, NetflowV9, TemplateSpec};
use wire::{
    Datagram, Decoded, ElementId, ErrorKind, FieldSpecifier, PendingBudget, PendingLimits, RecordKind, Session,
    SessionLimits, TemplateLimits, VARIABLE_LENGTH, Value, encode, ipfix, netflow_v5, netflow_v9,
};

mod booking;
mod connections;
mod interfaces;
mod sequences;
mod strangers;
mod templates;
mod waiting;

/// An exporter with one session, and its decoded records.
struct Exchange {
    session: Session,
    now: u64,
    nanoseconds: u32,
    port: u16,
    flows: Vec<FlowRecord>,
    kinds: Vec<RecordKind>,
}

impl Exchange {
    fn new() -> Self {
        Self::with(SessionLimits::default())
    }

    fn with(limits: SessionLimits) -> Self {
        Self {
            session: Session::new(limits),
            now: 1_000_000,
            nanoseconds: 0,
            port: 4000,
            flows: Vec::new(),
            kinds: Vec::new(),
        }
    }

    fn send(&mut self, payload: &[u8]) -> Decoded {
        let exporter = Exporter::udp([192, 0, 2, 1].into(), self.port);
        let datagram = Datagram { exporter, received: Timestamp::new(self.now, self.nanoseconds), payload };
        self.session.decode(&datagram, &mut |record| {
            self.flows.extend(record.flow);
            self.kinds.push(record.kind);
        })
    }

    fn bytes(&self) -> Vec<u64> {
        self.flows.iter().map(|flow| flow.forward.bytes).collect()
    }
}

const fn iana(id: u16, length: u16) -> FieldSpecifier {
    FieldSpecifier::iana(id, length)
}

const fn reverse(id: u16, length: u16) -> FieldSpecifier {
    FieldSpecifier { element: ElementId { enterprise: 29305, id }, length }
}

fn v9() -> NetflowV9 {
    NetflowV9::new(netflow_v9::Header::default())
}

fn v9_of(source_id: u32) -> NetflowV9 {
    NetflowV9::new(netflow_v9::Header { source_id: source_id.into(), ..Default::default() })
}

fn message() -> Ipfix {
    Ipfix::new(ipfix::Header::default())
}

/// A record of numbers, each in the length of its field.
fn numbers(template: &TemplateSpec, numbers: &[u64]) -> Vec<u8> {
    let octets: Vec<_> = numbers.iter().map(|number| number.to_be_bytes()).collect();
    let length = |field: &FieldSpecifier| field.fixed_length().map_or(4, usize::from);
    let fields: Vec<_> =
        template.fields.iter().zip(&octets).map(|(field, octets)| &octets[8 - length(field)..]).collect();
    template.record(&fields)
}

fn bytes_only() -> TemplateSpec {
    TemplateSpec::data(256, [iana(1, 4)])
}

fn packets_and_bytes() -> TemplateSpec {
    TemplateSpec::data(256, [iana(2, 4), iana(1, 4)])
}

#[test]
fn junk_is_named_and_harms_nothing() {
    let mut exchange = Exchange::new();
    for (payload, kind) in [
        (&[][..], ErrorKind::TruncatedHeader),
        (&[0], ErrorKind::TruncatedHeader),
        (&[0, 9, 0], ErrorKind::TruncatedHeader),
        (&[0xff, 0xff, 1, 2], ErrorKind::UnknownVersion),
        (&[0, 3, 1, 2], ErrorKind::UnknownVersion),
        (&[0, 10, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], ErrorKind::MessageTooShort),
    ] {
        assert_eq!(exchange.send(payload).first_error.unwrap().kind, kind, "{payload:?}");
    }
}
