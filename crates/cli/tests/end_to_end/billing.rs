//! A bill of a month in which the collector was stopped, the exporter was silent, and datagrams were lost: the numbers and the
//! times, in each format, as computed here from what was sent. Collector and exporter run by the clock of this test, the
//! program that answers by that of the host.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use accounting::block::WriterId;
use accounting::period::{Interval, Minute, PerPeriod, Period};
use accounting::tally::{Tally, TallySettings};
use collector::flusher::Flusher;
use collector::status::Status;
use collector::{Keep, senders};
use flow::{Exporter, Timestamp};
use pipeline::{Exporters, Rules, Sealed, Shard};
use serde_json::{Value, json};
use storage::{Registry, Sqlite, Store, WriterState};
use wire::netflow_v5::{Header, Record};
use wire::{Datagram, PendingBudget, SessionLimits, encode};

use crate::collector::Collector;
use crate::commands::run;
use crate::doctor::v5;

const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 5, 1));
const PREFIX: &str = "192.0.2.0/24";
/// Minutes since the second day of the month.
const FIRST_RUN: Range<u32> = 0..100;
const SECOND_RUN: Range<u32> = 117..300;
const SILENT: Range<u32> = 200..220;
/// Records that are lost before this minute.
const LOST: (u32, u32) = (250, 7);

/// The bytes of the flow that is exported in a minute.
fn octets(minute: u32) -> u32 {
    1_000_000 + minute * 7919 % 500_000
}

/// A run of a collector, with a flush a minute.
async fn collect(store: &Arc<dyn Store>, epoch: u32, begun: Minute, minutes: Range<u32>, sequence: &mut u32) {
    let time =
        |minute: u32, second: u64| Timestamp::from_seconds(begun.saturating_add(minute).timestamp().seconds() + second);
    let mut state = store.writers().await.unwrap().pop().unwrap_or(WriterState::new(WriterId(77), epoch, time(0, 0)));
    state.epoch = epoch;
    store.put_writer(&state).await.unwrap();
    let rules = Rules {
        scale_samples: true,
        clock_limit: Duration::from_secs(600),
        session: SessionLimits::default(),
        tally: TallySettings::default(),
    };
    let exporters = Exporters::new(rules.session, PendingBudget::default());
    let admitted = senders::load(store.as_ref(), &storage::Stated::default()).await.unwrap().admitted();
    let mut shard = Shard::new(rules, admitted, exporters.clone());
    let mut flusher = Flusher::new(Arc::clone(store), state, Keep::default(), Status::new(0));
    for minute in minutes {
        if !SILENT.contains(&minute) {
            *sequence += if minute == LOST.0 { LOST.1 } else { 0 };
            let received = time(minute, 30);
            let header = Header {
                sequence: (*sequence).into(),
                unix_seconds: u32::try_from(received.seconds()).unwrap().into(),
                ..Header::default()
            };
            let record = Record {
                source: [198, 51, 100, 1],
                destination: [192, 0, 2, 1],
                octets: octets(minute).into(),
                packets: 1000.into(),
                ..Record::default()
            };
            let payload = encode::netflow_v5(&header, &[record]);
            shard.take(&Datagram { exporter: Exporter::udp(SENDER, 1), received, payload: &payload });
            *sequence += 1;
        }
        let mut sealed = Sealed::new(vec![shard.seal(Tally::new(rules.tally))]);
        exporters.report(&mut sealed);
        flusher.flush(&sealed, time(minute, 50), || true).await.unwrap();
    }
    // Minutes and hours go when they are rolled up, as after months.
    let mut keep = Keep { periods: PerPeriod::default() };
    (keep.periods[Period::Minute], keep.periods[Period::Hour]) = (Some(Duration::ZERO), Some(Duration::ZERO));
    flusher.set(keep);
    flusher.maintain(time(40_000, 0)).await.unwrap();
}

/// Both runs, into a new database.
fn collect_both(data: &Path, begun: Minute) {
    std::fs::create_dir(data).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Sqlite::open(&data.join("netflow.sqlite")).unwrap();
        store.add_prefixes(SENDER, &[PREFIX.parse().unwrap()]).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let mut sequence = 0;
        collect(&store, 1, begun, FIRST_RUN, &mut sequence).await;
        collect(&store, 2, begun, SECOND_RUN, &mut sequence).await;
        assert_eq!(store.first_interval(WriterId(77), Period::Minute, Minute::EPOCH).await.unwrap(), None);
    });
}

