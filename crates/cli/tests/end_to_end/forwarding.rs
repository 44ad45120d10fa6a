//! Copies of datagrams for other collectors: those count the same, and what becomes of the copies costs counting nothing.

use std::fmt::Write;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use serde_json::{Value, json};

use crate::collector::{Collector, PATIENCE};
use crate::load::{self, FLOWS_A_SECOND, Running, flows, until_exact, wait};
use crate::reloads::{free_tcp, free_udp};

/// A target that nothing can be sent to: the kernel refuses to connect to a broadcast address.
const UNREACHABLE: &str = "127.255.255.255:9";

fn settings(netflow: SocketAddr, http: SocketAddr, targets: &[SocketAddr]) -> String {
    let mut text = format!("[netflow]\nlisten = [\"{netflow}\"]\n[sflow]\nlisten = []\n[http]\nlisten = \"{http}\"\n");
    for target in targets {
        writeln!(text, "[[forward.targets]]\naddress = \"{target}\"").unwrap();
    }
    text
}

/// The targets as `/status` has them, when nothing is queued. Each datagram for a target is counted once.
fn targets(collector: &Collector) -> Vec<Value> {
    let mut targets = Vec::new();
    collector.wait_until("everything is sent", || {
        targets = collector.rest("GET", "/status", "")["forward"].as_array().cloned().unwrap_or_default();
        targets.iter().all(|target| target["waiting"] == 0)
    });
    for target in &targets {
        let count = |value: &Value| value.as_u64().unwrap();
        let dropped: u64 = target["dropped"].as_object().unwrap().values().map(count).sum();
        assert_eq!(count(&target["received"]), count(&target["sent"]) + dropped, "{target}");
    }
    targets
}

