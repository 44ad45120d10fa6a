//! The scenarios in a short form: at a rate that all programs can handle, each counts what was sent; and the stress
//! scenarios reach their targets.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The bench, with the collector next to it, which a test of this package alone does not build.
fn bench(arguments: &[&str]) -> Command {
    let profile = Path::new(env!("CARGO_BIN_EXE_bench")).parent().unwrap();
    if !profile.join("netflow").exists() {
        assert!(Command::new(env!("CARGO")).args(["build", "-q", "-p", "cli"]).status().unwrap().success());
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(arguments);
    command
}

/// The standard output of a scenario that must succeed.
fn output_of(arguments: &[&str]) -> String {
    let output = bench(arguments).output().unwrap();
    let (table, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{table}\n{errors}");
    table
}

#[test]
fn at_a_low_rate_every_program_counts_what_was_sent() {
    let load = ["--rate", "20000", "--seconds", "0.5", "--search-seconds", "0", "--addresses", "1000"];
    let table =
        output_of(&[&["compare", "--protocols", "v9", "--rounds", "1", "--exporters", "3"], load.as_slice()].concat());
    assert_eq!(table.matches(" right ").count(), 7, "{table}");
}

#[test]
fn an_attack_loses_no_byte_and_no_large_name() {
    let table = output_of(&["attack", "--flows", "150000", "--rate", "25000"]);
    assert_eq!((table.matches("reached").count(), table.matches("MISSED").count()), (4, 0), "{table}");
}

/// The target of a full run is 8 KiB. Within one flush it is less than 6 KiB here, and must not grow much.
const KIB_EACH: f64 = 10.0;

#[test]
fn thousands_of_exporters_need_little_memory_each_and_lose_nothing() {
    let table = output_of(&["exporters", "--count", "2000", "--rate", "10000", "--seconds", "6"]);
    for target in ["nothing is lost", "totals are exact"] {
        assert!(table.lines().any(|line| line.contains(target) && line.contains("reached")), "{table}");
    }
    let memory = table.lines().find(|line| line.contains("memory each, minus that of one")).unwrap();
    let measured = memory.split('|').nth(3).and_then(|cell| cell.trim().strip_suffix(" KiB")).unwrap();
    assert!(measured.parse::<f64>().unwrap() < KIB_EACH, "{table}");
}

#[test]
fn a_flood_of_handshakes_costs_no_flow_and_no_answer() {
    let table = output_of(&["handshakes", "--sessions", "100", "--rate", "5000", "--seconds", "2"]);
    for target in ["flows are counted", "/healthz is answered", "a signed question is answered"] {
        assert!(table.lines().any(|line| line.contains(target) && line.contains("reached")), "{table}");
    }
}

#[test]
fn export_connections_lose_no_flow() {
    let load = ["--rate", "10000", "--exporters", "20", "--rate-each", "500", "--seconds", "0.5", "--rounds", "1"];
    let table = output_of(&[&["connections"], load.as_slice()].concat());
    let exact = |line: &&str| line.contains("flows are counted") && line.contains("reached");
    assert_eq!(table.lines().filter(exact).count(), 3 + 3 + 2, "{table}");
}

#[test]
fn overload_beside_a_hostile_key_costs_no_answer_and_no_flow_that_was_read() {
    let table = output_of(&["hostile", "--overload", "--connections", "60", "--seconds", "2"]);
    for target in [
        "datagrams read and dropped add up to those sent",
        "all flows that were read are stored",
        "ledgers balance",
        "the good key is answered",
        "its answers are the same",
        "the operator, /healthz and /readyz are answered",
    ] {
        assert!(table.lines().any(|line| line.contains(target) && line.contains("reached")), "{table}");
    }
}

#[test]
fn answers_about_kept_flows_are_those_of_other_programs() {
    let table = output_of(&["archive", "--flows", "60000", "--rate", "20000", "--rounds", "1"]);
    let equal = table.lines().filter(|line| line.contains("all answers are equal") && line.contains("reached"));
    assert_eq!(equal.count(), 7, "{table}");
}

#[test]
fn the_archive_costs_no_flow_and_has_all_that_were_counted() {
    let rates = ["--exporters", "2", "--rounds", "1", "--seconds", "0.5", "--steps", "1"];
    let questions = ["--flows", "20000", "--first-rate", "10000", "--rate", "5000", "--question-seconds", "1"];
    let table = output_of(&[&["archive-load"], rates.as_slice(), questions.as_slice()].concat());
    for target in [
        "in each step it has all flows that were counted",
        "overload: datagrams read and dropped add up to those sent",
        "overload: all flows that were read are stored",
        "overload: ledgers balance",
        "overload: it has all flows that were counted, or states what is missing",
        "questions: all flows are counted",
        "questions: all flows are archived",
        "questions: each answer has all flows of before",
    ] {
        assert!(table.lines().any(|line| line.contains(target) && line.contains("reached")), "{target}\n{table}");
    }
}

#[test]
fn a_killed_bench_takes_its_programs_with_it() {
    let mut bench = bench(&["idle", "--seconds", "60"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let child = wait_for("a child", || children(&bench).first().copied());
    wait_for("the collector", || name(child).filter(|name| name == "netflow"));
    bench.kill().unwrap();
    bench.wait().unwrap();
    wait_for("its end", || name(child).is_none_or(|name| name != "netflow").then_some(()));
}

fn children(parent: &Child) -> Vec<u32> {
    let id = parent.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// The name of a running process.
fn name(id: u32) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = |key| status.lines().find_map(|line: &str| line.strip_prefix(key)).map(str::trim);
    line("State:").filter(|state| !state.starts_with('Z'))?;
    line("Name:").map(str::to_owned)
}

fn wait_for<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(300);
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < end, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
