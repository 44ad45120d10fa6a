//! `netflow flows` and `netflow archive`: what they find is what was sent, in a running collector and in its files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;

use crate::collector::Collector;
use crate::documents::lines;

const EXPORTERS: [&str; 2] = ["127.0.0.1", "127.0.0.2"];

/// Bytes, packets and flows of each exporter.
type Sums = BTreeMap<String, [u64; 3]>;

/// A collector with an archive of generated flows, and what was sent.
fn archived() -> (Collector, Sums) {
    archived_of(3000)
}

/// The same with this many flows.
fn archived_of(flows: u64) -> (Collector, Sums) {
    let collector = Collector::start();
    for exporter in EXPORTERS {
        collector.rest("PUT", &format!("/senders/{exporter}"), r#"{"prefixes":[{"prefix":"0.0.0.0","prefixLen":0}]}"#);
    }
    collector.wait_for_line("senders=2");
    let to = collector.receiving.to_string();
    let flows_in_all = flows.to_string();
    let load = ["--exporters", "2", "--flows", &flows_in_all, "--rate", &flows_in_all, "--protocol", "v9", "--json"];
    let (sent, errors, code) = collector.command(&[&["generate", "--to", &to][..], &load].concat());
    assert_eq!(code, Some(0), "{errors}");
    let sent: Value = serde_json::from_str(&sent).unwrap();
    let exporters = sent["exporters"].as_array().unwrap().iter();
    let sums = |of: &Value| ["bytes", "pkts", "flows"].map(|key| of[key].as_u64().unwrap());
    let sums: Sums = exporters.map(|of| (of["ip"].as_str().unwrap().to_owned(), sums(of))).collect();
    assert!(sums.len() == 2 && sums.values().all(|[.., flows]| *flows > 0), "{sent}");
    let flows = |sums: &Sums| sums.values().map(|[.., flows]| flows).sum::<u64>();
    collector.wait_until("the archive has what was sent", || {
        let (answer, _, code) = collector.command(&[&BY_EXPORTER[..], &["-o", "json"]].concat());
        code == Some(0) && flows(&sums_of(&answer)) == flows(&sums)
    });
    (collector, sums)
}

const BY_EXPORTER: [&str; 6] = ["flows", "--last", "1d", "--by", "exporter", "--sent"];

/// The groups of an answer by exporter.
fn sums_of(answer: &str) -> Sums {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let rows = answer["rows"].as_array().into_iter().flatten();
    let sums = |row: &Value| ["bytes", "packets", "flows"].map(|key| row[key].as_u64().unwrap());
    rows.map(|row| (row["key"]["exporter"].as_str().unwrap().to_owned(), sums(row))).collect()
}

/// Runs a command in a directory without a collector.
fn netflow(directory: &Path, arguments: &[&str]) -> (Vec<u8>, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
    let output = command.args(arguments).current_dir(directory).output().unwrap();
    (output.stdout, String::from_utf8(output.stderr).unwrap(), output.status.code())
}

/// The same with an answer in text.
fn text(directory: &Path, arguments: &[&str]) -> String {
    let (output, errors, code) = netflow(directory, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {errors}");
    String::from_utf8(output).unwrap()
}

#[test]
fn a_running_collector_and_its_files_have_what_was_sent() {
    let (collector, sent) = archived();
    let (answer, _, _) = collector.command(&[&BY_EXPORTER[..], &["-o", "json"]].concat());
    assert_eq!(sums_of(&answer), sent);
    let (table, errors, code) = collector.command(&BY_EXPORTER);
    assert!(code == Some(0) && table.contains("counters are as they were sent"), "{table}{errors}");
    let (directory, _) = collector.terminate();
    let directory = directory.path();
    let files = ["--folder", "data/flows"];
    let answer = text(directory, &[&BY_EXPORTER[..], &files, &["-o", "json"]].concat());
    assert_eq!(sums_of(&answer), sent);
    // In each format.
    let csv = text(directory, &[&BY_EXPORTER[..], &files, &["-o", "csv"]].concat());
    let mut expected: Vec<_> =
        sent.iter().map(|(ip, [bytes, packets, flows])| (bytes, format!("{ip},{bytes},{packets},{flows}"))).collect();
    expected.sort_by(|one, next| next.cmp(one));
    let expected = expected.iter().map(|(_, line)| line.as_str());
    assert_eq!(
        csv.lines().collect::<Vec<_>>(),
        ["exporter,bytes,packets,flows"].into_iter().chain(expected).collect::<Vec<_>>()
    );
    let (octets, errors, code) = netflow(directory, &[&BY_EXPORTER[..], &files, &["-o", "parquet"]].concat());
    assert!(code == Some(0) && errors.contains("flow records in 1 file"), "{errors}");
    fs::write(directory.join("answer.parquet"), octets).unwrap();
    assert_eq!(sums_of_parquet(&directory.join("answer.parquet"), "exporter"), sent);
    // As in nfdump.
    let statistic = text(
        directory,
        &["flows", "--folder", "data/flows", "-s", "exporter/bytes", "-n", "1", "-o", "csv", "--last", "1d"],
    );
    assert!(
        expected_first(&sent).is_some_and(|first| statistic.lines().nth(1).unwrap().starts_with(first)),
        "{statistic}"
    );
    // Each flow, by time.
    let rows = text(
        directory,
        &[
            "flows",
            "--folder",
            "data/flows",
            "--last",
            "1d",
            "-n",
            "10000",
            "--columns",
            "received,bytes",
            "--sent",
            "-o",
            "csv",
        ],
    );
    let bytes: u64 = rows.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(bytes, sent.values().map(|[bytes, ..]| bytes).sum::<u64>());
    // Without its last letter, a whole second is less than one with a fraction.
    let times: Vec<_> = rows.lines().skip(1).map(|line| line.split_once('Z').unwrap().0).collect();
    assert!(times.is_sorted_by(|one, next| one >= next));
}

/// The exporter that sent most.
fn expected_first(sent: &Sums) -> Option<&str> {
    sent.iter().max_by_key(|(_, [bytes, ..])| *bytes).map(|(exporter, _)| exporter.as_str())
}

pub(crate) fn sums_of_parquet(path: &Path, exporter: &str) -> Sums {
    let file = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let mut sums = Sums::new();
    for row in file.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let value = |wanted: &str| row.get_column_iter().find(|(name, _)| *name == wanted).unwrap().1.clone();
        let exporter = match value(exporter) {
            Field::Str(text) => text,
            Field::UInt(number) => std::net::Ipv4Addr::from_bits(number).to_string(),
            other => panic!("{other}"),
        };
        let sum = sums.entry(exporter).or_default();
        for (sum, column) in sum.iter_mut().zip(["bytes", "packets", "flows"]) {
            let Field::ULong(number) = value(column) else { panic!("{row:?}") };
            *sum += number;
        }
    }
    sums
}

#[test]
fn the_files_can_be_listed_checked_and_exported() {
    let (collector, sent) = archived();
    let (directory, _) = collector.terminate();
    let directory = directory.path();
    let records: u64 = sent.values().map(|[.., flows]| flows).sum();
    let status: Value = serde_json::from_str(&text(directory, &["archive", "status", "--json"])).unwrap();
    assert_eq!(status["total"]["flows"], records, "{status}");
    assert_eq!((&status["leftOut"], &status["missing"]), (&serde_json::json!([]), &serde_json::json!([])), "{status}");
    let table = text(directory, &["archive", "status"]);
    assert!(table.starts_with("day ") && table.contains("\ntotal ") && table.contains("\ncollector "), "{table}");
    let checked = text(directory, &["archive", "check"]);
    assert!(checked.ends_with(": 0 problems\n"), "{checked}");
    assert!(text(directory, &["archive", "compact"]).starts_with("joined 0 files into 0"));
    let exported = text(directory, &["archive", "export", "--columns", "exporter,bytes,packets,flows"]);
    let mut sums = Sums::new();
    for line in exported.lines().skip(1) {
        let (exporter, numbers) = line.split_once(',').unwrap();
        let sum = sums.entry(exporter.to_owned()).or_default();
        sum.iter_mut().zip(numbers.split(',')).for_each(|(sum, number)| *sum += number.parse::<u64>().unwrap());
    }
    assert_eq!(sums, sent);
    let json = text(directory, &["archive", "export", "-o", "json", "exporter", EXPORTERS[0]]);
    let bytes = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["bytes"].as_u64().unwrap());
    assert_eq!(bytes.sum::<u64>(), sent[EXPORTERS[0]][0]);
    text(directory, &["archive", "export", "-o", "parquet", "-w", "all.parquet"]);
    assert_eq!(sums_of_parquet(&directory.join("all.parquet"), "exporter_v4"), sent);
    let (_, errors, code) = netflow(directory, &["archive", "export", "-o", "parquet", "-w", "all.parquet"]);
    assert!(code == Some(1) && errors.contains("exists"), "{errors}");
    // A closed pipe ends it.
    for format in ["csv", "json", "parquet"] {
        let line = format!(
            "{} archive export -o {format} | head -c 10 | wc -c; echo ${{PIPESTATUS[0]}}",
            env!("CARGO_BIN_EXE_netflow")
        );
        let output = Command::new("bash").arg("-c").arg(line).current_dir(directory).output().unwrap();
        assert_eq!(
            (String::from_utf8(output.stdout).unwrap().as_str(), output.stderr.as_slice()),
            ("10\n0\n", &b""[..])
        );
    }
}

