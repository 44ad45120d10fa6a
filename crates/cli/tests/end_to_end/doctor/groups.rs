//! Findings of many routers are tables, and silent routers are paired with the addresses that send instead.

use super::*;

#[test]
fn many_silent_routers_are_one_table_and_all_prints_each() {
    let collector = Collector::start();
    for number in 1..=55 {
        let body = r#"{"prefixes":[{"prefix":"192.0.2.0","prefixLen":24}]}"#;
        collector.rest("PUT", &format!("/senders/127.1.0.{number}"), body);
    }
    let (printed, _, code) = collector.command(&["doctor"]);
    assert_eq!(code, FINDINGS);
    assert!(printed.contains("\n55 routers: no datagrams arrive from them  [silent]\n"), "{printed}");
    assert_eq!(printed.matches("127.1.0.").count(), 55, "{printed}");
    assert_eq!(printed.matches("tcpdump -ni any -c 5 'src host ROUTER and ").count(), 1, "{printed}");
    assert!(printed.lines().count() < 25, "{printed}");
    assert!(
        printed.ends_with("the name in brackets\n--all prints each of them by itself\n")
            && printed.contains("\n55 problems found"),
        "{printed}"
    );
    let (printed, ..) = collector.command(&["doctor", "--all"]);
    assert_eq!(printed.matches("tcpdump -ni any -c 5 'src host 127.1.0.").count(), 55, "{printed}");
    // A program has all of them in any case.
    let (report, ..) = collector.command(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["findings"].as_array().unwrap().len(), 55);
    collector.terminate();
}

#[test]
fn silent_routers_are_paired_with_the_addresses_that_send_and_no_default_route_is_proposed() {
    let collector = Collector::start();
    let routers: Vec<(UdpSocket, String, String)> = (1..=4)
        .map(|site| (router(&format!("127.2.{site}.9")), format!("127.2.{site}.1"), format!("127.2.{site}.9")))
        .collect();
    for (number, (_, silent, _)) in routers.iter().enumerate() {
        let prefixes = json!({"prefixes": [
            {"prefix": "0.0.0.0", "prefixLen": 0}, {"prefix": format!("10.0.{number}.0"), "prefixLen": 24}
        ]});
        collector.rest("PUT", &format!("/senders/{silent}"), &prefixes.to_string());
    }
    collector.wait_until("heard", || {
        for (socket, ..) in &routers {
            socket.send_to(&thirty_flows(), collector.receiving).unwrap();
        }
        collector.rest("GET", "/unknown", "").as_array().unwrap().len() == routers.len()
    });
    let (printed, ..) = collector.command(&["doctor"]);
    assert!(printed.contains("\n4 routers: they are registered but silent; "), "{printed}");
    for (number, (_, silent, sends)) in routers.iter().enumerate() {
        for line in [
            format!("run       netflow senders add {sends} 10.0.{number}.0/24\n"),
            format!("run       netflow senders remove {silent} --entirely\n"),
            format!("it may be {silent}, which is registered but silent: both are in the same /24"),
        ] {
            assert!(printed.contains(&line), "{line}: {printed}");
        }
    }
    let (all, ..) = collector.command(&["doctor", "--all"]);
    assert!(!printed.contains("0.0.0.0/0") && !all.contains("0.0.0.0/0"), "{all}");
    let found = findings(&collector, &routers[0].2);
    assert_eq!(found[0]["finding"], "unknown_sender");
    has(&found[0]["run"], &format!("netflow senders add {} 10.0.0.0/24  # if it is {}", routers[0].2, routers[0].1));
    collector.terminate();
}
