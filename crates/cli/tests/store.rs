//! `netflow store` as the shell sees it: output, messages and exit codes.
#![cfg(test)]

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use accounting::block::{AboutAll, Block, TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::{Field, Name, Value};
use accounting::period::{Interval, Period};
use accounting::query::parse_interval;
use accounting::variance::SamplingVariance;
use flow::{Counters, FlushNumber, Prefix, Sampling, SamplingSource, Timestamp};
use storage::roll_up::advance;
use storage::{Blocks, Identity, Registry, Selection, Sqlite, WriterState, Writers, totals};
use tempfile::TempDir;

const ADA: WriterId = WriterId(0xada);
const BOB: WriterId = WriterId(0xb0b);
const MINUTES: [&str; 3] = ["2026-03-04 23:58", "2026-03-04 23:59", "2026-03-05 00:01"];

fn sender() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

fn prefixes() -> [Prefix; 2] {
    ["172.16.0.0/16", "2001:db8::/32"].map(|prefix| prefix.parse().unwrap())
}

fn minute(text: &str) -> Interval {
    parse_interval(Period::Minute, text).unwrap()
}

fn tables(flows: u32) -> Tables {
    let mut tables = Tables::new();
    for number in 0..flows {
        let counters = Counters { bytes: u64::from(number) + 100, packets: 2, flows: 1 };
        for field in Field::ALL {
            let value = match field {
                Field::All => Value::Number(0),
                Field::SourceAddress if number % 2 == 0 => Value::Address([10, 0, 0, 1].into()),
                field if field.is_address() => Value::Address("2001:db8::1".parse().unwrap()),
                _ => Value::Number(number % 200),
            };
            tables.add(Direction::In, Name { field, value }, counters);
        }
        let variance = SamplingVariance::of(counters, Sampling::of_packets(100, SamplingSource::Record));
        tables.note(Direction::In, AboutAll { variance, ..AboutAll::NOTHING });
    }
    tables
}

async fn put_flush(store: &Sqlite, writer: WriterId, at: &str, sequence: u64, tables: &Tables) -> Vec<Block> {
    let blocks = prefixes()
        .map(|prefix| tables.blocks(minute(at), sender(), prefix, writer, FlushNumber { epoch: 1, sequence }.into()))
        .concat();
    store.put_blocks(&blocks).await.unwrap();
    blocks
}

/// A data directory with a store in it: two writers, rolled up.
async fn filled() -> (TempDir, Sqlite) {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("netflow.sqlite")).unwrap();
    store.add_prefixes(sender(), &prefixes()).await.unwrap();
    for writer in [ADA, BOB] {
        let state = WriterState::new(writer, 1, Timestamp::from_seconds(1_700_000_000));
        store.put_writer(&state).await.unwrap();
        for (at, sequence) in MINUTES.into_iter().zip(1..) {
            put_flush(&store, writer, at, sequence, &tables(10)).await;
        }
        advance(&store, state, minute("2026-03-05 00:05").start).await.unwrap();
    }
    (folder, store)
}

fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
    command.arg("store").args(arguments).env("NETFLOW__DATA_DIR", data).stdin(Stdio::null());
    command
}

