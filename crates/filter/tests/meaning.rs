//! The meaning of filters, and the errors of invalid ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use columns::{Id, Row};
use filter::document::EXAMPLES;
use filter::{DEEPEST, Filter, LONGEST_BYTES};
use flow::AsSource;

fn row(numbers: &[(Id, u64)], addresses: &[(Id, &str)]) -> Row {
    let mut row = Row::new();
    numbers.iter().for_each(|(id, number)| row.set(*id, *number));
    addresses.iter().for_each(|(id, address)| row.set_address(*id, address.parse().unwrap()));
    row
}

/// 2026-11-29T14:00:00Z in milliseconds.
const START: u64 = 1_795_960_800_000;

/// A biflow from IPv4 to IPv6, which no network has.
fn flow() -> Row {
    row(
        &[
            (Id::Proto, 17),
            (Id::SrcPort, 53),
            (Id::DstPort, 40_000),
            (Id::SrcAs, 64_500),
            (Id::DstAs, 64_501),
            (Id::SrcAsFrom, AsSource::Exporter as u64),
            (Id::DstAsFrom, AsSource::File as u64),
            (Id::DstCountry, 0x4348),
            (Id::InIf, 7),
            (Id::OutIf, 70_000),
            (Id::Bytes, 1000),
            (Id::RevBytes, 500),
            (Id::Packets, 3),
            (Id::RevPackets, 1),
            (Id::Start, START),
            (Id::End, START + 2000),
            (Id::TcpFlags, 0x12),
            (Id::Tos, 0xb8),
            (Id::SrcMask, 24),
            (Id::SrcVlan, 100),
            (Id::DstMac, 0x5e00_5301),
        ],
        &[
            (Id::SrcIp, "192.0.2.1"),
            (Id::DstIp, "2001:db8::1"),
            (Id::Exporter, "192.0.2.9"),
            (Id::NextHop, "192.0.2.254"),
        ],
    )
}

#[track_caller]
fn passes(filter: &str, row: &Row) -> bool {
    let read: Filter = filter.parse().unwrap();
    assert_eq!(read.to_string().parse::<Filter>().as_ref(), Ok(&read), "{filter}");
    read.passes(row)
}

#[test]
fn a_filter_of_addresses_takes_any_number_of_them() {
    let addresses = || (0..10_000_u32).map(|number| std::net::Ipv4Addr::from_bits(0xc000_0200 + number).into());
    assert!(Filter::with_address(Id::SrcIp, addresses()).passes(&flow()));
    assert!(!Filter::with_address(Id::SrcIp, addresses().skip(2)).passes(&flow()));
    assert!(!Filter::with_address(Id::SrcIp, []).passes(&flow()));
    let mapped = Filter::with_address(Id::SrcIp, ["::ffff:192.0.2.1".parse().unwrap()]);
    assert_eq!(Ok(mapped), "src ip 192.0.2.1".parse());
}

/// These are the filters that `netflow tap` has read from the beginning.
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
        ("country ch", true),
        ("dst country CH and src country 0", true),
        ("srccountry CH or country in [DE, AT]", false),
        ("country in [DE, CH]", true),
        ("srcasfrom flow and dstasfrom file", true),
        ("dstasfrom none or dstasfrom bmp", false),
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
        assert_eq!(passes(filter, &flow()), expected, "{filter}");
    }
}

#[test]
fn countries_are_shown_by_their_letters() {
    for (filter, shown) in [
        ("src country ch", "srccountry = CH"),
        ("dst country in [at, 0]", "dstcountry in [0, AT]"),
        ("srccountry 17224-17225", "srccountry = CH-CI"),
        ("srccountry 7", "srccountry = 7"),
    ] {
        assert_eq!(filter.parse::<Filter>().unwrap().to_string(), shown);
        assert!(shown.parse::<Filter>().is_ok(), "{shown}");
    }
}

