//! The lines of the operators' documents: those of netflow and of sqlite3 are run as written, in the directory of a
//! running collector. Those of other programs need a network, root or a router; they are listed here, so that a new line
//! cannot slip by. The README's lines are run in `readme.rs`, those of the cookbook in `cookbook.rs`.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime};

use capture::Writer;

use crate::collector::{Collector, PATIENCE, shell_block};
use crate::load::this_year;
use crate::thirty_flows;
use testing::Service;

/// Lines with these are not run here.
const OTHERS: [&str; 6] = ["tcpdump ", "sysctl ", "nft ", "softflowd ", "ovs-vsctl ", "systemctl "];

/// The lines of all shell blocks of a document; a backslash at the end continues a line.
pub(crate) fn lines(document: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(document);
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("\n```"));
    blocks.flat_map(|(block, _)| block.replace("\\\n", "").lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// A capture of an export datagram.
pub(crate) fn write_capture(path: &Path) {
    let mut writer = Writer::new(File::create(path).unwrap()).unwrap();
    let [from, to]: [SocketAddr; 2] = ["127.0.0.1:4000", "127.0.0.1:2055"].map(|address| address.parse().unwrap());
    writer.write(SystemTime::now().into(), from, to, &thirty_flows()).unwrap();
    writer.flush().unwrap();
}

#[test]
fn the_lines_of_the_operators_documents_do_what_they_say() {
    let redis = Service::start("redis", 1, &[]);
    let collector = Collector::start();
    collector.shell(&shell_block("ask PUT"));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let end = Instant::now() + PATIENCE;
    // It learns of the sender a moment later.
    while !this_year(&collector).is_ok_and(|[first, ..]| first > 0) {
        assert!(Instant::now() < end, "nothing was counted\n{}", collector.log());
        socket.send_to(&thirty_flows(), collector.receiving).unwrap();
        std::thread::yield_now();
    }
    write_capture(&collector.path().join("export.pcap"));
    fs::create_dir(collector.path().join("backup")).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_netflow")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut run = 0;
    for line in ["operations.md", "troubleshooting.md", "exporters.md", "exporters/hosts.md"].map(lines).concat() {
        if OTHERS.iter().any(|other| line.contains(other)) {
            continue;
        }
        // The collector keeps its directory.
        let data_dir = if line.contains("netflow restore") { "restored" } else { "data" };
        let output = Command::new("sh")
            .arg("-euc")
            .arg(line.replace("/backup/", "backup/"))
            .env("NETFLOW__DATA_DIR", data_dir)
            .current_dir(collector.path())
            .env("PATH", &path)
            .env("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0")
            .env("NETFLOW__SFLOW__LISTEN", "")
            .env("NETFLOW__HTTP__LISTEN", "127.0.0.1:0")
            .env("NETFLOW_URL", format!("http://{}", collector.serving))
            .env("NETFLOW__REDIS__HOSTS", &redis.hosts[0])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{line}\n{stderr}");
        run += 1;
    }
    assert!(run >= 10, "{run} lines were run");
    collector.terminate();
}
