//! README.md: all of its shell blocks are run as written, in their order, as a newcomer without a router does.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::collector::{Collector, shell_block, shell_blocks};
use crate::documents::write_capture;
use crate::traffic;

const MONITORED: &str = "192.0.2.0/24";

/// Runs lines in the directory of a collector. The program is on the path, and the collector at other ports than by default.
fn run(collector: &Collector, lines: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_netflow"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let generate = format!("generate) shift; set -- generate --to {} \"$@\";;", collector.receiving);
    let netflow = format!("netflow() {{ case $1 in {generate} esac; command netflow \"$@\"; }}");
    let script = format!("{netflow}\n{}\n{lines}", shell_block(". data/keys"))
        .replace("127.0.0.1:2055", &collector.receiving.to_string())
        .replace("127.0.0.1:8080", &collector.serving.to_string());
    let mut command = Command::new("sh");
    command.args(["-euc", &script]).current_dir(collector.path()).env("PATH", path).stdin(Stdio::null());
    let output = command.env("NETFLOW_URL", format!("http://{}", collector.serving)).output().unwrap();
    assert!(output.status.success(), "{lines}\n{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A load that lasts, for a block that waits for flows.
struct Load(Child);

impl Load {
    fn start(collector: &Collector) -> Self {
        let to = collector.receiving.to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
        command.args(["generate", "--prefix", MONITORED, "--rate", "200", "--to", &to]);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The flows of a sender in and out of the prefix.
fn counted(collector: &Collector, sender: &str) -> u64 {
    let year = collector.shell("date -u +%Y");
    let (printed, ..) = collector.command(&["stats", sender, MONITORED, year.trim(), "--csv"]);
    printed.lines().skip(1).filter_map(|line| line.rsplit(',').next()?.parse::<u64>().ok()).sum()
}

/// `make` needs a build: its target exists. tcpdump needs root and an interface: what reads its output is run with a file.
fn is_elsewhere(block: &str, makefile: &str) -> bool {
    if let Some(target) = block.strip_prefix("make ") {
        assert!(makefile.lines().any(|line| line.starts_with(&format!("{target}:"))), "the Makefile has no {target}");
        return true;
    }
    false
}

#[test]
fn all_blocks_of_the_readme_run_as_written() {
    let makefile = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Makefile")).unwrap();
    let collector = Collector::start();
    let mut sent = Vec::new();
    for block in shell_blocks() {
        if is_elsewhere(&block, &makefile) {
            continue;
        }
        traffic::write(&collector.path().join("traffic.pcap"), false);
        write_capture(&collector.path().join("export.pcap"));
        let load = block.starts_with("netflow tap").then(|| Load::start(&collector));
        // The flows of softflowd match other prefixes too, which is a finding.
        let block_here = block.replace("netflow doctor", "netflow doctor || [ $? = 12 ]");
        let printed = run(&collector, &block_here.replace("tcpdump -i eth0 -w - udp port 2055", "cat export.pcap"));
        drop(load);
        if block.contains("netflow senders add") && sent.is_empty() {
            collector.wait_for_line("senders=1");
        }
        if let Some((_, rest)) = printed.split_once("sent ").filter(|_| sent.is_empty()) {
            // The first load, of which nothing was lost: each of its flows is in or out of the prefix.
            let flows: u64 = rest.split(' ').next().unwrap().parse().unwrap();
            assert!(flows > 10_000, "{printed}");
            collector.wait_until("all generated flows are counted", || counted(&collector, "127.0.0.1") == flows);
            let top = run(&collector, block.lines().last().unwrap());
            assert!(top.starts_with("name ") && top.contains("\nsrcip:172.16.0.0 "), "{top}");
            sent.push(flows);
        }
        if block.starts_with("netflow web") {
            assert!(printed.contains(&format!("http://{}/", collector.serving)), "{printed}");
        }
        if block.starts_with("ask POST") {
            let answer: Value = serde_json::from_str(&printed).unwrap();
            let days = answer[MONITORED]["days"][0].as_object().unwrap().values().next().unwrap().as_array().unwrap();
            assert!(
                days.len() >= 2 && days[0]["name"] == "all" && days[0]["flows"].as_u64().unwrap() >= sent[0] / 3,
                "{printed}"
            );
        }
    }
    assert_eq!(sent.len(), 1, "the README generates flows");
    collector.terminate();
}