/// Its exit code, output and messages.
fn run(data: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(data, arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn a_sound_store_is_checked_beside_the_collector_that_uses_it() {
    let (folder, _store) = filled().await;
    let _collector = Identity::open(&folder.path().join("netflow.sqlite")).unwrap();
    let (code, output, messages) = run(folder.path(), &["check"]);
    assert_eq!((code, messages.as_str()), (Some(0), ""), "{output}");
    assert_eq!(output.lines().count(), 1);
    assert!(output.starts_with("checked 20 blocks ("), "{output}");
    assert!(output.contains("in 20 groups of 2 writers, compared 8 groups with their finer parts"), "{output}");
    assert!(output.ends_with(": 0 violations\n"), "{output}");
}

#[tokio::test]
async fn each_violation_is_a_line_and_sets_the_exit_code() {
    let (folder, store) = filled().await;
    let mut damaged = put_flush(&store, ADA, "2026-03-05 00:02", 9, &tables(3)).await;
    let [damaged, ..] = &mut damaged[..] else { panic!("no block") };
    damaged.content.truncate(9);
    let mut unbalanced = tables(3);
    unbalanced.add(Direction::In, Name::ALL, Counters { bytes: 1, packets: 0, flows: 0 });
    store.put_blocks(std::slice::from_ref(damaged)).await.unwrap();
    put_flush(&store, BOB, "2026-03-05 00:02", 9, &unbalanced).await;
    let (code, output, messages) = run(folder.path(), &["check"]);
    assert_eq!((code, messages.as_str()), (Some(7), ""));
    let lines: Vec<&str> = output.lines().collect();
    let of = |writer, prefix| {
        format!("minute 2026-03-05 00:02, sender 192.0.2.1, prefix {prefix}, writer {writer}, epoch 1, flush 9")
    };
    let bob = "0000000000000b0b";
    let found = lines[0].strip_prefix(&format!("block of {}, part 0: its c", of("0000000000000ada", "172.16.0.0/16")));
    assert!(found.is_some(), "{output}");
    let fields = &Field::ALL[1..];
    for field in fields {
        let expected = format!(
            "{}: in {} adds up to 303 bytes, 6 packets, 3 flows, but all is 304 bytes, 6 packets, 3 flows",
            of(bob, "172.16.0.0/16"),
            field.name()
        );
        assert!(lines.contains(&expected.as_str()), "{expected}\n{output}");
    }
    let violations = 1 + 2 * fields.len();
    assert_eq!(lines.len(), violations + 1, "{output}");
    assert!(lines[violations].ends_with(&format!(": {violations} violations")), "{output}");
}

#[tokio::test]
async fn a_missing_store_is_an_error_and_is_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let (code, output, messages) = run(folder.path(), &["check"]);
    assert_eq!((code, output.as_str()), (Some(5), ""));
    let path = folder.path().join("netflow.sqlite");
    assert_eq!(messages, format!("netflow: {}: No such file or directory (os error 2)\n", path.display()));
    for arguments in [&["export"][..], &["copy", "--to", "sqlite:copied"]] {
        assert_eq!(run(folder.path(), arguments).0, Some(5));
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "something was made");
    for address in ["mysql:x", "sqlite:"] {
        let (code, _, messages) = run(folder.path(), &["check", "--store", address]);
        assert_eq!(code, Some(2));
        assert!(messages.contains(&format!("'{address}' is not a store: write sqlite:PATH")), "{messages}");
    }
}

#[tokio::test]
async fn a_copy_answers_as_the_original_and_copying_again_changes_nothing() {
    let (folder, store) = filled().await;
    let copied = folder.path().join("copied.sqlite");
    let to = format!("sqlite:{}", copied.display());
    let (code, output, messages) = run(folder.path(), &["copy", "--to", &to]);
    assert_eq!((code, messages.as_str()), (Some(0), ""));
    assert!(output.starts_with("copied 20 blocks (") && output.contains(" of 2 writers, 0 were present; "), "{output}");
    assert!(output.ends_with("; 1 senders, templates of 0\n"), "{output}");
    let (code, output, _) = run(folder.path(), &["copy", "--from", "sqlite", "--to", &to]);
    assert_eq!(code, Some(0));
    assert!(output.starts_with("copied 0 blocks (0 bytes) of 2 writers, 20 were present; "), "{output}");
    let target = Sqlite::open_read_only(&copied).unwrap();
    assert_eq!(target.writers().await.unwrap(), store.writers().await.unwrap());
    assert_eq!(target.senders().await.unwrap(), store.senders().await.unwrap());
    for prefix in prefixes() {
        for interval in [minute(MINUTES[0]), parse_interval(Period::Year, "2026").unwrap()] {
            let selection = Selection { interval, sender: sender(), prefix, tables: TableSet::ALL };
            let totals =
                async |store: &Sqlite| totals(store, sender(), prefix, selection.interval, TableSet::COUNTED).await;
            assert_eq!(totals(&target).await.unwrap(), totals(&store).await.unwrap());
        }
    }
    assert_eq!(run(folder.path(), &["check", "--store", &to]).0, Some(0));
}

#[tokio::test]
async fn damaged_blocks_are_restored_from_a_backup() {
    let (folder, store) = filled().await;
    let backup = format!("sqlite:{}", folder.path().join("backup.sqlite").display());
    assert_eq!(run(folder.path(), &["copy", "--to", &backup]).0, Some(0));
    let mut blocks = put_flush(&store, ADA, MINUTES[0], 1, &tables(10)).await;
    blocks[1].content.truncate(9);
    store.put_blocks(&blocks).await.unwrap();
    // The collector has continued since.
    store.put_writer(&WriterState { epoch: 2, ..store.writers().await.unwrap()[0] }).await.unwrap();
    assert_eq!(run(folder.path(), &["check"]).0, Some(7));
    let (code, output, messages) = run(folder.path(), &["copy", "--repair", "--from", &backup, "--to", "sqlite"]);
    assert_eq!((code, messages.as_str()), (Some(0), ""));
    assert!(output.starts_with("copied 1 blocks ("), "{output}");
    assert_eq!(run(folder.path(), &["check"]).0, Some(0));
}

#[tokio::test]
async fn a_copy_reports_skipped_writers() {
    let (folder, store) = filled().await;
    let copied = folder.path().join("copied.sqlite");
    let to = format!("sqlite:{}", copied.display());
    assert_eq!(run(folder.path(), &["copy", "--to", &to]).0, Some(0));
    let target = Sqlite::open(&copied).unwrap();
    target.put_writer(&WriterState { epoch: 2, ..store.writers().await.unwrap()[0] }).await.unwrap();
    let (code, output, messages) = run(folder.path(), &["copy", "--to", &to]);
    assert_eq!(code, Some(5));
    assert!(output.starts_with("copied 0 blocks (0 bytes) of 1 writers"), "{output}");
    assert!(messages.starts_with("netflow: skipped writer 0000000000000ada: the target has newer data"), "{messages}");
    let (code, _, messages) = run(folder.path(), &["copy", "--from", &to, "--to", &to]);
    assert_eq!((code, messages.as_str()), (Some(5), "netflow: cannot copy a store into itself\n"));
}

#[tokio::test]
async fn exported_lines_are_the_totals_of_all_writers() {
    let (folder, store) = filled().await;
    let mut folded = tables(10);
    folded.fold(1);
    put_flush(&store, ADA, "2026-03-05 00:01", 9, &folded).await;
    let (code, csv, messages) = run(folder.path(), &["export", "--period", "hour", "--sender", "::ffff:192.0.2.1"]);
    assert_eq!((code, messages.as_str()), (Some(0), ""));
    let (code, json, _) = run(folder.path(), &["export", "--period", "hour", "--format", "jsonl"]);
    assert_eq!(code, Some(0));
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("start,sender,prefix,direction,name,bytes,packets,flows,bytes_variance,packets_variance")
    );
    let lines: Vec<&str> = lines.collect();
    let mut expected = Vec::new();
    for (hour, start) in [("2026-03-04 23", "2026-03-04T23:00:00Z"), ("2026-03-05 00", "2026-03-05T00:00:00Z")] {
        for prefix in prefixes() {
            let interval = parse_interval(Period::Hour, hour).unwrap();
            let tables = totals(&store, sender(), prefix, interval, TableSet::COUNTED).await.unwrap().tables;
            let of_prefix = format!("{start},192.0.2.1,{prefix}");
            for field in Field::ALL {
                let line = |direction: Direction, name: String, Counters { bytes, packets, flows }| {
                    let variance = tables.about_all(direction).variance;
                    let variances = match name.as_str() {
                        "all" => format!("{},{}", variance.bytes, variance.packets),
                        _ => ",".to_owned(),
                    };
                    format!("{of_prefix},{},{name},{bytes},{packets},{flows},{variances}", direction.name())
                };
                expected.extend(
                    tables
                        .rows_of(field)
                        .map(|(direction, name, counters)| line(direction, name.to_string(), counters)),
                );
                let folded = Direction::ALL.into_iter().filter(|direction| tables.truncated(*direction, field));
                expected.extend(folded.map(|direction| {
                    line(direction, format!("{}:other", field.name()), tables.other(direction, field))
                }));
            }
        }
    }
    assert_eq!(lines, expected);
    assert!(
        lines.iter().all(|line| line.split(',').count() == 10 && !line.contains('"')),
        "a value has a comma or quote"
    );
    assert!(lines.iter().any(|line| line.starts_with("2026-03-05T00:00:00Z,192.0.2.1,2001:db8::/32,in,srcip:other,")));
    let of_json = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| value[key].as_str().unwrap().to_owned();
        let number = |key: &str| value[key].as_u64().unwrap().to_string();
        let texts = ["start", "sender", "prefix", "direction", "name"].map(text);
        let variances = ["bytes_variance", "packets_variance"].map(|key| value[key].as_str().unwrap_or("").to_owned());
        [&texts[..], &["bytes", "packets", "flows"].map(number), &variances].concat().join(",")
    };
    assert_eq!(json.lines().map(of_json).collect::<Vec<_>>(), lines);
}

