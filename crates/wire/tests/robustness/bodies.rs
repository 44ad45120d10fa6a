//! What must hold whatever octets come: one body for each decoder. The same bodies run in CI over changed captures
//! (`main.rs` beside this file) and as targets of cargo-fuzz (`fuzz/`), so that what the fuzzer finds fails a test too.
//!
//! The input of a body that decodes datagrams is a sequence of them ([`sequence`]), because earlier announcements
//! decide what a datagram means. A body fails by panicking. None reads a clock: effort is the number of records and
//! fields per octet.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use flow::sender_settings::Tunnels;
use flow::{Exporter, Timestamp};
use wire::sampled_packet::{Headers, LinkType, SampledPacket};
use wire::structured_data::{MAXIMUM_DEPTH, RecordLayout, Templates, visit_field};
use wire::{
    Datagram, Decoded, ElementId, Field, FieldSpecifier, PendingBudget, PendingLimits, ReadOptions, Record, RecordKind,
    Row, Session, SessionLimits, Template, TemplateLimits, Value, json,
};

/// The assertions about a decoder.
#[derive(Clone, Copy)]
pub struct Body {
    /// The name of its fuzz target.
    pub name: &'static str,
    /// Panics if an assertion fails.
    pub run: fn(&[u8]),
    /// The versions of its input, as in the first four octets of a datagram; empty if the input is not a sequence of
    /// datagrams.
    pub versions: &'static [[u8; 4]],
}

/// One row for each decoder. The version of NetFlow is in the first two octets, that of sFlow in the first four.
pub const BODIES: &[Body] = &[
    Body { name: "netflow_fixed", run: netflow_fixed, versions: FIXED },
    Body { name: "netflow_v9", run: netflow_v9, versions: V9 },
    Body { name: "ipfix", run: ipfix, versions: IPFIX },
    Body { name: "sflow", run: sflow, versions: SFLOW },
    Body { name: "sampled_packet", run: sampled_packet, versions: &[] },
    Body { name: "structured_data", run: structured_data, versions: &[] },
    Body { name: "json", run: as_json, versions: ALL },
];

const FIXED: &[[u8; 4]] = &[[0, 1, 0, 0], [0, 5, 0, 0], [0, 6, 0, 0], [0, 7, 0, 0], [0, 8, 0, 0]];
const V9: &[[u8; 4]] = &[[0, 9, 0, 0]];
const IPFIX: &[[u8; 4]] = &[[0, 10, 0, 0]];
const SFLOW: &[[u8; 4]] = &[[0, 0, 0, 2], [0, 0, 0, 4], [0, 0, 0, 5]];
const ALL: &[[u8; 4]] =
    &[FIXED[0], FIXED[1], FIXED[2], FIXED[3], FIXED[4], V9[0], IPFIX[0], SFLOW[0], SFLOW[1], SFLOW[2]];

/// The version octets of a datagram; the others are its count or length.
fn version_octets(version: [u8; 4]) -> usize {
    if version[1] == 0 { 4 } else { 2 }
}

/// Whether a datagram is of one of these versions.
pub fn is_of(payload: &[u8], versions: &[[u8; 4]]) -> bool {
    versions.iter().any(|version| payload.starts_with(&version[..version_octets(*version)]))
}

/// NetFlow v1, v5, v6, v7, v8.
pub fn netflow_fixed(input: &[u8]) {
    Exchange::new(FIXED).run(input);
}

/// NetFlow v9.
pub fn netflow_v9(input: &[u8]) {
    Exchange::new(V9).run(input);
}

/// IPFIX.
pub fn ipfix(input: &[u8]) {
    Exchange::new(IPFIX).run(input);
}

/// sFlow v2, v4, v5.
pub fn sflow(input: &[u8]) {
    Exchange::new(SFLOW).run(input);
}

/// Any protocol, by content.
pub fn any(input: &[u8]) {
    Exchange::new(&[]).run(input);
}

