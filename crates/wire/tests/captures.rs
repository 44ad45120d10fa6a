//! The decoder against captures of other people's exporters. Each capture has a file of expected numbers that up to
//! six independent decoders agreed on; records, sums, templates, sequence breaks and every flow are compared.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use flow::sender_settings::Tunnels;
use flow::{FlowRecord, Timestamp};
use serde_json::{Value as Json, json};
use wire::{Datagram, Decoded, ElementId, FieldName, ReadOptions, Record, RecordKind, Session, SessionLimits, Value};

/// Captures whose every export datagram is NetFlow or IPFIX, with what is expected of them.
fn cases(corpus: &Path) -> Vec<(String, PathBuf, Json)> {
    let index: Json = serde_json::from_slice(&std::fs::read(corpus.join("index.json")).unwrap()).unwrap();
    let entries = index.as_array().or_else(|| index["cases"].as_array()).expect("index.json lists the cases");
    let names = entries.iter().map(|entry| entry["case"].as_str().expect("a case has a name").to_owned());
    let mut cases = Vec::new();
    for name in names {
        let expected = std::fs::read(corpus.join(format!("{name}.expected.json"))).unwrap();
        let expected: Json = serde_json::from_slice(&expected).unwrap();
        let versions = expected["datagrams"]["by_version"].as_object().unwrap();
        if !versions.keys().any(|version| version.starts_with("sflow")) {
            let path = corpus.join(&name).with_file_name(expected["capture"].as_str().unwrap());
            cases.push((name, path, expected));
        }
    }
    cases
}

/// The information element of each key of an expected flow.
const ELEMENTS: &[(&str, u32, u16)] = &[
    ("octets", 0, 1),
    ("packets", 0, 2),
    ("flows", 0, 3),
    ("tos", 0, 5),
    ("tcp_flags", 0, 6),
    ("src_mask", 0, 9),
    ("in_if", 0, 10),
    ("dst_mask", 0, 13),
    ("out_if", 0, 14),
    ("nexthop", 0, 15),
    ("last", 0, 21),
    ("first", 0, 22),
    ("out_octets", 0, 23),
    ("out_packets", 0, 24),
    ("sampling_interval", 0, 34),
    ("sampler_id", 0, 48),
    ("direction", 0, 61),
    ("octets_total", 0, 85),
    ("packets_total", 0, 86),
    ("nat_src", 0, 225),
    ("nat_dst", 0, 226),
    ("initiator_octets", 0, 231),
    ("responder_octets", 0, 232),
    ("initiator_packets", 0, 298),
    ("responder_packets", 0, 299),
    ("layer2_octets", 0, 352),
    ("rev_octets", 29305, 1),
    ("rev_packets", 29305, 2),
    ("rev_octets_total", 29305, 85),
    ("rev_packets_total", 29305, 86),
];

/// Keys whose value is the last of repeated elements, or all of them.
const LAST: &[(&str, u16)] = &[("sport_last", 7), ("dport_last", 11), ("proto_last", 4)];

/// The fields of a record by element, in the order of the wire.
#[derive(Default)]
struct Fields {
    elements: BTreeMap<(u32, u16), Vec<Json>>,
    named: BTreeMap<String, Json>,
}

impl Fields {
    fn of(record: &Record<'_>) -> Self {
        let mut fields = Self::default();
        record.fields(&mut |field| {
            let value = plain(&field.value);
            match field.name {
                FieldName::Element(ElementId { enterprise, id }, _)
                | FieldName::Described(ElementId { enterprise, id }, _)
                | FieldName::Unknown(ElementId { enterprise, id }) => {
                    fields.elements.entry((enterprise, id)).or_default().push(value);
                }
                FieldName::Named(name) => {
                    fields.named.insert(name.to_owned(), value);
                }
            }
        });
        fields
    }

    fn first(&self, enterprise: u32, id: u16) -> Option<&Json> {
        self.elements.get(&(enterprise, id)).and_then(|values| values.first())
    }

    fn all(&self, ids: &[u16]) -> Json {
        ids.iter().flat_map(|&id| self.elements.get(&(0, id)).into_iter().flatten()).cloned().collect()
    }

