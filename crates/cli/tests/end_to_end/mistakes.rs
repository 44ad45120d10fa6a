//! Mistakes in the arguments of commands: their errors, whether they ask the collector at all, and their exit codes.

use std::process::Command;

use crate::collector::Collector;
use crate::commands::{counted, run};

#[test]
fn a_prefix_that_a_sender_does_not_have_is_not_removed_silently() {
    let collector = Collector::start();
    run(&collector, &["senders", "add", "192.0.2.1", "192.0.2.0/24", "2001:db8::/32"]);
    for prefixes in [&["10.44.0.0/16"][..], &["2001:db8::/32", "10.44.0.0/16"]] {
        let (printed, stderr, code) = collector.command(&[&["senders", "remove", "192.0.2.1"], prefixes].concat());
        assert_eq!((code, printed.as_str()), (Some(9), ""));
        let expected =
            "nothing is removed: 10.44.0.0/16 is no prefix of 192.0.2.1; its prefixes: 192.0.2.0/24, 2001:db8::/32";
        assert!(stderr.contains(expected), "{stderr}");
    }
    let left = run(&collector, &["senders", "remove", "192.0.2.1", "2001:db8::/32"]);
    assert!(left.contains("192.0.2.0/24") && !left.contains("2001:db8::"), "{left}");
    let (_, stderr, code) = collector.command(&["senders", "remove", "192.0.2.2", "10.44.0.0/16"]);
    assert!(code == Some(9) && stderr.contains("192.0.2.2 is not a registered sender"), "{stderr}");
    collector.terminate();
}

#[test]
fn a_prefix_that_covers_another_is_warned_of_unless_own_networks_are_stated() {
    let collector = Collector::start();
    let add = |prefix: &str| collector.command(&["senders", "add", "192.0.2.1", prefix]);
    assert_eq!(add("192.0.2.0/25").1, "");
    assert!(
        add("0.0.0.0/0").1.starts_with("warning: 0.0.0.0/0 has both ends of every IPv4 flow, so that each counts as")
    );
    let (printed, stderr, code) = add("192.0.2.0/24");
    assert!(code == Some(0) && printed.contains("192.0.2.0/24"), "{printed}");
    assert!(
        stderr.starts_with("warning: 192.0.2.0/24 covers 192.0.2.0/25: traffic between 192.0.2.0/25 and "),
        "{stderr}"
    );
    assert!(stderr.contains(" local, and counts as in:local and out:local instead of in and out"), "{stderr}");
    std::fs::write(collector.path().join("routers.txt"), "192.0.2.2 prefixes=10.0.0.0/8,10.1.0.0/16\n").unwrap();
    let (_, stderr, code) = collector.command(&["senders", "import", "routers.txt"]);
    assert!(code == Some(0) && stderr.starts_with("warning: 10.0.0.0/8 covers 10.1.0.0/16: "), "{stderr}");
    assert_eq!(collector.rest("GET", "/senders/192.0.2.2", "").get("warnings"), None);
    collector.terminate();

    let stated = Collector::start_with(&[("NETFLOW__NETWORKS__OWN", "192.0.2.0/24")]);
    run(&stated, &["senders", "add", "192.0.2.1", "192.0.2.0/25", "192.0.2.0/24"]);
    stated.terminate();
}

#[test]
fn refusals_name_commands_instead_of_requests() {
    let collector = Collector::start();
    let refused = |arguments: &[&str]| {
        let (printed, stderr, code) = collector.command(arguments);
        assert_eq!((code, printed.as_str()), (Some(9), ""), "{stderr}");
        assert!(!stderr.contains("PUT /") && !stderr.contains("GET /"), "{stderr}");
        stderr
    };
    for command in ["top", "series", "billing"] {
        let stderr = refused(&[command, "192.0.2.77", "10.0.0.0/8"]);
        assert!(stderr.contains("not a registered sender: netflow senders add 192.0.2.77 registers it"), "{stderr}");
    }
    let stderr = refused(&["top", "all", "10.0.0.0/8"]);
    assert!(stderr.contains("is registered: netflow senders add ADDRESS registers one"), "{stderr}");
    let stderr = refused(&["top", "tag:edge", "10.0.0.0/8"]);
    assert!(stderr.contains("has the tag edge: netflow senders set ADDRESS tags=TAG sets it"), "{stderr}");
    let stderr = refused(&["networks", "show", "10.0.0.0/8"]);
    assert!(stderr.contains("is none of the networks: netflow networks add 10.0.0.0/8 adds it"), "{stderr}");
    let stderr = refused(&["senders", "add", "0.0.0.0"]);
    assert!(stderr.contains("which netflow doctor lists"), "{stderr}");
    run(&collector, &["networks", "add", "10.0.0.0/8"]);
    run(&collector, &["senders", "add", "192.0.2.1"]);
    let stderr = refused(&["senders", "remove", "192.0.2.1", "10.0.0.0/8"]);
    assert!(stderr.contains("see netflow networks show 10.0.0.0/8"), "{stderr}");
    collector.terminate();
}

