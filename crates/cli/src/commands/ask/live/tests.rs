//! Compares drawn screens with their copies in `screens/`. `make bless` rewrites the copies and docs/live.svg.

mod picture;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use accounting::zone::Zone;
use flow::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use serde_json::{Value, json};

use super::answers::{Answers, Question};
use super::screen::draw;
use super::state::{Action, Key, Sort, State};

/// 2026-11-25T12:34:56Z.
const NOW: u64 = 1_795_610_096;

fn exporter(address: &str, protocol: &str, flows_per_second: f64, lost: u64, unmatched: u64) -> Value {
    // One that sends has sent a second ago when the screen has been open for a minute.
    let last = if flows_per_second > 0.0 { "2026-11-25T12:35:54Z" } else { "2026-11-25T12:34:54Z" };
    json!({
        "address": address, "protocols": {protocol: 1000}, "first": "2026-11-22T08:00:00Z", "last": last,
        "rates": {"datagramsPerSecond": flows_per_second / 24.0, "flowsPerSecond": flows_per_second},
        "arrivals": [{"unit": "datagrams", "received": 1000, "lost": lost}],
        "counters": {
            "flows": {"matched": 400_000, "unmatched": unmatched, "event": 0, "implausible": 0},
            "missing_template_sets": 40, "pending_decoded_sets": 40,
        },
    })
}

fn status(second: u64) -> Value {
    // A load that varies, the same in every run.
    let flows = (0..second).map(|second| 18_000 + (second * 7919) % 6000 + 4000 * (second / 9 % 3)).sum::<u64>();
    json!({
        "version": "0.1.0", "uptimeSeconds": 277_200 + second, "store": {"reachable": true, "milliseconds": 2},
        "counters": {
            "datagrams": {"decoded": 1_000_000 + flows / 24, "damaged": 0, "unknown_version": 0, "unregistered": 1204},
            "flows": {"matched": 24_000_000 + flows, "unmatched": 31_877, "event": 0, "implausible": 0},
            "decode_errors": 0, "kernel_drops": 0,
        },
        "gauges": {}, "ledgers": [{"name": "datagrams", "difference": 0}],
    })
}

fn answers(question: Question, second: u64) -> Answers {
    let inside = question.traffic.is_some();
    let only = |wanted: bool, value: Value| if wanted { value } else { Value::Null };
    let amount = |bytes: u64| json!({"bytes": bytes, "pkts": bytes / 812, "flows": bytes / 90_000});
    let row =
        |name: &str, bytes: u64| json!({"name": name, "bytes": bytes, "pkts": bytes / 812, "flows": bytes / 90_000});
    let points = (0..60_u64).map(|minute| {
        let bytes = 900_000_000 + (minute * 7919) % 500 * 1_000_000 + minute * 9_000_000;
        let counted = json!({"in": amount(bytes), "out": amount(bytes / 5 * (1 + minute % 3))});
        json!({"counters": if minute == 20 { Value::Null } else { counted }})
    });
    let arrivals = json!([{"unit": "datagrams", "lost": 12, "duplicates": 0, "late": 3, "restarts": 1}]);
    Answers {
        at: Timestamp::from_seconds(NOW + second),
        status: status(second),
        exporters: only(
            !inside,
            json!([
                exporter("192.0.2.1", "netflow-v9", 17_912.4, 12, 0),
                exporter("192.0.2.17", "ipfix", 4120.0, 0, 31_877),
                exporter("198.51.100.3", "sflow-v5", 310.2, 0, 0),
                exporter("2001:db8:0:17::1", "ipfix", 0.0, 0, 0),
            ]),
        ),
        unknown: only(!inside, json!([{"address": "203.0.113.9", "protocol": "netflow-v5", "datagrams": 1204}])),
        exporter: question.exporter.map_or(Value::Null, |address| {
            json!({"address": address.to_string(), "arrivals": arrivals, "streams": [{}, {}], "templates": [{}, {}, {}], "pendingSets": 0})
        }),
        sender: only(
            inside,
            json!({"ip": "192.0.2.1", "prefixes": [
                {"prefix": "172.16.1.0", "prefixLen": 24}, {"prefix": "2001:db8::", "prefixLen": 32},
            ]}),
        ),
        top: only(
            inside,
            json!({
                "total": amount(7_120_000_000),
                "rows": [
                    row("srcip:198.51.100.80", 3_912_000_000), row("srcip:203.0.113.44", 1_204_500_000),
                    row("srcip:2001:db8:9::1", 840_000_000), row("srcip:198.51.100.7", 99_000_000),
                ],
            }),
        ),
        series: only(inside, json!({"points": points.collect::<Vec<_>>()})),
        question,
    }
}

