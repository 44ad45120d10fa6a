//! Questions from their words to answers, over files that are written here.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use archive::missing::{Missing, Reason, note};
use archive::{Reserve, Scan, Writer};
use columns::{Id, Row};
use flow::{FlushNumber, Timestamp, WriterId};
use proptest::prelude::*;
use proptest::sample::select;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::*;

static NOT_CANCELLED: AtomicBool = AtomicBool::new(false);

/// 2026-11-29T14:00:00Z.
const BEGIN: Timestamp = Timestamp::from_seconds(1_795_960_800);
/// An hour later.
const NOW: Timestamp = Timestamp::from_seconds(1_795_964_400);
const ROWS: u64 = 600;

/// One row each six seconds: of two exporters, one of which samples, and of both address families.
fn rows() -> Vec<Row> {
    let row = |number: u64| {
        let mut row = Row::new();
        // Some are received in the same millisecond.
        row.set(Id::Received, BEGIN.milliseconds() + number / 3 * 18_000);
        row.set(Id::Bytes, 1000 + number);
        row.set(Id::Packets, 1 + number % 7);
        row.set(Id::Flows, 1);
        row.set(Id::DstPort, [53, 80, 443][number as usize % 3]);
        row.set(Id::RevBytes, number % 2 * 10);
        row.set(Id::Rate, 1 + number % 2 * 99);
        let last = u8::try_from(number % 100).unwrap();
        row.set_address(Id::Exporter, [192, 0, 2, 1 + last % 2].into());
        row.set_address(Id::DstIp, [203, 0, 113, last].into());
        if number.is_multiple_of(4) {
            row.set_address(Id::SrcIp, [0x2001, 0xdb8, 0, u16::from(last % 2), 0, 0, 0, last.into()].into());
            row.set(Id::SrcMac, 0x5e00_5301);
        } else {
            row.set_address(Id::SrcIp, [198, 51, 100, last % 50].into());
        }
        row
    };
    (0..ROWS).map(row).collect()
}

fn archive() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
    for (sequence, rows) in (1..).zip(rows().chunks(100)) {
        writer.begin_flush(WriterId(7), FlushNumber { epoch: 1, sequence }).unwrap();
        rows.iter().for_each(|row| writer.take(row).unwrap());
        if sequence % 2 == 0 {
            writer.finish().unwrap();
        }
    }
    folder
}

fn scan(folder: &TempDir) -> Scan<'_> {
    Scan { folder: folder.path(), open: None, octets: MEMORY, threads: 2, cancelled: &NOT_CANCELLED, progress: None }
}

fn words<'w>(words: &[(&'w str, &'w str)]) -> Words<'w> {
    words.iter().copied().collect()
}

fn rows_of(folder: &TempDir, asked: &[(&str, &str)]) -> FlowRows {
    RowsQuestion::read(&words(asked), NOW).unwrap().answer(&scan(folder)).unwrap()
}

fn top_of(folder: &TempDir, asked: &[(&str, &str)]) -> FlowTop {
    TopQuestion::read(&words(asked), NOW).unwrap().answer(&scan(folder)).unwrap()
}

/// The JSON of an answer, from which the same answer is read.
fn json_of<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(answer: &T) -> Json {
    let text = serde_json::to_string(answer).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), answer);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn groups_have_their_keys_as_text_and_exact_sums() {
    let folder = archive();
    let asked = [("by", "srcip/24,srcmac"), ("sum", "packets"), ("counters", "sent"), ("tz", "Europe/Berlin")];
    let answer = json_of(&top_of(&folder, &asked));
    assert_eq!(answer["by"], json!(["srcip/24/48", "srcmac"]));
    assert_eq!((&answer["from"], &answer["tz"]), (&json!("2026-11-29T15:00:00+01:00"), &json!("Europe/Berlin")));
    assert_eq!(
        (&answer["counters"], &answer["filter"], &answer["exporter"]),
        (&json!("sent"), &Json::Null, &Json::Null)
    );
    let keys: Vec<_> = answer["rows"].as_array().unwrap().iter().map(|row| row["key"].clone()).collect();
    assert_eq!(
        keys,
        [
            json!({"srcip/24/48": "198.51.100.0/24", "srcmac": null}),
            json!({"srcip/24/48": "2001:db8::/48", "srcmac": "00:00:5e:00:53:01"}),
        ]
    );
    let packets: u64 = rows().iter().map(|row| row.number(Id::Packets)).sum();
    let bytes: u64 = rows().iter().map(|row| row.number(Id::Bytes) + row.number(Id::RevBytes)).sum();
    assert_eq!(answer["total"], json!({"records": ROWS, "bytes": bytes, "packets": packets, "flows": ROWS}));
    assert_eq!(answer["rest"]["groups"], 0);
    assert_eq!(answer["coverage"]["since"], "2026-11-29T15:00:00+01:00");
    assert_eq!(answer["coverage"]["leftOut"], json!([]));
    assert_eq!(answer["coverage"]["read"]["rows"], ROWS);
}

