//! Text files: ranges with tabs (iptoasn.com), and lists of AS names.

use std::net::IpAddr;

use flow::Country;

use crate::contents::{Collected, Kind};
use crate::error::{DOWNLOAD, Fault, Place, quoted};
use crate::origin::Origin;

/// What to do about a line.
const FIX: &str = "correct the line, or download the file again";
/// What a text may be.
const KINDS: &str = "use a MaxMind database, a file of iptoasn.com with tabs, or lines of AS number and name";

/// Reads a text of either kind. Empty lines and comments (`#`) are ignored.
pub(crate) fn parse(octets: &[u8], collected: &mut Collected) -> Result<Kind, Fault> {
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    // Tabs at the end of a line are empty fields.
    let lines = octets.split(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).zip(1..);
    let mut lines = lines.filter(|(line, _)| !line.trim_ascii().is_empty() && !line.starts_with(b"#")).peekable();
    let Some((first, number)) = lines.peek().copied() else {
        return Err(Fault::new(Place::Whole, "it has only comments", DOWNLOAD));
    };
    let kind = kind_of(first, Place::Line(number))?;
    for (line, number) in lines {
        let place = Place::Line(number);
        match kind {
            Kind::Names => name(line, place, collected)?,
            _ => range(line, place, collected)?,
        }
    }
    Ok(kind)
}

/// The kind of a text by its first line.
fn kind_of(line: &[u8], place: Place) -> Result<Kind, Fault> {
    let tabs = line.iter().filter(|octet| **octet == b'\t').count();
    let fields = || line.split(|octet| matches!(octet, b'\t' | b',' | b' '));
    if tabs >= 2 && fields().next().and_then(address).is_some() {
        return Ok(Kind::Ranges);
    }
    let numbers = fields().take(2).filter(|field| !field.is_empty() && field.iter().all(u8::is_ascii_digit)).count();
    if tabs >= 2 && numbers == 2 {
        let problem = "addresses are numbers";
        return Err(Fault::new(place, problem, "use the form with addresses, such as ip2asn-combined.tsv"));
    }
    if as_number_of_line(line).is_some() {
        return Ok(Kind::Names);
    }
    if line.contains(&b',') {
        return Err(Fault::new(place, "it has commas between its fields", KINDS));
    }
    Err(Fault::new(place, format!("{} begins no known kind of file", quoted(line)), KINDS))
}

/// `first last asn country name`, or `first last country`.
fn range(line: &[u8], place: Place, collected: &mut Collected) -> Result<(), Fault> {
    let mut fields = line.splitn(5, |octet| *octet == b'\t').map(<[u8]>::trim_ascii);
    let (first, last) = (end(fields.next(), place)?, end(fields.next(), place)?);
    let (third, fourth, name) = (fields.next(), fields.next(), fields.next());
    let (asn, country_field) = match (third, fourth) {
        (Some(country), None) => (0, country),
        (Some(asn), Some(country)) => (whole_as_number(asn, place)?, country),
        _ => return Err(Fault::new(place, "it has fewer than three fields", FIX)),
    };
    let origin = Origin::new(asn, country(country_field, place)?);
    if let Some(name) = name {
        collected.add_name(asn, &String::from_utf8_lossy(name), place)?;
    }
    let backwards = || Fault::new(place, format!("the last address {last} is before the first, {first}"), FIX);
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
            collected.add_ipv4(first.to_bits(), last.to_bits(), origin, place)
        }
        (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
            collected.add_ipv6(first.to_bits(), last.to_bits(), origin, place)
        }
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => Err(backwards()),
        _ => Err(Fault::new(place, format!("{first} and {last} are of different families"), FIX)),
    }
}

/// An end of a range.
fn end(field: Option<&[u8]>, place: Place) -> Result<IpAddr, Fault> {
    let field = field.unwrap_or_default();
    address(field).ok_or_else(|| Fault::new(place, format!("{} is no address", quoted(field)), FIX))
}

