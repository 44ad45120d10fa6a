//! What the files of an archive have.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::Sums;

/// The columns that are read.
const READ: [&str; 3] = ["exporter_v4", "bytes", "flows"];

/// A file that is not finished, and when it was made: another one of the same name was made at another time.
pub(super) type Unfinished = (PathBuf, std::time::SystemTime);

/// All files below a folder.
fn all(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { all(&path) } else { vec![path] }).collect()
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = all(&directory.join("data/flows"));
    found.retain(|path| path.extension().is_some_and(|of| of == extension));
    found
}

/// Those that are not finished, with the times at which they were made.
pub(super) fn unfinished(directory: &Path) -> Vec<Unfinished> {
    let made = |path: PathBuf| Some((path.clone(), fs::metadata(path).ok()?.created().unwrap()));
    files(directory, "tmp").into_iter().filter_map(made).collect()
}

/// The complete ones, with the times at which they were written.
pub(super) fn all_with_times(directory: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    let written = |path: PathBuf| (path.clone(), fs::metadata(path).unwrap().modified().unwrap());
    files(directory, "parquet").into_iter().map(written).collect()
}

/// The value of a column.
fn value<'r>(row: &'r Row, wanted: &str) -> &'r Field {
    let found = row.get_column_iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("no column {wanted}")).1
}

/// Octets and flows of each exporter.
pub(super) fn sums(directory: &Path) -> Sums {
    let mut sums = Sums::new();
    for path in files(directory, "parquet") {
        let file = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let schema = file.metadata().file_metadata().schema();
        let fields = schema.get_fields().iter().filter(|field| READ.contains(&field.name())).cloned().collect();
        let read = Type::group_type_builder(schema.name()).with_fields(fields).build().unwrap();
        for row in file.get_row_iter(Some(read)).unwrap() {
            let row = row.unwrap();
            let Field::UInt(exporter) = value(&row, "exporter_v4") else { panic!("{row:?}") };
            let sum = sums.entry(*exporter).or_default();
            for (sum, column) in sum.iter_mut().zip(["bytes", "flows"]) {
                let Field::ULong(counter) = value(&row, column) else { panic!("{row:?}") };
                *sum += counter;
            }
        }
    }
    sums
}

/// The same, as DuckDB finds it: NETFLOW_DUCKDB is a Python that has it.
pub(super) fn sums_by_duckdb(directory: &Path) -> Option<Sums> {
    let python = std::env::var("NETFLOW_DUCKDB").ok()?;
    let files = directory.join("data/flows/*/*/*.parquet");
    let query = format!(
        "import duckdb, json; print(json.dumps([[int(number) for number in row] for row in duckdb.sql(\"SELECT exporter_v4, \
         sum(bytes), sum(flows) FROM read_parquet('{}') GROUP BY 1\").fetchall()]))",
        files.display()
    );
    let output = Command::new(python).args(["-c", &query]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<(u32, u64, u64)> = serde_json::from_slice(&output.stdout).unwrap();
    Some(rows.into_iter().map(|(exporter, octets, flows)| (exporter, [octets, flows])).collect())
}