#[test]
fn counters_are_multiplied_by_the_rate_unless_asked_for_as_sent() {
    let folder = archive();
    for counters in ["scaled", "sent"] {
        let asked = [("counters", counters), ("n", "10000"), ("filter", "dst port 443")];
        let columns = [&asked[..], &[("columns", "bytes,revbytes,packets,flows,rate")]].concat();
        let rows = rows_of(&folder, &columns);
        let total = top_of(&folder, &asked).total;
        let sum = |name: &str| -> u64 {
            let number =
                |row: &FlowRow| if let Some(Value::Number(number)) = row.values.get(name) { *number } else { panic!() };
            rows.rows.iter().map(number).sum()
        };
        assert_eq!(json_of(&rows)["counters"], counters);
        assert_eq!(total.bytes, sum("bytes") + sum("revbytes"));
        assert_eq!((total.packets, total.flows, total.records), (sum("packets"), sum("flows"), ROWS / 3));
        // The rate itself is never changed.
        assert_eq!(sum("rate"), ROWS / 3 * 101 / 2);
    }
}

#[test]
fn pages_have_each_row_once_although_time_passes() {
    let folder = archive();
    for order in ["newest", "oldest"] {
        let first = [("order", order), ("n", "7"), ("columns", "received,bytes"), ("exporter", "192.0.2.2,192.0.2.9")];
        let (mut cursor, mut found, mut now) = (None::<String>, Vec::new(), NOW);
        loop {
            let asked = [&first[..], &cursor.iter().map(|next| ("cursor", next.as_str())).collect::<Vec<_>>()].concat();
            let answer = RowsQuestion::read(&words(&asked), now).unwrap().answer(&scan(&folder)).unwrap();
            assert_eq!(answer.asked.from, "2026-11-29T14:00:00Z");
            found.extend(answer.rows.iter().map(|row| row.values.get("bytes").cloned().unwrap()));
            json_of(&answer);
            let Some(next) = answer.next else { break };
            cursor = Some(next);
            now = now.saturating_add(std::time::Duration::from_secs(60));
        }
        let of_exporter = rows().into_iter().filter(|row| row.number(Id::Rate) == 100);
        let mut expected: Vec<_> = of_exporter.map(|row| Value::Number(row.number(Id::Bytes) * 100)).collect();
        if order == "newest" {
            expected.reverse();
        }
        assert_eq!(found, expected, "{order}");
    }
}

#[test]
fn steps_add_up_to_the_whole_time() {
    let folder = archive();
    let asked = [("by", "dstport"), ("n", "2"), ("every", "10m"), ("last", "1h")];
    let answer = SeriesQuestion::read(&words(&asked), NOW).unwrap().answer(&scan(&folder)).unwrap();
    json_of(&answer);
    assert_eq!((answer.every.as_str(), answer.steps.len(), answer.rest.groups), ("10m", 6, 1));
    assert_eq!(answer.steps[1].start, "2026-11-29T14:10:00Z");
    let sum = |of: &dyn Fn(&series::FlowStep) -> u64| -> u64 { answer.steps.iter().map(of).sum() };
    for (index, line) in answer.rows.iter().enumerate() {
        assert_eq!(sum(&|step| step.rows[index].bytes), line.sums.bytes);
    }
    assert_eq!(sum(&|step| step.rest.bytes), answer.rest.sums.bytes);
    let total = answer.rows.iter().map(|line| line.sums.bytes).sum::<u64>() + answer.rest.sums.bytes;
    assert_eq!(total, answer.total.bytes);
    // Without keys there is one group.
    let answer = SeriesQuestion::read(&words(&[]), NOW).unwrap().answer(&scan(&folder)).unwrap();
    assert_eq!((answer.every.as_str(), answer.rows.len(), answer.steps.len()), ("5m", 1, 12));
    assert_eq!(answer.rows[0].key, Record::default());
}