/// Every record of every protocol as JSON.
pub fn as_json(input: &[u8]) {
    let mut exchange = Exchange::new(&[]);
    exchange.json = Some(String::new());
    exchange.run(input);
}

/// One datagram of a sequence, and how it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// Bits 0 and 1: the source port, one of four. Bits 2 and 3: the time since the previous datagram. Bit 4: whether the
    /// innermost packets of tunnels are read.
    pub circumstances: u8,
    pub payload: &'a [u8],
}

/// The time since the previous datagram: none, short, or long enough for pending sets and templates to expire.
const DELAYS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(20), Duration::from_secs(120), Duration::from_secs(7200)];

/// The datagrams of an input: each is two octets of length, one of circumstances, and its payload. A length beyond the
/// end takes the rest.
pub fn sequence(input: &[u8]) -> impl Iterator<Item = Step<'_>> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let [high, low, circumstances, following @ ..] = rest else { return None };
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(following.len());
        let (payload, after) = following.split_at(length);
        rest = after;
        Some(Step { circumstances: *circumstances, payload })
    })
}

/// The input that represents these datagrams.
pub fn input<'a>(steps: impl IntoIterator<Item = Step<'a>>) -> Vec<u8> {
    let mut input = Vec::new();
    for Step { circumstances, payload } in steps {
        input.extend(u16::try_from(payload.len()).expect("a datagram is no longer than 64 KiB").to_be_bytes());
        input.push(circumstances);
        input.extend(payload);
    }
    input
}

/// Small enough to be reached by an input of a few kilobytes.
const LIMITS: SessionLimits = SessionLimits {
    templates: TemplateLimits { octets: 16 << 10, lifetime: None },
    pending: PendingLimits { octets: 16 << 10, age: Duration::from_secs(30 * 60) },
};

/// An exporter, and the sums that must balance.
struct Exchange {
    session: Session,
    budget: PendingBudget,
    now: Timestamp,
    /// The versions that every datagram is changed to; empty to leave it unchanged.
    versions: &'static [[u8; 4]],
    octets: usize,
    effort: Effort,
    held: u32,
    /// The output of records as JSON, if any.
    json: Option<String>,
}

/// Counts of visited items.
#[derive(Clone, Copy, Debug, Default)]
struct Effort {
    records: usize,
    /// Fields and list items, including nested lists.
    fields: usize,
    json_octets: usize,
}

impl Exchange {
    fn new(versions: &'static [[u8; 4]]) -> Self {
        let budget = PendingBudget::new(LIMITS.pending.octets);
        Self {
            session: Session::with_budget(LIMITS, budget.clone()),
            budget,
            now: Timestamp::from_seconds(1_700_000_000),
            versions,
            octets: 0,
            effort: Effort::default(),
            held: 0,
            json: None,
        }
    }

    fn run(mut self, input: &[u8]) {
        for step in sequence(input) {
            let mut payload = step.payload.to_vec();
            make_version(&mut payload, self.versions);
            self.now = self.now.saturating_add(DELAYS[usize::from(step.circumstances >> 2 & 3)]);
            let tunnels = if step.circumstances & 16 == 0 { Tunnels::Outer } else { Tunnels::Inner };
            self.session.read(ReadOptions { tunnels, ..ReadOptions::default() });
            self.send(2000 + u16::from(step.circumstances & 3), &payload);
        }
        assert!(self.session.streams().count() <= 4096);
        drop(self.session);
        assert_eq!(self.budget.free(), LIMITS.pending.octets, "waiting sets gave all their room back");
    }

