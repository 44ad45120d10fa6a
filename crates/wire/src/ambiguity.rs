//! What records may mean in more than one way, where only the operator of the exporter knows: the settings that decide, and
//! counts of the records to which they matter.

use flow::sender_settings::{NatAddresses, OutCounters, Tunnels};
use flow::{Counters, FlowRecord, ObservedAt};

use crate::booking::Slot;
use crate::decoded::Decoded;
use crate::inner_ends;
use crate::plan::{Plan, Reading};
use crate::template::Template;

/// How a datagram is read, and how its flow records are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Whether they get their interfaces. Reading them costs a sixth more than decoding without them.
    pub interfaces: bool,
    /// Whether it is read if their ends are known by a default route only, which matters where AS numbers are looked up.
    pub default_routes: bool,
    /// What the elements 23 and 24 count.
    pub out_counters: OutCounters,
    /// The addresses of translated flows.
    pub nat_addresses: NatAddresses,
    /// The headers of packets in tunnels.
    pub tunnels: Tunnels,
    /// Whether these are queued data that were carried over: they have arrived before, and their sequence number was
    /// followed then.
    pub is_carried: bool,
    /// Whether records are counted for the exporters that they name: what is ambiguous in them is noted there.
    pub is_relayed: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            interfaces: true,
            default_routes: false,
            out_counters: OutCounters::default(),
            nat_addresses: NatAddresses::default(),
            tunnels: Tunnels::default(),
            is_carried: false,
            is_relayed: false,
        }
    }
}

/// How many flows an exporter has sent to which a setting of the sender would matter, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ambiguities {
    /// Flows that say that they were observed at ingress.
    pub ingress: u64,
    /// Flows that say that they were observed at egress.
    pub egress: u64,
    /// Flows with octets in 1 and in 23, of which one is more than twice the other.
    pub out_counters_differ: u64,
    /// Flows whose destination was translated.
    pub translated: u64,
    /// Flows of packets in tunnels.
    pub tunnelled: u64,
    /// Those of which the packet inside is unknown, or what that contains, although it should count.
    pub inner_unknown: u64,
}

impl Ambiguities {
    /// Adds those of other flows.
    pub fn merge(&mut self, other: &Self) {
        self.ingress += other.ingress;
        self.egress += other.egress;
        self.out_counters_differ += other.out_counters_differ;
        self.translated += other.translated;
        self.tunnelled += other.tunnelled;
        self.inner_unknown += other.inner_unknown;
    }

    /// Notes the packets of a datagram that were in tunnels.
    pub(crate) fn note(&mut self, datagram: &Decoded) {
        self.tunnelled += u64::from(datagram.tunnelled);
        self.inner_unknown += u64::from(datagram.inner_unknown);
    }

    /// Notes a flow, and fills it as the options say.
    #[inline(always)]
    pub(crate) fn decide(
        &mut self,
        template: &Template,
        reading: &Reading<'_, '_>,
        read: &ReadOptions,
        flow: &mut FlowRecord,
    ) {
        let plan = template.plan();
        if plan.is_ambiguous() {
            self.decide_ambiguous(template, reading, read, flow);
        }
        if read.interfaces {
            (flow.input_interface, flow.output_interface) = plan.interfaces(reading);
        }
        if read.default_routes {
            (flow.is_source_by_default, flow.is_destination_by_default) = plan.by_default(reading, flow);
        }
    }

    fn decide_ambiguous(
        &mut self,
        template: &Template,
        reading: &Reading<'_, '_>,
        read: &ReadOptions,
        flow: &mut FlowRecord,
    ) {
        let plan = template.plan();
        if plan.fills(Slot::FlowDirection) {
            self.observe(reading, flow);
        }
        if plan.fills(Slot::PostBytes) {
            self.out_counters(reading, read.out_counters, flow);
        }
        if plan.fills(Slot::InsideDestinationIpv4) || plan.fills(Slot::InsideDestinationIpv6) {
            self.translate(plan, reading, read.nat_addresses, flow);
        }
        if plan.has_inner_ends() {
            self.enter_tunnel(template, reading, read.tunnels, flow);
        }
    }

    /// Templates with the ends of packets in tunnels are for these alone, so their records are not looked at unless they are
    /// to count by the packet inside.
    fn enter_tunnel(
        &mut self,
        template: &Template,
        reading: &Reading<'_, '_>,
        counted: Tunnels,
        flow: &mut FlowRecord,
    ) {
        match counted {
            Tunnels::Outer => self.tunnelled += 1,
            Tunnels::Inner => {
                if let Some(inner) = inner_ends::of(template, reading.record()) {
                    self.tunnelled += 1;
                    inner.replace_outer(flow);
                }
            }
        }
    }

    /// flowDirection: 0 is ingress, 1 is egress (RFC 5102, section 5.11.4).
    fn observe(&mut self, reading: &Reading<'_, '_>, flow: &mut FlowRecord) {
        let (observed, count) = match reading.number(Slot::FlowDirection) {
            0 => (ObservedAt::Ingress, &mut self.ingress),
            1 => (ObservedAt::Egress, &mut self.egress),
            _ => return,
        };
        flow.observed = Some(observed);
        *count += 1;
    }

    fn out_counters(&mut self, reading: &Reading<'_, '_>, means: OutCounters, flow: &mut FlowRecord) {
        let (bytes, packets) = (reading.number(Slot::PostBytes), reading.number(Slot::PostPackets));
        let out = Counters { bytes, packets, flows: u64::from(bytes != 0 || packets != 0) };
        // Records with empty counters before the middlebox are booked from these already.
        if out.is_zero() || flow.forward.bytes != reading.number(Slot::ForwardBytes) {
            return;
        }
        let (one, other) = (flow.forward.bytes, out.bytes);
        if one > 0 && other > 0 && (one / 2 > other || other / 2 > one) {
            self.out_counters_differ += 1;
        }
        if means == OutCounters::Reverse && flow.reverse.is_zero() {
            flow.reverse = out;
        }
    }

    /// Both directions of a translated connection have their inside address at the end where the translation has not
    /// replaced it yet, or has put it back: the source as reported, the destination after translation.
    fn translate(&mut self, plan: &Plan, reading: &Reading<'_, '_>, wanted: NatAddresses, flow: &mut FlowRecord) {
        let inside = plan.inside_destination(reading);
        if inside.is_unspecified() || inside == flow.destination {
            return;
        }
        self.translated += 1;
        if wanted == NatAddresses::Inside {
            flow.destination = inside;
            let port = reading.number(Slot::InsideDestinationPort);
            if port != 0 {
                flow.destination_port = port as u16;
            }
        }
    }
}