#[test]
fn values_have_names_if_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
    writer.begin_flush(WriterId(7), FlushNumber { epoch: 1, sequence: 1 }).unwrap();
    // Port 514 is syslog over UDP and shell over TCP. ICMP has no ports.
    for (proto, port, bytes) in [(17, 514, 4), (6, 514, 3), (1, 514, 2), (0, 443, 1)] {
        let mut row = Row::new();
        row.set(Id::Received, BEGIN.milliseconds() + bytes);
        row.set(Id::Proto, proto);
        row.set(Id::DstPort, port);
        row.set(Id::SrcAs, port);
        row.set(Id::DstCountry, if proto == 1 { 0x4348 } else { 0 });
        row.set(Id::DstAsFrom, proto % 2 * 5);
        row.set(Id::Bytes, bytes);
        writer.take(&row).unwrap();
    }
    writer.finish().unwrap();
    let names = |answer: &Json| -> Vec<Json> {
        answer["rows"].as_array().unwrap().iter().map(|row| row["names"].clone()).collect()
    };
    let rows = |columns: &str| json_of(&rows_of(&folder, &[("columns", columns), ("names", "1")]));
    let of_ports = [json!({"dstport": "syslog"}), json!({"dstport": "shell"}), Json::Null, json!({"dstport": "https"})];
    assert_eq!(names(&rows("dstport,srcas,bytes")), of_ports);
    let row =
        json!({"proto": 17, "dstport": 514, "kind": 0, "names": {"proto": "udp", "dstport": "syslog", "kind": "flow"}});
    assert_eq!(rows("proto,dstport,kind")["rows"][0], row);

    let top = |by: &str, names: &str| json_of(&top_of(&folder, &[("by", by), ("names", names)]));
    let of_groups = [
        json!({"proto": "udp", "dstport": "syslog"}),
        json!({"proto": "tcp", "dstport": "shell"}),
        json!({"proto": "icmp"}),
        json!({"proto": "hopopt", "dstport": "https"}),
    ];
    assert_eq!(names(&top("proto,dstport", "1")), of_groups);
    // Without the protocol, it is the name that most mean.
    assert_eq!(names(&top("dstport", "1")), [json!({"dstport": "syslog"}), json!({"dstport": "https"})]);
    assert_eq!(names(&top("srcas,srcip/24", "1")), [Json::Null, Json::Null]);
    assert_eq!(names(&top("proto,dstport", "0")), [Json::Null, Json::Null, Json::Null, Json::Null]);
    let asked = [("by", "proto"), ("names", "1"), ("n", "1")];
    let series = json_of(&SeriesQuestion::read(&words(&asked), NOW).unwrap().answer(&scan(&folder)).unwrap());
    assert_eq!(names(&series), [json!({"proto": "udp"})]);
    let countries = json_of(&top_of(&folder, &[("by", "dstcountry"), ("sum", "bytes"), ("names", "1")]));
    let keys: Vec<_> =
        countries["rows"].as_array().unwrap().iter().map(|row| row["key"]["dstcountry"].clone()).collect();
    assert_eq!(keys, [Json::Null, json!("CH")]);
    assert_eq!(names(&countries), [Json::Null, json!({"dstcountry": "Switzerland"})]);
    let from = top("dstasfrom", "1");
    assert_eq!(names(&from), [json!({"dstasfrom": "file"}), json!({"dstasfrom": "none"})]);
    let error = TopQuestion::read(&words(&[("names", "yes")]), NOW).unwrap_err().to_string();
    assert_eq!(error, "names: \"yes\" is no word for it: they are 0, 1");
}

#[test]
fn different_values_are_counted() {
    let folder = archive();
    let asked = [("by", "dstport"), ("distinct", "dstip"), ("sum", "distinct"), ("filter", "src net 198.51.100.0/24")];
    let answer = top_of(&folder, &asked);
    let mut expected: BTreeMap<u64, std::collections::BTreeSet<_>> = BTreeMap::new();
    for row in rows().iter().filter(|row| row.address(Id::SrcIp).is_ipv4()) {
        expected.entry(row.number(Id::DstPort)).or_default().insert(row.address(Id::DstIp));
    }
    for group in &answer.rows {
        let Some(Value::Number(port)) = group.key.get("dstport") else { panic!("{group:?}") };
        assert_eq!(group.sums.distinct, Some(expected[port].len() as u64));
    }
    assert_eq!((answer.rows.len(), answer.total.distinct), (3, None));
    json_of(&answer);
}

#[test]
fn a_time_of_which_nothing_is_left_is_an_error() {
    let folder = archive();
    let asked = [("from", "2026-11-29T12:00:00.5Z"), ("to", "2026-11-29T14:00")];
    let error = TopQuestion::read(&words(&asked), NOW).unwrap().answer(&scan(&folder)).unwrap_err().to_string();
    let expected = "to: the archive has flows from 2026-11-29T14:00:00Z on: older ones were deleted, or never archived";
    assert_eq!(error, expected);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(top_of(&empty, &asked).total.records, 0);
}

