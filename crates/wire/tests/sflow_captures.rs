//! Compares every sFlow capture with its expectation: samples and records by kind, lengths plain and scaled, the fields
//! of each flow, sequence numbers, and malformed datagrams.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use capture::Capture;
use flow::sender_settings::Tunnels;
use flow::{Exporter, FlowRecord, Protocol, SamplingSource};
use serde_json::{Map, Value as Json, json};
use wire::sflow;
use wire::{Datagram, Decoded, FieldName, Numbered, Record, RecordKind, SequenceNumber, Value};

#[test]
fn every_sflow_capture_meets_its_expectation() {
    let Some(corpus) = testing::captures() else { return };
    let mut compared = 0;
    for (path, expected) in expectations(&corpus) {
        let decoded = Summary::of(&path.with_file_name(expected["capture"].as_str().unwrap()));
        let case = expected["case"].as_str().unwrap();
        let sflow = &expected["sflow"];
        assert_eq!(json!(decoded.samples), without(&sflow["samples"], "samples_announced"), "{case}: samples");
        assert_eq!(json!(decoded.records), sflow["records"], "{case}: records");
        assert_eq!(json!(decoded.flow_samples), sflow["flow_samples"], "{case}: flow samples");
        assert_eq!(json!(decoded.with_address), sflow["flow_samples_with_ip"], "{case}: flow samples with addresses");
        assert_eq!(json!(decoded.frame_length), sflow["sum_frame_length"], "{case}: frame length");
        assert_eq!(json!(decoded.rate), sflow["sum_rate"], "{case}: rate");
        assert_eq!(json!(decoded.scaled), sflow["sum_frame_length_x_rate"], "{case}: frame length x rate");
        assert_eq!(json!(decoded.flows), expected["flows"], "{case}: flows");
        assert_eq!(decoded.damaged, expected["malformed"].as_array().unwrap().len(), "{case}: malformed datagrams");
        let numbers = expected["sequence"].as_object().unwrap().iter().filter(|(stream, _)| stream.contains("sflow"));
        let numbers: Map<_, _> = numbers.map(|(stream, numbers)| (stream.clone(), without(numbers, "list"))).collect();
        assert_eq!(json!(decoded.numbers), Json::Object(numbers), "{case}: sequence numbers");
        compared += 1;
    }
    assert!(compared >= 28, "only {compared} of 28 sFlow captures exist");
}

/// Fields of Akvorado's flows and of ours, for those with the same values.
const AKVORADO: [(&str, &str); 16] = [
    ("SamplingRate", "flow_sample.sampling_rate"),
    ("ExporterAddress", "agent_address"),
    ("SrcAddr", "packet.source_address"),
    ("DstAddr", "packet.destination_address"),
    ("SrcPort", "packet.source_port"),
    ("DstPort", "packet.destination_port"),
    ("Bytes", "packet.total_length"),
    ("IPTTL", "packet.hop_limit"),
    ("IPTos", "packet.traffic_class"),
    ("IPFragmentID", "packet.identification"),
    ("IPv6FlowLabel", "packet.flow_label"),
    ("TCPFlags", "packet.tcp_flags"),
    ("NextHop", "extended_router.nexthop"),
    ("SrcNetMask", "extended_router.src_mask_len"),
    ("DstNetMask", "extended_router.dst_mask_len"),
    ("ICMPv4Type", "packet.icmp_type"),
];