#[test]
fn short_forms_of_tcpdump_and_nfdump_are_read() {
    for (filter, expected) in [
        ("src 192.0.2.1", true),
        ("dst 192.0.2.1", false),
        ("src 192.0.2/24 and not dst ::/1", false),
        ("net 192/8", true),
        ("udp port 53", true),
        ("udp port dns", true),
        ("udp dst port 53", false),
        ("tcp port 53", false),
        ("not tcp port 53", true),
        ("udp src 192.0.2.1", true),
        ("portrange 50-60", true),
        ("dst portrange 50-60", false),
        ("port in [ 80 53 ]", true),
        ("port in [80,443]", false),
        ("src port in [1-52, 54-60, 53]", true),
        ("ip in [192.0.2.0/24, 2001:db8::/32]", true),
        ("dst ip in [192.0.2.0-192.0.2.255]", false),
        ("as in [1, 64501]", true),
        ("in if 7 and out if 70000", true),
        ("if 70000 and not if 8", true),
        ("flags S", true),
        ("flags SA and flags 18 and flags = AS", true),
        ("flags SAF", false),
        ("flags = S", false),
        ("flags S and not flags FRPU", true),
        ("flags S and not flags AFRPU", false),
        ("not (flags AFRPU)", true),
        ("flags S and not flags A", false),
        ("tos 184 and dscp 46 and ecn 0", true),
        ("mask 24 and src mask 24 and not dst mask 24", true),
        ("duration 2s and duration > 1999 and duration < 2.5s", true),
        ("bps 6k and pps = 2 and bpp > 374 and bpp < 376", true),
        ("bps > 1m", false),
        ("vlan 100 and src vlan 100", true),
        ("mac 0:0:5e:0:53:1 and not ether src 00:00:5e:00:53:01", true),
        ("router 192.0.2.9 and exporter = 192.0.2.9", true),
        ("next hop 192.0.2.254 and next ip 192.0.2.254", true),
        ("ipv4 and ipv6 and inet and inet6", true),
        ("ip proto 17 and ip proto udp and IP6 PROTO 17", true),
        ("ip proto 6", false),
        ("ip = 192.0.2.1 and ip 192.0.2.1", true),
        ("any", true),
        ("not any", false),
        ("srcport = dstport", false),
        ("srcport < dstport and bytes > packets", true),
        ("srcip != dstip and not (srcip = dstip)", true),
        ("port = srcport", true),
        ("port != 53", false),
        ("port ne 54 and packets gt 3 and packets le 4", true),
        ("in bytes 1000 and out bytes 500 and revbytes is 500", true),
        ("octets 1.5k and pkts 4", true),
        ("start >= 2026-11-29 and start = 2026-11-29T14:00 and end <= 2026-11-29T14:00:02Z", true),
        ("kind flow", true),
        ("kind in [nat, portblock]", false),
        ("port in []", false),
    ] {
        assert_eq!(passes(filter, &flow()), expected, "{filter}");
    }
}

#[test]
fn a_protocol_applies_to_what_follows_it_alone() {
    let tcp = row(&[(Id::Proto, 6), (Id::DstPort, 80)], &[]);
    assert!(passes("tcp port 80", &tcp) && passes("tcp port 80 or udp port 53", &tcp));
    let ipv4 = row(&[(Id::Proto, 6)], &[(Id::SrcIp, "192.0.2.1")]);
    assert!(passes("ip proto 6", &ipv4) && !passes("ip6 proto 6", &ipv4) && !passes("ip proto 6", &tcp));
    assert!(!passes("udp port 80", &tcp) && !passes("ipv4", &tcp) && !passes("ipv6", &tcp));
}

/// A row whose destination has this AS path.
fn with_path(path: &str) -> Row {
    let mut row = Row::new();
    row.set_text(Id::DstAsPath, path.into());
    row
}

/// For each example of the document a row that it matches.
#[test]
fn every_example_of_the_document_matches_what_it_should() {
    let matching = [
        row(&[], &[(Id::DstIp, "192.0.2.1")]),
        row(&[(Id::DstPort, 53)], &[(Id::SrcIp, "192.0.2.1")]),
        row(&[], &[(Id::SrcIp, "10.2.0.1")]),
        row(&[], &[(Id::SrcIp, "2001:db8::7")]),
        row(&[(Id::Proto, 6), (Id::SrcPort, 80)], &[]),
        row(&[(Id::Proto, 17), (Id::DstPort, 123)], &[]),
        row(&[(Id::DstPort, 8042)], &[]),
        row(&[(Id::SrcPort, 1023)], &[]),
        row(&[(Id::Proto, 47)], &[]),
        row(&[(Id::Proto, 58)], &[(Id::SrcIp, "2001:db8::7")]),
        row(&[], &[(Id::DstIp, "2001:db8::1")]),
        row(&[(Id::InIf, 5), (Id::OutIf, 7)], &[]),
        row(&[(Id::OutIf, 5)], &[]),
        row(&[(Id::DstAs, 64_500)], &[]),
        row(&[(Id::SrcAs, 1), (Id::DstAs, 64_501)], &[]),
        with_path("64499 64500 64501"),
        with_path("64500 64501 64502"),
        row(&[(Id::TcpFlags, 2)], &[]),
        row(&[(Id::IcmpType, 8)], &[]),
        row(&[(Id::Packets, 1_000_000)], &[]),
        row(&[(Id::Start, START), (Id::End, START + 20_000), (Id::Bytes, 3_000_000)], &[]),
        row(&[(Id::Bytes, 120), (Id::Packets, 2)], &[]),
        row(&[(Id::Tos, 46 << 2)], &[]),
        row(&[(Id::SrcMac, 0x5e00_5301)], &[]),
        row(&[(Id::SrcMask, 24)], &[(Id::NextHop, "192.0.2.254")]),
        row(&[(Id::Domain, 3)], &[(Id::Exporter, "192.0.2.9")]),
        row(&[(Id::SrcPort, 123), (Id::DstPort, 123), (Id::Proto, 17)], &[]),
        row(&[(Id::Start, START), (Id::End, START + 3_599_999)], &[]),
        row(&[(Id::Kind, 2), (Id::NatEvent, 4)], &[]),
    ];
    assert_eq!(matching.len(), EXAMPLES.len());
    for ((filter, _), row) in EXAMPLES.iter().zip(&matching) {
        assert!(passes(filter, row), "{filter}");
        // Where nothing is known, packets have no octets.
        assert_eq!(passes(filter, &Row::new()), *filter == "bpp < 64", "{filter}");
    }
}

