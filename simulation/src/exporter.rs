//! Simulated exporters. Each flow has its own source address, which identifies it in the counters. Every flow has 100
//! octets in one packet, and its destination is in the monitored prefix. Exporters with templates also state where a flow was
//! observed, and for some an address after translation that no prefix has.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use flow::{Exporter as Address, ObservedAt, Timestamp};
use wire::encode::{self, Ipfix, NetflowV9, TemplateSpec};
use wire::sflow::encode as sflow;
use wire::{FieldSpecifier, ipfix, netflow_v5, netflow_v9};

use testing::Random;

/// The destination of all flows.
pub const DESTINATION: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Octets of each flow.
pub const OCTETS: u16 = 100;

/// The sampling mode in the header of NetFlow v5: one packet of as many as the other bits give.
const V5_SAMPLES: u16 = 0x4000;
/// The observation domain of all exporters.
const DOMAIN: u32 = 7;
/// The scope of the whole device in NetFlow v9, and observationDomainId in IPFIX.
const SCOPE_SYSTEM: u16 = 1;
const SCOPE_DOMAIN: u16 = 149;
/// samplingInterval
const SAMPLING_INTERVAL: u16 = 34;
/// flowDirection, and postNATDestinationIPv4Address.
const FLOW_DIRECTION: u16 = 61;
const INSIDE_DESTINATION: u16 = 226;
/// A destination after translation.
const ELSEWHERE: [u8; 4] = [198, 51, 100, 1];
/// Octets of the header of a set.
const SET_HEADER: usize = 4;
/// Octets of a record with the templates of these exporters: two addresses, octets, packets, where it was observed, and the
/// address after translation.
const RECORD: usize = 21;

/// The export protocol of an exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// NetFlow version 5.
    V5,
    /// NetFlow version 9.
    V9,
    /// IPFIX.
    Ipfix,
    /// sFlow version 5.
    Sflow,
}

/// What settings of its exporter may matter to in a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// Where it was observed; `None` if the protocol does not state it.
    pub observed: Option<ObservedAt>,
    /// Whether its destination is translated to one that is not monitored.
    pub is_translated: bool,
}

/// A simulated exporter.
#[derive(Clone, Debug)]
pub struct Exporter {
    /// The source of its datagrams.
    pub address: Address,
    speaks: Speaks,
    sequence: u32,
    started: Timestamp,
    /// How far its clock is ahead (or, if negative, late), in seconds.
    clock_seconds: i64,
    /// Index of the template that it uses.
    layout: usize,
    /// The sampling rate that it announces.
    announced_rate: u32,
}

/// A datagram in the network.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The numbers of its flows; none if it announces.
    pub flows: Vec<u32>,
    /// The export time in its header; `None` if the protocol has none.
    pub exported: Option<Timestamp>,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

/// `announces`, or the numbers of its flows.
impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.flows.is_empty() { f.write_str("announces") } else { write!(f, "{:?}", self.flows) }
    }
}

/// The source address of a flow.
#[must_use]
pub fn source(flow: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + flow)
}

/// The number of the flow with this source address; `None` if there is none.
#[must_use]
pub fn number(source: IpAddr) -> Option<u32> {
    match source {
        IpAddr::V4(address) if address.octets()[0] == 10 => Some(address.to_bits() & 0x00ff_ffff),
        _ => None,
    }
}

impl Exporter {
    /// An exporter at the loopback address with this last octet.
    #[must_use]
    pub fn new(last: u8, speaks: Speaks, now: Timestamp) -> Self {
        let address = Address::udp(IpAddr::from([127, 0, 0, last]), 4000);
        Self { address, speaks, sequence: 1000, started: now, clock_seconds: 0, layout: 0, announced_rate: 5 }
    }

    /// Whether its protocol has templates.
    #[must_use]
    pub fn has_templates(&self) -> bool {
        matches!(self.speaks, Speaks::V9 | Speaks::Ipfix)
    }

    /// The sampling rate of its flows, which the header, the sample or options data state.
    #[must_use]
    pub fn rate(&self) -> u32 {
        match self.speaks {
            Speaks::V5 => 4,
            Speaks::Sflow => 3,
            Speaks::V9 | Speaks::Ipfix => self.announced_rate,
        }
    }

