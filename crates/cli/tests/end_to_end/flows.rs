//! Questions about archived flows, asked of the real program: they have each flow that is counted once, while flows arrive, and
//! also where files end.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use testing::datagrams::sflow;

use crate::collector::Collector;
use crate::load::{self, FLOWS_A_SECOND, Running, until_exact};
use crate::traffic::Totals;

/// The answer to a question about the last hour, all of which could be read. A question gives way to everything else that needs
/// a processor, such as other tests, and may be refused because it got too little of one.
fn ask(collector: &Collector, path: &str) -> Value {
    let mut answer = Value::Null;
    collector.wait_until("a processor is free for a question", || {
        answer = collector.rest("GET", path, "");
        !answer["message"].as_str().is_some_and(|message| message.contains("takes longer than"))
    });
    assert_eq!(answer["coverage"]["leftOut"], json!([]), "{path}: {answer}");
    answer
}

fn sums(of: &Value) -> [u64; 3] {
    ["bytes", "packets", "flows"].map(|key| of[key].as_u64().unwrap_or_else(|| panic!("no {key}: {of}")))
}

fn add(sums: &mut [u64; 3], more: [u64; 3]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// What was sent, in all and by source.
fn sent(totals: &Totals) -> ([u64; 3], BTreeMap<String, [u64; 3]>) {
    let (mut all, mut sources) = ([0; 3], BTreeMap::<String, [u64; 3]>::new());
    for ((_, _, name), counters) in totals {
        let counters = [counters.bytes, counters.packets, counters.flows];
        match name.strip_prefix("srcip:") {
            Some(source) => add(sources.entry(source.to_owned()).or_default(), counters),
            None if name == "all" => add(&mut all, counters),
            None => {}
        }
    }
    (all, sources)
}

/// The flows of all pages, from a cursor on or from the first page.
fn pages(collector: &Collector, order: &str, mut cursor: Option<String>) -> [u64; 3] {
    let mut found = [0; 3];
    loop {
        let cursor_of = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let path = format!("/flows?order={order}&n=10000&columns=bytes,packets,flows{cursor_of}");
        let answer = ask(collector, &path);
        answer["rows"].as_array().unwrap().iter().for_each(|row| add(&mut found, sums(row)));
        let Some(next) = answer["next"].as_str() else { return found };
        cursor = Some(next.to_owned());
    }
}

#[test]
fn answers_have_each_flow_once_while_flows_arrive_and_files_end() {
    let mut collector = Collector::start();
    load::register(&collector);
    let running = Running::start(collector.receiving, FLOWS_A_SECOND, 7);
    let mut flows = 0;
    for _ in 0..5 {
        // All columns of the ends: nearly as many groups as flows.
        let answer = ask(&collector, "/flows/top?by=srcip,dstip,srcport,dstport,proto&n=1000");
        let mut listed = sums(&answer["rest"]);
        answer["rows"].as_array().unwrap().iter().for_each(|row| add(&mut listed, sums(row)));
        let total = sums(&answer["total"]);
        assert_eq!(listed, total);
        assert!(total[2] >= flows, "{total:?} after {flows} flows");
        flows = total[2];
    }
    let totals = running.stop();
    // Neither lost by the sockets nor by the archive: counted as they were sent, and archived as they were counted.
    until_exact(&collector, &totals, crate::collector::PATIENCE);
    let (all, sources) = sent(&totals);
    collector.wait_until("all flows are archived", || {
        let answer = ask(&collector, "/flows/top?by=proto");
        sums(&answer["total"])[2] >= all[2]
    });
    let answer = ask(&collector, "/flows/top?by=srcip&n=10000");
    assert_eq!((sums(&answer["total"]), &answer["rest"]["groups"]), (all, &json!(0)));
    assert!(answer["coverage"]["reaches"].is_string(), "{}", answer["coverage"]);
    let found: BTreeMap<_, _> = answer["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["key"]["srcip"].as_str().unwrap().to_owned(), sums(row)))
        .collect();
    assert_eq!(found, sources);
    let series = ask(&collector, "/flows/series?by=proto&every=1m");
    let mut in_steps = [0; 3];
    for step in series["steps"].as_array().unwrap() {
        add(&mut in_steps, sums(&step["rest"]));
        step["rows"].as_array().unwrap().iter().for_each(|row| add(&mut in_steps, sums(row)));
    }
    assert_eq!(in_steps, all);
    for order in ["newest", "oldest"] {
        assert_eq!(pages(&collector, order, None), all, "{order}");
    }
    // A cursor continues although the rows after it have moved from memory to files meanwhile.
    for order in ["newest", "oldest"] {
        let first = ask(&collector, &format!("/flows?order={order}&n=777&columns=bytes,packets,flows"));
        let mut found = [0; 3];
        first["rows"].as_array().unwrap().iter().for_each(|row| add(&mut found, sums(row)));
        collector = Collector::start_in(collector.terminate().0);
        add(&mut found, pages(&collector, order, first["next"].as_str().map(str::to_owned)));
        assert_eq!(found, all, "{order}");
    }
    collector.terminate();
}

#[test]
fn a_key_limited_to_an_exporter_behind_a_relay_gets_only_its_flows() {
    const RELAY: &str = "127.0.8.1";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("more.toml");
    let text = "[customer]\nauthKey = \"l\"\nsignKey = \"s\"\nrole = \"read\"\nsenders = [\"198.51.100.1\"]\n";
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let keys_file = [("NETFLOW__ADMIN__KEYS_FILE", file.to_str().unwrap())];
    let collector = Collector::start_with(&keys_file);
    for (sender, settings) in [(RELAY, r#","identity":"agent""#), ("198.51.100.1", ""), ("198.51.100.2", "")] {
        let body = format!(r#"{{"prefixes":[{{"prefix":"192.0.2.0","prefixLen":24}}]{settings}}}"#);
        collector.log();
        collector.rest("PUT", &format!("/senders/{sender}"), &body);
        collector.wait_for_line("registered senders changed");
    }
    let relay = UdpSocket::bind((RELAY.parse::<IpAddr>().unwrap(), 0)).unwrap();
    for (exporter, sequence) in [([198, 51, 100, 1], 1), ([198, 51, 100, 2], 1), ([198, 51, 100, 2], 2)] {
        relay.send_to(&sflow(exporter, sequence), collector.receiving).unwrap();
    }
    let total = |answer: &Value| answer["total"]["records"].as_u64().unwrap_or_else(|| panic!("{answer}"));
    let by_exporter = |answer: &Value| -> Vec<String> {
        let rows = answer["rows"].as_array().unwrap();
        rows.iter().map(|row| row["key"]["exporter"].as_str().unwrap().to_owned()).collect()
    };
    let mut all = Value::Null;
    collector.wait_until("all flows are archived", || {
        all = ask(&collector, "/flows/top?by=exporter");
        total(&all) == 3
    });
    let limited = |path: &str| -> Value {
        serde_json::from_str(&collector.shell(&format!("authKey=l\nsignKey=s\nask GET '{path}'"))).unwrap()
    };
    let own = limited("/flows/top?by=exporter");
    assert_eq!(by_exporter(&all).len(), 2);
    assert_eq!((by_exporter(&own), total(&own)), (vec!["198.51.100.1".to_owned()], 1));
    assert_eq!(limited("/flows/top?exporter=198.51.100.2")["status"], "FORBIDDEN");
    assert_eq!(limited(&format!("/flows/top?exporter={RELAY}"))["status"], "FORBIDDEN");
    assert_eq!(total(&limited("/flows/top?filter=exporter+198.51.100.2")), 0);
}

#[test]
fn without_an_archive_the_collector_advises_to_enable_it() {
    let collector = Collector::start_with(&[("NETFLOW__ARCHIVE__ENABLED", "false")]);
    let answer = collector.rest("GET", "/flows/top", "");
    assert_eq!(answer["status"], "NOT_FOUND");
    assert!(answer["message"].as_str().unwrap().contains("archive.enabled = true"), "{answer}");
}
