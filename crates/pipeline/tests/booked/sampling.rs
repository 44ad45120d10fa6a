//! Which records a statement about sampling applies to.

use super::*;

mod flow_sampling;
mod plausibility;
mod samplers;
mod scope;

/// A router that sends flows of the monitored prefix 192.0.2.0/24.
fn collector() -> Collector {
    Collector::monitoring("192.0.2.0/24")
}

impl Collector {
    /// Takes a datagram. Returns the bytes, packets and flows that it added, all of them sent by the prefix.
    fn send(&mut self, message: impl Message) -> [u64; 3] {
        let before = self.sent();
        self.take(&message.octets());
        self.second += 1;
        let after = self.sent();
        assert_eq!(self.counters(Direction::In, Name::ALL), Counters::ZERO);
        [after.bytes - before.bytes, after.packets - before.packets, after.flows - before.flows]
    }
}

/// An export message.
trait Message {
    fn octets(self) -> Vec<u8>;
}

impl Message for NetflowV9 {
    fn octets(self) -> Vec<u8> {
        self.finish()
    }
}

impl Message for Ipfix {
    fn octets(self) -> Vec<u8> {
        self.finish()
    }
}

fn v9() -> NetflowV9 {
    NetflowV9::new(netflow_v9::Header { unix_seconds: NOW.into(), ..Default::default() })
}

fn ipfix() -> Ipfix {
    ipfix_of(0)
}

fn ipfix_of(domain: u32) -> Ipfix {
    let export_seconds = NOW.into();
    Ipfix::new(ipfix::Header { domain: domain.into(), export_seconds, ..Default::default() })
}

/// A record of numbers, each in the length of its field.
fn record(template: &TemplateSpec, numbers: &[u64]) -> Vec<u8> {
    let octets: Vec<_> = numbers.iter().map(|number| number.to_be_bytes()).collect();
    let fields = template.fields.iter().zip(&octets);
    let fields: Vec<_> = fields.map(|(field, octets)| &octets[8 - usize::from(field.length)..]).collect();
    template.record(&fields)
}

/// Flows from the monitored prefix: source, bytes, packets, and these.
fn flows(id: u16, more: &[FieldSpecifier]) -> TemplateSpec {
    TemplateSpec::data(id, [&[field(8, 4), field(1, 4), field(2, 4)], more].concat())
}

/// A flow of 1000 bytes in 2 packets.
fn flow(template: &TemplateSpec, more: &[u64]) -> Vec<u8> {
    record(template, &[&[u64::from(u32::from_be_bytes([192, 0, 2, 1])), 1000, 2], more].concat())
}

/// What one flow adds of which one of this many packets was sampled.
const fn packets(rate: u64) -> [u64; 3] {
    [1000 * rate, 2 * rate, 1]
}
