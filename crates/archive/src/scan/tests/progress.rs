//! How far a question is.

use super::*;

#[test]
fn a_question_that_is_answered_has_opened_each_file_as_often_as_expected() {
    let archive = Archive::new(4000);
    let files = archive.files().len() as u64;
    let opened = |octets: usize, ask: &dyn Fn(&Scan<'_>)| {
        let progress = Progress::default();
        assert_eq!(progress.files(), (0, 0));
        ask(&Scan { progress: Some(&progress), ..archive.scan(octets, 2) });
        progress.files()
    };
    let by_source = question("", &["srcip"]);
    assert_eq!(opened(256 << 20, &|scan| drop(scan.groups(&by_source).unwrap())), (files, files));
    let by_few = GroupQuestion { most: 50, ..by_source.clone() };
    let series = |scan: &Scan<'_>| drop(scan.series(&by_few, Id::Received, 60_000).unwrap());
    assert_eq!(opened(256 << 20, &series), (3 * files, 3 * files));
    // The rows of the last hour suffice.
    let (read, expected) = opened(256 << 20, &|scan| drop(scan.rows(&rows_of("")).unwrap()));
    assert!(read > 0 && read < expected && expected == files, "{read} of {expected}");
}