    fn send(&mut self, port: u16, payload: &[u8]) {
        let exporter = Exporter::udp(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let datagram = Datagram { exporter, received: self.now, payload };
        let before = self.effort.records;
        let (effort, json) = (&mut self.effort, &mut self.json);
        let decoded = self.session.decode(&datagram, &mut |record| visit(record, effort, json.as_mut()));
        self.octets += payload.len();
        self.check(&decoded, payload, before);
    }

    fn check(&mut self, decoded: &Decoded, payload: &[u8], records_before: usize) {
        let visited = self.effort.records - records_before;
        assert_eq!(visited, decoded.data as usize + decoded.options as usize, "records visited and reported");
        assert!(decoded.pending_data <= decoded.data && decoded.pending_options <= decoded.options);
        assert!(decoded.inner_unknown <= decoded.tunnelled && decoded.tunnelled <= decoded.data);
        assert!(decoded.pending <= decoded.missing_template_sets);
        assert!(decoded.missing_template_bytes as usize + decoded.trailing_bytes as usize <= payload.len());
        self.held += decoded.pending;
        self.held -= decoded.pending_decoded + decoded.pending_expired;
        assert_eq!(self.session.pending(), self.held as usize, "pending sets arrived and were not decoded");

        assert_eq!(decoded.errors > 0, decoded.first_error.is_some());
        assert_eq!(decoded.listed_errors().count(), decoded.errors.min(8) as usize);
        assert!(decoded.listed_errors().all(|error| error.offset <= usize::from(u16::MAX)));

        // Over all datagrams, because pending sets are decoded with a later one.
        assert!(self.effort.records <= self.octets, "{:?} of {} octets", self.effort, self.octets);
        assert!(self.effort.fields <= 8 * self.octets, "{:?} of {} octets", self.effort, self.octets);
        let json_limit = 2048 * self.effort.records + 256 * self.octets;
        assert!(self.effort.json_octets <= json_limit, "{:?} of {} octets", self.effort, self.octets);

        let fields: usize = self.session.templates().map(|known| known.template.fields().len()).sum();
        let octets = self.session.template_count() * size_of::<Template>() + fields * size_of::<FieldSpecifier>();
        assert!(octets <= LIMITS.templates.octets, "{octets}");
        assert!(self.session.samplers().len() <= 4096);
    }
}

/// Changes a datagram to one of these versions.
fn make_version(payload: &mut [u8], versions: &[[u8; 4]]) {
    if versions.is_empty() || is_of(payload, versions) {
        return;
    }
    let chosen = payload.get(1).map_or(0, |octet| usize::from(*octet) % versions.len());
    let version = versions[chosen];
    let length = version_octets(version).min(payload.len());
    payload[..length].copy_from_slice(&version[..length]);
}

fn visit(record: &Record<'_>, effort: &mut Effort, json: Option<&mut String>) {
    effort.records += 1;
    if let Some(flow) = record.flow {
        assert!(matches!(record.kind, RecordKind::Data | RecordKind::NoIpHeader), "only data records are flows");
        assert!(flow.sampling.rate >= 1 && flow.forward.flows >= 1);
    }
    record.fields(&mut |field| effort.fields += count_fields(field, 1));
    let is_data = matches!(record.kind, RecordKind::Data | RecordKind::NoIpHeader);
    assert_eq!(record.row(&mut Row::new()), is_data, "every data record is a row");
    if let Some(line) = json {
        line.clear();
        json::write_json(record, line);
        assert!(!line.contains(char::is_control), "{line}");
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok_and(|parsed| parsed.is_object()), "{line}");
        effort.json_octets += line.len();
    }
}

/// A field with its content.
fn count_fields(field: &Field<'_>, depth: u8) -> usize {
    let mut fields = 1;
    match field.value {
        Value::Text(octets) | Value::Octets(octets) => assert!(octets.len() <= usize::from(u16::MAX)),
        Value::List(list) => {
            assert!(depth <= MAXIMUM_DEPTH, "lists nest without end");
            list.visit(&mut |item| {
                fields += 1;
                item.visit(&mut |field| fields += count_fields(field, depth + 1));
            });
        }
        _ => assert!(!field.name.to_string().is_empty()),
    }
    fields
}