/// An address. One that is mapped to IPv6 is the IPv4 address.
fn address(field: &[u8]) -> Option<IpAddr> {
    let address: IpAddr = str::from_utf8(field).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// Two letters; `None` and other words for an unknown country.
fn country(field: &[u8], place: Place) -> Result<Option<Country>, Fault> {
    if matches!(field, b"" | b"-" | b"None" | b"Unknown" | b"ZZ") {
        return Ok(None);
    }
    let country = str::from_utf8(field).ok().and_then(Country::new);
    country.map(Some).ok_or_else(|| Fault::new(place, format!("{} is no country of two letters", quoted(field)), FIX))
}

fn whole_as_number(field: &[u8], place: Place) -> Result<u32, Fault> {
    let number = as_number(field).filter(|(_, rest)| rest.is_empty()).map(|(asn, _)| asn);
    number.ok_or_else(|| Fault::new(place, format!("{} is no AS number", quoted(field)), FIX))
}

/// `15169 Google LLC` or `AS15169 Google LLC`.
fn name(line: &[u8], place: Place, collected: &mut Collected) -> Result<(), Fault> {
    let Some((asn, name)) = as_number_of_line(line) else {
        return Err(Fault::new(place, format!("{} does not begin with an AS number", quoted(line)), FIX));
    };
    if name.trim_ascii().is_empty() {
        return Err(Fault::new(place, format!("AS {asn} has no name"), FIX));
    }
    collected.add_name(asn, &String::from_utf8_lossy(name), place)
}

/// The AS number of a line, and the name after it.
fn as_number_of_line(line: &[u8]) -> Option<(u32, &[u8])> {
    as_number(line).filter(|(_, name)| name.first().is_none_or(u8::is_ascii_whitespace))
}

/// An AS number, with or without `AS`, and what follows it.
pub(crate) fn as_number(text: &[u8]) -> Option<(u32, &[u8])> {
    let text = text.trim_ascii_start();
    let digits = match text.split_at_checked(2) {
        Some((prefix, digits)) if prefix.eq_ignore_ascii_case(b"AS") => digits,
        _ => text,
    };
    let end = digits.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    Some((str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Contents, Table};

    fn table(text: &[u8]) -> Table {
        Table::new(vec![Contents::parse(Path::new("a"), text).unwrap()]).unwrap()
    }

    fn error(text: &[u8]) -> String {
        Contents::parse(Path::new("a"), text).unwrap_err().to_string()
    }

    fn found(table: &Table, address: &str) -> String {
        let Some(origin) = table.get(address.parse().unwrap()) else { return "-".to_owned() };
        format!("{:?} {:?}", origin.asn(), origin.country())
    }

    #[test]
    fn ranges_of_both_families_are_read() {
        let table = table(
            b"\xef\xbb\xbf# a comment\r\n1.0.0.0\t1.0.0.255\t64500\tUS\tEXAMPLE-NET \xff Inc.\r\n\r\n\
            1.0.1.0\t1.0.3.255\t0\tNone\tNot routed\n2001:db8::\t2001:db8::ffff\tAS64501\tde\tB\n\
            ::ffff:2.0.0.0\t2.0.0.9\t64502\tFR\tC\n3.0.0.0\t3.0.0.0\t0\tAT\t\n4.0.0.0\t4.0.0.0\t64503\t\t",
        );
        assert_eq!(found(&table, "1.0.0.255"), "Some(64500) Some(US)");
        assert_eq!(found(&table, "::ffff:1.0.0.255"), "Some(64500) Some(US)");
        assert_eq!(found(&table, "1.0.1.0"), "-");
        assert_eq!(found(&table, "2001:db8::1"), "Some(64501) Some(DE)");
        assert_eq!(found(&table, "2.0.0.5"), "Some(64502) Some(FR)");
        assert_eq!(found(&table, "3.0.0.0"), "None Some(AT)");
        assert_eq!(found(&table, "4.0.0.0"), "Some(64503) None");
        assert_eq!(table.name(64500), Some("EXAMPLE-NET \u{fffd} Inc."));
        assert_eq!((table.files()[0].kind.clone(), table.files()[0].ipv4_ranges), (Kind::Ranges, 4));
    }

    #[test]
    fn ranges_of_countries_are_read() {
        let table = table(b"1.0.0.0\t1.0.0.255\tAU\n1.0.1.0\t1.0.1.255\tCN\n");
        assert_eq!(found(&table, "1.0.1.7"), "None Some(CN)");
    }

    #[test]
    fn names_are_read() {
        let table = table(b"15169 Google LLC\nAS13335\tCloudflare,  Inc.\n# 1 x\n as3356 Level 3\n15169 again\n");
        assert_eq!((table.name(15169), table.name(13335)), (Some("Google LLC"), Some("Cloudflare, Inc.")));
        assert_eq!((table.name(3356), table.name(1)), (Some("Level 3"), None));
        assert_eq!(table.files()[0].kind, Kind::Names);
    }

    #[test]
    fn an_error_names_the_line_and_the_fix() {
        let good = b"1.0.0.0\t1.0.0.255\t64500\tUS\tA\n".as_slice();
        let cases: [(&[u8], &str); 9] = [
            (b"1.0.0.0\t1.0.0", "a, line 2: \"1.0.0\" is no address; correct the line, or download the file again"),
            (b"\xff\t1.0.0.0\t1\tUS\tA", "a, line 2: \"\u{fffd}\" is no address"),
            (b"1.0.0.9\t1.0.0.0\t1\tUS\tA", "the last address 1.0.0.0 is before the first, 1.0.0.9"),
            (b"1.0.0.9\t::1\t1\tUS\tA", "1.0.0.9 and ::1 are of different families"),
            (b"1.0.0.0\t1.0.0.255\t64500", "\"64500\" is no country of two letters"),
            (b"1.0.0.0\t1.0.0.255", "it has fewer than three fields"),
            (b"1.0.0.0\t1.0.0.255\t4294967296\tUS\tA", "\"4294967296\" is no AS number"),
            (b"1.0.0.0\t1.0.0.255\t1 2\tUS\tA", "\"1 2\" is no AS number"),
            (b"1.0.0.0\t1.0.0.255\t1\tUSA\tA", "\"USA\" is no country of two letters"),
        ];
        for (line, expected) in cases {
            let error = error(&[good, line].concat());
            assert!(error.contains(expected) && error.starts_with("a, line 2: "), "{error}");
        }
        let names = error(b"1 A\n\nB");
        assert!(names.starts_with("a, line 3: \"B\" does not begin with an AS number; "), "{names}");
        assert!(error(b"1 A\n2 \n").starts_with("a, line 2: AS 2 has no name; "));
    }

    #[test]
    fn other_files_are_refused_with_advice() {
        let cases: [(&[u8], &str); 13] = [
            (b"", "it is empty; download the file again"),
            (b"\n \n", "it is empty"),
            (b"# x\n", "it has only comments"),
            (b"\x1f\x8b\x08\0", "it is compressed with gzip; unpack it with gunzip"),
            (b"PK\x03\x04", "it is a zip archive"),
            (b"<!DOCTYPE html>", "it is a web page"),
            (b"16777216\t16777471\t13335\tUS\tA", "addresses are numbers; use the form with addresses"),
            (b"1.0.0.0,1.0.0.255,13335,A", "it has commas between its fields"),
            (b"network,autonomous_system_number", "it has commas"),
            (b"1,A", "it has commas"),
            (b"hello", "line 1: \"hello\" begins no known kind of file"),
            (b"1.0.0.0 1.0.0.255", "begins no known kind of file"),
            (b"1 A\0B", "offset 3: it is neither a text nor a complete MaxMind database"),
        ];
        for (content, expected) in cases {
            let error = error(content);
            assert!(error.contains(expected), "{error}");
        }
        let mut tar = vec![b'x'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(error(&tar).contains("it is a tar archive"));
    }

    #[test]
    fn a_file_without_answers_is_refused() {
        assert!(error(b"1.0.0.0\t1.0.0.255\t0\tNone\tNot routed").contains("neither an AS number nor a country"));
        assert!(error(b"0 reserved").contains("it names no AS"));
    }
}
