use std::fs;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, channel};

use testing::wait::DEADLINE;

use super::*;

const OLD: &str = "192.0.2.0\t192.0.2.255\t64500\tCH\tFirst\n";
const NEW: &str = "192.0.2.0\t192.0.2.255\t64501\tCH\tSecond\n198.51.100.0\t198.51.100.255\t64502\tAT\tMore\n";

/// A reader of files in a new directory, and the tables that it publishes.
fn start(folder: &tempfile::TempDir, names: &[&str]) -> (OriginFiles, Receiver<Arc<Table>>) {
    let (sender, tables) = channel();
    let publish = Box::new(move |table: &Arc<Table>| _ = sender.send(Arc::clone(table)));
    let reader = OriginFiles::start(paths(folder, names), publish).unwrap();
    assert!(reader.wait(DEADLINE));
    (reader, tables)
}

fn paths(folder: &tempfile::TempDir, names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| folder.path().join(name)).collect()
}

fn asn(table: &Table) -> Option<u32> {
    table.get(IpAddr::from([192, 0, 2, 1])).and_then(origin::Origin::asn)
}

fn shown(reader: &OriginFiles) -> view::OriginFiles {
    reader.view().get().unwrap()
}

/// Waits until this is shown.
fn until(reader: &OriginFiles, is_so: impl Fn(&view::OriginFiles) -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so(&shown(reader)) {
        assert!(Instant::now() < end, "{:#?}", shown(reader));
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_file_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), OLD).unwrap();
    let (reader, tables) = start(&folder, &["a"]);
    assert_eq!(asn(&tables.try_recv().unwrap()), Some(64500));
    fs::write(folder.path().join("a"), NEW).unwrap();
    assert_eq!(asn(&tables.recv_timeout(DEADLINE).unwrap()), Some(64501));
    until(&reader, |shown| shown.reads == 2);
    let shown = shown(&reader);
    assert_eq!((shown.ipv4_ranges, shown.names, shown.files.len(), shown.failures), (2, 2, 1, 0));
    assert!(shown.bytes > 0 && shown.read.is_some() && shown.files[0].modified.is_some());
    assert_eq!(shown.files[0].kind.as_deref(), Some("ranges with tabs"));
}

#[test]
fn a_damaged_file_leaves_what_was_read_and_is_shown_with_its_place_and_time() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), OLD).unwrap();
    fs::write(folder.path().join("b"), "64500 Named\n").unwrap();
    let (reader, tables) = start(&folder, &["a", "b"]);
    tables.try_recv().unwrap();
    let read = shown(&reader).read;
    fs::write(folder.path().join("a"), "192.0.2.0\t192.0.2.255\t64501\tCH\tSecond\n192.0.2\t").unwrap();
    until(&reader, |shown| shown.failures == 1);
    let failed = shown(&reader);
    let error = failed.files[0].error.clone().unwrap();
    assert!(error.contains("/a, line 2: \"192.0.2\" is no address"), "{error}");
    let since = failed.files[0].failing_since.unwrap();
    assert_eq!((failed.read, failed.ipv4_ranges, failed.files[0].ipv4_ranges), (read, 1, 1));
    assert_eq!((failed.files[1].error.as_deref(), failed.files[1].failing_since), (None, None));
    // Damaged in another way: the time is that of the first damage.
    reader.read(paths(&folder, &["a", "b"]));
    assert!(reader.wait(DEADLINE));
    let again = shown(&reader);
    assert_eq!((again.failures, again.files[0].failing_since), (2, Some(since)));
    assert!(tables.try_recv().is_err());
    fs::write(folder.path().join("a"), NEW).unwrap();
    assert_eq!(asn(&tables.recv_timeout(DEADLINE).unwrap()), Some(64501));
    until(&reader, |shown| shown.files.iter().all(|file| file.error.is_none() && file.failing_since.is_none()));
}

#[test]
fn a_file_that_is_missing_at_the_start_is_read_when_it_appears() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, tables) = start(&folder, &["a"]);
    assert!(tables.try_recv().is_err());
    let missing = shown(&reader);
    assert!(missing.files[0].error.as_ref().unwrap().contains("No such file"), "{missing:?}");
    assert_eq!((missing.read, missing.files[0].kind.as_deref()), (None, None));
    fs::write(folder.path().join("a"), OLD).unwrap();
    assert_eq!(asn(&tables.recv_timeout(DEADLINE).unwrap()), Some(64500));
}

#[test]
fn a_reload_reads_other_files_and_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), OLD).unwrap();
    fs::write(folder.path().join("b"), NEW).unwrap();
    let (reader, tables) = start(&folder, &["a"]);
    tables.try_recv().unwrap();
    reader.read(paths(&folder, &["b"]));
    assert_eq!(asn(&tables.recv_timeout(DEADLINE).unwrap()), Some(64501));
    reader.read(paths(&folder, &["b"]));
    assert_eq!(asn(&tables.recv_timeout(DEADLINE).unwrap()), Some(64501));
    reader.read(Vec::new());
    assert_eq!(asn(&tables.recv_timeout(DEADLINE).unwrap()), None);
    assert!(reader.wait(DEADLINE));
    assert_eq!(reader.view().get(), None);
}

#[test]
fn the_thread_ends_with_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, tables) = start(&folder, &["a"]);
    drop(reader);
    // The thread has what publishes.
    let ended = tables.recv_timeout(DEADLINE).map(drop);
    assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
}