    /// What a flow means.
    #[must_use]
    pub fn meaning(&self, flow: u32) -> Meaning {
        if self.has_templates() { meaning(flow) } else { Meaning::default() }
    }

    /// Restarts it: sequence number and uptime start at 0.
    pub fn reboot(&mut self, now: Timestamp) {
        (self.sequence, self.started) = (0, now);
    }

    /// Sets its clock to another time.
    pub fn step_clock(&mut self, random: &mut Random) {
        self.clock_seconds = *random.pick(&[0, 0, 1, -1, 59, -300, 3600, -3600, -86_400 * 365]);
    }

    /// Changes the meaning of its template.
    pub fn redefine(&mut self) {
        self.layout = 1 - self.layout;
    }

    fn clock(&self, now: Timestamp) -> Timestamp {
        let step = Duration::from_secs(self.clock_seconds.unsigned_abs());
        let clock = if self.clock_seconds < 0 { now.saturating_sub(step) } else { now.saturating_add(step) };
        Timestamp::from_seconds(clock.seconds())
    }

    /// A datagram with its template and no data; `None` if its protocol has no templates.
    pub fn announce(&mut self, now: Timestamp) -> Option<Sent> {
        self.has_templates().then(|| self.message(now, true, Vec::new()))
    }

    /// A datagram with these flows.
    pub fn send(&mut self, now: Timestamp, flows: Vec<u32>) -> Sent {
        self.message(now, false, flows)
    }

    /// What a stranger sends in its name: no flows, but another template and sampling rate, and a sequence number that the
    /// exporter does not reach. If it did, it would continue the stream of the stranger.
    #[must_use]
    pub fn forged(&self, random: &mut Random, now: Timestamp) -> Vec<u8> {
        let sequence = self.sequence.wrapping_add(*random.pick(&[2000, 100_000, u32::MAX / 2]));
        let mut forger = Self { sequence, layout: 1 - self.layout, announced_rate: 1000, ..self.clone() };
        forger.message(now, self.has_templates(), Vec::new()).payload
    }

    fn message(&mut self, now: Timestamp, announces: bool, flows: Vec<u32>) -> Sent {
        let exported = self.clock(now);
        let seconds = u32::try_from(exported.seconds()).unwrap();
        let uptime = (now.milliseconds() - self.started.milliseconds()) as u32;
        let template = template(self.layout);
        let records: Vec<_> = flows.iter().map(|flow| record(self.layout, &template, *flow)).collect();
        let payload = match self.speaks {
            Speaks::V5 => v5(seconds, self.sequence, self.rate(), &flows),
            Speaks::V9 => {
                let header = netflow_v9::Header {
                    unix_seconds: seconds.into(),
                    uptime: uptime.into(),
                    sequence: self.sequence.into(),
                    source_id: DOMAIN.into(),
                    ..Default::default()
                };
                let packet = NetflowV9::new(header);
                let packet = match options(SCOPE_SYSTEM, self.announced_rate) {
                    (of_rate, rate) if announces => {
                        packet.template(&of_rate).data(&of_rate, &[rate]).template(&template)
                    }
                    _ => packet,
                };
                if flows.is_empty() { packet.finish() } else { packet.data(&template, &records).finish() }
            }
            Speaks::Ipfix => {
                let header = ipfix::Header {
                    export_seconds: seconds.into(),
                    sequence: self.sequence.into(),
                    domain: DOMAIN.into(),
                    ..Default::default()
                };
                let message = Ipfix::new(header);
                let message = match options(SCOPE_DOMAIN, self.announced_rate) {
                    (of_rate, rate) if announces => {
                        message.template(&of_rate).data(&of_rate, &[rate]).template(&template)
                    }
                    _ => message,
                };
                if flows.is_empty() { message.finish() } else { message.data(&template, &records).finish() }
            }
            Speaks::Sflow => sflow_v5(self.sequence, uptime, self.rate(), &flows),
        };
        self.sequence = self.sequence.wrapping_add(match self.speaks {
            Speaks::V9 | Speaks::Sflow => 1,
            Speaks::V5 => flows.len() as u32,
            Speaks::Ipfix => flows.len() as u32 + u32::from(announces),
        });
        let exported = (self.speaks != Speaks::Sflow).then_some(exported);
        Sent { flows, exported, payload }
    }

