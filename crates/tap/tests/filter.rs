//! The meaning of filters, the errors of invalid ones, and no text that makes the parser panic.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use flow::{Counters, FlowRecord, Timestamp};
use proptest::prelude::*;
use tap::Filter;
use tap::filter::{DEEPEST, LONGEST_BYTES};

fn flow() -> FlowRecord {
    FlowRecord {
        source: "192.0.2.1".parse().unwrap(),
        destination: "2001:db8::1".parse().unwrap(),
        protocol: 17,
        source_port: 53,
        destination_port: 40_000,
        source_as: 64_500,
        destination_as: 64_501,
        input_interface: 7,
        output_interface: 70_000,
        forward: Counters { bytes: 1000, packets: 3, flows: 1 },
        reverse: Counters { bytes: 500, packets: 1, flows: 1 },
        ..FlowRecord::empty(Timestamp::EPOCH)
    }
}

#[test]
fn filters_mean_what_operators_expect() {
    for (filter, expected) in [
        ("", true),
        ("  ", true),
        ("host 192.0.2.1", true),
        ("host ::ffff:192.0.2.1", true),
        ("src host 2001:db8::1", false),
        ("dst host 2001:db8::1", true),
        ("net 192.0.2.0/24", true),
        ("dst net 192.0.2.0/24", false),
        ("src net ::/0", false),
        ("port 53", true),
        ("src port 53 and dst port 40000", true),
        ("dst port 53", false),
        ("proto udp", true),
        ("PROTO 17 AND UDP", true),
        ("tcp or icmp or icmp6", false),
        ("as 64501", true),
        ("src as 64501", false),
        ("inif 7 and outif 70000", true),
        ("inif 70000 or outif 7", false),
        ("bytes > 1499 and bytes < 1501 and bytes = 1500 and bytes == 1500", true),
        ("bytes>1500", false),
        ("packets >= 4 && packets <= 4", true),
        ("not tcp", true),
        ("! (udp || tcp)", false),
        ("not not udp", true),
        ("tcp and tcp or udp", true),
        ("tcp and (tcp or udp)", false),
        ("not tcp and not udp", false),
    ] {
        assert_eq!(filter.parse::<Filter>().unwrap().passes(&flow()), expected, "{filter}");
    }
}

#[test]
fn an_error_gives_the_column_and_what_was_expected() {
    let tests = "host, net, port, as, proto, inif, outif, bytes, packets, tcp, udp, icmp, icmp6, not or (";
    for (filter, expected) in [
        ("host", "column 5: expected an address such as 192.0.2.1 or 2001:db8::1, but the filter ends".to_owned()),
        (
            "udp and host x.example",
            "column 14: expected an address such as 192.0.2.1 or 2001:db8::1, not \"x.example\"".to_owned(),
        ),
        ("port 70000", "column 6: expected a port, 0 to 65535, not \"70000\"".to_owned()),
        (
            "net 10.0.0.1/8",
            "column 5: 10.0.0.1 is not the first address of its /8: did you mean 10.0.0.0/8?".to_owned(),
        ),
        ("net", "column 4: expected a prefix such as 10.0.0.0/8, but the filter ends".to_owned()),
        ("src udp", "column 5: expected host, net, port or as, not \"udp\"".to_owned()),
        ("proto ospf", "column 7: expected tcp, udp, icmp, icmp6 or a number from 0 to 255, not \"ospf\"".to_owned()),
        ("bytes 5", "column 7: expected >, <, >=, <= or =, not \"5\"".to_owned()),
        ("bytes > x", "column 9: expected a number of bytes, not \"x\"".to_owned()),
        ("udp tcp", "column 5: expected and, or, or the end, not \"tcp\"".to_owned()),
        ("(udp", "column 5: expected and, or, or ), but the filter ends".to_owned()),
        ("udp or", format!("column 7: expected {tests}, but the filter ends")),
        ("udp)", "column 4: expected and, or, or the end, not \")\"".to_owned()),
        ("\u{fc}dp", format!("column 1: expected {tests}, not \"\u{fc}dp\"")),
        ("udp and ; true", "column 9: ';' has no meaning in a filter".to_owned()),
    ] {
        assert_eq!(filter.parse::<Filter>().unwrap_err().to_string(), expected, "{filter}");
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let nested = |depth| format!("{}udp{}", "(".repeat(depth), ")".repeat(depth)).parse::<Filter>();
    assert!(nested(DEEPEST).unwrap().passes(&flow()));
    let complaint = nested(DEEPEST + 1).unwrap_err();
    assert_eq!(complaint.to_string(), "column 34: nested deeper than 32: write it flatter");
    assert!("not ".repeat(DEEPEST + 1).parse::<Filter>().unwrap_err().message.contains("nested deeper"));
    let long = |length: usize| format!("{}udp", " ".repeat(length - 3)).parse::<Filter>();
    assert!(long(LONGEST_BYTES).is_ok());
    assert!(long(LONGEST_BYTES + 1).unwrap_err().message.contains("longer than 1024 octets"));
    // Width does not count as depth.
    assert!(vec!["udp"; 140].join(" or ").parse::<Filter>().is_ok());
}

/// Filters as people write them, in all their variety.
fn written() -> impl Strategy<Value = String> {
    let end = prop_oneof![Just(""), Just("src "), Just("dst ")];
    let address = any::<std::net::IpAddr>().prop_map(|address| address.to_string());
    let net = prop_oneof![Just("10.0.0.0/8"), Just("::/0"), Just("2001:db8::/32")];
    let comparison = prop_oneof![Just(">"), Just("<"), Just(">="), Just("<="), Just("="), Just("==")];
    let test = prop_oneof![
        (end.clone(), address).prop_map(|(end, address)| format!("{end}host {address}")),
        (end.clone(), net).prop_map(|(end, net)| format!("{end}net {net}")),
        (end.clone(), any::<u16>()).prop_map(|(end, port)| format!("{end}port {port}")),
        (end, any::<u32>()).prop_map(|(end, number)| format!("{end}as {number}")),
        any::<u8>().prop_map(|number| format!("proto {number}")),
        any::<u32>().prop_map(|number| format!("inif {number}")),
        any::<u32>().prop_map(|number| format!("OUTIF {number}")),
        prop_oneof![Just("tcp"), Just("proto udp"), Just("ICMP")].prop_map(str::to_owned),
        (comparison.clone(), any::<u64>()).prop_map(|(sign, number)| format!("bytes {sign}{number}")),
        (comparison, any::<u64>()).prop_map(|(sign, number)| format!("packets{sign} {number}")),
    ];
    test.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}||{b}")),
            inner.clone().prop_map(|a| format!("not {a}")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
}

proptest! {
    #[test]
    fn printing_a_filter_reads_as_the_same(text in written()) {
        let filter: Filter = text.parse().unwrap();
        prop_assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", words in proptest::collection::vec(
        prop_oneof![
            Just("host"), Just("net"), Just("port"), Just("src"), Just("dst"), Just("("), Just(")"), Just("not"), Just("and"),
            Just("or"), Just("bytes"), Just(">"), Just("udp"), Just("53"), Just("10.0.0.0/8"), Just("::1"), Just("\u{2003}"),
        ], 0..60)) {
        let _ = text.parse::<Filter>();
        if let Ok(filter) = words.join(" ").parse::<Filter>() {
            let _ = filter.passes(&flow());
            prop_assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter);
        }
    }
}
