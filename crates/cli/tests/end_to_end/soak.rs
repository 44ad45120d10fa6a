//! Everything at once, for an hour in `make soak` and for seconds in `make test` (`NETFLOW_SOAK_SECONDS`): exporters of four protocols, strangers that
//! forge their datagrams, good and hostile clients of the REST interface, senders that come and go, reloads with other
//! keys, a store that is killed or hangs, and kills of the collector.
//!
//! At the end, each exporter's flows are counted as often as they were sent. A kill costs at most the datagrams that a thread
//! has read and not yet written to the journal: at most a batch for each thread, and no datagram counts twice. As with systemd, the
//! sockets outlive the collector. Ledgers balance, and memory is bounded; when the collector is warm, it does not grow.
//!
//! The collector is killed only in the first half: in the second, memory is measured in a process of that age. It takes a minute to
//! warm up, so only longer runs show whether memory grows.

mod clients;
mod exporters;
mod strangers;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flow::Counters;
use tempfile::TempDir;
use testing::Service;

use self::clients::{Key, Statuses};
use self::exporters::{PREFIX, Running, Sent};
use crate::collector::Collector;
use crate::crashes::{dropped, unread};

/// What a kill may cost: the batch that each of two threads has in hand.
const IN_HAND: u64 = 2 * 64;
/// What the collector may occupy at any time.
const MOST_MEMORY: u64 = 256 << 20;
/// Tables and caches grow to their size in about this time.
const WARM_UP: Duration = Duration::from_secs(60);
/// By how much memory may grow from then until the end.
const MOST_GROWTH: u64 = 32 << 20;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(250);
const THREADS: &str = "cores = 2";

/// A number from the environment, or one that is small enough for every change to be tested with.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |number| number.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn duration() -> Duration {
    Duration::from_secs(setting("NETFLOW_SOAK_SECONDS", 20))
}

/// Flows a second of all exporters.
fn rate() -> u64 {
    setting("NETFLOW_SOAK_RATE", 20_000)
}