    /// The flows in messages of this exporter that contain one data set each. Read by hand, because decoding is under
    /// test, and because a session that learns the template first could conclude that the exporter has restarted.
    #[must_use]
    pub fn flows_in(&self, messages: &[(Address, Timestamp, Vec<u8>)]) -> Vec<u32> {
        let header = match self.speaks {
            Speaks::V9 => size_of::<netflow_v9::Header>(),
            _ => size_of::<ipfix::Header>(),
        };
        let own = messages.iter().filter(|(address, ..)| *address == self.address);
        let records = own.flat_map(|(_, _, payload)| payload[header + SET_HEADER..].chunks_exact(RECORD));
        records.flat_map(|record| record[..8].chunks_exact(4)).filter_map(flow_at).collect()
    }
}

/// The number of the flow with this source address; `None` if there is none.
fn flow_at(address: &[u8]) -> Option<u32> {
    number(IpAddr::from(<[u8; 4]>::try_from(address).unwrap()))
}

/// Two orders of the same fields: decoded with the wrong template, a flow has the opposite direction.
fn template(layout: usize) -> TemplateSpec {
    let [first, second] = [[8, 12], [12, 8]][layout];
    let fields = [(first, 4), (second, 4), (1, 4), (2, 4), (FLOW_DIRECTION, 1), (INSIDE_DESTINATION, 4)];
    TemplateSpec::data(256, fields.map(|(id, length)| FieldSpecifier::iana(id, length)))
}

fn meaning(flow: u32) -> Meaning {
    let observed = if flow.is_multiple_of(2) { ObservedAt::Ingress } else { ObservedAt::Egress };
    Meaning { observed: Some(observed), is_translated: flow.is_multiple_of(3) }
}

/// The sampling rate of the observation domain, as options data: the template and the record.
fn options(scope: u16, rate: u32) -> (TemplateSpec, Vec<u8>) {
    let fields = [scope, SAMPLING_INTERVAL].map(|id| FieldSpecifier::iana(id, 4));
    let template = TemplateSpec::options(257, 1, fields);
    let record = template.record(&[&DOMAIN.to_be_bytes(), &rate.to_be_bytes()]);
    (template, record)
}

fn record(layout: usize, template: &TemplateSpec, flow: u32) -> Vec<u8> {
    let ends = [source(flow).octets(), DESTINATION.octets()];
    let (first, second) = (ends[layout], ends[1 - layout]);
    let Meaning { observed, is_translated } = meaning(flow);
    let direction = u8::from(observed == Some(ObservedAt::Egress));
    let inside = if is_translated { ELSEWHERE } else { [0; 4] };
    template.record(&[&first, &second, &u32::from(OCTETS).to_be_bytes(), &1_u32.to_be_bytes(), &[direction], &inside])
}

fn v5(seconds: u32, sequence: u32, rate: u32, flows: &[u32]) -> Vec<u8> {
    let header = netflow_v5::Header {
        unix_seconds: seconds.into(),
        sequence: sequence.into(),
        sampling: (V5_SAMPLES | rate as u16).into(),
        ..netflow_v5::Header::default()
    };
    let record = |flow: &u32| netflow_v5::Record {
        source: source(*flow).octets(),
        destination: DESTINATION.octets(),
        octets: u32::from(OCTETS).into(),
        packets: 1.into(),
        ..netflow_v5::Record::default()
    };
    encode::netflow_v5(&header, &flows.iter().map(record).collect::<Vec<_>>())
}

fn sflow_v5(sequence: u32, uptime: u32, sampling_rate: u32, flows: &[u32]) -> Vec<u8> {
    let header = sflow::DatagramHeader { agent: [192, 0, 2, 9].into(), sub_agent: 0, sequence, uptime };
    let sample = |flow: &u32| sflow::FlowSample {
        sequence: *flow,
        sampling_rate,
        data_source: 1,
        input: 1,
        output: 2,
        source: SocketAddrV4::new(source(*flow), 1),
        destination: SocketAddrV4::new(DESTINATION, 2),
        frame_length: OCTETS,
    };
    sflow::sflow_v5(&header, &flows.iter().map(sample).collect::<Vec<_>>())
}
