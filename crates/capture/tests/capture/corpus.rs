//! The third-party captures: each contains the number of UDP datagrams in its expectation file.

use std::fs;
use std::path::Path;

use capture::Capture;

#[test]
fn every_capture_of_the_corpus_holds_the_expected_number_of_datagrams() {
    let Some(corpus) = testing::captures() else { return };
    let mut captures = 0;
    let mut wrong = Vec::new();
    for source in fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for expectation in fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()) {
            if expectation.to_string_lossy().ends_with(".expected.json") {
                captures += 1;
                wrong.extend(compare(&expectation));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(captures > 100, "only {captures} captures found");
}

/// What is wrong with the capture beside an expectation file, if anything.
fn compare(expectation: &Path) -> Option<String> {
    let expected: serde_json::Value = serde_json::from_slice(&fs::read(expectation).unwrap()).unwrap();
    let path = expectation.with_file_name(expected["capture"].as_str().unwrap());
    let mut capture = match Capture::open(&path) {
        Ok(capture) => capture,
        Err(error) => return Some(format!("{}: {error}", path.display())),
    };
    let mut datagrams = 0;
    loop {
        match capture.next() {
            Ok(Some(_)) => datagrams += 1,
            Ok(None) => break,
            Err(error) => return Some(format!("{}: {error}", path.display())),
        }
    }
    let statistics = capture.statistics();
    let clean = statistics.truncated + statistics.damaged + statistics.incomplete + statistics.unknown_link_layer == 0;
    let expected = expected["datagrams"]["total"].as_u64().unwrap();
    (datagrams != expected || !clean)
        .then(|| format!("{}: {datagrams} datagrams, expected {expected}; {statistics:?}", path.display()))
}