/// A screen that has been open for a minute.
fn open_for_a_minute() -> State {
    let mut state = State::new("http://127.0.0.1:8080", Zone::UTC);
    for second in 0..60 {
        state.note(Ok(answers(state.question(), second)));
    }
    state
}

/// Presses keys, with an answer after each.
fn press(state: &mut State, keys: &[Key]) {
    for key in keys {
        assert_eq!(state.press(*key), Action::Continue);
        state.note(Ok(answers(state.question(), 60)));
    }
}

fn drawn(state: &State, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let rows = buffer.content().chunks(usize::from(buffer.area.width));
    rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()).collect()
}

fn text(state: &State) -> String {
    lines(&drawn(state, 80, 24)).join("\n") + "\n"
}

/// Compares with the copy, or rewrites it.
fn compare(file: &Path, drawn: &str) {
    if env::var_os("NETFLOW_BLESS").is_some() {
        fs::write(file, drawn).unwrap();
    }
    let copy = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(drawn, copy, "{} differs: `make bless` rewrites it", file.display());
}

fn compare_screen(name: &str, state: &State) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/ask/live/screens");
    compare(&directory.join(name).with_extension("txt"), &text(state));
}

#[test]
fn the_list_shows_rates_and_losses_of_each_exporter() {
    let state = open_for_a_minute();
    compare_screen("list", &state);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/live.svg");
    compare(&path, &picture::svg(&drawn(&state, 80, 24)));
}

#[test]
fn ports_are_shown_with_their_names() {
    let mut state = open_for_a_minute();
    press(&mut state, &[Key::Enter]);
    let mut answers = answers(state.question(), 61);
    answers.top["rows"][0]["name"] = json!("dstport:443");
    answers.top["rows"][0]["names"] = json!({"dstport": "https"});
    state.note(Ok(answers));
    assert!(text(&state).contains("\ndstport:443 (https)  "), "{}", text(&state));
}

#[test]
fn enter_shows_the_traffic_of_an_exporter() {
    let mut state = open_for_a_minute();
    press(&mut state, &[Key::Enter]);
    compare_screen("sender", &state);
    let traffic = |state: &State| state.question().traffic.unwrap();
    press(&mut state, &[Key::Character('f'), Key::Character('d'), Key::Down]);
    assert_eq!((traffic(&state).field, traffic(&state).direction), ("dstip", "out"));
    assert!(text(&state).contains("2001:db8::/32  (prefix 2 of 2)"), "{}", text(&state));
    press(&mut state, &[Key::Down]);
    assert!(text(&state).contains("172.16.1.0/24  (prefix 1 of 2)"), "{}", text(&state));
    press(&mut state, &[Key::Up]);
    assert!(text(&state).contains("(prefix 2 of 2)"), "{}", text(&state));
    press(&mut state, &[Key::Escape]);
    assert!(text(&state).contains("unregistered router"), "{}", text(&state));
}

#[test]
fn help_covers_the_screen_until_any_key() {
    let mut state = open_for_a_minute();
    press(&mut state, &[Key::Character('?')]);
    compare_screen("help", &state);
    assert_eq!(state.press(Key::Character('q')), Action::Continue);
    assert!(!text(&state).contains("Keys and columns"));
    assert_eq!(state.press(Key::Character('q')), Action::Quit);
    assert_eq!(state.press(Key::Interrupt), Action::Quit);
}

