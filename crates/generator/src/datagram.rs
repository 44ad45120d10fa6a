//! Encodes flows in each protocol, with the encoders of `wire`, and updates the octets that change when a datagram is
//! sent again: time, uptime and sequence number.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use flow::{FlowRecord, Protocol};
use wire::encode::{self, Ipfix, NetflowV9, TemplateSpec};
use wire::sflow::encode::{DatagramHeader, FlowSample, sflow_v5};
use wire::{FieldSpecifier, ipfix, netflow_v5, netflow_v9};

use crate::traffic::{SFLOW_SAMPLING_RATE, Traffic};

/// Octets of the longest UDP payload of a packet of 1500.
const PAYLOAD: usize = 1472;
/// Octets of the longest UDP payload of IPv4.
const LONGEST_PAYLOAD: usize = 65_507;
/// The maximum size in octets of all headers of a datagram with sets: message, two sets, padding.
const HEADERS: usize = 36;
/// The maximum number of records in a v5 datagram.
const MOST_OF_V5: u16 = 30;
/// Octets of an sFlow header whose agent has an IPv4 address.
const SFLOW_HEADER_LENGTH: usize = 28;
/// Octets of an sFlow flow sample of the encoder.
const SAMPLE_LENGTH: usize = 108;
/// Milliseconds; flows that have ended before they were exported.
const FIRST: u32 = 1000;
const LAST: u32 = 2000;

/// A flow's octets in each field of a template, for one family.
const IPV4_FIELDS: [(u16, u16); 18] = [
    (8, 4),
    (12, 4),
    (15, 4),
    (10, 4),
    (14, 4),
    (2, 4),
    (1, 4),
    (22, 4),
    (21, 4),
    (7, 2),
    (11, 2),
    (6, 1),
    (4, 1),
    (5, 1),
    (16, 4),
    (17, 4),
    (9, 1),
    (13, 1),
];
/// As above; what differs is addresses, next hop and prefix lengths.
const IPV6_FIELDS: [(u16, u16); 18] = {
    let mut fields = IPV4_FIELDS;
    let [source, destination, next_hop, .., source_length, destination_length] = &mut fields;
    (*source, *destination, *next_hop) = ((27, 16), (28, 16), (62, 16));
    (*source_length, *destination_length) = ((29, 1), (30, 1));
    fields
};

/// The maximum number of flows in a datagram of any length; `None` for a protocol that is not generated.
pub(crate) fn most_flows(protocol: Protocol, traffic: &Traffic) -> Option<u16> {
    Some(match protocol {
        Protocol::NetflowV5 => MOST_OF_V5,
        _ => fitting(protocol, traffic, LONGEST_PAYLOAD)?,
    })
}

/// The default number of flows in a datagram.
pub(crate) fn default_flows(protocol: Protocol, traffic: &Traffic) -> u16 {
    fitting(protocol, traffic, PAYLOAD).unwrap_or(1).min(MOST_OF_V5)
}

fn fitting(protocol: Protocol, traffic: &Traffic, payload: usize) -> Option<u16> {
    let (headers, record) = match protocol {
        Protocol::NetflowV5 => (size_of::<netflow_v5::Header>(), size_of::<netflow_v5::Record>()),
        Protocol::NetflowV9 | Protocol::Ipfix => {
            let fields = if traffic.ipv6_percent > 0 { IPV6_FIELDS } else { IPV4_FIELDS };
            (HEADERS, fields.iter().map(|(_, length)| usize::from(*length)).sum())
        }
        Protocol::SflowV5 => (SFLOW_HEADER_LENGTH, SAMPLE_LENGTH),
        _ => return None,
    };
    u16::try_from((payload - headers) / record).ok()
}

/// Encodes the datagrams of one load.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    protocol: Protocol,
    ipv4: TemplateSpec,
    ipv6: TemplateSpec,
    has_ipv4: bool,
    has_ipv6: bool,
}