#[test]
fn an_error_gives_the_column_what_was_expected_and_what_was_meant() {
    let tests = "a test (such as src host 192.0.2.1, net 10.0.0.0/8, port 443, tcp, bytes > 1k), not, or (";
    let address = "an address such as 192.0.2.1 or 2001:db8::1, or a prefix such as 10.0.0.0/8";
    let port = "a number from 0 to 65535, or a name such as ssh, dns, https";
    for (filter, expected) in [
        ("host", format!("column 5: expected {address}, but the filter ends")),
        ("udp and host x.example", format!("column 14: expected {address}, not \"x.example\"")),
        ("port 70000", format!("column 6: expected {port}, not \"70000\"")),
        ("port htp", format!("column 6: expected {port}, not \"htp\": did you mean ftp?")),
        ("port htttps", format!("column 6: expected {port}, not \"htttps\": did you mean https?")),
        ("port = scrport", format!("column 8: expected {port}, not \"scrport\": did you mean srcport?")),
        (
            "net 10.0.0.1/8",
            "column 5: 10.0.0.1 is not the first address of its /8: did you mean 10.0.0.0/8?".to_owned(),
        ),
        ("net 10", "column 5: 10 is no address: did you mean 10.0.0.0/8?".to_owned()),
        ("src udp", format!("column 5: expected {address}, not \"udp\"")),
        (
            "proto ospv",
            "column 7: expected a number from 0 to 255, or a name such as icmp, tcp, udp, not \"ospv\": \
             did you mean ospf?"
                .to_owned(),
        ),
        ("bytes > x", "column 9: expected a number such as 1000 or 1.5m, not \"x\"".to_owned()),
        ("udp tcp", "column 5: expected and, or, or the end, not \"tcp\"".to_owned()),
        (
            "port 80 443",
            "column 9: expected and, or, or the end (several values are a list, such as port in [80, 443]), not \"443\""
                .to_owned(),
        ),
        ("port 80 or 443", "column 12: expected a word such as host, net or port before the value, not \"443\"".to_owned()),
        ("(udp", "column 5: expected and, or, or ), but the filter ends".to_owned()),
        ("udp or", format!("column 7: expected {tests}, but the filter ends")),
        ("udp)", "column 4: expected and, or, or the end, not \")\"".to_owned()),
        ("\u{fc}dp", format!("column 1: expected {tests}, not \"\u{fc}dp\": did you mean udp?")),
        ("udp or prot 53", format!("column 8: expected {tests}, not \"prot\": did you mean proto?")),
        ("udp and https", format!("column 9: expected {tests}, not \"https\": did you mean port https?")),
        ("hopopt", format!("column 1: expected {tests}, not \"hopopt\": did you mean proto hopopt?")),
        ("udp and ; true", "column 9: ';' has no meaning in a filter".to_owned()),
        ("srcip > 10.0.0.1", "column 7: addresses, countries and paths have no order: use =, !=, or in [ ]".to_owned()),
        ("srccountry > CH", "column 12: addresses, countries and paths have no order: use =, !=, or in [ ]".to_owned()),
        ("src country CHE", "column 13: expected the two letters of a country such as CH, or 0 for none, not \"CHE\"".to_owned()),
        ("srcip = srcport", "column 9: srcip and srcport cannot be compared".to_owned()),
        ("port > 1-5", "column 8: a range has no order: compare with a single value".to_owned()),
        ("port 9-1", "column 6: the range 9-1 is empty: write the smaller number first".to_owned()),
        ("flags 0", "column 7: 0 is no flag: use flags = 0 for no flags at all".to_owned()),
        ("port in 80", "column 9: expected [ and a list of values, not \"80\"".to_owned()),
        ("port in [80", format!("column 12: expected {port}, but the filter ends")),
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
    let complaint = long(LONGEST_BYTES + 1).unwrap_err();
    assert_eq!(complaint.to_string(), "column 16385: the filter is longer than 16384 octets: shorten it");
    // Neither width nor a list counts as depth.
    let wide: Filter = vec!["udp"; 2000].join(" or ").parse().unwrap();
    assert_eq!(wide.tests(), 2000);
    let list: Filter = format!("port in [{}]", vec!["80"; 5000].join(",")).parse().unwrap();
    assert_eq!((list.tests(), list.to_string().as_str()), (2, "srcport = 80 or dstport = 80"));
}