#[test]
fn keys_sort_select_and_filter() {
    let mut state = open_for_a_minute();
    let order = |state: &State| state.rows().iter().map(|row| row.address.to_string()).collect::<Vec<_>>();
    assert_eq!(order(&state)[0], "192.0.2.1");
    press(&mut state, &[Key::Character('s'), Key::Character('s'), Key::Character('s')]);
    assert_eq!((state.sort, order(&state)[0].as_str()), (Sort::Unmatched, "192.0.2.17"));
    press(&mut state, &[Key::Down, Key::Down, Key::Up, Key::Down, Key::Down, Key::Down]);
    assert_eq!(state.selected.unwrap().to_string(), order(&state)[3]);
    press(&mut state, &[Key::Character('/'), Key::Character('i'), Key::Character('p'), Key::Character('x')]);
    assert!(text(&state).contains("filter: ipx_"), "{}", text(&state));
    assert!(text(&state).contains("no router matches the filter"), "{}", text(&state));
    press(&mut state, &[Key::Erase, Key::Character('f'), Key::Enter]);
    assert_eq!(order(&state), ["192.0.2.17", "2001:db8:0:17::1"]);
    press(&mut state, &[Key::Escape]);
    assert_eq!(order(&state).len(), 4);
}

#[test]
fn a_pause_freezes_the_screen() {
    let mut state = open_for_a_minute();
    press(&mut state, &[Key::Character('p')]);
    let before = text(&state);
    assert!(before.contains("PAUSED"));
    state.note(Ok(answers(state.question(), 99)));
    assert_eq!(text(&state), before);
    press(&mut state, &[Key::Character('p')]);
    state.note(Ok(answers(state.question(), 99)));
    assert_ne!(text(&state), before);
}

#[test]
fn an_unreachable_collector_is_reported_until_it_answers_again() {
    let mut state = State::new("http://127.0.0.1:8080", Zone::UTC);
    assert!(text(&state).contains("waiting for the collector"));
    state = open_for_a_minute();
    state.note(Err("cannot ask the collector at http://127.0.0.1:8080: Connection refused".into()));
    compare_screen("unreachable", &state);
    // After a restart its counters start at zero.
    state.note(Ok(answers(state.question(), 0)));
    state.note(Ok(answers(state.question(), 1)));
    assert!(text(&state).contains("OK: the store answers in 2 ms"), "{}", text(&state));
}

#[test]
fn a_key_limited_to_some_senders_sees_only_those() {
    let mut state = State::new("http://127.0.0.1:8080", Zone::UTC);
    for second in 0..60 {
        let mut answer = answers(state.question(), second);
        (answer.status, answer.unknown) = (Value::Null, Value::Null);
        answer.exporters.as_array_mut().unwrap().truncate(1);
        answer.exporters[0]["counters"] = status(second)["counters"].clone();
        state.note(Ok(answer));
    }
    compare_screen("limited", &state);
}

#[test]
fn problems_are_shown() {
    let mut state = open_for_a_minute();
    let mut answer = answers(state.question(), 61);
    answer.status["store"]["reachable"] = json!(false);
    answer.status["counters"]["kernel_drops"] = json!(1234);
    answer.status["gauges"] = json!({"spool_bytes": {"value": 60.0, "limit": 100.0}});
    answer.status["ledgers"][0]["difference"] = json!(-3);
    state.note(Ok(answer));
    let shown = lines(&drawn(&state, 200, 24)).join("\n");
    let expected = "the store is unreachable; the kernel dropped 1,234 datagrams: increase server.receiveBuffer; the spool \
                    is more than half full; ledgers do not balance: run netflow selfcheck";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn no_size_of_the_terminal_is_too_small_and_no_answer_too_strange() {
    let mut state = open_for_a_minute();
    for (width, height) in [(1, 1), (10, 3), (40, 10), (79, 23), (80, 24), (300, 100)] {
        drawn(&state, width, height);
        press(&mut state, &[Key::Enter]);
        drawn(&state, width, height);
        press(&mut state, &[Key::Character('?')]);
        drawn(&state, width, height);
        press(&mut state, &[Key::Character('?'), Key::Escape]);
    }
    for strange in [Value::Null, json!([]), json!({}), json!([[1], {"address": 5}]), json!("x"), json!(-1)] {
        for inside in [false, true] {
            let mut state = open_for_a_minute();
            if inside {
                state.press(Key::Enter);
            }
            let mut answer = answers(state.question(), 61);
            for part in [&mut answer.status, &mut answer.exporters, &mut answer.unknown, &mut answer.exporter] {
                *part = strange.clone();
            }
            (answer.sender, answer.top, answer.series) = (strange.clone(), strange.clone(), strange.clone());
            state.note(Ok(answer));
            drawn(&state, 80, 24);
        }
    }
}
