//! Orders to readers of the log: who may give them, what is answered, and what is refused. The answers are those of docs/rest.md.

use std::io;
use std::sync::{Arc, Mutex};

use api::{Key, LogPart, OrderReaders, ReaderOrderError, ReaderPlace, Role};
use serde_json::{Value, json};
use tap::Taps;

use crate::client::{Answer, ask, send, sign_with};
use crate::server::{Server, keys};
use crate::status::MadeUp;

/// Remembers its orders.
#[derive(Default)]
struct Orders {
    given: Mutex<Vec<String>>,
    is_disk_full: bool,
}

impl Orders {
    fn give(&self, reader: &str, order: String) -> Result<(), ReaderOrderError> {
        match reader {
            "archive" if self.is_disk_full => Err(ReaderOrderError::Disk(io::ErrorKind::StorageFull.into())),
            "archive" => {
                self.given.lock().unwrap().push(order);
                Ok(())
            }
            _ => Err(ReaderOrderError::Unknown),
        }
    }
}

impl OrderReaders for Orders {
    fn pause(&self, reader: &str, is_paused: bool) -> Result<(), ReaderOrderError> {
        self.give(reader, if is_paused { "pause" } else { "resume" }.to_owned())
    }

    fn reset(&self, reader: &str, to: ReaderPlace) -> Result<LogPart, ReaderOrderError> {
        self.give(reader, format!("{to:?}"))?;
        Ok(LogPart { flushes: 360, segments: 720, octets: 73_400_320 })
    }
}

fn server(orders: &Arc<Orders>) -> Server {
    let limited =
        [(Role::Read, "reads", None), (Role::Write, "writes", None), (Role::Admin, "some", Some("192.0.2.1"))];
    let limited = limited.into_iter().map(|(role, name, senders)| {
        let senders = senders.map(|sender| vec![sender.parse().unwrap()]);
        Key::new(name, name, "sign").unwrap().limited(role, senders)
    });
    Server::with(keys().with(limited), |api| {
        api.showing(Arc::new(MadeUp::default()), Taps::default()).ordering(Some(Arc::<Orders>::clone(orders)))
    })
}

fn ask_with(server: &Server, key: &str, method: &str, path: &str) -> Answer {
    let headers = format!("X-Io-Auth: {key}\r\nX-Io-Sign: {}\r\n", sign_with("sign", key.as_bytes()));
    send(server.address, method, path, &headers, b"")
}

#[test]
fn orders_are_given_and_the_answers_are_those_of_the_document() {
    let orders = Arc::new(Orders::default());
    let server = server(&orders);
    let document = include_str!("../../../../docs/rest.md");
    let (_, section) = document.split_once("\n### Readers of the log\n").unwrap();
    let (section, _) = section.split_once("\n### ").unwrap();
    let examples: Vec<Value> = section
        .split("```json\n")
        .skip(1)
        .map(|example| serde_json::from_str(example.split("```").next().unwrap()).unwrap())
        .collect();
    let answers = [
        ask(server.address, "GET", "/readers", "").json(),
        ask(server.address, "POST", "/readers/archive/reset", r#"{"to":"oldest"}"#).json(),
    ];
    assert_eq!(answers.as_slice(), examples, "{}", json!(answers));
    assert_eq!(ask(server.address, "GET", "/status", "").json()["readers"], answers[0]);
    for path in ["/readers/archive/pause", "/readers/archive/resume"] {
        assert_eq!(ask(server.address, "POST", path, "").json(), answers[0][0]);
    }
    let newest = ask(server.address, "POST", "/readers/archive/reset", r#"{"to":"newest"}"#).json();
    assert_eq!((&newest["to"], &newest["flushes"]), (&json!("newest"), &json!(360)));
    assert_eq!(*orders.given.lock().unwrap(), ["Oldest", "pause", "resume", "Newest"]);
}

#[test]
fn only_an_administrator_of_all_senders_gives_orders() {
    let orders = Arc::new(Orders::default());
    let server = server(&orders);
    for key in ["reads", "writes"] {
        assert_eq!(ask_with(&server, key, "GET", "/readers").status, 200, "{key}");
        let refused = ask_with(&server, key, "POST", "/readers/archive/pause").refusal(403, "FORBIDDEN");
        assert!(refused.contains("the role admin"), "{refused}");
    }
    for (method, path) in [("GET", "/readers"), ("POST", "/readers/archive/pause")] {
        ask_with(&server, "some", method, path).refusal(403, "FORBIDDEN");
    }
    assert!(orders.given.lock().unwrap().is_empty());
}

#[test]
fn a_wrong_order_names_what_is_right() {
    let orders = Arc::new(Orders::default());
    let server = server(&orders);
    let refused = |path, body, code, status| ask(server.address, "POST", path, body).refusal(code, status);
    let unknown = refused("/readers/kafka/pause", "", 404, "NOT_FOUND");
    assert_eq!(unknown, "no reader of the log is called \"kafka\"; there are archive");
    for (body, problem) in [
        ("", "the body is empty"),
        ("{}", "to: is missing"),
        (r#"{"to":"noon"}"#, r#"must be "oldest" or "newest", not "noon""#),
        (r#"{"to":"oldest","from":1}"#, "from"),
    ] {
        let refused = refused("/readers/archive/reset", body, 400, "BAD_REQUEST");
        assert!(refused.contains(problem), "{body}: {refused}");
    }
    refused("/readers/archive/pause", r#"{"for":"1h"}"#, 400, "BAD_REQUEST");
    ask(server.address, "GET", "/readers/archive/pause", "").refusal(405, "METHOD_NOT_ALLOWED");
    assert!(orders.given.lock().unwrap().is_empty());
    let without = Server::with(keys(), |api| api.showing(Arc::new(MadeUp::default()), Taps::default()));
    ask(without.address, "POST", "/readers/archive/pause", "").refusal(404, "NOT_FOUND");
}

#[test]
fn an_order_that_cannot_be_stored_is_an_error() {
    let orders = Arc::new(Orders { is_disk_full: true, ..Orders::default() });
    let server = server(&orders);
    ask(server.address, "POST", "/readers/archive/pause", "").refusal(500, "INTERNAL_SERVER_ERROR");
}
