//! Files that are damaged, or are no files of the archive.

use super::*;

#[test]
fn foreign_and_damaged_files_are_named_and_left_out() {
    let archive = Archive::new(4000);
    let files = archive.files();
    let all = archive.groups(&question("", &[])).total();
    let of_file = |file: &PathBuf| {
        let folder = tempfile::tempdir().unwrap();
        let name = PartName::of(file).unwrap();
        let path = folder.path().join(name.path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(file, path).unwrap();
        let scan = Scan { folder: folder.path(), ..archive.scan(256 << 20, 1) };
        scan.groups(&question("", &[])).unwrap().total()
    };
    let (first, second) = (of_file(&files[0]), of_file(&files[1]));
    let cut = fs::read(&files[0]).unwrap();
    fs::write(&files[0], &cut[..cut.len() / 2]).unwrap();
    let of_second = PartName::of(&files[1]).unwrap();
    let other = PartName { last: FlushNumber { sequence: 9999, ..of_second.last }, ..of_second };
    fs::rename(&files[1], archive.folder.path().join(other.path())).unwrap();
    let answer = archive.groups(&question("", &[]));
    assert_eq!(answer.total().rows + first.rows + second.rows, all.rows);
    assert_eq!(answer.total().bytes + first.bytes + second.bytes, all.bytes);
    let reasons: Vec<_> = answer.read.left_out.iter().map(|left_out| (left_out.name, &left_out.reason[..])).collect();
    assert_eq!(
        reasons,
        [
            (PartName::of(&files[0]).unwrap(), "it is not a complete Parquet file"),
            (other, "its footer has other flushes or rows than its name"),
        ]
    );
    assert!(files[0].exists(), "nothing is deleted");
    let rows = archive.scan(256 << 20, 2).rows(&RowQuestion { most: MOST_ROWS, ..rows_of("") }).unwrap();
    assert_eq!((rows.rows.len() as u64, rows.read.left_out.len()), (answer.total().rows, 2));
}

#[test]
fn a_damaged_page_leaves_out_its_group_of_rows_as_a_whole() {
    // Two groups of rows in the file of the first collector and hour, so that one remains.
    let archive = Archive::new(8);
    let mut writer = Writer::new(archive.folder.path().to_owned(), Reserve { percent: 0 });
    let begin = time("2026-11-28 21:00").milliseconds();
    writer.begin_flush(WriterId(3), FlushNumber { epoch: 1, sequence: 1 }).unwrap();
    let mut numbers = Numbers(11);
    let rows = 300_000;
    for index in 0..rows {
        writer.take(&row(&mut numbers, begin + index / 100)).unwrap();
    }
    writer.finish().unwrap();
    let file = archive.files().into_iter().find(|file| file.to_string_lossy().contains("0000000000000003")).unwrap();
    let whole = archive.groups(&question("", &["srcip"]));
    assert_eq!((whole.total().rows, whole.read.left_out.len()), (rows + 8, 0));
    // The pages of the last columns of the first group have only zeros and are not read: damage is in the first half.
    let octets = fs::read(&file).unwrap();
    let mut damaged = octets.clone();
    damaged[octets.len() / 4..octets.len() / 2].fill(0xa5);
    fs::write(&file, damaged).unwrap();
    let answer = archive.groups(&question("", &["srcip", "srcport", "dstip", "bytes"]));
    assert_eq!(answer.read.left_out.len(), 1, "{:?}", answer.read);
    assert_eq!(answer.read.left_out[0].rows, Some(0..262_144));
    assert_eq!(answer.total().rows, rows + 8 - 262_144);
}

#[test]
fn no_damage_makes_a_question_panic() {
    let archive = Archive::new(400);
    let file = archive.files().remove(0);
    let octets = fs::read(&file).unwrap();
    let mut numbers = Numbers(3);
    for _ in 0..300 {
        let mut damaged = octets.clone();
        for _ in 0..=numbers.below(3) {
            let place = numbers.below(damaged.len() as u64) as usize;
            damaged[place] ^= 1 << numbers.below(8);
        }
        if numbers.below(4) == 0 {
            damaged.truncate(numbers.below(octets.len() as u64) as usize);
        }
        fs::write(&file, damaged).unwrap();
        let scan = archive.scan(256 << 20, 1);
        // A flipped bit of a value is not found without checksums: only that there is an answer.
        scan.groups(&question("src net 0.0.0.0/0 or bytes > 5", &["srcip", "dstport"])).unwrap();
        scan.rows(&rows_of("")).unwrap();
    }
}

#[test]
fn no_flipped_bit_changes_an_answer_unnoticed() {
    let archive = Archive::new(4000);
    let questions = [
        question("bytes > 50k", &["srcip", "proto"]),
        question("dst port 53 and received < 2026-11-28T20:20", &[]),
        question("src country CH", &["dstaspath"]),
    ];
    let ask = |question| {
        let Groups { first, rest, read, .. } = archive.groups(question);
        (first, rest, read.left_out.is_empty())
    };
    let expected: Vec<_> = questions.iter().map(ask).collect();
    let file = archive.files().remove(0);
    let octets = fs::read(&file).unwrap();
    let (mut unnoticed, mut noticed) = (0, 0);
    for place in (0..octets.len()).step_by(13) {
        let mut damaged = octets.clone();
        damaged[place] ^= 1 << (place % 8);
        fs::write(&file, damaged).unwrap();
        for (question, expected) in questions.iter().zip(&expected) {
            let answer = ask(question);
            if answer.2 {
                assert_eq!(answer, *expected, "octet {place} of {}", octets.len());
                unnoticed += 1;
            } else {
                noticed += 1;
            }
        }
    }
    assert!(noticed > 100 && unnoticed > 100, "{noticed} of {}", noticed + unnoticed);
}
