//! MaxMind databases: the layouts of publishers, aliases, and trees that no writer makes. The databases are written by
//! `testing::mmdb`; those of another writer are in `reference.rs`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::path::Path;

use origin::{Contents, Kind, Table};
use testing::mmdb::{Child, Mmdb, Value};

fn contents(octets: &[u8]) -> Contents {
    Contents::parse(Path::new("a.mmdb"), octets).unwrap()
}

fn table(file: &Mmdb) -> Table {
    Table::new(vec![contents(&file.finish())]).unwrap()
}

fn error(octets: &[u8]) -> String {
    Contents::parse(Path::new("a.mmdb"), octets).unwrap_err().to_string()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// AS number and country, `-` for nothing.
fn found(table: &Table, text: &str) -> String {
    let Some(origin) = table.get(address(text)) else { return "-".to_owned() };
    let country = origin.country().map(|country| country.to_string());
    format!("{} {}", origin.asn().unwrap_or(0), country.unwrap_or_default()).trim().to_owned()
}

fn asn(number: u32) -> Value<'static> {
    Value::Map(vec![("autonomous_system_number", Value::Number(number))])
}

#[test]
fn the_layouts_of_publishers_are_read() {
    let names = || Value::Map(vec![("en", Value::Text("Germany")), ("de", Value::Text("Deutschland"))]);
    let country =
        |code| Value::Map(vec![("iso_code", Value::Text(code)), ("geoname_id", Value::Number(1)), ("names", names())]);
    let records = [
        Value::Map(vec![
            ("autonomous_system_number", Value::Number(64500)),
            ("autonomous_system_organization", Value::Text("Example \u{1b} GmbH")),
        ]),
        Value::Map(vec![("registered_country", country("US")), ("country", country("DE"))]),
        Value::Map(vec![
            ("asn", Value::Text("AS64501")),
            ("as_name", Value::Text("Example Inc.")),
            ("country", Value::Text("United States")),
            ("country_code", Value::Text("US")),
            ("continent", Value::Text("North America")),
        ]),
        Value::Map(vec![("asn", Value::Text("AS64502")), ("country", Value::Text("fr"))]),
        Value::Map(vec![("country_code", Value::Text("CH")), ("country", Value::Text("Switzerland"))]),
        // Nothing for us: other types, other names, no map at all.
        Value::Map(vec![
            ("asn", Value::Text("AS1 ")),
            ("country", Value::Number(1)),
            ("registered_country", country("US")),
        ]),
        Value::Array(vec![Value::Text("asn"), Value::Number(1)]),
        Value::Text("asn"),
    ];
    for record_bits in [24, 28, 32] {
        for ipv6 in [false, true] {
            let mut file = Mmdb::new("Example-\x1b[1mASN", ipv6, record_bits);
            for (number, record) in records.iter().enumerate() {
                file.insert([10, number as u8, 0, 0].into(), 16, record);
            }
            let table = table(&file);
            let answers: Vec<_> = (0..9).map(|number| found(&table, &format!("10.{number}.255.255"))).collect();
            assert_eq!(answers, ["64500", "0 DE", "64501 US", "64502 FR", "0 CH", "-", "-", "-", "-"]);
            assert_eq!((table.name(64500), table.name(64501)), (Some("Example GmbH"), Some("Example Inc.")));
            let file = &table.files()[0];
            assert_eq!(file.kind, Kind::MaxMind("Example-[1mASN".to_owned()));
            assert_eq!((file.built, file.ipv4_ranges, file.names), (Some(1_700_000_000), 5, 2));
        }
    }
}