#[test]
fn akvorado_decodes_the_same_from_its_captures() {
    let Some(corpus) = testing::captures() else { return };
    let mut compared = 0;
    for (path, expected) in expectations(&corpus) {
        let goldens = expected["golden"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        for golden in goldens.filter(|name| name.ends_with(".golden.akvorado.json")) {
            let golden: Json = serde_json::from_slice(&fs::read(path.with_file_name(golden)).unwrap()).unwrap();
            let flows = golden["tests"][0]["flows"].as_array().unwrap();
            let decoded = Summary::of(&path.with_file_name(expected["capture"].as_str().unwrap()));
            for ((flow, fields), reported) in decoded.data.iter().zip(flows) {
                compare_with_akvorado(flow, &fields.iter().cloned().collect(), reported);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 11);
}

fn compare_with_akvorado(flow: &FlowRecord, fields: &BTreeMap<String, Json>, reported: &Json) {
    for (theirs, ours) in AKVORADO {
        if let Some(value) = reported.get(theirs) {
            assert_eq!(fields.get(ours), Some(value), "{theirs} of {reported}");
        }
    }
    for (theirs, ours) in [("InIf", "flow_sample.input_value"), ("OutIf", "flow_sample.output_value")] {
        // Akvorado reports interfaces of the agent itself as 0.
        let interface = fields[ours].as_u64().filter(|&interface| interface != 0x3fff_ffff).unwrap_or_default();
        assert_eq!(
            reported.get(theirs).and_then(Json::as_u64).unwrap_or_default(),
            interface,
            "{theirs} of {reported}"
        );
    }
    let number = |name: &str| reported.get(name).and_then(Json::as_u64).unwrap_or_default();
    assert_eq!((flow.source_as.into(), flow.destination_as.into()), (number("SrcAS"), number("DstAS")), "{reported}");
    for (theirs, ours) in [("SrcMAC", "packet.source_mac"), ("DstMAC", "packet.destination_mac")] {
        let octets = number(theirs).to_be_bytes();
        assert!(
            number(theirs) == 0 || fields[ours] == json!(format!("{:02x?}", &octets[2..])),
            "{theirs} of {reported}"
        );
    }
    if let Some(path) = reported.get("DstASPath") {
        let path = path.as_str().unwrap().trim_start_matches("[]uint32{").trim_end_matches('}');
        assert_eq!(path.rsplit(", ").next().unwrap(), flow.destination_as.to_string());
    }
}

/// The expectations about sFlow, with their paths.
fn expectations(corpus: &Path) -> Vec<(PathBuf, Json)> {
    let sources = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = sources.flat_map(|source| fs::read_dir(source).unwrap()).map(|entry| entry.unwrap().path());
    let mut expectations: Vec<_> = files
        .filter(|path| path.to_string_lossy().ends_with(".expected.json"))
        .map(|path| (path.clone(), serde_json::from_slice::<Json>(&fs::read(&path).unwrap()).unwrap()))
        .filter(|(_, expected)| expected.get("sflow").is_some())
        .collect();
    expectations.sort_by(|left, right| left.0.cmp(&right.0));
    expectations
}

fn without(object: &Json, key: &str) -> Json {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(key);
    object
}

/// What a capture gives, in the terms of the expectations.
#[derive(Default)]
struct Summary {
    samples: BTreeMap<&'static str, u64>,
    records: BTreeMap<String, u64>,
    flow_samples: u64,
    with_address: u64,
    frame_length: u64,
    rate: u64,
    scaled: u64,
    flows: Vec<Json>,
    /// Flow records with all their fields.
    data: Vec<(FlowRecord, Vec<(String, Json)>)>,
    damaged: usize,
    numbers: BTreeMap<String, Json>,
    next: BTreeMap<String, u32>,
}

/// Sample formats, by what the expectations call them.
const SAMPLES: [&str; 6] =
    ["", "flow_sample", "counter_sample", "flow_sample_expanded", "counter_sample_expanded", "discarded_packet"];

/// The structures that occur in the corpus: flow data, then counter data.
const STRUCTURES: [&[(&str, &str)]; 2] = [
    &[
        ("sampled_header", "0/1"),
        ("sampled_ethernet", "0/2"),
        ("extended_switch", "0/1001"),
        ("extended_router", "0/1002"),
        ("extended_gateway", "0/1003"),
        ("extended_ipv4_tunnel_egress", "0/1023"),
        ("extended_ipv4_tunnel_ingress", "0/1024"),
        ("extended_egress_queue", "0/1036"),
    ],
    &[
        ("if_counters", "0/1"),
        ("ethernet_counters", "0/2"),
        ("processor", "0/1001"),
        ("of_port", "0/1004"),
        ("port_name", "0/1005"),
        ("host_descr", "0/2000"),
        ("host_adapters", "0/2001"),
        ("host_cpu", "0/2003"),
        ("host_memory", "0/2004"),
        ("host_disk_io", "0/2005"),
        ("host_net_io", "0/2006"),
        ("app_resources", "0/2203"),
        ("ovs_dp_stats", "0/2207"),
    ],
];

/// What the fields of a flow sample are called in the expectations, where the flow record does not carry them.
const FLOW_FIELDS: [(&str, &str); 22] = [
    ("flow_sample.sampling_rate", "rate"),
    ("flow_sample.input_format", "in_fmt"),
    ("flow_sample.input_value", "in_if"),
    ("flow_sample.output_format", "out_fmt"),
    ("flow_sample.output_value", "out_if"),
    ("sampled_header.protocol", "header_proto"),
    ("sampled_header.frame_length", "frame_length"),
    ("sampled_header.stripped", "stripped"),
    ("sampled_ethernet.length", "eth_len"),
    ("extended_switch.src_vlan", "src_vlan"),
    ("extended_switch.dst_vlan", "dst_vlan"),
    ("extended_router.nexthop", "nexthop"),
    ("extended_router.src_mask_len", "src_mask"),
    ("extended_router.dst_mask_len", "dst_mask"),
    ("extended_gateway.nexthop", "bgp_nexthop"),
    ("extended_gateway.as", "as"),
    ("extended_gateway.src_as", "src_as"),
    ("extended_gateway.src_peer_as", "src_peer_as"),
    ("packet.ether_type", "ethertype"),
    ("packet.total_length", "ip_len"),
    ("discarded_packet.reason", "reason"),
    ("discarded_packet.drops", "drops"),
];

impl Summary {
    fn of(capture: &Path) -> Self {
        let mut summary = Self::default();
        let mut capture = Capture::open(capture).unwrap();
        while let Some(packet) = capture.next().unwrap() {
            let exporter = Exporter::udp(packet.source.ip(), packet.source.port());
            let datagram = Datagram { exporter, received: packet.received, payload: packet.payload };
            if !datagram.protocol().is_some_and(Protocol::is_sflow) {
                continue;
            }
            let mut report = Decoded::default();
            let mut numbers = Vec::new();
            sflow::decode(
                &datagram,
                Tunnels::Outer,
                &mut |record| summary.record(record),
                &mut |number| numbers.push(*number),
                &mut report,
            );
            numbers.iter().for_each(|number| summary.number(exporter.address, number));
            summary.damaged += usize::from(report.errors > 0);
        }
        summary
    }

    fn record(&mut self, record: &Record<'_>) {
        let fields = fields(record);
        *self.samples.entry(SAMPLES[record.format.unwrap() as usize]).or_default() += 1;
        self.structures(record.kind, &fields);
        match record.kind {
            RecordKind::Data | RecordKind::NoIpHeader => self.flow(record.flow.unwrap(), &fields),
            RecordKind::Drop => self.flows.push(Json::Object(named(&fields, "discard"))),
            RecordKind::Counters | RecordKind::Options => assert!(record.flow.is_none()),
        }
    }

    fn structures(&mut self, kind: RecordKind, fields: &[(String, Json)]) {
        let (tables, counters) = (STRUCTURES, kind == RecordKind::Counters);
        let mut before = "";
        for (name, _) in fields {
            let structure = name.split('.').next().unwrap();
            let known = tables[usize::from(counters)].iter().find(|(known, _)| *known == structure);
            let number = match known {
                Some((_, number)) if structure != before => (*number).to_owned(),
                None if structure.parse::<u32>().is_ok() => name.replace('.', "/"),
                _ => continue,
            };
            before = structure;
            *self.records.entry(format!("{} {number}", if counters { "counter" } else { "flow" })).or_default() += 1;
        }
    }

    fn flow(&mut self, flow: &FlowRecord, fields: &[(String, Json)]) {
        self.data.push((*flow, fields.to_vec()));
        let mut shown = named(fields, "flow");
        let frame_length = shown.get("frame_length").and_then(Json::as_u64).unwrap_or_default();
        let rate = shown["rate"].as_u64().unwrap();
        self.flow_samples += 1;
        self.frame_length += frame_length;
        self.rate += rate;
        self.scaled += frame_length * rate;

        // A flow contains the sampled packet.
        let length = shown.get("eth_len").and_then(Json::as_u64).unwrap_or(frame_length);
        assert_eq!((flow.forward.bytes, flow.forward.packets, flow.forward.flows), (length, 1, 1));
        assert_eq!((u64::from(flow.sampling.rate), flow.sampling.source), (rate, SamplingSource::Record));
        let as_number = |name| shown.get(name).and_then(Json::as_u64).unwrap_or_default();
        let source_as = if as_number("src_as") == 0 { as_number("as") } else { as_number("src_as") };
        assert_eq!(u64::from(flow.source_as), source_as);
        if flow.source != IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
            self.with_address += 1;
            shown.insert("src".to_owned(), json!(flow.source.to_string()));
            shown.insert("dst".to_owned(), json!(flow.destination.to_string()));
            shown.insert("proto".to_owned(), json!(flow.protocol));
        }
        if (flow.source_port, flow.destination_port) != (0, 0) {
            shown.insert("sport".to_owned(), json!(flow.source_port));
            shown.insert("dport".to_owned(), json!(flow.destination_port));
        }
        self.flows.push(Json::Object(shown));
    }

    fn number(&mut self, exporter: IpAddr, number: &SequenceNumber) {
        if number.of != Numbered::Datagrams {
            return;
        }
        let stream = format!("{exporter} sflow agent {}/{}", number.agent, number.sub_agent);
        let first = json!({ "datagrams": 0, "first": number.number, "last": number.number, "breaks": 0 });
        let entry = self.numbers.entry(stream.clone()).or_insert(first);
        let expected = self.next.insert(stream, number.number.wrapping_add(1)).unwrap_or(number.number);
        let broken = u64::from(expected != number.number);
        entry["datagrams"] = json!(entry["datagrams"].as_u64().unwrap() + 1);
        entry["last"] = json!(number.number);
        entry["breaks"] = json!(entry["breaks"].as_u64().unwrap() + broken);
    }
}

/// The fields of a record by name, in the order of the wire.
fn fields(record: &Record<'_>) -> Vec<(String, Json)> {
    let mut fields = Vec::new();
    record.fields(&mut |field| {
        let value = match field.value {
            Value::Unsigned(value) => json!(value),
            Value::Ipv4(address) => json!(address.to_string()),
            Value::Ipv6(address) => json!(address.to_string()),
            other => json!(format!("{other:?}")),
        };
        assert!(!field.scope, "{}", field.name);
        assert!(!matches!(field.name, FieldName::Element(..)), "{}", field.name);
        fields.push((field.name.to_string(), value));
    });
    fields
}

/// The fields that the expectations know, by the names that they have there.
fn named(fields: &[(String, Json)], kind: &str) -> Map<String, Json> {
    let mut named = Map::new();
    named.insert("kind".to_owned(), json!(kind));
    let vlans: Vec<_> = ["packet.vlan", "packet.inner_vlan"]
        .iter()
        .flat_map(|vlan| fields.iter().find(|(name, _)| name == vlan))
        .map(|(_, value)| value.clone())
        .collect();
    if !vlans.is_empty() {
        named.insert("vlans".to_owned(), Json::Array(vlans));
    }
    for (name, value) in fields {
        if let Some((_, called)) = FLOW_FIELDS.iter().find(|(known, _)| known == name) {
            named.insert((*called).to_owned(), value.clone());
        }
    }
    named
}
