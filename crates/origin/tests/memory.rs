//! What a table occupies, by its own statement and by the allocator's.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use origin::{Contents, Table};
use testing::Random;

/// Ranges of both families, no two of them with the same answer side by side.
fn ranges(ipv4: u32, ipv6: u32) -> String {
    let mut random = Random::new(5);
    let mut text = String::new();
    for number in 0..ipv4 {
        // Gaps between some of them.
        let first = number * 6000 + random.below(3) as u32 * 256;
        let (first, last) = (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(number * 6000 + 5999));
        let asn = 1 + number % 80_000;
        writeln!(text, "{first}\t{last}\t{asn}\tCH\tExample Network {asn}").unwrap();
    }
    for number in 0..ipv6 {
        // Networks of the length /48 in every eighth of some /32.
        let first = (0x2a00_0000 + u128::from(number / 50) * 8) << 96 | u128::from(number % 50) << 80;
        let (first, last) = (Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(first | ((1 << 80) - 1)));
        writeln!(text, "{first}\t{last}\t{}\tCH\t", 1 + number % 80_000).unwrap();
    }
    text
}

/// The size that issue 19 asks for: 500,000 IPv4 and 200,000 IPv6 ranges, and the names of 80,000 AS.
#[test]
fn a_table_of_the_whole_internet_takes_less_than_40_mb_and_knows_how_much() {
    let text = ranges(500_000, 200_000);
    let contents = Contents::parse(Path::new("a"), text.as_bytes()).unwrap();
    let mut table = Table::default();
    let allocated = allocation_counter::measure(|| table = Table::new(vec![contents.clone()]).unwrap());
    let small = Table::default().heap_bytes() as i64;
    assert_eq!(table.ranges(), (500_000, 200_000));
    assert_eq!(table.names(), 80_000);
    let stated = table.heap_bytes() as i64;
    // `measure` also sees that the empty table is freed, and the names of files.
    let seen = allocated.bytes_current + small;
    assert!((stated - seen).abs() < 4096, "{stated} by its own statement, {seen} by the allocator's");
    assert!(stated < 40_000_000, "{stated} octets");
}