/// All datagrams that a collector has read.
fn read(collector: &Collector) -> u64 {
    let datagrams = collector.rest("GET", "/status", "")["counters"]["datagrams"].take();
    datagrams.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

#[test]
fn other_collectors_count_the_same_whatever_becomes_of_further_targets() {
    let (netflow, http, closed) = (free_udp(), free_tcp(), free_udp());
    let unreachable = UNREACHABLE.parse().unwrap();
    let other = Collector::start();
    let passing = UdpSocket::bind("127.0.0.1:0").unwrap();
    let always = [other.receiving, closed, unreachable];
    let collector = Collector::start_configured(&settings(netflow, http, &always));
    [&collector, &other].into_iter().for_each(load::register);
    let running = Running::start(netflow, FLOWS_A_SECOND, 1);
    let mut logs = String::new();
    for _ in 0..3 {
        let more = [&always[..], &[passing.local_addr().unwrap()]].concat();
        let log = collector.reload(&settings(netflow, http, &more));
        assert!(log.contains(&format!("forwarding to {}", more[3])), "{log}");
        logs.push_str(&log);
        wait(Duration::from_millis(300));
        let log = collector.reload(&settings(netflow, http, &always));
        assert!(log.contains(&format!("no longer forwarding to {}", more[3])), "{log}");
        logs.push_str(&log);
        wait(Duration::from_millis(300));
    }
    let expected = running.stop();
    assert!(flows(&expected) > 10_000);
    until_exact(&collector, &expected, PATIENCE);
    until_exact(&other, &expected, PATIENCE);

    let (all, shown) = (read(&collector), targets(&collector));
    let count = |target: usize, path: &str| shown[target].pointer(path).unwrap().as_u64().unwrap();
    assert_eq!(shown.iter().map(|target| target["received"].as_u64().unwrap()).collect::<Vec<_>>(), [all; 3]);
    assert_eq!((read(&other), count(0, "/sent")), (all, all));
    assert_eq!((count(1, "/sent"), count(2, "/dropped/failed")), (all, all), "{shown:?}");
    assert!(count(1, "/refusals") > 0 && count(0, "/refusals") == 0, "{shown:?}");
    passing.set_nonblocking(true).unwrap();
    assert!(passing.recv(&mut [0; 2048]).is_ok(), "a target that was added got nothing");

    let (findings, ..) = collector.command(&["doctor"]);
    for part in [&format!("forwarded to {UNREACHABLE} are dropped"), &format!("are forwarded to {closed}")] {
        assert!(findings.contains(part.as_str()), "{findings}");
    }
    let (metrics, ..) = collector.command(&["curl", "GET", "/metrics"]);
    assert!(
        metrics.contains(&format!("netflow_forward_sent_total{{target=\"{}\"}} {all}\n", other.receiving)),
        "{metrics}"
    );
    let (_, log) = collector.terminate();
    logs.push_str(&log);
    assert_eq!(logs.matches(&format!("datagrams forwarded to {UNREACHABLE} are dropped")).count(), 1, "{logs}");
    assert!(log.contains(" kernel_drops 0"), "{log}");
}

/// A collector that hangs looks like one that is busy: what the kernel drops there is lost there only.
#[test]
fn a_target_that_hangs_costs_nothing() {
    let (netflow, http) = (free_udp(), free_tcp());
    let other = Collector::start_with(&[("NETFLOW__SERVER__RECEIVE_BUFFER", "64KiB")]);
    let collector = Collector::start_configured(&settings(netflow, http, &[other.receiving]));
    load::register(&collector);
    other.signal("STOP");
    let running = Running::start(netflow, FLOWS_A_SECOND, 2);
    wait(Duration::from_secs(1));
    let expected = running.stop();
    until_exact(&collector, &expected, PATIENCE);
    let (all, shown) = (read(&collector), targets(&collector));
    assert_eq!((&shown[0]["received"], &shown[0]["sent"]), (&json!(all), &json!(all)));
    other.signal("CONT");
    collector.terminate();
}

#[test]
fn a_target_that_cannot_be_is_refused() {
    let (netflow, http) = (free_udp(), free_tcp());
    let collector = Collector::start_configured(&settings(netflow, http, &[]));
    let refused = |text: &str, reason: &str| {
        let log = collector.reload(text);
        assert!(log.contains("keeping the current configuration") && log.contains(reason), "{log}");
        let (printed, _, code) = collector.command(&["check-config"]);
        assert!(printed.contains("ERROR forward.targets: ") && printed.contains(reason), "{printed}");
        assert_eq!(code, Some(3), "{printed}");
    };
    refused(&settings(netflow, http, &[netflow]), "forward every datagram again and again");
    // The capability is checked as the user of the command.
    let other = free_udp();
    let keeping = settings(netflow, http, &[other]) + "source = \"exporter\"\n";
    fs::write(collector.path().join("netflow.toml"), &keeping).unwrap();
    let mut checked = Command::new("setpriv");
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        checked.args(["--bounding-set=-net_raw", "--inh-caps=-net_raw"]);
    }
    checked.args([env!("CARGO_BIN_EXE_netflow"), "check-config", "--config", "netflow.toml"]);
    let output = checked.current_dir(collector.path()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains(&format!("ERROR forward.targets: {other}: ")) && printed.contains("CAP_NET_RAW"),
        "{printed}"
    );
    collector.reload(&settings(netflow, http, &[other]));
    let (printed, _, code) = collector.command(&["check-config"]);
    assert!(code == Some(0) && printed.contains(&format!("{other} can be forwarded to")), "{printed}");
}

/// The routers, with one of IPv6, and what they send.
const SENDERS: [&str; 4] = ["10.9.1.10", "10.9.1.11", "10.9.1.12", "fd00:9:1::2"];

/// Three hosts: this one between the routers and the other collector, on a link too small for a datagram. Without the
/// detection of duplicate addresses, a host has neighbours from the first datagram on.
const HOSTS: &str = "\
mount -t tmpfs tmpfs /run
no_dad='echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'
eval \"$no_dad\"
ip link set lo up
number=0
for name in routers far; do
  number=$((number + 1))
  ip netns add $name
  ip netns exec $name sh -c \"$no_dad\"
  ip link add to-$name type veth peer name eth0 netns $name
  ip addr add 10.9.$number.1/24 dev to-$name
  ip addr add fd00:9:$number::1/64 dev to-$name nodad
  ip link set to-$name up
  ip -n $name link set lo up
  ip -n $name addr add 10.9.$number.2/24 dev eth0
  ip -n $name addr add fd00:9:$number::2/64 dev eth0 nodad
  ip -n $name link set eth0 up
  ip -n $name route add default via 10.9.$number.1
  ip -n $name route add default via fd00:9:$number::1
done
for last in 10 11 12; do ip -n routers addr add 10.9.1.$last/24 dev eth0; done
ip link set to-far mtu 1280
ip -n far link set eth0 mtu 1280
exec \"$0\" \"$@\"";