    /// The value in the record for a key of the expectations.
    fn expected(&self, key: &str, record: &Record<'_>) -> Option<Json> {
        if let Some(&(_, enterprise, id)) = ELEMENTS.iter().find(|&&(name, ..)| name == key) {
            return self.first(enterprise, id).cloned();
        }
        if let Some(&(_, id)) = LAST.iter().find(|&&(name, _)| name == key) {
            return self.elements.get(&(0, id)).and_then(|values| values.last()).cloned();
        }
        let first = |ids: &[u16]| ids.iter().find_map(|&id| self.first(0, id)).cloned();
        match key {
            "src" => address(first(&[8, 44]), first(&[27, 170])),
            "dst" => address(first(&[12, 45]), first(&[28, 169])),
            "src_all" => Some(self.all(&[8, 27])),
            "dst_all" => Some(self.all(&[12, 28])),
            "sport" => first(&[7, 180, 182]),
            "dport" => first(&[11, 181, 183]),
            "proto" => first(&[4]),
            "src_as" => first(&[16]),
            "dst_as" => first(&[17]),
            "tid" => record.format.map(|id| json!(id)),
            "router_sc" => self.named.get("router_sc").cloned(),
            _ => panic!("no element is known for the key {key}"),
        }
    }
}

/// IPv4 if present and not 0, else IPv6.
fn address(ipv4: Option<Json>, ipv6: Option<Json>) -> Option<Json> {
    match (ipv4, ipv6) {
        (Some(ipv4), Some(ipv6)) => Some(if ipv4 == json!("0.0.0.0") { ipv6 } else { ipv4 }),
        (ipv4, ipv6) => ipv4.or(ipv6),
    }
}

fn plain(value: &Value<'_>) -> Json {
    match value {
        Value::Unsigned(number) => json!(number),
        Value::Ipv4(address) => json!(address.to_string()),
        Value::Ipv6(address) => json!(address.to_string()),
        other => json!(format!("{other:?}")),
    }
}

/// What a capture came to, in the form of the expectations.
#[derive(Default)]
struct Outcome {
    mismatches: Vec<String>,
    data: u64,
    options: u64,
    with_bytes_and_packets: u64,
    octets: u64,
    packets: u64,
    late_octets: u64,
    late_packets: u64,
    decoded: Totals,
}

#[derive(Default)]
struct Totals {
    templates: u64,
    options_templates: u64,
    missing_sets: u64,
    missing_bytes: u64,
    late_data: u64,
    late_options: u64,
    malformed: u64,
}

impl Totals {
    fn add(&mut self, decoded: &Decoded) {
        self.templates += u64::from(decoded.templates);
        self.options_templates += u64::from(decoded.options_templates);
        self.missing_sets += u64::from(decoded.missing_template_sets);
        self.missing_bytes += u64::from(decoded.missing_template_bytes);
        self.late_data += u64::from(decoded.pending_data);
        self.late_options += u64::from(decoded.pending_options);
        self.malformed += u64::from(decoded.errors);
    }
}

impl Outcome {
    fn expect(&mut self, what: &str, got: &Json, expected: &Json) {
        if got != expected {
            self.mismatches.push(format!("{what}: got {got}, expected {expected}"));
        }
    }

    fn visit(&mut self, record: &Record<'_>, now: Timestamp, flows: &[Json], cut: bool) {
        // Records of pending sets are not in the list of flows of the other decoders.
        let late = record.message.received != now;
        if !matches!(record.kind, RecordKind::Data | RecordKind::NoIpHeader) {
            self.options += u64::from(!late);
            return;
        }
        let fields = Fields::of(record);
        let number = |id| fields.first(0, id).and_then(Json::as_u64);
        let (octets, packets) = (number(1), number(2));
        if late {
            self.late_octets += octets.unwrap_or(0);
            self.late_packets += packets.unwrap_or(0);
            return;
        }
        self.octets += octets.unwrap_or(0);
        self.packets += packets.unwrap_or(0);
        self.with_bytes_and_packets += u64::from(octets.is_some() && packets.is_some());
        let index = usize::try_from(self.data).unwrap();
        self.data += 1;
        match flows.get(index) {
            Some(expected) => self.compare(index, record, &fields, expected),
            None if cut => {}
            None => self.mismatches.push(format!("flow {index} is not expected")),
        }
    }