/// The values that change each time a datagram is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// Seconds since 1970.
    pub(crate) seconds: u32,
    /// Milliseconds since the exporter started.
    pub(crate) uptime: u32,
    /// In the unit of the protocol.
    pub(crate) sequence: u32,
}

impl Encoder {
    pub(crate) fn new(protocol: Protocol, traffic: &Traffic) -> Self {
        let template = |id, fields: [(u16, u16); 18]| {
            TemplateSpec::data(id, fields.map(|(element, length)| FieldSpecifier::iana(element, length)))
        };
        Self {
            protocol,
            ipv4: template(256, IPV4_FIELDS),
            ipv6: template(257, IPV6_FIELDS),
            has_ipv4: traffic.ipv6_percent < 100,
            has_ipv6: traffic.ipv6_percent > 0,
        }
    }

    /// A datagram with these flows for an observation domain; `agent` is the exporter's address.
    pub(crate) fn data(&self, flows: &[FlowRecord], domain: u16, agent: Ipv4Addr) -> Vec<u8> {
        match self.protocol {
            Protocol::NetflowV9 => {
                let packet = NetflowV9::new(header_v9(domain));
                self.sets(flows).into_iter().fold(packet, |packet, (set, records)| packet.data(set, &records)).finish()
            }
            Protocol::Ipfix => {
                let message = Ipfix::new(header_ipfix(domain));
                let sets = self.sets(flows).into_iter();
                sets.fold(message, |message, (set, records)| message.data(set, &records)).finish()
            }
            Protocol::SflowV5 => sflow(flows, domain, agent),
            _ => v5(flows, domain),
        }
    }

    /// A datagram with the templates; `None` for protocols without templates.
    pub(crate) fn templates(&self, domain: u16) -> Option<Vec<u8>> {
        let templates = [(&self.ipv4, self.has_ipv4), (&self.ipv6, self.has_ipv6)];
        let templates = templates.into_iter().filter(|(_, used)| *used).map(|(template, _)| template);
        match self.protocol {
            Protocol::NetflowV9 => {
                Some(templates.fold(NetflowV9::new(header_v9(domain)), |packet, it| packet.template(it)).finish())
            }
            Protocol::Ipfix => {
                Some(templates.fold(Ipfix::new(header_ipfix(domain)), |message, it| message.template(it)).finish())
            }
            _ => None,
        }
    }

    /// Writes time and sequence into a datagram.
    pub(crate) fn stamp(&self, datagram: &mut [u8], stamp: Stamp) {
        let Stamp { seconds, uptime, sequence } = stamp;
        let words: &[(usize, u32)] = match self.protocol {
            Protocol::NetflowV9 => &[(4, uptime), (8, seconds), (12, sequence)],
            Protocol::Ipfix => &[(4, seconds), (8, sequence)],
            Protocol::SflowV5 => &[(16, sequence), (20, uptime)],
            _ => &[(4, uptime), (8, seconds), (16, sequence)],
        };
        words.iter().for_each(|(offset, word)| put(datagram, *offset, *word));
        if self.protocol == Protocol::SflowV5 {
            number_samples(datagram, sequence);
        }
    }

    /// The records of each family with their template.
    fn sets(&self, flows: &[FlowRecord]) -> Vec<(&TemplateSpec, Vec<Vec<u8>>)> {
        let (ipv6, ipv4): (Vec<_>, Vec<_>) = flows.iter().partition(|flow| flow.source.is_ipv6());
        let sets = [(&self.ipv4, ipv4), (&self.ipv6, ipv6)].into_iter().filter(|(_, flows)| !flows.is_empty());
        sets.map(|(set, flows)| (set, flows.into_iter().map(|flow| record(set, flow)).collect())).collect()
    }
}

fn put(octets: &mut [u8], offset: usize, word: u32) {
    if let Some(octets) = octets.get_mut(offset..offset + 4) {
        octets.copy_from_slice(&word.to_be_bytes());
    }
}