const LINKS: [LinkType; 10] = [
    LinkType::Ethernet,
    LinkType::TokenBus,
    LinkType::TokenRing,
    LinkType::Fddi,
    LinkType::FrameRelay,
    LinkType::Ppp,
    LinkType::Llc,
    LinkType::Wireless,
    LinkType::Mpls,
    LinkType::Ip,
];

/// The header of a packet, after an octet for the link type.
pub fn sampled_packet(input: &[u8]) {
    let [link, octets @ ..] = input else { return };
    let link = LINKS[usize::from(*link) % LINKS.len()];
    let packet = SampledPacket::parse(link, octets);
    let outer = Headers::parse(link, octets);
    assert_eq!(packet.outer, outer, "accounting reads the headers that are shown");
    // Each header found consumed its own octets.
    let least = |headers: &Headers| {
        let ip = headers.ip.map_or(0, |ip| if ip.source.is_ipv4() { 9 } else { 8 });
        let ports = if headers.ports.is_some() { 4 } else { 0 };
        ip + ports + headers.link.map_or(0, |_| 12)
    };
    assert!(least(&packet.outer) + packet.inner.as_ref().map_or(0, least) <= octets.len());
    assert!(packet.inner.is_none() || packet.outer.is_tunnel);
    assert!(packet.innermost.is_none() || packet.inner.is_some_and(|inner| inner.is_tunnel));
    for vlan in [outer.vlan, outer.inner_vlan].into_iter().flatten() {
        assert!(vlan < 1 << 12);
    }
    let mut names = Vec::new();
    wire::record::Fields::visit(&packet, &mut |field| names.push(field.name.to_string()));
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a header is shown once");
    let mut flow = flow::FlowRecord::empty(Timestamp::EPOCH);
    assert_eq!(outer.fill(&mut flow), outer.ip.is_some());
}

/// Templates that lists refer to.
struct KnownTemplates(Vec<Layout>);

/// Elements with their lengths.
struct Layout(Vec<(ElementId, u16)>);

impl Templates for KnownTemplates {
    fn find(&self, template: u16) -> Option<&dyn RecordLayout> {
        let layout = self.0.get(usize::from(template.checked_sub(wire::FIRST_TEMPLATE_ID)?))?;
        Some(layout as &dyn RecordLayout)
    }
}

impl RecordLayout for Layout {
    fn field(&self, index: usize) -> Option<(ElementId, u16)> {
        self.0.get(index).copied()
    }
}

/// A list: an octet with the number of templates, each with an octet for the number of fields, and two octets a field;
/// then an octet that chooses the kind of list, and the list.
pub fn structured_data(input: &[u8]) {
    const LISTS: [u16; 3] = [291, 292, 293];
    /// The lists, and one element of each data type.
    const ELEMENTS: [u16; 8] = [291, 292, 293, 1, 8, 27, 82, 56];
    const LENGTHS: [u16; 8] = [wire::VARIABLE_LENGTH, 0, 1, 2, 4, 6, 16, 300];
    let mut rest = input.iter();
    let mut next = || rest.next().copied().unwrap_or_default();
    let mut templates = Vec::new();
    for _ in 0..next() % 5 {
        let mut fields = Vec::new();
        for _ in 0..next() % 5 {
            let id = ELEMENTS[usize::from(next()) % ELEMENTS.len()];
            fields.push((ElementId { enterprise: 0, id }, LENGTHS[usize::from(next()) % LENGTHS.len()]));
        }
        templates.push(Layout(fields));
    }
    let id = LISTS[usize::from(next()) % LISTS.len()];
    let list = rest.as_slice();
    let mut fields = 0;
    visit_field(ElementId { enterprise: 0, id }, false, list, &KnownTemplates(templates), &mut |field| {
        fields += count_fields(field, 1);
    });
    assert!(fields <= 1 + 8 * list.len(), "{fields} fields of {} octets", list.len());
}