/// The current year, as dates in questions have it.
fn year() -> String {
    let output = Command::new("date").args(["-u", "+%Y"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The keys of the clients.
struct Keys {
    reader: Key,
    limited: Key,
    /// Valid after every second reload.
    comes_and_goes: Key,
    admin: Key,
}

impl Keys {
    fn new() -> Self {
        let limited = format!("role = \"read\"\nsenders = [\"{}\"]", exporters::addresses().next().unwrap());
        Self {
            reader: Key::new("reader", "role = \"read\""),
            limited: Key::new("limited", limited),
            comes_and_goes: Key::new("comes-and-goes", "role = \"read\""),
            admin: Key::new("admin", "role = \"admin\""),
        }
    }
}

/// Ends all threads when one of them panics.
struct StopAtPanic<'s>(&'s AtomicBool);

impl Drop for StopAtPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// What outlives the collector, and what has happened to it.
struct Soak<'s> {
    receiving: UdpSocket,
    serving: TcpListener,
    store: Service,
    keys: &'s Keys,
    stop: &'s AtomicBool,
    begun: Instant,
    reloads: u64,
    outages: u64,
    kills: u64,
    /// The collector's resident memory since it was last started.
    resident: Vec<u64>,
}

impl<'s> Soak<'s> {
    fn new(keys: &'s Keys, stop: &'s AtomicBool) -> Self {
        Self {
            receiving: UdpSocket::bind("127.0.0.1:0").unwrap(),
            serving: TcpListener::bind("127.0.0.1:0").unwrap(),
            store: Service::start("redis", 1, &[("SYNC", "always")]),
            keys,
            stop,
            begun: Instant::now(),
            reloads: 0,
            outages: 0,
            kills: 0,
            resident: Vec::new(),
        }
    }

    fn to(&self) -> SocketAddr {
        self.receiving.local_addr().unwrap()
    }

    fn server(&self) -> SocketAddr {
        self.serving.local_addr().unwrap()
    }

    fn configuration(&self) -> String {
        let level = ["info", "debug"][self.reloads as usize % 2];
        format!(
            "storage = \"redis\"\n[redis]\nhosts = [\"{}\"]\n[admin]\nkeysFile = \"keys.toml\"\n\
             [netflow]\nlisten = [\"{}\"]\n[http]\nlisten = \"{}\"\n[server]\n{THREADS}\nlogLevel = \"{level}\"\n",
            self.store.hosts[0],
            self.to(),
            self.server(),
        )
    }

    fn write_keys(&self, directory: &Path) {
        let Keys { reader, limited, comes_and_goes, admin } = self.keys;
        let all = [reader, limited, admin, comes_and_goes];
        let keys = if self.reloads.is_multiple_of(2) { &all[..] } else { &all[..3] };
        Key::write(&directory.join("keys.toml"), keys);
    }

    fn start(&mut self, directory: TempDir) -> Collector {
        self.write_keys(directory.path());
        std::fs::write(directory.path().join("netflow.toml"), self.configuration()).unwrap();
        self.resident.clear();
        Collector::start_passing_configured(directory, &self.receiving, &self.serving)
    }

    fn reload(&mut self, collector: &Collector) {
        self.reloads += 1;
        self.write_keys(collector.path());
        let log = collector.reload(&self.configuration());
        assert!(log.contains("configuration reloaded"), "{log}");
    }

    /// Waits, and looks at the collector meanwhile.
    fn watch(&mut self, collector: &Collector, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.resident.push(collector.resident());
            let log = collector.log();
            assert!(!log.contains("does not balance") && !log.contains("panic"), "{log}");
            std::thread::sleep(LOOK);
        }
    }

    /// Kills the collector, with the store as it is, and starts it again when the store is reachable.
    fn kill(&mut self, collector: Collector, start_store: impl FnOnce(&Service)) -> Collector {
        let directory = collector.kill();
        self.kills += 1;
        start_store(&self.store);
        self.start(directory)
    }

    /// One after the other, until the time is over: reloads, outages of the store, and kills.
    fn run(&mut self, mut collector: Collector) -> Collector {
        let (duration, mut turn) = (duration(), 0);
        let pause = (duration / 100).max(Duration::from_secs(1));
        let runs = |soak: &Self| soak.begun.elapsed() < duration && !soak.stop.load(Ordering::Relaxed);
        let resumed = |store: &Service| drop(store.run(&["resume", "1"]));
        let started = |store: &Service| drop(store.run(&["start", "1"]));
        while runs(self) {
            let may_kill = self.begun.elapsed() < duration / 2;
            match turn % 5 {
                0 => collector = if may_kill { self.kill(collector, |_| ()) } else { collector },
                1 | 3 => self.reload(&collector),
                kind => {
                    let hangs = kind == 2;
                    self.store.run(&[if hangs { "pause" } else { "kill" }, "1"]);
                    self.outages += 1;
                    self.watch(&collector, pause);
                    let start_store = if hangs { resumed } else { started };
                    if may_kill && turn % 2 == 0 {
                        collector = self.kill(collector, start_store);
                    } else {
                        start_store(&self.store);
                    }
                }
            }
            turn += 1;
            self.watch(&collector, pause);
        }
        collector
    }

    /// The average memory in the first and in the last fifth of the time since the last start, without the time that the
    /// process takes to warm up; 0 if it has only warmed up.
    fn memory(&self) -> [u64; 2] {
        let warm = self.resident.get((WARM_UP.as_millis() / LOOK.as_millis()) as usize..).unwrap_or_default();
        let fifth = warm.len() / 5;
        let average = |samples: &[u64]| samples.iter().sum::<u64>() / samples.len().max(1) as u64;
        [average(&warm[..fifth]), average(&warm[4 * fifth..])]
    }
}

