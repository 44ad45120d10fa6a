//! Files of older versions: of schema 1, in which countries were numbers and there were no paths. A collector of that time wrote the
//! one in `fixtures`, of six flows of NetFlow v5 and a file with countries.

use bytes::Bytes;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::*;
use crate::check::check;
use crate::compact::Compaction;
use crate::schema::schema_of;

const FILE: &str = "date=2026-11-30/hour=11/99fccfd157a63298-1796038369-4-4.parquet";

fn fixture() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/schema-1").join(FILE)).unwrap()
}

/// The same file as an even older version wrote it: without the columns from this one on, and without checksums.
fn without(first: Id, file: Vec<u8>) -> Vec<u8> {
    let ids = &Id::ALL[..first as usize];
    let file = Bytes::from(file);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    let properties = Arc::new(WriterProperties::builder().set_offset_index_disabled(true).build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema_of(ids).unwrap(), properties).unwrap();
    for group in metadata.row_groups() {
        let mut into = writer.next_row_group().unwrap();
        let leaves = ids.iter().map(|id| id.column().kind.leaves().len()).sum();
        for column in &group.columns()[..leaves] {
            let closed = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: group.num_rows() as u64,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            into.append_column(&file, closed).unwrap();
        }
        into.close().unwrap();
    }
    let stated = metadata.file_metadata().key_value_metadata().unwrap();
    let is_kept = |key: &str| !matches!(key, "netflow.checksum" | "netflow.footer");
    stated
        .iter()
        .filter(|stated| is_kept(&stated.key))
        .for_each(|stated| writer.append_key_value_metadata(stated.clone()));
    writer.into_inner().unwrap()
}

fn archive(file: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, file).unwrap();
    folder
}

fn received() -> Range<Timestamp> {
    time("2026-11-30 11:00")..time("2026-11-30 12:00")
}

/// The octets as sent, by this key.
fn octets(folder: &Path, filter: &str, key: &str) -> Vec<(Value, u64)> {
    let scan = Scan { folder, open: None, octets: 256 << 20, threads: 1, cancelled: &NOT_CANCELLED, progress: None };
    let question = GroupQuestion {
        received: received(),
        order: Order::Keys,
        counted: Counted::AS_SENT,
        ..question(filter, &[key])
    };
    let answer = scan.groups(&question).unwrap();
    assert_eq!(answer.read.left_out, []);
    answer.first.into_iter().map(|group| (group.keys[0].clone(), group.sums.bytes)).collect()
}

fn findings(folder: &Path) -> u64 {
    check(folder, &mut |_| ControlFlow::Continue(())).unwrap().findings
}

fn country(text: &str) -> Value {
    Value::Country(Country::new(text))
}

#[test]
fn countries_of_older_files_are_numbers() {
    let folder = archive(&fixture());
    let folder = folder.path();
    assert_eq!(findings(folder), 0);
    let all = [(Value::Country(None), 900), (country("CH"), 500), (country("DE"), 700)];
    assert_eq!(octets(folder, "", "srccountry"), all);
    assert_eq!(octets(folder, "src country DE", "srcasfrom"), [(Value::Number(5), 700)]);
    assert_eq!(octets(folder, "aspath 0 and not aspath 64500", "dstaspath"), [(Value::AsPath(None), 2100)]);
}

#[test]
fn columns_that_an_older_file_does_not_have_are_0() {
    let folder = archive(&without(Id::SrcAsFrom, fixture()));
    let folder = folder.path();
    assert_eq!(findings(folder), 0);
    assert_eq!(octets(folder, "src country 0", "srccountry"), [(Value::Country(None), 2100)]);
    assert_eq!(octets(folder, "dstasfrom 0 and aspath 0", "dstaspath"), [(Value::AsPath(None), 2100)]);
    assert_eq!(octets(folder, "src country CH or aspath 64500 or srcasfrom > 0", "proto"), []);
    assert_eq!(
        octets(folder, "", "srcas"),
        [(Value::Number(0), 900), (Value::Number(64_500), 500), (Value::Number(64_501), 700)]
    );
}

#[test]
fn older_files_are_joined_with_newer_ones() {
    for file in [fixture(), without(Id::SrcAsFrom, fixture())] {
        let folder = archive(&file);
        let folder = folder.path();
        let mut writer = Writer::new(folder.to_owned(), Reserve { percent: 0 });
        let flush = FlushNumber { epoch: 1_796_038_370, sequence: 1 };
        writer.begin_flush(WriterId(0x99fc_cfd1_57a6_3298), flush).unwrap();
        let mut numbers = Numbers(1);
        (0..100).for_each(|_| writer.take(&row(&mut numbers, time("2026-11-30 11:50").milliseconds())).unwrap());
        writer.finish().unwrap();
        let ask = || ["srccountry", "dstaspath", "srcip", "srcasfrom"].map(|key| octets(folder, "", key));
        let before = ask();
        assert!(before[1].len() > 3 && findings(folder) == 0);
        let now = minute("2026-12-01 10:00");
        let joined = Compaction { folder, reserve: Reserve { percent: 0 }, now }.run(&mut |_| {}).unwrap();
        assert_eq!((joined.replaced, joined.joined, joined.rows, joined.left), (2, 1, 106, 0));
        assert_eq!((ask(), findings(folder)), (before, 0));
    }
}