#[test]
fn damage_and_foreign_files_are_reported_and_nothing_is_deleted() {
    let (collector, sent) = archived();
    let (directory, _) = collector.terminate();
    let directory = directory.path();
    let hour = fs::read_dir(directory.join("data/flows")).unwrap().map(|entry| entry.unwrap().path());
    let hour =
        hour.filter(|path| path.is_dir()).flat_map(|date| fs::read_dir(date).unwrap()).next().unwrap().unwrap().path();
    let file = fs::read_dir(&hour).unwrap().next().unwrap().unwrap().path();
    fs::write(hour.join("=1+1\x1b[2J.parquet"), "a stranger's").unwrap();
    let mut octets = fs::read(&file).unwrap();
    let middle = octets.len() / 3;
    octets[middle] ^= 1;
    fs::write(&file, octets).unwrap();
    let (output, errors, code) = netflow(directory, &["archive", "check"]);
    let output = String::from_utf8(output).unwrap();
    assert_eq!(code, Some(7), "{output}{errors}");
    assert!(
        output.contains("=1+1\\u{1b}[2J.parquet: it is not of the archive") && output.contains("the checksum"),
        "{output}"
    );
    assert!(!output.contains('\x1b') && output.ends_with(": 2 problems\n"), "{output}");
    fs::write(&file, "damaged").unwrap();
    let (answer, notes, code) =
        netflow(directory, &["flows", "--folder", "data/flows", "--last", "1d", "--by", "exporter", "-o", "csv"]);
    assert_eq!(code, Some(7), "{notes}");
    assert!(answer.len() < 100 && notes.contains("missing: date="), "{notes}");
    let (exported, notes, code) = netflow(directory, &["archive", "export", "--columns", "bytes"]);
    assert_eq!((exported.as_slice(), code), (&b"bytes\n"[..], Some(7)), "{notes}");
    assert!(notes.contains("missing: date="), "{notes}");
    assert!(file.exists() && !sent.is_empty());
}