/// Set for the part of a test that runs on these hosts.
const ON_HOSTS: &str = "NETFLOW_TEST_ON_HOSTS";

#[test]
fn the_source_of_datagrams_is_kept() {
    if env::var_os(ON_HOSTS).is_some() {
        return between_hosts();
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount"]);
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        command.arg("--map-root-user");
    }
    command.args(["sh", "-euc", HOSTS]).arg(env::current_exe().unwrap());
    let test = ["--exact", "--nocapture", "forwarding::the_source_of_datagrams_is_kept"];
    let output = command.args(test).env(ON_HOSTS, "yes").output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
}

fn known_senders() -> String {
    let mut text = String::new();
    for sender in SENDERS {
        writeln!(text, "[[senders.known]]\naddress = \"{sender}\"\nprefixes = [\"192.0.2.0/24\"]").unwrap();
    }
    text
}

/// Flows, bytes and packets of each sender.
fn totals(collector: &Collector) -> Vec<[u64; 3]> {
    let of = |sender: &&str| {
        let sums = ["in", "out"].map(|direction| {
            let path = format!("/top/{sender}?prefix=192.0.2.0/24&direction={direction}");
            let total = collector.rest("GET", &path, "")["total"].take();
            ["flows", "bytes", "pkts"].map(|key| total[key].as_u64().unwrap_or_default())
        });
        let [[flows, bytes, packets], [more_flows, more_bytes, more_packets]] = sums;
        [flows + more_flows, bytes + more_bytes, packets + more_packets]
    };
    SENDERS.iter().map(of).collect()
}

/// Sends from the host of the routers; the totals of each.
fn generate(arguments: &[&str]) -> Vec<[u64; 3]> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", "routers", env!("CARGO_BIN_EXE_netflow"), "generate", "--json"]);
    command.args(["--rate", "10000", "--flows", "6000"]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    let exporters = sent["exporters"].as_array().unwrap().iter();
    exporters.map(|it| ["flows", "bytes", "pkts"].map(|key| it[key].as_u64().unwrap())).collect()
}

/// The part of the test above that runs on its hosts.
fn between_hosts() {
    let far = format!(
        "[netflow]\nlisten = [\"10.9.2.2:2055\", \"[fd00:9:2::2]:2055\"]\n[sflow]\nlisten = []\n[http]\nlisten = \"10.9.2.2:8080\"\n{}",
        known_senders()
    );
    let near = format!(
        "[netflow]\nlisten = [\"10.9.1.1:2055\", \"[fd00:9:1::1]:2055\"]\n[sflow]\nlisten = []\n[http]\nlisten = \"127.0.0.1:8080\"\n{}\
         [[forward.targets]]\naddress = \"10.9.2.2:2055\"\nsource = \"exporter\"\nexporters = [\"0.0.0.0/0\"]\n\
         [[forward.targets]]\naddress = \"[fd00:9:2::2]:2055\"\nsource = \"exporter\"\n",
        known_senders()
    );
    let other = Collector::start_configured_as(
        Command::new("ip").args(["netns", "exec", "far", env!("CARGO_BIN_EXE_netflow")]),
        &far,
    );
    let collector = Collector::start_configured(&near);
    let mut sent = generate(&["--to", "10.9.1.1:2055", "--source", "10.9.1.10", "--exporters", "3"]);
    sent.extend(generate(&["--to", "[fd00:9:1::1]:2055", "--protocol", "ipfix"]));
    for (name, counting) in [("near", &collector), ("far", &other)] {
        counting.wait_until(name, || totals(counting) == sent);
    }
    let shown = targets(&collector);
    // The second target would get those of IPv4 too, if their source could be kept.
    let family = |target: usize| shown[target]["dropped"]["otherFamily"].as_u64().unwrap();
    assert_eq!((family(0), family(1)), (0, shown[0]["sent"].as_u64().unwrap()), "{shown:?}");
    assert_eq!(read(&other), read(&collector));
    let fragments = fs::read_to_string("/proc/net/snmp").unwrap();
    assert!(fragments.contains("FragCreates") && has_fragmented(&fragments), "{fragments}");
}

/// Whether this host has fragmented what it sent.
fn has_fragmented(counters: &str) -> bool {
    let mut lines = counters.lines().filter_map(|line| line.strip_prefix("Ip: ")).map(str::split_whitespace);
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    names.zip(values).any(|(name, value)| name == "FragCreates" && value != "0")
}
