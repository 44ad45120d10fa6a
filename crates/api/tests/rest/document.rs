//! docs/rest.md: its examples work, and return the answers shown.

use std::path::Path;

use accounting::direction::Direction::In;
use serde_json::Value;

use crate::client::shell;
use crate::flows;
use crate::server::{AUTH_KEY, SIGN_KEY, Server, keys};
use crate::stats::{WRITER, count_of, count_the_example, minute};

/// The fenced blocks of a document: language and text.
fn blocks(document: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut rest = document;
    while let Some((_, opened)) = rest.split_once("\n```") {
        let (language, opened) = opened.split_once('\n').unwrap();
        let (text, closed) = opened.split_once("```\n").unwrap();
        blocks.push((language, text));
        rest = closed;
    }
    blocks
}

#[test]
fn the_examples_of_the_document_work_as_written() {
    let (_folder, archive) = flows::example();
    let server = Server::with(keys(), |api| api.with_web().answering_from(Some(archive)));
    count_the_example(&server);
    let second = [(In, "all", 2, 2000), (In, "proto:6", 2, 2000)];
    count_of(&server, WRITER, "172.16.1.2", minute("2014-02-02 05:01"), "172.16.1.0/24", &second);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rest.md");
    let document = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let blocks = blocks(&document);

    let keys = format!("authKey='{AUTH_KEY}'; signKey='{SIGN_KEY}'\n");
    let mut script = String::new();
    let mut expected = Vec::new();
    for pair in blocks.windows(2).chain([[("", ""); 2].as_slice()]) {
        let [(language, text), (next, answer)] = pair else { unreachable!() };
        if *language != "sh" {
            continue;
        }
        let text = text
            .replace(". data/keys\n", &keys)
            .replace("http://127.0.0.1:8080", &format!("http://{}", server.address));
        script.push_str(&text);
        if *next == "json" {
            script.push_str("printf '\\0'\n");
            expected.push((text, *answer));
        }
    }
    assert!(expected.len() >= 8, "the document has lost its examples");
    let answers = shell(server.address, &script);
    for ((example, expected), answer) in expected.iter().zip(answers.split('\0')) {
        let read = |text: &str| {
            serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}\n{example}"))
        };
        assert_eq!(read(answer), read(expected), "{example}");
        // The order of keys matters to readers: only white space may differ.
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().concat();
        assert_eq!(plain(answer), plain(expected), "{example}");
    }
}
