//! Segments of the journal are valid capture files: tshark and nfdump read them.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot continue has failed"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flow::{Exporter, FlushNumber, Timestamp, WriterId};
use journal::disk::Directory;
use journal::{Journal, Settings, Sync};
use wire::encode;
use wire::netflow_v5::{Header, Record};

/// A segment of datagrams over IPv4 and IPv6, each with one more record than the one before.
fn segment(folder: &Path, datagrams: u64) -> String {
    let disk = Box::new(Directory::open(folder).unwrap());
    let settings = Settings { sync: Sync::Batch, limit_bytes: 1 << 20 };
    let journal: Arc<Journal> = Journal::open(disk, WriterId(1), settings).unwrap();
    let mut writer = journal.writer(0, FlushNumber { epoch: 1, sequence: 1 });
    let sources: [SocketAddr; 2] = ["192.0.2.1:4000", "[2001:db8::1]:4000"].map(|it| it.parse().unwrap());
    for number in 0..datagrams {
        let seconds = 1_700_000_000 + number as u32;
        let records = vec![Record { octets: 40.into(), packets: 1.into(), ..Record::default() }; number as usize + 1];
        let payload = encode::netflow_v5(&Header { unix_seconds: seconds.into(), ..Header::default() }, &records);
        let received = Timestamp::new(seconds.into(), 123_456_789);
        let source = sources[number as usize % 2];
        let exporter = Exporter::udp(source.ip(), source.port());
        writer.take(received, exporter, "0.0.0.0:2055".parse().unwrap(), &payload);
    }
    writer.commit();
    assert_eq!(journal.counts().written, datagrams);
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    file.path().to_str().unwrap().to_owned()
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}, which `make test` installs: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tshark_reads_a_segment_and_finds_its_checksums_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = segment(folder.path(), 6);
    let checks = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"];
    let fields = ["frame.time_epoch", "ip.checksum.status", "udp.checksum.status", "cflow.version", "cflow.count"];
    let mut arguments = vec!["-r", &path, "-T", "fields", "-E", "separator=,"];
    arguments.extend(checks);
    arguments.extend(fields.iter().flat_map(|field| ["-e", field]));
    let expected: String = (0..6)
        .map(|number| {
            let ip = if number % 2 == 0 { "1" } else { "" };
            format!("{}.123456789,{ip},1,5,{}\n", 1_700_000_000 + number, number + 1)
        })
        .collect();
    assert_eq!(run("tshark", &arguments), expected);
}

#[test]
fn nfdump_reads_a_segment() {
    let folder = tempfile::tempdir().unwrap();
    let path = segment(&folder.path().join("journal"), 6);
    let flows = folder.path().join("flows");
    std::fs::create_dir(&flows).unwrap();
    let flows = flows.to_str().unwrap();
    run("nfpcapd", &["-r", &path, "-w", flows]);
    let printed = run("nfdump", &["-q", "-R", flows, "-o", "fmt:%sap %dp %pkt", "-6"]);
    let mut printed: Vec<_> =
        printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    printed.sort();
    assert_eq!(printed, ["192.0.2.1:4000 2055 3", "2001:db8::1.4000 2055 3"]);
}