#[tokio::test]
async fn an_export_is_limited_by_dates_sender_and_prefix() {
    let (folder, _store) = filled().await;
    let starts = |arguments: &[&str]| {
        let (code, output, messages) = run(folder.path(), &[&["export"], arguments].concat());
        assert_eq!((code, messages.as_str()), (Some(0), ""));
        let all = output.lines().skip(1).filter(|line| line.contains(",in,all,"));
        all.map(|line| line.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let one = ["--prefix", "172.16.0.0/16"];
    let [first, second] = ["2026-03-04T00:00:00Z", "2026-03-05T00:00:00Z"].map(str::to_owned);
    assert_eq!(starts(&one), [first.clone(), second.clone()]);
    assert_eq!(starts(&["--to", "2026-03-04"]), [first.clone(), first.clone()], "both prefixes");
    assert_eq!(starts(&[&one[..], &["--from", "2026-03-05", "--to", "2026"]].concat()), [second]);
    assert_eq!(
        starts(&[&one[..], &["--to", "2026-03-04 23:58", "--period", "minute"]].concat()),
        ["2026-03-04T23:58:00Z"]
    );
    assert_eq!(starts(&["--sender", "192.0.2.9"]), [""; 0]);
    let (code, _, messages) = run(folder.path(), &["export", "--from", "yesterday"]);
    assert_eq!(code, Some(2));
    assert!(messages.contains("'yesterday'") && messages.contains("YYYY-MM-DD"), "{messages}");
}

#[tokio::test]
async fn an_export_skips_and_reports_damaged_blocks() {
    let (folder, store) = filled().await;
    let mut blocks = put_flush(&store, ADA, "2026-03-05 00:01", 3, &tables(10)).await;
    blocks[0].content.truncate(9);
    store.put_blocks(&blocks).await.unwrap();
    let (code, output, messages) = run(folder.path(), &["export", "--period", "minute", "--from", "2026-03-05"]);
    assert_eq!(code, Some(7));
    assert!(
        messages.starts_with("netflow: skipped: block of minute 2026-03-05 00:01, sender 192.0.2.1, "),
        "{messages}"
    );
    assert!(
        output.contains("2026-03-05T00:01:00Z,192.0.2.1,172.16.0.0/16,in,all,1045,20,10,540960750,198000\n"),
        "{output}"
    );
    assert!(
        output.contains("2026-03-05T00:01:00Z,192.0.2.1,2001:db8::/32,in,all,2090,40,20,1081921500,396000\n"),
        "{output}"
    );
}

#[tokio::test]
async fn an_export_ends_quietly_when_its_reader_closes_the_pipe() {
    let (folder, store) = filled().await;
    let large = {
        let mut tables = Tables::new();
        let one = Counters { bytes: 1, packets: 1, flows: 1 };
        for value in 0..60_000 {
            tables.add(Direction::In, Name { field: Field::SourceAs, value: Value::Number(value) }, one);
        }
        tables
    };
    put_flush(&store, ADA, "2026-03-05 00:02", 9, &large).await;
    let mut child = command(folder.path(), &["export"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}