/// Samples have their own sequence numbers, and the number of packets from which they were taken.
fn number_samples(datagram: &mut [u8], sequence: u32) {
    let Some((_, samples)) = datagram.split_at_mut_checked(SFLOW_HEADER_LENGTH) else { return };
    let first = sequence.wrapping_mul((samples.len() / SAMPLE_LENGTH) as u32);
    for (index, sample) in (0..).zip(samples.chunks_exact_mut(SAMPLE_LENGTH)) {
        let number = first.wrapping_add(index);
        put(sample, 8, number);
        put(sample, 20, number.wrapping_mul(SFLOW_SAMPLING_RATE));
    }
}

fn header_v9(domain: u16) -> netflow_v9::Header {
    netflow_v9::Header { source_id: u32::from(domain).into(), ..Default::default() }
}

fn header_ipfix(domain: u16) -> ipfix::Header {
    ipfix::Header { domain: u32::from(domain).into(), ..Default::default() }
}

/// A record of eighteen fields, as routers send them.
fn record(template: &TemplateSpec, flow: &FlowRecord) -> Vec<u8> {
    let none = [0; 16];
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (source, destination) = (address(flow.source), address(flow.destination));
    let word = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    template.record(&[
        &source,
        &destination,
        none.get(..source.len()).unwrap_or_default(),
        &word(flow.input_interface.into()),
        &word(flow.output_interface.into()),
        &word(flow.forward.packets),
        &word(flow.forward.bytes),
        &FIRST.to_be_bytes(),
        &LAST.to_be_bytes(),
        &flow.source_port.to_be_bytes(),
        &flow.destination_port.to_be_bytes(),
        &[0x18],
        &[flow.protocol],
        &[0],
        &flow.source_as.to_be_bytes(),
        &flow.destination_as.to_be_bytes(),
        &[24],
        &[24],
    ])
}

fn v5(flows: &[FlowRecord], domain: u16) -> Vec<u8> {
    let [engine_type, engine_id] = domain.to_be_bytes();
    let header = netflow_v5::Header { engine_type, engine_id, ..Default::default() };
    let octets = |address| match address {
        IpAddr::V4(address) => address.octets(),
        // Not in the traffic of this protocol (`Load::check`).
        IpAddr::V6(_) => [0; 4],
    };
    let records = flows.iter().map(|flow| netflow_v5::Record {
        source: octets(flow.source),
        destination: octets(flow.destination),
        input: (flow.input_interface as u16).into(),
        output: (flow.output_interface as u16).into(),
        packets: (flow.forward.packets as u32).into(),
        octets: (flow.forward.bytes as u32).into(),
        first: FIRST.into(),
        last: LAST.into(),
        source_port: flow.source_port.into(),
        destination_port: flow.destination_port.into(),
        tcp_flags: 0x18,
        protocol: flow.protocol,
        source_as: (flow.source_as as u16).into(),
        destination_as: (flow.destination_as as u16).into(),
        source_prefix_length: 24,
        destination_prefix_length: 24,
        ..Default::default()
    });
    encode::netflow_v5(&header, &records.collect::<Vec<_>>())
}

fn sflow(flows: &[FlowRecord], domain: u16, agent: Ipv4Addr) -> Vec<u8> {
    let header = DatagramHeader { agent: agent.into(), sub_agent: domain.into(), sequence: 0, uptime: 0 };
    let end = |address, port| match address {
        IpAddr::V4(address) => SocketAddrV4::new(address, port),
        // Not in the traffic of this protocol (`Load::check`).
        IpAddr::V6(_) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port),
    };
    let samples = (1..).zip(flows).map(|(sequence, flow)| FlowSample {
        sequence,
        sampling_rate: flow.sampling.rate,
        data_source: 1,
        input: flow.input_interface,
        output: flow.output_interface,
        source: end(flow.source, flow.source_port),
        destination: end(flow.destination, flow.destination_port),
        frame_length: flow.forward.bytes as u16,
    });
    sflow_v5(&header, &samples.collect::<Vec<_>>())
}
