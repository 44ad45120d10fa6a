//! `/series` with `field`: each value has what its own answer has, and every step adds up to its total.

use accounting::direction::Direction::{self, In, InLocal, Out};
use serde_json::{Value, json};

use crate::client::ask;
use crate::server::Server;
use crate::stats::{WRITER, count_of, minute};

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";
const PREFIX: &str = "10.0.0.0/8";
const RANGE: &str = "from=2026-03-01T10:57Z&to=2026-03-01T11:03Z&step=minute";

fn get(server: &Server, path: &str) -> Value {
    let answer = ask(server.address, "GET", path, "");
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

/// Three minutes of two routers, with values in common and with some that a limit folded.
fn counted() -> Server {
    let server = Server::start();
    for sender in [A, B] {
        let body = r#"{"prefixes":[{"prefix":"10.0.0.0","prefixLen":8}]}"#;
        assert_eq!(ask(server.address, "PUT", &format!("/senders/{sender}"), body).status, 200);
    }
    let one: &[(Direction, &str, u64, u64)] = &[
        (In, "all", 30, 3000),
        (In, "srcip:198.51.100.1", 5, 1000),
        (In, "srcip:198.51.100.2", 15, 1200),
        (In, "srcip:198.51.100.3", 4, 300),
        (In, "srcip:other", 6, 500),
        (In, "proto:6", 30, 3000),
        (Out, "all", 9, 900),
        (Out, "dstip:198.51.100.1", 3, 700),
        (Out, "dstip:198.51.100.9", 6, 200),
        (Out, "srcip:10.0.0.7", 9, 900),
        (Out, "proto:17", 9, 900),
    ];
    let two: &[(Direction, &str, u64, u64)] = &[
        (In, "all", 2, 400),
        (In, "srcip:198.51.100.3", 2, 400),
        (InLocal, "all", 1, 50),
        (InLocal, "srcip:10.0.0.1", 1, 50),
    ];
    count_of(&server, WRITER, A, minute("2026-03-01 10:58"), PREFIX, one);
    count_of(&server, WRITER, A, minute("2026-03-01 11:01"), PREFIX, two);
    count_of(&server, WRITER, B, minute("2026-03-01 10:58"), PREFIX, two);
    count_of(&server, WRITER, B, minute("2026-03-01 11:00"), PREFIX, one);
    server
}

fn names(answer: &Value) -> Vec<&str> {
    answer["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

const COUNTERS: [&str; 3] = ["bytes", "pkts", "flows"];

fn counters(of: &Value) -> [u64; 3] {
    COUNTERS.map(|name| of[name].as_u64().unwrap())
}

/// The points of the answer about one name; `remote...` is the source of what comes in and the destination of what goes out.
fn single(server: &Server, subject: &str, name: &str, direction: &str) -> Value {
    let (field, value) = name.split_once(':').unwrap();
    let of_direction = match (field.strip_prefix("remote"), direction.starts_with("in")) {
        (Some(end), true) => format!("src{end}"),
        (Some(end), false) => format!("dst{end}"),
        (None, _) => field.to_owned(),
    };
    get(server, &format!("/series{subject}&{RANGE}&direction={direction}&name={of_direction}:{value}"))
}

#[test]
fn each_value_has_what_its_own_answer_has_and_steps_add_up() {
    let server = counted();
    let directions = ["in", "out", "in:local", "out:local"];
    for subject in [
        format!("/{A}?prefix={PREFIX}"),
        format!("?sender=all&prefix={PREFIX}"),
        format!("?sender={A},{B}&prefix={PREFIX}"),
    ] {
        for question in ["field=remoteip&n=2", "field=srcip", "field=proto&n=1", "field=remoteip&by=flows&n=1"] {
            let answer = get(&server, &format!("/series{subject}&{RANGE}&{question}"));
            let all = get(&server, &format!("/series{subject}&{RANGE}"));
            let singles: Vec<Vec<Value>> = names(&answer)
                .iter()
                .map(|name| directions.map(|direction| single(&server, &subject, name, direction)).into())
                .collect();
            let points = answer["points"].as_array().unwrap();
            assert_eq!(points.len(), 6);
            for (step, point) in points.iter().enumerate() {
                let total = &all["points"][step];
                assert_eq!(point["start"], total["start"]);
                if total["counters"].is_null() {
                    assert!(point["counters"].is_null(), "a gap stays one");
                    continue;
                }
                for (number, direction) in directions.iter().enumerate() {
                    let of = &point["counters"][direction];
                    assert_eq!(counters(of), counters(&total["counters"][direction]), "{subject} {question}");
                    let rows = of["rows"].as_array().unwrap();
                    assert_eq!(rows.len(), singles.len());
                    for (row, single) in rows.iter().zip(&singles) {
                        let own = &single[number]["points"][step]["counters"][direction];
                        assert_eq!(counters(row), counters(own), "{subject} {question} {step} {direction}");
                    }
                    let parts = rows.iter().chain([&of["rest"], &of["other"]]);
                    let sums = parts.map(counters).fold([0; 3], |sum, part| [0, 1, 2].map(|i| sum[i] + part[i]));
                    assert_eq!(sums, counters(of), "{subject} {question} {step} {direction}");
                }
            }
        }
    }
}

#[test]
fn the_largest_values_are_those_of_the_asked_directions_together() {
    let server = counted();
    let of = |question: &str| get(&server, &format!("/series/{A}?prefix={PREFIX}&{RANGE}&{question}"));
    // 1000 in and 700 out are more than 1200 in.
    let answer = of("field=remoteip&n=2");
    assert_eq!(names(&answer), ["remoteip:198.51.100.1", "remoteip:198.51.100.2"]);
    assert_eq!(
        (&answer["field"], &answer["by"], &answer["name"]),
        (&json!("remoteip"), &json!("bytes"), &json!("all"))
    );
    assert_eq!(names(&of("field=remoteip&n=1&direction=in")), ["remoteip:198.51.100.2"]);
    assert_eq!(names(&of("field=remoteip&n=1&direction=out,out:local")), ["remoteip:198.51.100.1"]);
    assert_eq!(names(&of("field=remoteip&n=2&by=flows")), ["remoteip:198.51.100.2", "remoteip:198.51.100.1"]);
    assert_eq!(names(&of("field=ownip&n=1")), ["ownip:10.0.0.7"]);
    let point = of("field=srcip&direction=in&n=1")["points"][1]["counters"]["in"].clone();
    let expected = json!({"bytes": 3000, "pkts": 30, "flows": 30, "truncated": true,
        "rows": [{"bytes": 1200, "pkts": 12, "flows": 15}],
        "rest": {"bytes": 1300, "pkts": 13, "flows": 9},
        "other": {"bytes": 500, "pkts": 5, "flows": 6}});
    assert_eq!(point, expected);
}

#[test]
fn given_values_are_shown_in_their_order_with_their_names() {
    let server = counted();
    let path = format!("/series/{A}?prefix={PREFIX}&{RANGE}");
    let answer = get(&server, &format!("{path}&field=remoteip&values=198.51.100.9,198.51.100.77,198.51.100.1"));
    assert_eq!(
        names(&answer),
        ["remoteip:198.51.100.9", "remoteip:198.51.100.77", "remoteip:198.51.100.1"],
        "also one that has no traffic"
    );
    assert_eq!(answer.get("by"), None);
    let out = &answer["points"][1]["counters"]["out"];
    assert_eq!(
        out["rows"].as_array().unwrap().iter().map(counters).collect::<Vec<_>>(),
        [[200, 2, 6], [0, 0, 0], [700, 7, 3]]
    );
    let named = get(&server, &format!("{path}&field=proto&values=tcp,UDP,6&names=1"));
    assert_eq!(
        named["rows"],
        json!([{"name": "proto:6", "names": {"proto": "tcp"}}, {"name": "proto:17", "names": {"proto": "udp"}}])
    );
}

#[test]
fn invalid_questions_about_fields_name_the_fix() {
    let server = counted();
    let refused = |question: &str, message: &str| {
        let path = format!("/series/{A}?prefix={PREFIX}&{RANGE}&{question}");
        let refusal = ask(server.address, "GET", &path, "").refusal(400, "BAD_REQUEST");
        assert!(refusal.contains(message), "{question}: {refusal}");
    };
    refused("n=3", "n: needs a field: add field=srcip");
    refused("values=6", "values: needs a field");
    refused("field=srcip&name=proto:6", "name: cannot be combined with field");
    refused("field=srcip&values=192.0.2.1&n=3", "n: cannot be combined with values");
    refused("field=remoteip&values=443", "values: '");
    refused("field=srcip&n=51", "n: must be a whole number from 1 to 50");
    refused("field=colour", "field: must be one of proto, srcip");
    refused("direction=in,up", "direction: must be one of in, out, in:local, out:local, or several with commas");
    let week = format!("/series/{A}?prefix={PREFIX}&field=remoteip&step=minute&from=2026-03-01&to=2026-03-03");
    let refusal = ask(server.address, "GET", &week, "").refusal(422, "UNPROCESSABLE_ENTITY");
    assert!(refusal.contains("at most 1441 minutes"), "{refusal}");
}
