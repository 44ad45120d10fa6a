//! `archive.query = "clickhouse"`: the same answers as those of the archive, over REST and from `netflow flows`.

use serde_json::{Value, json};
use testing::Service;

use crate::collector::Collector;
use crate::crashes::{EXPORTERS, FLOWS_A_DATAGRAM, send_some};

const DATAGRAMS: u64 = 40;

fn start(service: &Service, archive: &str) -> Collector {
    let collector = Collector::start_with(&[
        ("NETFLOW__CLICKHOUSE__HOSTS", &service.hosts[0]),
        ("NETFLOW__ARCHIVE__QUERY", "clickhouse"),
        ("NETFLOW__ARCHIVE__ENABLED", archive),
    ]);
    for exporter in EXPORTERS {
        let prefixes = r#"{"prefixes":[{"prefix":"192.0.2.0","prefixLen":24}]}"#;
        collector.rest("PUT", &format!("/senders/{exporter}"), prefixes);
    }
    collector.wait_for_line("senders=2");
    EXPORTERS.iter().for_each(|exporter| send_some(exporter, collector.receiving, 1, DATAGRAMS));
    collector
}

/// The JSON of an answer, without what depends on who gives it.
fn flows(collector: &Collector, arguments: &[&str]) -> Value {
    let all = [&["flows", "--json", "--sent"], arguments].concat();
    let (answer, error, code) = collector.command(&all);
    assert_eq!(code, Some(0), "{error}");
    let mut answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    for differs in ["coverage", "next"] {
        answer[differs].take();
    }
    answer
}

fn until_all_are_there(collector: &Collector) {
    let all = EXPORTERS.len() as u64 * DATAGRAMS * FLOWS_A_DATAGRAM;
    collector.wait_until("in the table", || {
        let answer = collector.rest("GET", "/flows/top?by=exporter", "");
        answer["total"]["flows"] == json!(all)
    });
}

#[test]
fn answers_of_clickhouse_are_those_of_the_archive() {
    let service = Service::start("clickhouse", 1, &[]);
    let collector = start(&service, "true");
    until_all_are_there(&collector);
    let now = collector.shell("date -u -d '+1 minute' +%FT%TZ").trim().to_owned();
    let time = ["--to", now.as_str(), "--last", "2h"];
    // The files are complete when the collector has stopped, and the same program reads them.
    let questions: [&[&str]; 4] = [
        &["--by", "exporter,dstip/28", "-n", "7"],
        &["--by", "dstip", "--distinct", "exporter", "--sum", "distinct", "dst net 192.0.2.0/26 and not port 443"],
        &["--every", "1m", "--by", "exporter"],
        &["--columns", "received,exporter,dstip,bytes", "-n", "300", "src host 0.0.0.0 or bytes 7-20"],
    ];
    let asked: Vec<_> = questions.iter().map(|words| flows(&collector, &[&time[..], words].concat())).collect();
    assert_eq!(asked[0]["total"]["flows"], json!(EXPORTERS.len() as u64 * DATAGRAMS * FLOWS_A_DATAGRAM));
    let answer = collector.rest("GET", "/flows/top?by=exporter", "");
    let coverage = &answer["coverage"];
    assert_eq!((&coverage["database"], &coverage["read"]), (&json!("clickhouse"), &Value::Null), "{coverage:#}");
    assert!(coverage["reaches"].is_string() && coverage["missing"] == json!([]), "{coverage:#}");
    let (lines, _, _) = collector.command(&["flows", "--by", "exporter"]);
    assert!(lines.contains("read from the table in ClickHouse"), "{lines}");

    service.run(&["kill", "1"]);
    let error = collector.rest("GET", "/flows/top?by=exporter", "");
    assert_eq!(error["status"], "SERVICE_UNAVAILABLE", "{error}");
    let message = format!("cannot reach ClickHouse at {}", service.hosts[0]);
    assert!(error["message"].as_str().is_some_and(|text| text.starts_with(&message)), "{error}");
    let (_, error, code) = collector.command(&["flows", "--by", "exporter"]);
    assert!(code != Some(0) && error.contains(&message), "{code:?} {error}");
    service.run(&["start", "1"]);

    let (directory, _) = collector.terminate();
    let local = Collector::start_in_with(directory, &[]);
    for (words, asked) in questions.iter().zip(asked) {
        let folder = local.path().join("data/flows").display().to_string();
        let own = flows(&local, &[&time[..], words, &["--folder", &folder]].concat());
        assert_eq!(own, asked, "{words:?}");
    }
    local.terminate();
}

#[test]
fn clickhouse_answers_although_nothing_is_archived() {
    let service = Service::start("clickhouse", 1, &[]);
    let collector = start(&service, "false");
    until_all_are_there(&collector);
    assert!(!collector.path().join("data/flows").exists());
    collector.terminate();
}

#[test]
fn questions_to_clickhouse_without_one_are_an_error_of_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("netflow.toml"), "archive.query = \"clickhouse\"\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_netflow"))
        .args(["check-config", "--config", "netflow.toml"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("set clickhouse.hosts too"), "{text}");
}