#[test]
fn networks_within_each_other_and_the_ends_of_the_address_space_are_found() {
    let mut file = Mmdb::new("x", true, 24);
    file.insert(address("::"), 1, &asn(7));
    file.insert(address("0.0.0.0"), 0, &asn(1));
    file.insert(address("10.0.0.0"), 8, &asn(2));
    file.insert(address("10.1.0.0"), 16, &asn(1));
    file.insert(address("10.1.2.3"), 32, &asn(3));
    file.insert(address("255.255.255.255"), 32, &asn(4));
    file.insert(address("2001:db8::"), 32, &asn(5));
    file.insert(address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 128, &asn(6));
    let table = table(&file);
    let cases = [
        ("0.0.0.0", "1"),
        ("9.255.255.255", "1"),
        ("10.0.0.0", "2"),
        ("10.1.2.2", "1"),
        ("10.1.2.3", "3"),
        ("10.1.2.4", "1"),
        ("10.255.255.255", "2"),
        ("11.0.0.0", "1"),
        ("255.255.255.254", "1"),
        ("255.255.255.255", "4"),
        ("::ffff:10.1.2.3", "3"),
        ("2001:db7:ffff::", "7"),
        ("2001:db8::", "5"),
        ("2001:db9::", "7"),
        ("8000::", "-"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "-"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6"),
    ];
    for (address, expected) in cases {
        assert_eq!(found(&table, address), expected, "{address}");
    }
}

#[test]
fn aliases_of_ipv4_are_counted_once() {
    let mut file = Mmdb::new("x", true, 28);
    for number in 0..=255 {
        file.insert([number, 1, 2, 0].into(), 24, &asn(1 + u32::from(number)));
    }
    let without = contents(&file.finish());
    file.insert(address("2001:db8::"), 32, &asn(5));
    for (alias, length) in [("::ffff:0:0", 96), ("2001::", 32), ("2002::", 16)] {
        file.alias(address(alias), length);
    }
    let with = contents(&file.finish());
    assert_eq!((without.file().ipv4_ranges, without.file().ipv6_ranges), (256, 0));
    assert_eq!((with.file().ipv4_ranges, with.file().ipv6_ranges), (256, 1));
    let table = Table::new(vec![with]).unwrap();
    assert_eq!(found(&table, "::ffff:9.1.2.3"), "10");
    // What embeds an IPv4 address is not in its AS.
    assert_eq!(found(&table, "2002:901:203::1"), "-");
    assert_eq!(found(&table, "2001:0:901:203::1"), "-");
    assert_eq!(found(&table, "2001:db8::1"), "5");
}

#[test]
fn ipv4_addresses_in_a_mapped_network_are_found_if_they_are_nowhere_else() {
    let mut file = Mmdb::new("x", true, 32);
    file.insert(address("::ffff:10.0.0.0"), 104, &asn(1));
    assert_eq!(found(&table(&file), "10.1.1.1"), "1");
    file.insert(address("11.0.0.0"), 8, &asn(2));
    let table = table(&file);
    assert_eq!((found(&table, "10.1.1.1"), found(&table, "11.1.1.1")), ("-".to_owned(), "2".to_owned()));
}

#[test]
fn a_record_above_all_ipv4_addresses_is_theirs() {
    let mut file = Mmdb::new("x", true, 24);
    file.insert(address("::"), 64, &asn(9));
    let table = table(&file);
    assert_eq!(
        (found(&table, "192.0.2.1"), found(&table, "::1"), found(&table, "::1:0:0:0:0")),
        ("9".into(), "9".into(), "-".into())
    );
}

#[test]
fn a_database_without_as_numbers_and_countries_is_refused() {
    let mut file = Mmdb::new("GeoIP2-Anonymous-IP", true, 24);
    file.insert(address("10.0.0.0"), 8, &Value::Map(vec![("is_anonymous", Value::Short(1))]));
    let error = error(&file.finish());
    assert!(
        error.contains("neither an AS number nor a country of any address; use a file such as GeoLite2-ASN"),
        "{error}"
    );
}

#[test]
fn a_cycle_is_found() {
    let mut file = Mmdb::new("x", true, 24);
    file.insert(address("2001:db8::"), 32, &asn(1));
    let last = file.nodes().len() - 1;
    file.nodes()[last][1] = Child::Node(0);
    let error = error(&file.finish());
    assert!(error.starts_with("a.mmdb, offset ") && error.contains("the search tree"), "{error}");
}

/// Each node leads twice to the next one: 2^128 ways, which the iterator of maxminddb would all go.
#[test]
fn shared_nodes_do_not_explode() {
    for ipv6 in [false, true] {
        for end in [Child::Nothing, Child::Record(0)] {
            let mut file = Mmdb::new("x", ipv6, 32);
            file.record(&asn(1));
            let bits = if ipv6 { 128 } else { 32 };
            *file.nodes() = (1..bits).map(|next| [Child::Node(next); 2]).chain([[end; 2]]).collect();
            let error = error(&file.finish());
            assert!(error.contains("leads to the same nodes again and again; download the file again"), "{error}");
        }
    }
}

/// Each node leads to all IPv4 addresses and to the next node: as many aliases as nodes are still quick.
#[test]
fn many_aliases_are_skipped() {
    let mut file = Mmdb::new("x", true, 32);
    file.insert(address("1.0.0.0"), 8, &asn(1));
    for number in 0..2000u128 {
        file.alias(IpAddr::V6((0x2000 << 112 | number << 64).into()), 64);
    }
    let contents = contents(&file.finish());
    assert_eq!((contents.file().ipv4_ranges, contents.file().ipv6_ranges), (1, 0));
}

#[test]
fn records_outside_the_data_are_refused() {
    let mut file = Mmdb::new("x", false, 32);
    file.insert(address("10.0.0.0"), 8, &asn(1));
    // After the data; in the separator; the largest number there is.
    for place in [1000, u32::MAX - 40, u32::MAX - 8] {
        let mut damaged = file.clone();
        let last = damaged.nodes().len() - 1;
        damaged.nodes()[last][1] = Child::Nothing;
        let mut octets = damaged.finish();
        octets[last * 8 + 4..last * 8 + 8].copy_from_slice(&place.to_be_bytes());
        let error = error(&octets);
        assert!(error.contains("data pointer resolves to an invalid location"), "{error}");
    }
}

/// Arrays of pointers to arrays of pointers: 24 octets a record, which take 22,000 values each.
#[test]
fn records_that_share_their_data_are_bounded() {
    let pointer = |place: u32| [&[0x38][..], &place.to_be_bytes()].concat();
    let array = |values: Vec<u8>| [vec![28, 4], values].concat();
    let mut file = Mmdb::new("x", false, 32);
    let mut place = file.raw_data(&array(vec![0xa0; 28]));
    for _ in 0..2 {
        place = file.raw_data(&array(pointer(place).repeat(28)));
    }
    for number in 0..=255 {
        let record = file.raw_data(&[vec![1, 4], pointer(place)].concat());
        file.lead([10, number, 0, 0].into(), 16, Child::Record(record));
    }
    let error = error(&file.finish());
    assert!(error.contains("records refer to the same data again and again; download the file again"), "{error}");
}

#[test]
fn deep_records_are_refused() {
    let mut file = Mmdb::new("x", false, 24);
    file.insert(address("10.0.0.0"), 8, &asn(1));
    // Arrays of one array, then a number.
    let place = file.raw_data(&[[1, 4].repeat(100), vec![0xa0]].concat());
    file.nodes()[7][1] = Child::Record(place);
    let error = error(&file.finish());
    assert!(error.contains("a record is nested too deep"), "{error}");
}

#[test]
fn a_truncated_database_is_refused() {
    let mut file = Mmdb::new("x", true, 24);
    file.insert(address("2001:db8::"), 32, &asn(1));
    let octets = file.finish();
    for length in 0..octets.len() {
        let error = error(&octets[..length]);
        assert!(error.contains("; "), "{error}");
    }
    // Without its beginning, records lead elsewhere.
    for start in 1..octets.len() {
        let _ = Contents::parse(Path::new("a"), &octets[start..]);
    }
}

/// Counts, lengths, places and types of a small database, set to what breaks readers.
#[test]
fn every_number_may_be_extreme() {
    for record_bits in [24, 28, 32] {
        let mut file = Mmdb::new("x", true, record_bits);
        file.insert(address("10.0.0.0"), 8, &asn(1));
        file.insert(address("2001:db8::"), 32, &Value::Map(vec![("country", Value::Text("CH"))]));
        file.alias(address("2002::"), 16);
        for damaged in testing::mutation::with_every_number_extreme(&file.finish()) {
            if let Ok(contents) = Contents::parse(Path::new("a"), &damaged) {
                assert!(contents.file().ipv4_ranges + contents.file().ipv6_ranges <= 200, "{:?}", contents.file());
            }
        }
    }
}