    fn compare(&mut self, index: usize, record: &Record<'_>, fields: &Fields, expected: &Json) {
        for (key, value) in expected.as_object().unwrap() {
            if key == "section" {
                // The head of a sampled packet, which is what is booked.
                let flow = record.flow.unwrap();
                self.expect("section src", &json!(flow.source.to_string()), &value["src"]);
                self.expect("section dst", &json!(flow.destination.to_string()), &value["dst"]);
                self.expect("section proto", &json!(flow.protocol), &value["proto"]);
                self.expect("section octets", &json!(flow.forward.bytes), &value["ip_len"]);
                continue;
            }
            let got = fields.expected(key, record).unwrap_or(Json::Null);
            self.expect(&format!("flow {index} {key}"), &got, value);
        }
        let Some(flow) = record.flow else { return };
        let booked = [
            ("src", json!(flow.source.to_string())),
            ("dst", json!(flow.destination.to_string())),
            ("sport", json!(flow.source_port)),
            ("dport", json!(flow.destination_port)),
            ("proto", json!(flow.protocol)),
            ("src_as", json!(flow.source_as)),
            ("dst_as", json!(flow.destination_as)),
            ("rev_octets", json!(flow.reverse.bytes)),
            ("rev_packets", json!(flow.reverse.packets)),
            ("rev_octets_total", json!(flow.reverse.bytes)),
            ("rev_packets_total", json!(flow.reverse.packets)),
        ];
        for (key, got) in booked {
            if let Some(value) = expected.get(key) {
                self.expect(&format!("flow {index} booked {key}"), &got, value);
            }
        }
        let first = |keys: &[&str]| keys.iter().find_map(|key| expected.get(*key)?.as_u64());
        let nothing = first(&["octets", "packets"]).unwrap_or(0) == 0 && expected.get("out_octets").is_some();
        let octets =
            if nothing { first(&["out_octets"]) } else { first(&["octets", "initiator_octets", "octets_total"]) };
        if let Some(octets) = octets {
            self.expect(&format!("flow {index} booked octets"), &json!(flow.forward.bytes), &json!(octets));
        }
    }
}

fn run(path: &Path, expected: &Json) -> Outcome {
    let mut outcome = Outcome::default();
    let mut sessions: BTreeMap<std::net::IpAddr, Session> = BTreeMap::new();
    let flows = expected["flows"].as_array().cloned().unwrap_or_default();
    let cut = expected.get("flows_cut").is_some();
    let mut capture = capture::Capture::open(path).unwrap();
    let mut datagrams = 0_u64;
    while let Some(udp) = capture.next().unwrap() {
        datagrams += 1;
        let exporter = flow::Exporter::udp(udp.source.ip(), udp.source.port());
        let session = sessions.entry(exporter.address).or_insert_with(|| Session::new(SessionLimits::default()));
        // Each datagram has its own time, by which records of pending sets are recognised.
        let received = Timestamp::from_seconds(datagrams);
        let datagram = Datagram { exporter, received, payload: udp.payload };
        let decoded = session.decode(&datagram, &mut |record| outcome.visit(record, received, &flows, cut));
        outcome.decoded.add(&decoded);
    }
    outcome.expect("datagrams", &json!(datagrams), &expected["datagrams"]["total"]);
    summarise(&mut outcome, expected);
    streams(&mut outcome, &sessions, expected);
    outcome
}

fn summarise(outcome: &mut Outcome, expected: &Json) {
    let totals = std::mem::take(&mut outcome.decoded);
    let got = [
        ("records data", outcome.data, &expected["records"]["data"]),
        ("records options", outcome.options, &expected["records"]["options"]),
        ("with both", outcome.with_bytes_and_packets, &expected["records"]["data_with_bytes_and_packets"]),
        ("octets", outcome.octets, &expected["sum"]["octets"]),
        ("packets", outcome.packets, &expected["sum"]["packets"]),
        ("templates", totals.templates, &expected["templates"]["data_announced"]),
        ("options templates", totals.options_templates, &expected["templates"]["options_announced"]),
        ("missing sets", totals.missing_sets, &expected["missing_template"]["sets"]),
        ("missing bytes", totals.missing_bytes, &expected["missing_template"]["bytes"]),
    ];
    for (what, got, expected) in got {
        outcome.expect(what, &json!(got), expected);
    }
    let malformed = expected["malformed"].as_array().map_or(0, Vec::len);
    outcome.expect("malformed", &json!(totals.malformed), &json!(malformed));
    if let Some(kept) = expected.get("if_kept_until_template_comes") {
        let data = outcome.data + totals.late_data;
        let options = outcome.options + totals.late_options;
        let (octets, packets) = (outcome.octets + outcome.late_octets, outcome.packets + outcome.late_packets);
        outcome.expect("kept records", &json!({"data": data, "options": options}), &kept["records"]);
        outcome.expect("kept sums", &json!({"octets": octets, "packets": packets}), &kept["sum"]);
    }
}

