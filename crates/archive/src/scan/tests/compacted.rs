//! Files whose rows compaction has brought into the order of their hosts.

use super::*;
use crate::compact::Compaction;

#[test]
fn compacted_files_have_the_same_answers_and_pages_without_an_address_are_not_read() {
    let archive = Archive::new(100_000);
    let filters = FILTERS.into_iter().chain([
        "host 198.51.101.7",
        "host 2001:db8:0:7::3",
        "src 198.51.101.7 and dst 192.0.2.3",
        "not host 198.51.101.7 and dst 192.0.2.3",
        "src in [198.51.101.7 198.51.100.9] and port 443",
        "host 203.0.113.9",
    ]);
    let questions: Vec<_> = filters.map(|filter| question(filter, &["srcip", "dstip", "proto"])).collect();
    let before: Vec<_> = questions.iter().map(|question| archive.groups(question)).collect();
    let compaction =
        Compaction { folder: archive.folder.path(), reserve: Reserve { percent: 0 }, now: minute("2026-11-29 10:00") };
    assert_eq!(compaction.run(&mut |_| {}).unwrap().rows, 100_000);
    let after: Vec<_> = questions.iter().map(|question| archive.groups(question)).collect();
    for ((before, after), question) in before.iter().zip(&after).zip(&questions) {
        assert_eq!((&after.first, after.rest), (&before.first, before.rest), "{:?}", question.filter);
        assert_eq!((after.read.matched, &after.read.left_out), (before.read.matched, &Vec::new()));
        assert_eq!(found(after), archive.expected(question), "{:?}", question.filter);
    }
    // The sources have few rows, the 20 destinations many: rows are in the order of these.
    let rows = |filter: &str| archive.groups(&question(filter, &[])).read.rows;
    assert_eq!(rows(""), 100_000);
    assert!(rows("host 192.0.2.3") <= 4 * 2 * 8192, "{}", rows("host 192.0.2.3"));
    assert!(rows("src 198.51.101.7") > 4 * 2 * 8192);
    assert_eq!(rows("host 203.0.113.9"), 0);
    // Damage of any page of a file leaves out rows of one group, and of no other.
    let file = archive.files().remove(0);
    let octets = fs::read(&file).unwrap();
    for place in (4..octets.len() - 8).step_by(octets.len() / 50) {
        let mut damaged = octets.clone();
        damaged[place] ^= 0x40;
        fs::write(&file, damaged).unwrap();
        archive.groups(&questions[0]);
        archive.groups(&question("host 192.0.2.3", &["srcip"]));
    }
}

#[test]
fn pages_continue_beside_compaction_or_say_that_they_cannot() {
    let archive = Archive::new(4000);
    let compact = || {
        let (folder, reserve) = (archive.folder.path(), Reserve { percent: 0 });
        Compaction { folder, reserve, now: minute("2026-11-29 10:00") }.run(&mut |_| {}).unwrap()
    };
    let page = |after| {
        let (filter, columns) = (Filter::default(), Columns::ALL);
        let question =
            RowQuestion { received: both_hours(), filter, is_newest_first: true, after, most: 1000, columns };
        archive.scan(256 << 20, 1).rows(&question)
    };
    let (first, unjoined) = (page(None).unwrap(), page(None).unwrap().next);
    compact();
    assert!(page(unjoined).unwrap_err().to_string().contains("first page again"));
    let again = page(None).unwrap();
    assert_eq!(again.rows.len(), first.rows.len());
    let (mut rows, mut next) = (again.rows, again.next);
    while next.is_some() {
        // There is nothing left to do.
        compact();
        let text = next.unwrap().to_string();
        let page = page(Some(text.parse().unwrap())).unwrap();
        rows.extend(page.rows);
        next = page.next;
    }
    let values = |row: &Row| [Id::Received, Id::Bytes, Id::SrcPort, Id::Packets].map(|id| row.number(id));
    let mut found: Vec<_> = rows.iter().map(|(_, row)| values(row)).collect();
    let mut expected: Vec<_> = archive.rows.iter().map(values).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert!(found == expected);
}