#[test]
fn damage_is_named() {
    let folder = archive();
    let file = archive::folder::parts(folder.path()).unwrap()[0].name;
    std::fs::write(folder.path().join(file.path()), b"PAR1 PAR1").unwrap();
    let answer = top_of(&folder, &[]);
    assert!(!answer.coverage.is_complete());
    let json = json_of(&answer);
    let [left_out] = json["coverage"]["leftOut"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert_eq!(left_out["file"], file.path().display().to_string());
    assert_eq!((&left_out["rows"], answer.total.records), (&Json::Null, ROWS - 200));
}

#[test]
fn what_could_not_be_archived_is_named_and_its_amount_is_not_for_limited_keys() {
    let folder = archive();
    let flush = |sequence| FlushNumber { epoch: 1, sequence };
    let missing = Missing {
        from: Timestamp::from_seconds(BEGIN.seconds() + 60),
        until: Timestamp::from_seconds(BEGIN.seconds() + 70),
        writer: WriterId(7),
        first: flush(9),
        last: flush(10),
        segments: 2,
        octets: 300,
        records: 0,
        reason: Reason::LogFull,
    };
    note(folder.path(), missing).unwrap();
    let mut question = TopQuestion::read(&words(&[]), NOW).unwrap();
    let answer = question.answer(&scan(&folder)).unwrap();
    assert!(!answer.coverage.is_complete());
    let times = json!({"from": "2026-11-29T14:01:00Z", "until": "2026-11-29T14:01:10Z", "reason": "log_full"});
    let mut expected = times.clone();
    expected
        .as_object_mut()
        .unwrap()
        .extend(json!({"segments": 2, "bytes": 300, "records": 0}).as_object().unwrap().clone());
    assert_eq!(json_of(&answer)["coverage"]["missing"], json!([expected]));
    question.scope.limit_to(vec!["192.0.2.1".parse().unwrap()]);
    assert_eq!(json_of(&question.answer(&scan(&folder)).unwrap())["coverage"]["missing"], json!([times]));
    assert!(top_of(&folder, &[("from", "2026-11-29T14:02")]).coverage.is_complete());
}

/// What is wrong, where, and what may have been meant.
#[test]
fn what_cannot_be_understood_is_an_error_that_points_and_proposes() {
    let read = |asked: &[(&str, &str)], of: &str| {
        let words = words(asked);
        match of {
            "rows" => RowsQuestion::read(&words, NOW).map(drop),
            "top" => TopQuestion::read(&words, NOW).map(drop),
            _ => SeriesQuestion::read(&words, NOW).map(drop),
        }
    };
    let long = format!("{}1", "1,".repeat(9000));
    let deep = format!("{}tcp", "not ".repeat(40));
    for (of, asked, expected) in [
        (
            "top",
            &[("by", "srcip, scrport")][..],
            "by: column 8: \"scrport\" is no column of flows: did you mean srcport?",
        ),
        ("top", &[("by", "srcip,dstip/33")], "by: column 7: dstip has a length from 0 to 32"),
        ("top", &[("by", "srcip,src ip")], "by: column 7: srcip is given twice"),
        ("top", &[("by", "srcip,")], "by: column 7: \"\" is no column of flows"),
        ("top", &[("sum", "byte")], "sum: \"byte\" is no word for it: did you mean bytes?"),
        ("top", &[("sum", "distinct")], "sum: distinct needs the columns whose values are counted: add distinct=dstip"),
        ("top", &[("n", "0")], "n: must be a whole number from 1 to 10000, not \"0\""),
        ("top", &[("n", "+5 apples")], "n: must be a whole number from 1 to 10000, not \"+5 apples\""),
        ("top", &[("form", "2026-11-29")], "form: \"form\" is no word of this question: did you mean from?"),
        ("top", &[("by", "srcip"), ("by", "dstip")], "by: is given twice"),
        ("top", &[("every", "5m")], "every: \"every\" is no word of this question"),
        ("top", &[("filter", "udp or prot 53")], "filter: column 8: "),
        ("top", &[("filter", &deep)], "filter: column 133: nested deeper than 32"),
        ("top", &[("filter", &long)], "filter: column 16385: the filter is longer than 16384 octets"),
        ("top", &[("exporter", &long)], "exporter: is longer than 16384 octets: shorten it"),
        ("top", &[("exporter", "192.0.2.1, router")], "exporter: column 12: \"router\" is no address"),
        ("top", &[("tz", "Berlin")], "tz: 'Berlin' is not a time zone"),
        ("top", &[("from", "tomorrow")], "from: 'tomorrow' is not a time: write 2026-11-23T05:01Z"),
        ("top", &[("from", "2026-11-30")], "from: must be before to, which is 2026-11-29T15:00:00Z"),
        ("top", &[("from", "2026-11-29"), ("last", "1h")], "last: and from exclude each other: give one of them"),
        ("top", &[("last", "1y")], "last: must be a duration such as 30s, 15m, 1h or 7d"),
        ("top", &[("counters", "raw")], "counters: \"raw\" is no word for it: they are scaled, sent"),
        ("series", &[("every", "0s")], "every: must be the length of a step such as 30s, 5m, 1h or 1d"),
        (
            "series",
            &[("every", "1s"), ("last", "1d")],
            "every: at most 10080 steps fit into an answer: ask for every=1m, or",
        ),
        ("series", &[("n", "51")], "n: must be a whole number from 1 to 50, not \"51\""),
        ("series", &[("distinct", "dstip")], "distinct: \"distinct\" is no word of this question"),
        (
            "rows",
            &[("columns", "received,byts")],
            "columns: column 10: \"byts\" is no column of flows: did you mean bytes?",
        ),
        ("rows", &[("columns", "bytes,octets")], "columns: column 7: bytes is given twice"),
        ("rows", &[("order", "latest")], "order: \"latest\" is no word for it: did you mean"),
        ("rows", &[("n", "10001")], "n: must be a whole number from 1 to 10000, not \"10001\""),
        ("rows", &[("cursor", "1-2-3")], "cursor: is none: pass on the text of next of the answer before"),
        ("rows", &[("cursor", "\u{202e}")], "cursor: is none: pass on the text of next of the answer before"),
        ("rows", &[("by", "srcip")], "by: \"by\" is no word of this question"),
    ] {
        let error = read(asked, of).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\nexpected: {expected}");
        assert!(error.len() < 400, "{error}");
    }
}

#[test]
fn empty_words_count_as_absent() {
    let asked = [("by", ""), ("filter", " "), ("exporter", ""), ("cursor", ""), ("n", "")];
    let question = TopQuestion::read(&words(&[asked[0], asked[1], asked[2], asked[4]]), NOW).unwrap();
    assert_eq!((question.keys.len(), question.most), (1, 20));
    assert!(question.scope.filter.is_empty() && question.scope.exporters.is_none());
    assert_eq!(question.scope.received, BEGIN..NOW);
    assert!(RowsQuestion::read(&words(&asked[1..]), NOW).unwrap().after.is_none());
}

#[test]
fn all_columns_can_be_asked_for() {
    let answer = rows_of(&archive(), &[("columns", "all"), ("n", "1"), ("tz", "+05:30")]);
    assert_eq!(answer.columns.len(), columns::COUNT);
    let row = &answer.rows[0];
    assert_eq!(row.values.get("received"), Some(&Value::Text("2026-11-29T20:29:42+05:30".to_owned())));
    assert_eq!(
        (row.values.get("nexthop"), row.values.get("start"), row.values.get("tos")),
        (Some(&Value::None), Some(&Value::None), Some(&Value::Number(0)))
    );
}

/// A text as it may be typed, right or wrong, for any word.
fn text() -> impl Strategy<Value = String> {
    let parts =
        "srcip received bytes / , - : . T Z + 24 48 5m 1h 0 18446744073709551615 2026-11-29 192.0.2.1 tcp ( not \u{e4}";
    let parts: Vec<_> = parts.split(' ').collect();
    prop_oneof![proptest::collection::vec(select(parts), 0..8).prop_map(|parts| parts.concat()), ".{0,40}",]
}

proptest! {
    /// Nothing that is typed makes it panic, and no error is long.
    #[test]
    fn any_words_are_a_question_or_an_error(
        typed in proptest::collection::vec((select(NAMES.to_vec()), text()), 0..4)
    ) {
        let words: Words = typed.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let read = [
            RowsQuestion::read(&words, NOW).map(|question| question.scope),
            TopQuestion::read(&words, NOW).map(|question| question.scope),
            SeriesQuestion::read(&words, NOW).map(|question| question.scope),
        ];
        for read in read {
            match read {
                Ok(scope) => prop_assert!(scope.received.start < scope.received.end),
                Err(error) => prop_assert!(error.to_string().chars().count() < 700, "{error}"),
            }
        }
    }
}

const NAMES: [&str; 16] = [
    "filter", "exporter", "from", "to", "last", "tz", "counters", "by", "sum", "distinct", "n", "every", "columns",
    "order", "cursor", "any",
];
