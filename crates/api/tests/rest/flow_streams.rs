//! Answers about flows in lines: parts of them while the rest is read, and how far that is.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use api::FlowArchive;
use archive::OpenParts;
use columns::Id;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{ask, credentials};
use crate::flows::{FLOWS, RANGE, as_limited, get, large, metric, over, wait_until, write};
use crate::server::Server;
use crate::stats::minute;

/// Two days in which there are flows of changing exporters every ten minutes.
const DAYS: &str = "from=2014-02-01T00:00Z&to=2014-02-03T00:00Z";

fn days() -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let begin = minute("2014-02-01 00:00").start.timestamp().milliseconds();
    let rows = (0..2 * 24 * 6_u64).map(|number| {
        let mut row = FLOWS[(number % 5) as usize].row();
        row.set(Id::Received, begin + number * 600_000);
        row.set(Id::SrcPort, number % 7);
        row.set(Id::Bytes, 1000 + number * number);
        row
    });
    write(folder.path(), rows);
    let archive = FlowArchive::new(folder.path().to_owned(), OpenParts::default(), 256 << 20);
    (folder, over(archive))
}

/// The lines of an answer, each with its kind. The other lines are those of the chunked encoding.
fn lines(text: &str) -> Vec<(String, Value)> {
    let read = |line: &str| {
        let Value::Object(line) = serde_json::from_str(line).unwrap() else { panic!("no object: {line}") };
        assert_eq!(line.len(), 1);
        line.into_iter().next().unwrap()
    };
    text.lines().filter(|line| line.starts_with('{')).map(read).collect()
}

fn stream(server: &Server, path: &str) -> Vec<(String, Value)> {
    let answer = ask(server.address, "GET", &format!("{path}&stream=1"), "");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")), "{answer:?}");
    lines(answer.text())
}

/// What an answer shows, without how many files were read for it.
fn shown(mut answer: Value) -> Value {
    answer["coverage"]["read"] = Value::Null;
    answer
}

#[test]
fn each_line_is_the_exact_answer_about_its_time_and_the_last_about_all() {
    let (_folder, server) = days();
    for path in [
        "/flows?columns=received,srcport,bytes&n=20",
        "/flows/top?by=srcport&n=3&names=1",
        "/flows/series?by=srcport&n=2&every=1h",
    ] {
        let lines = stream(&server, &format!("{path}&{DAYS}"));
        let answers: Vec<_> = lines.iter().filter(|(kind, _)| kind != "progress").collect();
        let kinds: Vec<_> = answers.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["part", "part", "answer"], "{path}");
        assert_eq!(lines.last(), answers.last().copied());
        let begins = ["2014-02-02T23:00:00Z", "2014-02-02T20:00:00Z", "2014-02-01T00:00:00Z"];
        for ((_, answer), from) in answers.into_iter().zip(begins) {
            assert_eq!((&answer["from"], &answer["to"]), (&from.into(), &"2014-02-03T00:00:00Z".into()));
            let alone = get(&server, &format!("{path}&from={from}&to=2014-02-03T00:00Z"));
            assert_eq!(shown(answer.clone()), shown(alone), "{path}");
        }
        for (_, line) in lines.iter().filter(|(kind, _)| kind == "progress") {
            assert!(begins.contains(&line["from"].as_str().unwrap()) && line["percent"].as_u64().unwrap() <= 100);
        }
    }
}

#[test]
fn what_has_no_first_part_is_answered_at_once() {
    let (_folder, server) = days();
    let first = get(&server, &format!("/flows?{DAYS}&n=2"));
    let next = format!("/flows?n=2&cursor={}", first["next"].as_str().unwrap());
    let oldest = format!("/flows?{DAYS}&order=oldest&n=2");
    for path in [next, oldest, "/flows/top?from=2014-02-02T00:00Z&to=2014-02-02T02:00Z".to_owned()] {
        let lines = stream(&server, &path);
        assert!(lines.iter().all(|(kind, _)| kind != "part"), "{path}: {lines:?}");
        assert_eq!(shown(lines.last().unwrap().1.clone()), shown(get(&server, &path)));
    }
}

#[test]
fn a_limited_key_gets_only_lines_of_its_senders() {
    let (_folder, server) = days();
    let path = format!("/flows/top?{DAYS}&by=exporter&stream=1");
    let answer = as_limited(server.address, &path);
    assert!(answer.text().contains("172.16.1.1") && !answer.text().contains("192.0.2.1"), "{answer:?}");
    let refused = as_limited(server.address, &format!("{path}&exporter=192.0.2.1"));
    refused.refusal(403, "FORBIDDEN");
}

#[test]
fn an_invalid_question_is_refused_and_one_without_an_answer_ends_with_the_reason() {
    let (_folder, server) = days();
    let refusal = ask(server.address, "GET", "/flows/top?stream=2", "").refusal(400, "BAD_REQUEST");
    assert!(refusal.starts_with("stream: "), "{refusal}");
    let lines = stream(&server, "/flows/top?from=2013-01-01&to=2013-01-02");
    let (kind, error) = lines.last().unwrap();
    assert_eq!((kind.as_str(), &error["status"]), ("error", &"BAD_REQUEST".into()));
    assert!(error["message"].as_str().unwrap().starts_with("to: the archive has flows from "), "{error}");
    assert!(lines.iter().all(|(kind, _)| kind == "progress" || kind == "error"));
}

#[test]
fn reading_ends_when_the_client_of_a_stream_goes() {
    let folder = large();
    let server = over(FlowArchive::new(folder.path().to_owned(), OpenParts::default(), 256 << 20));
    let address = server.address;
    let is_running = || metric(address, "netflow_running_flow_questions") > 0.0;
    let path = format!("/flows/top?{RANGE}&by=srcport,start&distinct=srcip,received&stream=1");
    // Until one was not answered before its client had gone.
    wait_until("a question is cancelled when its client goes", || {
        let mut client = TcpStream::connect(address).unwrap();
        write!(client, "GET {path} HTTP/1.1\r\nHost: netflow\r\n{}\r\n", credentials()).unwrap();
        let mut reader = BufReader::new(client);
        let mut line = String::new();
        while !line.starts_with("{\"progress\":{\"from\":\"2014-02-02T05:00:00Z\",") {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "no line");
        }
        wait_until("the question is being answered", is_running);
        drop(reader);
        wait_until("the question has ended", || !is_running());
        metric(address, "netflow_flow_questions_total{result=\"cancelled\"}") > 0.0
    });
}
