//! The AS numbers and countries of flows are looked up once: a start that counts them again, and readers of the log, have the
//! same, whatever tables are loaded then.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use accounting::block::{TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::Field;
use bmp::{Limits, Rib};
use collector::status::Status;
use collector::{LogRecords, Origins};
use columns::{Id, Row};
use flow::{AsSource, Counters, FlowRecord, Timestamp};
use origin::{Contents, Networks, Table};
use pipeline::{Logged, Sealed};
use testing::bmp::{Peer, Update, initiation, open, peer_up, route_monitoring};
use wire::encode::{Ipfix, NetflowV9, TemplateSpec};
use wire::{FieldSpecifier, ipfix, netflow_v9};

use super::recovery::{NOW, ROUTER, Run};
use super::rules;

const READER: &str = "test";
const AGENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

fn files(text: &str) -> Arc<Table> {
    let contents = Contents::parse("ip2asn.tsv".as_ref(), text.as_bytes()).unwrap();
    Arc::new(Table::new(vec![contents]).unwrap())
}

/// Every source knows something: own networks, routes of the router, and files.
fn all_sources() -> Origins {
    let origins = Origins::default();
    origins.set_files(&files(
        "203.0.113.0\t203.0.113.127\t64505\tCH\tOne\n203.0.113.128\t203.0.113.255\t0\tDE\tNone\n192.0.2.0\t192.0.2.255\t64507\tAT\tOwn\n",
    ));
    origins.set_networks(&Arc::new(Networks::new([("192.0.2.0/24".parse().unwrap(), 64500)])));
    let (peer, mut rib, mut session) = (Peer::new(9, 64496), Rib::new(Limits::default()), bmp::Session::new());
    let announced = [([203, 0, 113, 64].into(), 26), ([192, 0, 2, 0].into(), 24)];
    let update = Update::new().path(&[64496, 64501]).announce(&announced);
    for message in [initiation(), peer_up(&peer, &open(64497, &[])), route_monitoring(&peer, &update.octets())] {
        session.receive(&mut rib, &message, Timestamp::from_seconds(NOW)).unwrap();
    }
    origins.set_routes(ROUTER, Some(&rib.snapshot()));
    origins
}

/// Sources that know everything differently.
fn other_sources() -> Origins {
    let origins = Origins::default();
    origins.set_files(&files("0.0.0.0\t255.255.255.255\t64666\tXX\tOther\n"));
    origins.set_networks(&Arc::new(Networks::new([("192.0.2.0/25".parse().unwrap(), 64667)])));
    origins
}

/// Source, destination, bytes, AS of the source, mask of the source, flowDirection.
fn template(id: u16) -> TemplateSpec {
    let fields = [(8, 4), (12, 4), (1, 4), (16, 4), (9, 1), (61, 1)];
    TemplateSpec::data(id, fields.map(|(id, length)| FieldSpecifier::iana(id, length)))
}

fn record(last: u8, asn: u32, mask: u8, is_egress: bool) -> Vec<u8> {
    let (source, destination) = ([203, 0, 113, last], [192, 0, 2, last]);
    let (bytes, tail) = (100 + u32::from(last), [mask, u8::from(is_egress)]);
    [&source[..], &destination, &bytes.to_be_bytes(), &asn.to_be_bytes(), &tail].concat()
}

fn v9() -> NetflowV9 {
    NetflowV9::new(netflow_v9::Header { unix_seconds: (NOW as u32).into(), ..Default::default() })
}

fn records() -> Vec<Vec<u8>> {
    vec![
        record(1, 0, 24, false),
        record(2, 3356, 24, true),
        record(65, 0, 24, false),
        record(3, 3356, 24, false),
        record(4, 3356, 0, false),
        record(5, 64512, 24, false),
        record(200, 0, 24, true),
        record(201, 0, 24, false),
        record(66, 23456, 24, false),
    ]
}

/// What flows into the prefix of a sender, by AS of the source, in all of its tallies.
fn by_as(sealed: &Sealed, sender: IpAddr) -> BTreeMap<String, Counters> {
    let mut tables = Tables::new();
    let flush = flow::FlushNumber { epoch: 1, sequence: 1 };
    for block in sealed.tallies.iter().flat_map(|tally| tally.blocks(WriterId(1), flush)) {
        if block.key.sender == sender {
            tables.merge(&block, TableSet::ALL).unwrap();
        }
    }
    let rows = tables.rows_of(Field::SourceAs).filter(|(direction, ..)| *direction == Direction::In);
    rows.map(|(_, name, counters)| (name.to_string(), counters)).collect()
}

