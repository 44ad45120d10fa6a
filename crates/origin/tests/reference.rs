//! Databases of another writer, and what another reader finds in them: see `reference/make.py`.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use origin::{Contents, Table};

type Answers = BTreeMap<IpAddr, Option<(u32, Option<String>)>>;

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

#[test]
fn python_finds_the_same_origins() {
    for (name, database) in [
        ("geolite-asn", "GeoLite2-ASN"),
        ("ipinfo-lite", "ipinfo generic_country_asn_lite.mmdb"),
        ("country-ipv4", "DBIP-Country-Lite"),
    ] {
        let table = Table::new(vec![Contents::read(&reference(&format!("{name}.mmdb"))).unwrap()]).unwrap();
        assert_eq!(table.files()[0].kind.to_string(), format!("MaxMind database {database}"));
        let answers = fs::read(reference(&format!("{name}.json"))).unwrap();
        let answers: Answers = serde_json::from_slice(&answers).unwrap();
        assert!(answers.len() > 100, "{name}");
        for (address, expected) in answers {
            let found = table
                .get(address)
                .map(|origin| (origin.asn().unwrap_or(0), origin.country().map(|country| country.to_string())));
            assert_eq!(found, expected, "{name}: {address}");
        }
    }
}

#[test]
fn names_are_those_of_the_files() {
    let read = |name| Contents::read(&reference(name)).unwrap();
    let table = Table::new(vec![read("ipinfo-lite.mmdb"), read("geolite-asn.mmdb")]).unwrap();
    assert_eq!(table.name(64500), Some("Example 64500, Inc."));
    let last = Table::new(vec![read("geolite-asn.mmdb")]).unwrap();
    assert_eq!(last.name(64555), Some("R\u{e9}seau 64555"));
}