/// What is counted for an exporter this year.
fn counted(collector: &Collector, exporter: &str) -> Counters {
    let year = year();
    let question = format!(r#"{{"{PREFIX}":{{"years":["{year}"]}}}}"#);
    let answer = collector.rest("POST", &format!("/stats/{exporter}"), &question);
    let rows = answer[PREFIX]["years"][0][&year].as_array().unwrap_or_else(|| panic!("{answer}"));
    let sum = |key: &str| rows.iter().map(|row| row[key].as_u64().unwrap()).sum();
    Counters { bytes: sum("bytes"), packets: sum("pkts"), flows: sum("flows") }
}

/// How many datagrams of an exporter are not counted. What is counted is never more than was sent, and if all flows are, so
/// are their bytes and packets.
fn missing(collector: &Collector, sent: &Sent) -> u64 {
    let counted = counted(collector, &sent.exporter.to_string());
    let exporter = sent.exporter;
    assert!(counted.flows <= sent.counters.flows, "{exporter}: {counted:?} of {:?}", sent.counters);
    let flows = sent.counters.flows - counted.flows;
    assert_eq!(flows % sent.flows_per_datagram, 0, "{exporter}: {counted:?} of {:?}", sent.counters);
    if flows == 0 {
        assert_eq!(counted, sent.counters, "{exporter}");
    }
    flows / sent.flows_per_datagram
}

/// Waits until everything that has arrived is in the store. Returns how many datagrams the socket has dropped.
fn all_is_stored(collector: &Collector, to: SocketAddr) -> u64 {
    collector.wait_until("everything read", || unread(to) == dropped(to));
    let status = || collector.rest("GET", "/status", "");
    let flushes = collector.counter("flushes");
    collector.wait_until("everything stored", || {
        let status = status();
        status["counters"]["flushes"].as_u64() > Some(flushes + 1) && status["gauges"]["spool_flushes"]["value"] == 0.0
    });
    dropped(to)
}

/// Prints how often the requests of a client had each status. Each kill may break the one that is open.
fn report(client: &str, statuses: &Statuses, most_broken: u64) {
    let list: Vec<_> = statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    println!("{client}: {}", list.join(", "));
    let broken = statuses.get(&0).copied().unwrap_or_default();
    assert!(broken <= most_broken, "{client}: {broken} broken connections");
}

#[test]
fn everything_at_once_loses_nothing_and_memory_stays_flat() {
    let (keys, stop) = (Keys::new(), AtomicBool::new(false));
    let mut soak = Soak::new(&keys, &stop);
    let collector = soak.start(tempfile::tempdir().unwrap());
    let addresses: Vec<_> = exporters::addresses().collect();
    for exporter in &addresses {
        let prefix = r#"{"prefixes":[{"prefix":"192.0.2.0","prefixLen":24}]}"#;
        collector.rest("PUT", &format!("/senders/{exporter}"), prefix);
    }
    collector.wait_for_line(&format!("senders={}", addresses.len()));
    let (to, server) = (soak.receiving.local_addr().unwrap(), soak.serving.local_addr().unwrap());
    let (collector, sent) = std::thread::scope(|scope| {
        let (stop, _stop_at_panic) = (&stop, StopAtPanic(&stop));
        let read = |key, exporter, comes_and_goes| {
            let exporter = addresses[exporter];
            move || clients::read(server, key, exporter, comes_and_goes, stop)
        };
        let load = Running::start(scope, to, rate(), stop);
        let strangers = scope.spawn(|| strangers::send(to, &addresses, stop));
        let clients = [
            ("reader", scope.spawn(read(&keys.reader, 9, false))),
            ("limited", scope.spawn(read(&keys.limited, 0, false))),
            ("comes-and-goes", scope.spawn(read(&keys.comes_and_goes, 17, true))),
            ("admin", scope.spawn(|| clients::register(server, &keys.admin, stop))),
        ];
        let hostile = scope.spawn(|| clients::attack(server, &keys.reader, &keys.admin, stop));

        let collector = soak.run(collector);

        stop.store(true, Ordering::Relaxed);
        for (name, client) in clients {
            report(name, &client.join().unwrap(), soak.kills);
        }
        report("hostile", &hostile.join().unwrap(), u64::MAX);
        let [unregistered, forged] = strangers.join().unwrap();
        println!("strangers: {unregistered} datagrams of unregistered addresses, {forged} forged or damaged");
        (collector, load.sent())
    });
    let dropped = all_is_stored(&collector, to);
    let missing: u64 = sent.iter().map(|sent| missing(&collector, sent)).sum();
    let (flows, seconds) = (sent.iter().map(|sent| sent.counters.flows).sum::<u64>(), soak.begun.elapsed().as_secs());
    let [before, after] = soak.memory();
    println!(
        "{seconds} s, {} exporters: {flows} flows, {missing} datagrams not counted, of which the kernel dropped {dropped}; {} \
         kills, {} outages of the store, {} reloads; memory when warm {} KiB, at the end {} KiB, at most {} KiB",
        sent.len(),
        soak.kills,
        soak.outages,
        soak.reloads,
        before >> 10,
        after >> 10,
        soak.resident.iter().max().unwrap() >> 10,
    );
    assert!(missing <= soak.kills * IN_HAND + dropped, "{missing} datagrams");
    assert!(soak.resident.iter().all(|memory| *memory < MOST_MEMORY), "{:?}", soak.resident);
    assert!(after < before + MOST_GROWTH, "{:?}", soak.resident);
    collector.terminate();
}