fn streams(outcome: &mut Outcome, sessions: &BTreeMap<std::net::IpAddr, Session>, expected: &Json) {
    let mut got = BTreeMap::new();
    for (address, session) in sessions {
        for (key, stream) in session.streams() {
            use flow::Protocol::{Ipfix, NetflowV5, NetflowV6, NetflowV7, NetflowV9};
            let domain = key.domain;
            let engine = format!("{}/{}", domain >> 8, domain & 0xff);
            let name = match key.protocol {
                NetflowV5 => format!("{address} v5 engine {engine}"),
                NetflowV6 => format!("{address} v6 engine {engine}"),
                NetflowV7 => format!("{address} v7"),
                NetflowV9 => format!("{address} v9 source {domain}"),
                Ipfix => format!("{address} ipfix domain {domain}"),
                _ => continue,
            };
            let facts = json!({
                "datagrams": stream.datagrams, "first": stream.first, "last": stream.last, "breaks": stream.breaks,
            });
            let streams: &mut Vec<Json> = got.entry(name).or_default();
            streams.push(facts);
        }
    }
    for (name, expected) in expected["sequence"].as_object().unwrap() {
        let mut expected = expected.clone();
        expected.as_object_mut().unwrap().remove("list");
        let facts = match got.remove(name).unwrap_or_default().as_slice() {
            [facts] => facts.clone(),
            // What is expected does not distinguish ports.
            of_ports => {
                expected = json!({"datagrams": expected["datagrams"]});
                let datagrams = of_ports.iter().filter_map(|facts| facts["datagrams"].as_u64());
                json!({"datagrams": datagrams.sum::<u64>()})
            }
        };
        outcome.expect(&format!("sequence of {name}"), &facts, &expected);
    }
    for name in got.keys() {
        outcome.mismatches.push(format!("sequence of {name} is not expected"));
    }
}

#[test]
fn every_netflow_and_ipfix_capture_decodes_to_the_expected_numbers_and_flows() {
    let Some(corpus) = testing::captures() else { return };
    let cases = cases(&corpus);
    assert!(cases.len() > 100, "the corpus has {} cases only", cases.len());
    let mut table = String::new();
    let mut wrong = 0;
    for (name, path, expected) in &cases {
        let outcome = run(path, expected);
        wrong += usize::from(!outcome.mismatches.is_empty());
        for mismatch in outcome.mismatches.iter().take(6) {
            writeln!(table, "{name}: {mismatch}").unwrap();
        }
    }
    assert!(wrong == 0, "{wrong} of {} captures differ:\n{table}", cases.len());
}

/// The flows of a capture, with these headers of packets in tunnels.
fn flows(path: &Path, tunnels: Tunnels) -> Vec<FlowRecord> {
    let (mut flows, mut session) = (Vec::new(), Session::new(SessionLimits::default()));
    session.read(ReadOptions { tunnels, ..ReadOptions::default() });
    let mut capture = capture::Capture::open(path).unwrap();
    while let Some(udp) = capture.next().unwrap() {
        let exporter = flow::Exporter::udp(udp.source.ip(), udp.source.port());
        let datagram = Datagram { exporter, received: udp.received, payload: udp.payload };
        session.decode(&datagram, &mut |record| flows.extend(record.flow));
    }
    flows
}

/// Frame sections of a Juniper, and records in which Ciscos repeat elements, all of SRv6. No other capture has tunnels.
#[test]
fn captured_packets_in_tunnels_are_read_by_the_packet_inside() {
    const MULTIPLE: &str = "pmacct/400-IPFIXv10-BMP-CISCO-SRv6-multiple-sources-00";
    let Some(corpus) = testing::captures() else { return };
    let mut different = BTreeMap::new();
    for (name, path, _) in cases(&corpus) {
        let [outer, inner] = [Tunnels::Outer, Tunnels::Inner].map(|tunnels| flows(&path, tunnels));
        assert_eq!(outer.len(), inner.len(), "{name}");
        for (outer, inner) in outer.iter().zip(&inner).filter(|(outer, inner)| outer != inner) {
            let FlowRecord { source, destination, protocol, forward, .. } = inner;
            let shown = format!("{source} > {destination} {protocol} {}, was {}", forward.bytes, outer.protocol);
            different.entry(name.clone()).or_insert_with(Vec::new).push(shown);
        }
    }
    for (name, flows, expected) in [
        ("akvorado/ipfix-srv6", 1, "8.8.8.8 > 213.36.140.100 1 64, was 4"),
        ("pmacct/500-IPFIXv10-BGP-CISCO-SRv6", 4, "192.0.41.1 > 192.0.42.1 1 7316, was 4"),
        (MULTIPLE, 38, "192.0.2.13 > 192.0.2.12 17 134624, was 4"),
        (MULTIPLE, 38, "2001:db8::13 > 2001:db8::12 17 146644, was 41"),
    ] {
        let found = different.get(name).map_or(&[][..], Vec::as_slice);
        assert_eq!((found.len(), found.iter().any(|flow| flow == expected)), (flows, true), "{name}: {found:?}");
    }
    assert_eq!(different.len(), 3, "{:?}", different.keys());
}