/// The only file of an archive.
fn only_file(directory: &Path) -> std::path::PathBuf {
    let inside = |path: std::path::PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let dates = inside(directory.join("data/flows")).filter(|path| path.is_dir());
    let files: Vec<_> = dates.flat_map(inside).flat_map(inside).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    file.clone()
}

#[test]
fn an_export_states_which_rows_are_damaged_and_has_all_others() {
    let (collector, sent) = archived_of(20_000);
    let (directory, _) = collector.terminate();
    let directory = directory.path();
    let all: u64 = sent.values().map(|[.., flows]| flows).sum();
    let file = only_file(directory);
    // The second half of the pages of a column.
    let metadata = SerializedFileReader::new(File::open(&file).unwrap()).unwrap().metadata().clone();
    let column =
        metadata.row_group(0).columns().iter().find(|column| column.column_path().string() == "bytes").unwrap();
    let (begin, length) = column.byte_range();
    let mut octets = fs::read(&file).unwrap();
    octets[(begin + length / 2) as usize..(begin + length) as usize].fill(0xff);
    fs::write(&file, octets).unwrap();
    let path = file.strip_prefix(directory.join("data/flows")).unwrap().display().to_string();
    for format in ["csv", "json", "parquet"] {
        let arguments = ["archive", "export", "--columns", "exporter,bytes,packets,flows", "-o", format];
        let (exported, notes, code) = netflow(directory, &arguments);
        assert_eq!(code, Some(7), "{notes}");
        let rows =
            notes.split_once(&format!("netflow: missing: {path} from row ")).unwrap_or_else(|| panic!("{notes}")).1;
        let (first, rest) = rows.split_once(" to ").unwrap();
        let (last, _) = rest.split_once(": ").unwrap();
        assert_eq!(last, (all - 1).to_string(), "{notes}");
        let expected = first.parse::<u64>().unwrap();
        assert!(0 < expected && expected < all, "{notes}");
        let lines = String::from_utf8_lossy(&exported).lines().count() as u64;
        match format {
            "csv" => assert_eq!(lines, 1 + expected),
            "json" => assert_eq!(lines, expected),
            _ => {
                fs::write(directory.join("part.parquet"), exported).unwrap();
                let sums = sums_of_parquet(&directory.join("part.parquet"), "exporter_v4");
                assert_eq!(sums.values().map(|[.., flows]| flows).sum::<u64>(), expected);
            }
        }
    }
    // An export into a file is complete as a file, and the exit code is the same.
    let (_, notes, code) = netflow(directory, &["archive", "export", "-w", "part.csv"]);
    assert!(code == Some(7) && notes.contains(&path), "{notes}");
    // What does not need the column has all rows.
    let (exported, notes, code) = netflow(directory, &["archive", "export", "--columns", "flows"]);
    assert_eq!((code, String::from_utf8(exported).unwrap().lines().count() as u64), (Some(0), 1 + all), "{notes}");
}

