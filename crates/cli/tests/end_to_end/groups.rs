//! Commands about several senders: what they print is the sum of what they print about each.

use std::net::UdpSocket;
use std::time::Instant;

use serde_json::{Value, json};

use crate::collector::{Collector, PATIENCE};
use crate::commands::run;
use crate::thirty_flows;

const SENDERS: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
const PREFIX: &str = "192.0.2.0/24";

fn as_json(collector: &Collector, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(collector, &[arguments, &["--json"]].concat())).unwrap()
}

fn flows(collector: &Collector, senders: &str) -> u64 {
    as_json(collector, &["top", senders, PREFIX])["total"]["flows"].as_u64().unwrap()
}

/// Three registered senders, of which the first one has sent once, the second one twice and the third one nothing.
fn counted() -> Collector {
    let collector = Collector::start();
    for sender in SENDERS {
        run(&collector, &["senders", "add", sender, PREFIX]);
    }
    let end = Instant::now() + PATIENCE;
    for (sender, times) in SENDERS.into_iter().zip([1, 2]) {
        let socket = UdpSocket::bind((sender, 0)).unwrap();
        // The collector learns of the sender a moment later: earlier datagrams are not counted.
        while flows(&collector, sender) == 0 {
            socket.send_to(&thirty_flows(), collector.receiving).unwrap();
            assert!(Instant::now() < end, "{}", collector.log());
        }
        for _ in 0..times {
            socket.send_to(&thirty_flows(), collector.receiving).unwrap();
        }
    }
    let is_stored = || {
        let status: Value = serde_json::from_str(&run(&collector, &["curl", "GET", "/status"])).unwrap();
        let matched = status["counters"]["flows"]["matched"].as_u64().unwrap();
        matched > 0 && matched == SENDERS.iter().map(|sender| flows(&collector, sender)).sum::<u64>()
    };
    collector.wait_until("all is stored", is_stored);
    collector
}

#[test]
fn commands_add_up_several_senders() {
    let collector = counted();
    let set = run(&collector, &["senders", "set", "127.0.0.1", "tags=edge,site-a"]);
    assert!(set.contains("tags=edge,site-a"), "{set}");
    run(&collector, &["senders", "set", "127.0.0.2", "tags=edge", "samplingRate=announced"]);
    let listed = run(&collector, &["senders"]);
    assert!(listed.lines().any(|line| line.starts_with("127.0.0.2") && line.ends_with("  tags=edge")), "{listed}");
    let of_each = SENDERS.map(|sender| flows(&collector, sender));
    let sum: u64 = of_each.iter().sum();
    assert!(of_each[0] > 0 && of_each[1] > 0 && of_each[2] == 0, "{of_each:?}");
    for (selection, expected) in
        [("all", sum), ("tag:edge", sum), ("tag:site-a,127.0.0.3", of_each[0]), ("127.0.0.2,127.0.0.3", of_each[1])]
    {
        // With --csv, the remark is on standard error.
        let (top, _, code) = collector.command(&["top", selection, PREFIX, "--csv", "--field", "proto"]);
        assert_eq!(code, Some(0), "{selection}");
        let row = format!("proto:0,{},{},{expected}", expected * 100, expected * 2);
        assert_eq!(top.lines().nth(1), Some(row.as_str()), "{selection}");
        let year = collector.shell("date -u +%Y").trim().to_owned();
        let stats = as_json(&collector, &["stats", selection, PREFIX, &year]);
        assert_eq!(stats[PREFIX]["years"][0][&year][0]["flows"], expected, "{selection}");
        let series = as_json(&collector, &["series", selection, PREFIX, "--direction", "in"]);
        let points = series["points"].as_array().unwrap();
        let counted: u64 = points.iter().filter_map(|point| point["counters"]["in"]["flows"].as_u64()).sum();
        assert_eq!(counted, expected, "{selection}");
        let billing = as_json(&collector, &["billing", selection, PREFIX]);
        assert_eq!(billing["in"]["bytes"], expected * 100, "{selection}");
    }
    // The values of a field over time: rows for programs, and a line for each with a total for people.
    let split = ["series", "all", PREFIX, "--field", "proto", "--direction", "in,out"];
    let (rows, ..) = collector.command(&[&split[..], &["--csv"]].concat());
    assert!(rows.starts_with("start,direction,name,bytes,pkts,flows\n"), "{rows}");
    let flows = |name: &str| -> u64 {
        let cells = rows.lines().map(|line| line.split(',').collect::<Vec<_>>());
        cells.filter(|cells| cells[1..3] == ["in", name]).map(|cells| cells[5].parse::<u64>().unwrap()).sum()
    };
    assert_eq!((flows("proto:0"), flows("rest"), flows("other")), (sum, 0, 0), "{rows}");
    let shown = run(&collector, &split);
    let line = |name: &str| {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{shown}"));
        line.replace(',', "")
    };
    for name in ["proto:0 (hopopt)  in", "total             in"] {
        assert!(line(name).contains(&format!("  {sum}  ")) && line(name).contains('█'), "{shown}");
    }
    let (_, stderr, code) = collector.command(&[&split[..], &["--name", "all"]].concat());
    assert!(code == Some(2) && stderr.contains("cannot be used with"), "{stderr}");
    assert_eq!(as_json(&collector, &["billing", "all", PREFIX])["senders"], json!(SENDERS));
    collector.terminate();
}

#[test]
fn people_see_which_senders_are_added_up_and_that_flows_may_be_counted_twice() {
    let collector = counted();
    let year = collector.shell("date -u +%Y").trim().to_owned();
    let remark = "\nremark: 127.0.0.1 and 127.0.0.2 counted traffic of this prefix: a flow that passed several of them was \
         counted by each\n";
    for arguments in [&["top", "all", PREFIX][..], &["series", "all", PREFIX], &["stats", "all", PREFIX, &year]] {
        let shown = run(&collector, arguments);
        assert!(shown.contains("\nsum of 3 senders: 127.0.0.1, 127.0.0.2, 127.0.0.3\n"), "{shown}");
        assert!(shown.contains(remark), "{shown}");
    }
    let billing = run(&collector, &["billing", "all", PREFIX]);
    assert!(billing.contains("\nsender     direction") && billing.contains("\n127.0.0.3  out "), "{billing}");
    assert!(billing.contains(remark), "{billing}");
    // Rows of programs stay what they are.
    let (rows, stderr, code) = collector.command(&["stats", "all", PREFIX, &year, "--csv"]);
    assert_eq!((rows.lines().count(), code), (2, Some(0)), "{rows}");
    assert!(stderr.contains("remark: 127.0.0.1 and 127.0.0.2 counted"), "{stderr}");
    let one = run(&collector, &["top", "127.0.0.1", PREFIX]);
    assert!(!one.contains("sum of") && !one.contains("remark"), "{one}");
    let (_, stderr, code) = collector.command(&["top", "edge", PREFIX]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("'edge' selects no sender: use all, tag:edge"), "{stderr}");
    let (_, stderr, code) = collector.command(&["senders", "set", "127.0.0.1", "tags=a b"]);
    assert!(code == Some(2) && stderr.contains("'a b' is not a tag: use 1 to 32 letters"), "{stderr}");
    let (_, stderr, code) = collector.command(&["senders", "set", "127.0.0.1", "tag=a"]);
    assert!(code == Some(2) && stderr.contains("tunnels, identity, tags"), "{stderr}");
    collector.terminate();
}