#[test]
fn a_bill_distinguishes_gaps_from_no_traffic_and_shows_what_was_lost() {
    let now = Minute::of(SystemTime::now().into());
    let month_of = |minute| Interval::containing(Period::Month, minute);
    let month = month_of(month_of(now).start.saturating_sub(1));
    let begun = month.start.saturating_add(24 * 60);
    let directory = tempfile::tempdir().unwrap();
    collect_both(&directory.path().join("data"), begun);

    let sent: Vec<u32> = FIRST_RUN.chain(SECOND_RUN).filter(|minute| !SILENT.contains(minute)).collect();
    let mut samples: BTreeMap<u32, u64> = BTreeMap::new();
    for minute in &sent {
        *samples.entry(minute / 5).or_default() += u64::from(octets(*minute));
    }
    samples.remove(&(SECOND_RUN.start / 5));
    let mut rates: Vec<u64> = samples.values().map(|octets| octets * 8 / 300).collect();
    rates.sort_unstable();
    let percentile = rates[(rates.len() * 95).div_ceil(100) - 1];
    let total: u64 = sent.iter().map(|minute| u64::from(octets(*minute))).sum();
    let in_month = month.end().abs_diff(month.start) / 5;
    let after = in_month - 288 - 60;

    let collector = Collector::start_in(directory);
    let sender = SENDER.to_string();
    let bill = |format: &[&str]| {
        run(&collector, &[&["billing", &sender, PREFIX, "--month", &month.to_string()], format].concat())
    };
    let answer: Value = serde_json::from_str(&bill(&["--json"])).unwrap();
    assert_eq!(
        (&answer["in"]["bytes"], &answer["in"]["percentile95BitsPerSecond"]),
        (&json!(total), &json!(percentile))
    );
    let at = |minute: u32| begun.saturating_add(minute).timestamp().to_string();
    let gap = |from: String, to: String, reason: &str| json!({"from": from, "to": to, "reason": reason});
    let end = month.end().timestamp().to_string();
    let expected = json!({
        "seconds": 300, "from": month.start.timestamp().to_string(), "to": end, "expected": in_month,
        "count": 52, "empty": 0, "collectorNotRunning": 4 + after, "exporterSilent": 4, "notKept": 288,
        "missing": [
            gap(month.start.timestamp().to_string(), at(0), "notKept"),
            gap(at(100), at(120), "collectorNotRunning"),
            gap(at(200), at(220), "exporterSilent"),
            gap(at(300), end.clone(), "collectorNotRunning"),
        ]
    });
    assert_eq!(answer["samples"], expected);
    let (received, lost) = (sent.len() as u64, u64::from(LOST.1));
    let share = |lost: u64, received: u64| (lost as f64 / (lost + received) as f64 * 1e6).round() / 1e6;
    let expected = json!({
        "shares": [{"unit": "records", "received": received, "lost": lost, "share": share(lost, received)}],
        "samples": 1, "worst": at(250), "worstShare": share(lost, 5)
    });
    assert_eq!(answer["lost"], expected);

    let table = bill(&[]);
    let has = |text: &str| assert!(table.contains(text), "{text}\n{table}");
    has(&format!("52 of {in_month} samples of 5 minutes\n"));
    has(&format!("{} missing: collector not running\n4 missing: exporter silent\n288 missing: not kept\n", 4 + after));
    has(&format!("  {} to {}: exporter silent\n", at(200), at(220)));
    has(&format!("% lost: 7 of {} records\n", received + lost));
    has(&format!("losses in 1 sample, the largest 58.3333 % in that of {}\n", at(250)));
    has(&format!("INCOMPLETE: {} of {in_month} samples are missing\n", in_month - 52));

    let csv = bill(&["--csv"]);
    let mut lines = csv.lines();
    assert_eq!(
        lines.next().unwrap(),
        "month,direction,bytes,pkts,flows,average,95th percentile,samples,expected,collector not running,\
         exporter silent,not kept,lost datagrams,lost records,gaps"
    );
    let average = total * 8 / u64::from(in_month * 300);
    let expected = format!(
        "{month},in,{total},{},{received},{average},{percentile},52,{in_month},{},4,288,,{},",
        received * 1000,
        4 + after,
        share(lost, received)
    );
    let row = lines.next().unwrap();
    assert!(row.starts_with(&expected), "{row}\n{expected}");
    assert!(row.contains(&format!("; {}/{} exporter silent; ", at(200), at(220))), "{row}");
    collector.terminate();
}

#[test]
fn what_arrived_and_was_lost_is_restored_after_a_kill_exactly_once() {
    let collector = Collector::start_with(&[("NETFLOW__FLUSH_INTERVAL", "5m")]);
    let body = r#"{"prefixes":[{"prefix":"192.0.2.0","prefixLen":24}]}"#;
    collector.rest("PUT", "/senders/127.0.5.2", body);
    let socket = UdpSocket::bind("127.0.5.2:0").unwrap();
    // The records from 30 on are lost.
    for (written, sequence) in (1..).zip([0, 60, 90]) {
        socket.send_to(&v5(sequence, 0, 30), collector.receiving).unwrap();
        collector.wait_until("written", || collector.counter("journal_written_datagrams") == written);
    }
    let path = format!("/billing/127.0.5.2?prefix={PREFIX}");
    assert_eq!(collector.rest("GET", &path, "")["lost"], json!(null), "nothing was flushed");
    let collector = Collector::start_in(collector.kill());
    let shares = json!([{"unit": "records", "received": 90, "lost": 30, "share": 0.25}]);
    collector.wait_until("restored", || collector.rest("GET", &path, "")["lost"]["shares"] == shares);
    // What was sent while no collector ran is not lost.
    for sequence in [10_120, 10_150, 10_180] {
        socket.send_to(&v5(sequence, 0, 30), collector.receiving).unwrap();
    }
    collector.wait_until("counted", || collector.rest("GET", &path, "")["lost"]["shares"][0]["received"] == 180);
    let shares = collector.rest("GET", &path, "")["lost"]["shares"].clone();
    assert_eq!(shares[0]["lost"], 30);
    // It is not counted again by another start.
    let collector = Collector::start_in(collector.terminate().0);
    assert_eq!(collector.rest("GET", &path, "")["lost"]["shares"], shares);
    collector.terminate();
}