/// All rows of all tallies.
fn rows(sealed: &Sealed) -> Vec<String> {
    let mut tables = Tables::new();
    let flush = flow::FlushNumber { epoch: 1, sequence: 1 };
    for block in sealed.tallies.iter().flat_map(|tally| tally.blocks(WriterId(1), flush)) {
        tables.merge(&block, TableSet::ALL).unwrap();
    }
    let mut rows: Vec<_> = tables.rows().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

/// The flows that a reader of the log has, with their paths: those that were counted.
fn read(run: &Run) -> Vec<(IpAddr, FlowRecord, String)> {
    let mut log = LogRecords::open(&run.journal, READER, rules(), Status::new(1)).unwrap();
    let mut flows = Vec::new();
    while log
        .read_flush(&mut |_, logged| {
            let (Some(registration), Some(flow)) = (logged.registration, logged.record.flow) else { return };
            if registration.settings.flow_direction.counts(flow.observed) {
                is_in_its_row(logged, flow);
                flows.push((logged.exporter, *flow, logged.path.map(ToString::to_string).unwrap_or_default()));
            }
        })
        .unwrap()
        .is_some()
    {}
    flows
}

/// The row for the archive has the exporter and the origins by which the flow was counted.
fn is_in_its_row(logged: &Logged<'_>, flow: &FlowRecord) {
    let mut row = Row::new();
    assert!(logged.row(&mut row));
    assert_eq!(row.address(Id::Exporter), logged.exporter);
    assert_eq!(row.text(Id::DstAsPath), logged.path);
    let next_as = logged.path.map_or(0, |path| path.split(' ').next().unwrap().parse().unwrap());
    for (id, value) in [
        (Id::SrcAs, flow.source_as),
        (Id::DstAs, flow.destination_as),
        (Id::SrcAsFrom, flow.source_as_from as u32),
        (Id::DstAsFrom, flow.destination_as_from as u32),
        (Id::SrcCountry, flow.source_country.into()),
        (Id::DstCountry, flow.destination_country.into()),
        (Id::NextAs, next_as),
    ] {
        assert_eq!(row.number(id), u64::from(value), "{id:?}");
    }
}

/// Takes datagrams of a router with these settings, is killed, and starts again with other sources. Returns what was counted
/// first, and the flows that a reader has.
fn replayed(
    senders: &[(IpAddr, &str)],
    datagrams: &[(usize, Timestamp, Vec<u8>)],
) -> (Sealed, Vec<(IpAddr, FlowRecord, String)>) {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start_with(folder.path(), 1, senders, &[], &all_sources(), Some(READER));
    for (shard, at, payload) in datagrams {
        run.take_in(*shard, *at, payload);
    }
    let live = run.seal();
    drop(run);
    let mut run = Run::start_with(folder.path(), 2, senders, &[], &other_sources(), Some(READER));
    assert_eq!(rows(run.recovered.as_ref().unwrap()), rows(&live));
    run.flush();
    let read = read(&run);
    assert!(!read.is_empty());
    for (sender, _) in senders {
        let mut sums: BTreeMap<String, Counters> = BTreeMap::new();
        for (_, flow, _) in read.iter().filter(|(exporter, ..)| exporter == sender) {
            sums.entry(format!("srcas:{}", flow.source_as)).or_default().add(flow.forward);
        }
        assert_eq!(sums, by_as(&live, *sender), "{sender}");
    }
    (live, read)
}

#[test]
fn a_start_and_a_reader_have_the_origins_that_were_looked_up() {
    let at = |nanosecond| Timestamp::new(NOW, nanosecond);
    let datagrams = [(0, at(1), v9().template(&template(256)).data(&template(256), &records()).finish())];
    let (live, read) = replayed(&[(ROUTER, "flowDirection=ingress")], &datagrams);
    let counted = by_as(&live, ROUTER);
    let bytes: BTreeMap<&str, u64> = counted.iter().map(|(name, counters)| (&**name, counters.bytes)).collect();
    // 104 is by the file, because its AS is that of a default route; 105 because its AS is private.
    let expected =
        [("srcas:0", 301), ("srcas:3356", 103), ("srcas:64501", 165 + 166), ("srcas:64505", 101 + 104 + 105)];
    assert_eq!(bytes, BTreeMap::from(expected));
    let found: Vec<_> = read
        .iter()
        .map(|(_, flow, path)| {
            let country = flow::Country::of_number(flow.source_country).map(|country| country.to_string());
            (flow.source_as_from, country.unwrap_or_default(), flow.destination_as, flow.destination_as_from, &**path)
        })
        .collect();
    use AsSource::{Bmp, Exporter, File, Network, None};
    let sources = [(File, "CH"), (Bmp, "CH"), (Exporter, "CH"), (File, "CH"), (File, "CH"), (None, "DE"), (Bmp, "CH")];
    let expected = sources.map(|(from, country)| (from, country.to_owned(), 64500, Network, "64496 64501"));
    assert_eq!(found, expected);
}

#[test]
fn queued_data_have_the_origins_that_were_looked_up_when_their_template_came() {
    let at = |nanosecond| Timestamp::new(NOW, nanosecond);
    let (some, others) = (records().split_off(3), records()[..3].to_vec());
    let datagrams = [
        (0, at(1), v9().data(&template(256), &some).finish()),
        (1, at(2), v9().data(&template(257), &some).finish()),
        (0, at(3), v9().data(&template(256), &others).finish()),
        (1, at(4), v9().template(&template(256)).data(&template(256), &records()).finish()),
        (0, at(5), v9().data(&template(256), &others).template(&template(257)).finish()),
    ];
    let (live, read) = replayed(&[(ROUTER, "")], &datagrams);
    assert_eq!(read.len(), 9 + 6 + 9 + 3);
    assert!(by_as(&live, ROUTER).contains_key("srcas:64501"));
    // Again as one shard has decoded them in another order than they were received.
    let datagrams = [
        (0, at(2), v9().template(&template(256)).finish()),
        (1, at(1), v9().data(&template(256), &some).finish()),
        (0, at(3), v9().data(&template(256), &others).finish()),
    ];
    let (_, read) = replayed(&[(ROUTER, "flowDirection=egress")], &datagrams);
    assert_eq!(read.len(), 2);
}

#[test]
fn flows_of_a_relay_have_the_origins_of_the_routers_that_they_name() {
    let at = |nanosecond| Timestamp::new(NOW, nanosecond);
    let fields = [(8, 4), (12, 4), (1, 4), (130, 4)].map(|(id, length)| FieldSpecifier::iana(id, length));
    let template = TemplateSpec::data(256, fields);
    let record = |source, agent| vec![203, 0, 113, source, 192, 0, 2, 1, 0, 0, 0, source, 198, 51, 100, agent];
    // One of them names an exporter that is not registered.
    let records = [record(65, 7), record(1, 9), record(2, 7), record(200, 7), record(66, 1)];
    let message = Ipfix::new(ipfix::Header { export_seconds: (NOW as u32).into(), ..Default::default() });
    let message = message.template(&template).data(&template, &records).finish();
    let (live, read) = replayed(&[(ROUTER, "identity=agent"), (AGENT, "")], &[(0, at(1), message)]);
    assert_eq!(read.len(), 4);
    let names = |sender| by_as(&live, sender).into_keys().collect::<Vec<_>>();
    assert_eq!(names(ROUTER), ["srcas:64501"]);
    // By the routes of another router.
    assert_eq!(names(AGENT), ["srcas:0", "srcas:64501", "srcas:64505"]);
    let from = read.iter().map(|(exporter, flow, _)| (*exporter == AGENT, flow.source_as_from));
    let expected = [(true, AsSource::OtherBmp), (true, AsSource::File), (true, AsSource::None), (false, AsSource::Bmp)];
    assert_eq!(from.collect::<Vec<_>>(), expected);
}

#[test]
fn without_sources_nothing_is_looked_up_or_noted() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(folder.path(), 1, &[(ROUTER, "")], &[]);
    run.take(Timestamp::from_seconds(NOW), &v9().template(&template(256)).data(&template(256), &records()).finish());
    let shown = run.exporters.all();
    assert!(shown[0].counters.iter().all(|counter| counter.name != "flow_ends"));
    let live = run.seal();
    assert_eq!(
        by_as(&live, ROUTER).into_keys().collect::<Vec<_>>(),
        ["srcas:0", "srcas:23456", "srcas:3356", "srcas:64512"]
    );
}

#[test]
fn the_sources_of_as_numbers_are_counted_for_each_exporter() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start_with(folder.path(), 1, &[(ROUTER, "")], &[], &all_sources(), None);
    run.take(Timestamp::from_seconds(NOW), &v9().template(&template(256)).data(&template(256), &records()).finish());
    let shown = run.exporters.all();
    let counter = shown[0].counters.iter().find(|counter| counter.name == "flow_ends").unwrap();
    let counts: BTreeMap<&str, u64> =
        counter.values.iter().filter_map(|(label, count)| label.map(|(_, from)| (from, *count))).collect();
    let expected = [("none", 2), ("exporter", 2), ("network", 9), ("bmp", 2), ("other-bmp", 0), ("file", 3)];
    assert_eq!(counts, BTreeMap::from(expected));
}
