//! Files on disk: read again when they change, refused as a whole, and merged in their order.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use origin::limits::{FILE_BYTES, FILES};
use origin::{Error, Files, Kind, Table};
use tempfile::TempDir;

const ASN: &str = "10.0.0.0\t10.255.255.255\t64500\tNone\tFrom ranges\n11.0.0.0\t11.0.0.255\t0\tFR\t\n";
const COUNTRY: &str = "10.0.0.0\t10.0.255.255\tAT\n11.0.0.0\t11.0.0.255\tBE\n2001:db8::\t2001:db8::ffff\tCH\n";
const NAMES: &str = "AS64500 From the list\nAS64501 Other\n";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn write(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

/// AS number and country.
fn found(table: &Table, address: &str) -> Option<(Option<u32>, Option<String>)> {
    let origin = table.get(address.parse::<IpAddr>().unwrap())?;
    Some((origin.asn(), origin.country().map(|country| country.to_string())))
}

fn only(errors: Vec<Error>) -> Error {
    let [error] = errors.try_into().unwrap();
    error
}

#[test]
fn the_first_file_that_knows_it_answers() {
    let folder = folder();
    let paths = [write(&folder, "n", NAMES), write(&folder, "a", ASN), write(&folder, "c", COUNTRY)];
    let table = Files::new(paths.clone()).unwrap().read().unwrap();
    let country = |code: &str| Some(code.to_owned());
    assert_eq!(found(&table, "10.0.1.2"), Some((Some(64500), country("AT"))));
    assert_eq!(found(&table, "10.1.0.0"), Some((Some(64500), None)));
    assert_eq!(found(&table, "11.0.0.1"), Some((None, country("FR"))));
    assert_eq!(found(&table, "2001:db8::1"), Some((None, country("CH"))));
    assert_eq!(found(&table, "12.0.0.0"), None);
    assert_eq!((table.name(64500), table.name(64501)), (Some("From the list"), Some("Other")));
    let kinds: Vec<&Kind> = table.files().iter().map(|file| &file.kind).collect();
    assert_eq!(kinds, [&Kind::Names, &Kind::Ranges, &Kind::Ranges]);
    assert_eq!(table.ranges(), (3, 1));

    let [names, asn, country] = paths;
    let table = Files::new([asn, country, names]).unwrap().read().unwrap();
    assert_eq!((table.name(64500), table.name(64501)), (Some("From ranges"), Some("Other")));
}

#[test]
fn a_file_is_read_again_when_it_changes_and_only_then() {
    let folder = folder();
    let path = write(&folder, "a", ASN);
    let mut files = Files::new([path.clone()]).unwrap();
    assert!(files.changed());
    files.read().unwrap();
    assert!(!files.changed() && files.read_if_changed().is_none());

    // Another size.
    fs::write(&path, COUNTRY).unwrap();
    let table = files.read_if_changed().unwrap().unwrap();
    assert_eq!(found(&table, "10.0.1.2").unwrap().0, None);
    assert!(files.read_if_changed().is_none());

    // Another time.
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    assert!(files.read_if_changed().is_some_and(|read| read.is_ok()));

    // Another file of the same size and time under the same name.
    let other = write(&folder, "b", COUNTRY);
    let file = File::options().write(true).open(&other).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    fs::rename(&other, &path).unwrap();
    assert!(files.read_if_changed().is_some_and(|read| read.is_ok()));
    assert!(files.read_if_changed().is_none());

    // Another permission, which may be the one that was missing.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(files.read_if_changed().is_some_and(|read| read.is_ok()));
}

#[test]
fn a_link_that_leads_elsewhere_has_changed() {
    let folder = folder();
    let (first, second, link) = (write(&folder, "1", ASN), write(&folder, "2", COUNTRY), folder.path().join("current"));
    symlink(&first, &link).unwrap();
    let mut files = Files::new([link.clone()]).unwrap();
    files.read().unwrap();
    fs::remove_file(&link).unwrap();
    symlink(&second, &link).unwrap();
    assert_eq!(found(&files.read_if_changed().unwrap().unwrap(), "10.0.1.2").unwrap().0, None);
}

#[test]
fn a_file_that_cannot_be_used_is_reported_once_until_it_changes() {
    let folder = folder();
    let (good, bad) = (write(&folder, "good", ASN), write(&folder, "bad", COUNTRY));
    let mut files = Files::new([good, bad.clone()]).unwrap();
    files.read().unwrap();

    fs::write(&bad, "10.0.0.0\t10.0.0\tAT\n").unwrap();
    let error = only(files.read_if_changed().unwrap().unwrap_err());
    assert!(matches!(error, Error::Unusable { .. }), "{error}");
    let expected =
        format!("{}, line 1: \"10.0.0\" is no address; correct the line, or download the file again", bad.display());
    assert_eq!(error.to_string(), expected);
    assert!(files.read_if_changed().is_none());

    fs::remove_file(&bad).unwrap();
    let error = only(files.read_if_changed().unwrap().unwrap_err());
    assert!(matches!(error, Error::Unreadable { .. }) && error.to_string().starts_with(&bad.display().to_string()));
    assert!(files.read_if_changed().is_none());

    write(&folder, "bad", COUNTRY);
    assert!(files.read_if_changed().is_some_and(|read| read.is_ok()));
}

#[test]
fn every_file_that_cannot_be_used_is_reported() {
    let folder = folder();
    let (first, good) = (write(&folder, "1", "1.2.3\n"), write(&folder, "2", ASN));
    let errors = Files::new([first, good, folder.path().join("3")]).unwrap().read().unwrap_err();
    let named: Vec<_> = errors.iter().map(|error| error.path().file_name().unwrap()).collect();
    assert_eq!(named, ["1", "3"]);
}

#[test]
fn a_file_that_still_changes_is_not_settled() {
    let folder = folder();
    let path = write(&folder, "a", ASN);
    let mut files = Files::new([path.clone()]).unwrap();
    assert!(!files.changed_and_settled() && files.changed_and_settled());
    files.read().unwrap();
    assert!(!files.changed_and_settled());
    // A text of which more and more has arrived: each part of it could be used.
    for length in [10, 60, 61] {
        fs::write(&path, &COUNTRY[..length]).unwrap();
        assert!(!files.changed_and_settled());
    }
    assert!(files.changed_and_settled());
    fs::remove_file(&path).unwrap();
    assert!(!files.changed_and_settled() && files.changed_and_settled());
    assert!(files.read().is_err() && !files.changed_and_settled());
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let folder = folder();
    let read = |path: PathBuf| only(Files::new([path]).unwrap().read().unwrap_err()).to_string();
    assert!(read(folder.path().to_owned()).contains("not a regular file; name the file itself"));
    // A device without an end.
    assert!(read("/dev/zero".into()).contains("not a regular file"));
    // Larger than the limit, without taking space on the disk.
    let path = folder.path().join("large");
    File::create(&path).unwrap().set_len(FILE_BYTES + 1).unwrap();
    assert!(read(path).contains("larger than 256 MiB; use a database of AS numbers or countries only"));
}

#[test]
fn more_files_than_the_limit_are_refused() {
    let paths = |count| (0..count).map(|number| PathBuf::from(format!("/{number}")));
    assert!(Files::new(paths(FILES)).is_ok());
    let error = Files::new(paths(FILES + 1)).unwrap_err();
    assert_eq!(error.to_string(), "/16, it is one more than the 16 files of a table; name fewer files");
}

#[test]
fn no_files_make_a_table_that_knows_nothing() {
    let mut files = Files::new([]).unwrap();
    assert!(!files.changed());
    let table = files.read().unwrap();
    assert_eq!((table.ranges(), table.names(), table.files().len()), ((0, 0), 0, 0));
    assert_eq!(Table::default().get([192, 0, 2, 1].into()), None);
}
