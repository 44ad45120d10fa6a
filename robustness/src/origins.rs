//! Files of AS numbers, AS names and countries, which publishers make and operators download.

use std::net::IpAddr;
use std::path::Path;

use origin::{Contents, Error, Kind, Place, Table};
use testing::mmdb::{Mmdb, Value};

/// A MaxMind database.
pub fn mmdb(input: &[u8]) {
    let database = b"\xab\xcd\xefMaxMind.com";
    if input.windows(database.len()).any(|window| window == database) {
        read(input);
    }
}

/// Ranges with tabs.
pub fn ranges(input: &[u8]) {
    read(input);
    // A good first line, so that the kind is known.
    read(&[b"10.0.0.0\t10.0.0.255\t64500\tCH\tExample\n", input].concat());
}

/// AS names.
pub fn names(input: &[u8]) {
    let contents = read(&[b"64500 Example\n", input].concat());
    if let Some(contents) = contents {
        assert_eq!(contents.file().kind, Kind::Names);
        assert_eq!(Table::new(vec![contents]).expect("one file").name(64500), Some("Example"));
    }
}

/// What is read can be looked up, and what is not has a reason.
fn read(input: &[u8]) -> Option<Contents> {
    let contents = match Contents::parse(Path::new("file"), input) {
        Ok(contents) => contents,
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with("file, ") && text.contains("; ") && !text.contains('\n'), "{text}");
            if let Error::Unusable { place: Place::Offset(offset), .. } = error {
                assert!(offset <= input.len(), "{text} of {} octets", input.len());
            }
            return None;
        }
    };
    let file = contents.file().clone();
    // A node has two networks, and a walk visits it four times at most; a network is at most two ranges.
    let most = 16 * input.len();
    assert!(file.ipv4_ranges + file.ipv6_ranges <= most && file.names <= input.len(), "{file:?}");
    let table = Table::new(vec![contents.clone(), contents.clone()]).expect("two files");
    assert_eq!(table.ranges(), (file.ipv4_ranges, file.ipv6_ranges), "the second file adds nothing");
    for address in ADDRESSES {
        let address: IpAddr = address.parse().expect("an address");
        let Some(origin) = table.get(address) else { continue };
        assert!(origin.asn().is_some() || origin.country().is_some());
        if let Some(name) = origin.asn().and_then(|asn| table.name(asn)) {
            assert!(!name.is_empty() && name.len() <= origin::limits::NAME_BYTES && !name.contains(char::is_control));
        }
    }
    Some(contents)
}

const ADDRESSES: [&str; 7] =
    ["0.0.0.0", "10.0.0.1", "10.1.2.3", "255.255.255.255", "::ffff:10.0.0.1", "2001:db8::1", "ffff::"];

/// Databases with each size of numbers, of both families, with aliases.
pub fn databases() -> Vec<Vec<u8>> {
    let asn = |asn, name| {
        let name = ("autonomous_system_organization", Value::Text(name));
        Value::Map(vec![("autonomous_system_number", Value::Number(asn)), name])
    };
    let code = Value::Map(vec![("iso_code", Value::Text("CH"))]);
    let records = [
        asn(64500, "Example"),
        Value::Map(vec![("country", code)]),
        Value::Map(vec![
            ("asn", Value::Text("AS64501")),
            ("as_name", Value::Text("E")),
            ("country_code", Value::Text("DE")),
        ]),
    ];
    let mut files = Vec::new();
    for (record_bits, ipv6) in [(24, false), (28, true), (32, true)] {
        let mut file = Mmdb::new("Example-ASN", ipv6, record_bits);
        for (number, record) in (0..).zip(&records) {
            file.insert([10, number, 0, 0].into(), 16, record);
            if ipv6 {
                file.insert([0x2001, 0xdb8, number.into(), 0, 0, 0, 0, 0].into(), 48, record);
            }
        }
        if ipv6 {
            file.alias([0, 0, 0, 0, 0, 0xffff, 0, 0].into(), 96);
            file.alias([0x2002, 0, 0, 0, 0, 0, 0, 0].into(), 16);
        }
        files.push(file.finish());
    }
    files
}

/// Lines of iptoasn.com, and of its files of countries.
pub fn range_files() -> Vec<Vec<u8>> {
    vec![
        b"1.0.0.0\t1.0.0.255\t64500\tUS\tEXAMPLE\n10.0.0.0\t10.255.255.255\t0\tNone\tNot routed\n".to_vec(),
        b"# nested\n2001:db8::\t2001:db8::ffff\tAS64501\tDE\tA\n::\tffff::\t1\t-\tB\n10.0.0.0\t10.0.0.1\t2\tFR\tC\n"
            .to_vec(),
        b"0.0.0.0\t255.255.255.255\tAU\n::ffff:10.0.0.0\t10.0.0.9\tCN\n".to_vec(),
    ]
}

/// Lists of AS names.
pub fn name_lists() -> Vec<Vec<u8>> {
    vec![b"15169 Google LLC\nAS13335\tCloudflare, Inc.\n# comment\n\n as1 \xff\x1b[31m\n4294967295 Last\n".to_vec()]
}