#[test]
fn texts_in_the_footer_of_a_strangers_file_are_escaped() {
    let (collector, _) = archived();
    let (directory, _) = collector.terminate();
    let directory = directory.path();
    let file = only_file(directory);
    let mut octets = fs::read(&file).unwrap();
    let after =
        |octets: &[u8], key: &[u8]| octets.windows(key.len()).rposition(|window| window == key).unwrap() + key.len();
    // A stranger's footer has no checksum.
    let at = after(&octets, b"netflow.footer");
    octets[at - 1] = b'd';
    // The version of the columns, and the sum of all bytes, are texts in it.
    let at = after(&octets, b"netflow.bytes");
    // After the length.
    octets[at + 2..at + 8].copy_from_slice(b"\x1b[2J=1");
    fs::write(&file, &octets).unwrap();
    let (output, errors, code) = netflow(directory, &["archive", "check"]);
    let output = String::from_utf8(output).unwrap();
    assert!(code == Some(7) && output.contains("footer states \\u{1b}[2J=1"), "{output}{errors}");
    assert!(!output.contains('\x1b') && !errors.contains('\x1b'), "{output:?}{errors:?}");
    // Whatever is left out, and why: no format passes on what a terminal obeys.
    let at = after(&octets, b"netflow.schema");
    octets[at + 2] = 0x1b;
    fs::write(&file, &octets).unwrap();
    let flows = ["flows", "--folder", "data/flows", "--last", "1d"];
    for more in [&["-o", "table"][..], &["-o", "json"], &["-o", "csv"], &["--by", "proto", "-o", "csv"]] {
        let (output, notes, code) = netflow(directory, &[&flows, more].concat());
        let output = String::from_utf8(output).unwrap();
        assert!(code == Some(7) && (output.clone() + &notes).contains("netflow"), "{more:?}: {output}{notes}");
        assert!(!output.contains('\x1b') && !notes.contains('\x1b'), "{more:?}: {output:?}{notes:?}");
    }
    for command in ["status", "compact", "export"] {
        let (output, notes, _) = netflow(directory, &["archive", command]);
        let output = String::from_utf8(output).unwrap();
        assert!(!output.contains('\x1b') && !notes.contains('\x1b'), "{command}: {output:?}{notes:?}");
    }
}

#[test]
fn without_a_collector_the_error_proposes_the_files() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("data")).unwrap();
    let keys = [("NETFLOW_AUTH_KEY", "a".repeat(64)), ("NETFLOW_SIGN_KEY", "b".repeat(64))];
    let output = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .args(["flows", "--url", "http://127.0.0.1:1"])
        .envs(keys)
        .current_dir(directory.path())
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(8), "{errors}");
    assert!(errors.contains("--folder data/flows"), "{errors}");
    let (_, errors, code) = netflow(directory.path(), &["flows", "--folder", "nowhere"]);
    assert!(code == Some(5) && errors.contains("nowhere is no directory"), "{errors}");
    let (_, errors, code) = netflow(directory.path(), &["flows", "--folder", "data", "srcprt 80"]);
    assert!(code == Some(9) && errors.contains("filter: column 1"), "{errors}");
}

#[test]
fn the_lines_of_the_document_run_as_written() {
    let (collector, _) = archived();
    let lines = lines("archive.md");
    assert!(lines.len() >= 9, "{lines:?}");
    let programs = Path::new(env!("CARGO_BIN_EXE_netflow")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    for line in lines {
        let output = Command::new("sh")
            .arg("-euc")
            .arg(&line)
            .current_dir(collector.path())
            .env("PATH", &path)
            .env("NETFLOW_URL", format!("http://{}", collector.serving))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        // The time of an example may be before all that the archive has.
        let is_answered = output.status.success() || errors.contains("the archive has flows from");
        assert!(is_answered, "{line}\n{errors}");
    }
}