#[test]
fn mistakes_of_the_command_line_are_found_before_the_collector_is_asked() {
    // No collector answers at this address, and the mistake is reported, not that.
    let nowhere = ["--url", "http://127.0.0.1:1"];
    let prefix = ["127.0.0.1", "192.0.2.0/24"];
    let collector = Collector::start();
    for (command, arguments, expected) in [
        ("stats", &["2026-13"][..], "'2026-13' is not a valid month: write YYYY-MM, such as 2014-02 (UTC)"),
        ("stats", &["2026", "--name", "prot:6"], "'prot:6' is not a name: did you mean proto:6?"),
        ("top", &["--from", "25:00", "--tz", "Europe/Berlin"], "'25:00' is not a time: write "),
        ("top", &["--last", "5x"], "'5x' for '--last <DURATION>': write a number with s, m, h, d or w"),
        ("series", &["--to", "tomorow"], "'tomorow' is not a time: write "),
        ("series", &["--name", "dstport:htps"], "did you mean dstport:https?"),
        ("billing", &["--month", "2026-1"], "'2026-1' is not a valid month: write YYYY-MM"),
        ("billing", &["--tz", "Berlin"], "'Berlin' is not a time zone: write a name"),
    ] {
        let (_, stderr, code) = collector.command(&[&[command], &prefix[..], arguments, &nowhere].concat());
        assert!(code == Some(2) && stderr.contains(expected), "{command} {arguments:?}: {code:?} {stderr}");
        assert!(!stderr.contains("the collector"), "{stderr}");
    }
    collector.terminate();
}

#[test]
fn a_wrong_url_is_explained() {
    let collector = Collector::start();
    let at = |url: &str| {
        let (_, stderr, code) = collector.command(&["senders", "--url", url]);
        (stderr, code)
    };
    let (stderr, code) = at(&collector.serving.to_string());
    assert!(
        code == Some(2) && stderr.contains(&format!("write http://{}, or https://", collector.serving)),
        "{stderr}"
    );
    let (stderr, code) = at("http://127.0.0.1:1");
    assert!(code == Some(8) && stderr.contains("connection refused: does the collector run there"), "{stderr}");
    collector.terminate();
}

#[test]
fn steps_without_data_are_one_row_for_people_and_all_rows_for_programs() {
    let collector = counted();
    let ask = |more: &[&str]| {
        run(&collector, &[&["series", "127.0.0.1", "192.0.2.0/24", "--direction", "in"], more].concat())
    };
    let shown = ask(&[]);
    let gaps: Vec<&str> = shown.lines().filter(|line| line.contains("steps without data")).collect();
    // The hour of the flows may have ended meanwhile.
    assert!(gaps.len() == 1 && (gaps[0].contains("  24 steps") || gaps[0].contains("  23 steps")), "{shown}");
    assert!(!shown.contains("most ") && shown.contains("  peak "), "{shown}");
    assert!(ask(&["--csv"]).lines().filter(|line| line.ends_with(",,,,")).count() >= 23);
    // One step alone has its time.
    let one = ask(&["--last", "1h"]);
    assert!(!one.contains("steps without data"), "{one}");
    collector.terminate();
}

#[test]
fn top_of_a_prefix_whose_traffic_is_all_local_reports_it() {
    let collector = counted();
    // Both ends of the flows are own networks from now on.
    let top = |more: &[&str]| collector.command(&[&["top", "127.0.0.1", "198.51.100.0/24"], more].concat());
    run(&collector, &["senders", "add", "127.0.0.1", "198.51.100.0/24"]);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.wait_until("local flows", || {
        socket.send_to(&crate::thirty_flows(), collector.receiving).unwrap();
        top(&["--direction", "out:local", "--csv"]).0.lines().count() == 2
    });
    // The first ones may have left before the prefix was in force everywhere, which changes nothing for `in`.
    let (printed, stderr, code) = top(&["--direction", "in"]);
    assert!(code == Some(0) && printed.contains("total"), "{printed}");
    assert_eq!(stderr, "");
    let (printed, stderr, code) = top(&["--direction", "out"]);
    assert!(code == Some(0) && printed.lines().nth(1).is_some_and(|line| line.starts_with("total ")), "{printed}");
    assert!(
        stderr.contains(" of this time local, between your own networks: --direction out:local shows them"),
        "{stderr}"
    );
    collector.terminate();
}

#[test]
fn without_a_command_the_program_prints_its_help_and_starts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_netflow")).current_dir(&directory).output().unwrap();
    let help = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(help.contains("Usage: netflow [OPTIONS] <COMMAND>") && help.contains("  serve "), "{help}");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
}
