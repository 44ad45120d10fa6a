//! Commands that look on while a collector counts: `tap` and `live`, with the real program and real flows.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::collector::{Collector, PATIENCE, shell_block};
use crate::commands::{counted, run};
use crate::thirty_flows;

/// `netflow` beside a collector, with its output to be read as it comes.
fn beside(collector: &Collector, arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .args(arguments)
        .current_dir(collector.path())
        .env("NETFLOW_URL", format!("http://{}", collector.serving))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// How many look on.
fn onlookers(collector: &Collector) -> f64 {
    let status: Value = serde_json::from_str(&run(collector, &["curl", "GET", "/status"])).unwrap();
    status["gauges"]["taps"]["value"].as_f64().unwrap()
}

fn wait_for_onlookers(collector: &Collector, expected: f64) {
    let end = Instant::now() + PATIENCE;
    while onlookers(collector) != expected {
        assert!(Instant::now() < end, "{} look on", onlookers(collector));
    }
}

fn send(collector: &Collector, datagrams: usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..datagrams {
        socket.send_to(&thirty_flows(), collector.receiving).unwrap();
    }
}

/// Waits until it ends; what it said.
fn ended(mut child: Child) -> (String, Option<i32>) {
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (said, status.code())
}

#[test]
fn tap_shows_flows_as_they_come_and_stops_after_as_many_as_it_should() {
    let collector = counted();
    let (tap, mut out) = beside(&collector, &["tap", "-c", "3", "host", "192.0.2.1", "and", "packets", "=", "2"]);
    let mut heading = String::new();
    out.read_line(&mut heading).unwrap();
    assert!(heading.starts_with("time         exporter "), "{heading}");
    send(&collector, 1);
    let lines: Vec<String> = out.lines().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains(" 127.0.0.1 ") && lines[0].contains("198.51.100.1 > 192.0.2.1 "), "{lines:?}");
    assert!(lines[0].contains(" 2   100 B ") && lines[0].ends_with(" if 0>0"), "{lines:?}");
    assert_eq!(ended(tap), ("3 flows shown, 0 dropped\n".to_owned(), Some(0)));
    wait_for_onlookers(&collector, 0.0);

    // Nothing passes this one: it sees none of what comes before the other one has seen all of it.
    let (none, _nothing) = beside(&collector, &["tap", "--json", "tcp"]);
    let (tap, out) = beside(&collector, &["tap", "--json", "-c", "30", "--exporter", "127.0.0.1"]);
    wait_for_onlookers(&collector, 2.0);
    send(&collector, 1);
    let flows: Vec<Value> = out.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(flows.len(), 30);
    assert!(flows.iter().all(|line| line["flow"]["bytes"] == 100 && line["protocol"] == "netflow-v5"), "{flows:?}");
    assert_eq!(ended(tap).1, Some(0));
    // Ctrl-C.
    assert!(Command::new("kill").args(["-INT", &none.id().to_string()]).status().unwrap().success());
    assert_eq!(ended(none), ("0 flows shown, 0 dropped\n".to_owned(), Some(0)));
    let metrics = collector.shell("curl -sS http://127.0.0.1:8080/metrics");
    assert!(
        metrics.contains("netflow_tap_shown_flows_total ") && metrics.contains("netflow_taps_limit 4"),
        "{metrics}"
    );
    collector.terminate();
}

#[test]
fn tap_ends_with_whoever_reads_it_and_with_the_collector() {
    let collector = counted();
    let (mut tap, out) = beside(&collector, &["tap"]);
    wait_for_onlookers(&collector, 1.0);
    drop(out);
    let end = Instant::now() + PATIENCE;
    while tap.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "it goes on although nobody reads it");
        send(&collector, 1);
    }
    let (said, code) = ended(tap);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(" flows shown, "), "{said}");

    let (tap, out) = beside(&collector, &["tap"]);
    // What was sent above may still come.
    let reader = std::thread::spawn(move || out.lines().count());
    wait_for_onlookers(&collector, 1.0);
    collector.terminate();
    assert!(reader.join().unwrap() > 0);
    let (said, code) = ended(tap);
    assert_eq!(code, Some(8), "{said}");
    assert!(said.contains("the collector does not send any more"), "{said}");
}

#[test]
fn the_line_of_the_readme_shows_what_it_says() {
    let collector = counted();
    let script = format!("netflow() {{ {} \"$@\"; }}\n{}", env!("CARGO_BIN_EXE_netflow"), shell_block("netflow tap"));
    let mut shell = Command::new("sh");
    shell.args(["-euc", &script]).current_dir(collector.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shell = shell.env("NETFLOW_URL", format!("http://{}", collector.serving)).spawn().unwrap();
    wait_for_onlookers(&collector, 1.0);
    send(&collector, 1);
    let lines = BufReader::new(shell.stdout.take().unwrap()).lines().count();
    assert_eq!((lines, ended(shell).1), (21, Some(0)));
    collector.terminate();
}

#[test]
fn tap_says_where_a_filter_is_wrong() {
    let collector = Collector::start();
    let (printed, said, code) = collector.command(&["tap", "udp", "or", "prot", "53"]);
    assert_eq!((printed.as_str(), code), ("", Some(9)));
    assert!(said.contains("column 8: expected host, net, port") && said.contains("not \"prot\""), "{said}");
    collector.terminate();
}

#[test]
fn under_load_everything_is_counted_whoever_looks_on() {
    let collector = counted();
    let matched = || {
        let status: Value = serde_json::from_str(&run(&collector, &["curl", "GET", "/status"])).unwrap();
        status["counters"]["flows"]["matched"].as_u64().unwrap()
    };
    let before = matched();
    let (tap, out) = beside(&collector, &["tap", "--json"]);
    wait_for_onlookers(&collector, 1.0);
    let datagrams = 3000;
    // In parts that fit the receive buffer.
    for sent in (500..=datagrams).step_by(500) {
        send(&collector, 500);
        collector.wait_until("matched", || matched() == before + 30 * sent);
    }
    // Each of them came by here or is in the number of those that did not.
    let (mut shown, mut dropped) = (0, 0);
    for line in out.lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        match line["dropped"].as_u64() {
            Some(number) => dropped = number,
            None => shown += 1,
        }
        if shown + dropped == 30 * datagrams {
            break;
        }
    }
    assert!(shown > 0);
    assert!(Command::new("kill").args(["-TERM", &tap.id().to_string()]).status().unwrap().success());
    assert_eq!(ended(tap).1, Some(0));
    collector.terminate();
}

/// `netflow live` in a pseudo terminal of 80 columns and 24 rows, by script(1).
struct Live {
    child: Child,
    printed: Arc<Mutex<Vec<u8>>>,
}

impl Live {
    fn start(collector: &Collector, before: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_netflow");
        let mut child = Command::new("script")
            .args(["-qfec", &format!("stty rows 24 cols 80; {before} {program} live"), "/dev/null"])
            .current_dir(collector.path())
            .env("NETFLOW_URL", format!("http://{}", collector.serving))
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bsdutils is on every Debian");
        let (mut out, printed) = (child.stdout.take().unwrap(), Arc::<Mutex<Vec<u8>>>::default());
        let shared = Arc::clone(&printed);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut buffer) {
                shared.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { child, printed }
    }

    fn press(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// What stands on the screen.
    fn screen(&self) -> String {
        let printed = String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned();
        let mut cells = vec![vec![' '; 80]; 24];
        let (mut row, mut column) = (0, 0);
        let mut rest = printed.chars();
        while let Some(character) = rest.next() {
            match character {
                // A control sequence (ECMA-48): parameters, then a letter.
                '\x1b' => {
                    let mut sequence = String::new();
                    let begun = rest.next() == Some('[');
                    while let Some(next) = rest.next().filter(|_| begun) {
                        sequence.push(next);
                        if next.is_ascii_alphabetic() {
                            break;
                        }
                    }
                    let place = sequence.strip_suffix('H').map(|place| place.split_once(';').unwrap_or(("1", "1")));
                    if let Some((down, across)) = place {
                        (row, column) = (down.parse::<usize>().unwrap() - 1, across.parse::<usize>().unwrap() - 1);
                    } else if sequence.ends_with('J') {
                        cells.iter_mut().for_each(|row| row.fill(' '));
                    }
                }
                '\r' => column = 0,
                '\n' => row += 1,
                _ => {
                    if let Some(cell) = cells.get_mut(row).and_then(|row| row.get_mut(column)) {
                        *cell = character;
                    }
                    column += 1;
                }
            }
        }
        cells.into_iter().map(|row| row.into_iter().collect::<String>().trim_end().to_owned() + "\n").collect()
    }

    fn wait_for(&self, what: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.screen().contains(what) {
            assert!(Instant::now() < end, "'{what}' is not on the screen:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it ends, and whether the terminal is as it was: the other screen left, the cursor there again.
    fn ended(mut self) -> Option<i32> {
        let status = self.child.wait().unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let printed = String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned();
            if printed.rfind("\x1b[?1049l") > printed.rfind("\x1b[?1049h") && printed.contains("\x1b[?25h") {
                return status.code();
            }
            assert!(Instant::now() < end, "the terminal is not put back: {printed:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn live_shows_a_collector_in_a_real_terminal_and_puts_it_back() {
    let collector = counted();
    let mut live = Live::start(&collector, "");
    live.wait_for("well: the store answers in");
    live.wait_for("127.0.0.1         netflow-v5");
    live.wait_for("127.0.0.1  lost 0  duplicates");
    UdpSocket::bind("127.0.0.9:0").unwrap().send_to(&thirty_flows(), collector.receiving).unwrap();
    live.wait_for("1 send without being registered");
    live.press("/v9\r");
    live.wait_for("none passes the filter");
    live.press("\x1b");
    live.wait_for("127.0.0.1         netflow-v5");
    live.press("\r");
    live.wait_for("192.0.2.0/24  (prefix 1 of 2)");
    live.wait_for("srcip:198.51.100.1");
    send(&collector, 3);
    live.press("f");
    live.wait_for("dstip:192.0.2.1");
    live.press("?");
    live.wait_for("Keys and words");
    live.press("?q");
    assert_eq!(live.ended(), Some(0));

    // It waits for a collector that goes away, and is told to stop by a signal.
    let directory = tempfile::tempdir().unwrap();
    let id = directory.path().join("id");
    let live = Live::start(&collector, &format!("sh -c 'echo $$ >{}; exec \"$0\" \"$@\"'", id.display()));
    live.wait_for("well: the store answers in");
    collector.terminate();
    live.wait_for("no answer, asking again each second");
    let id = std::fs::read_to_string(id).unwrap();
    assert!(Command::new("kill").args(["-TERM", id.trim()]).status().unwrap().success());
    assert_eq!(live.ended(), Some(0));
}

#[test]
fn live_shows_a_limited_key_what_it_may_see() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("keys.toml");
    let key =
        "[reader]\nauthKey = \"reader-auth\"\nsignKey = \"reader-sign\"\nrole = \"read\"\nsenders = [\"127.0.0.1\"]\n";
    std::fs::write(&file, key).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let collector = Collector::start_with(&[("NETFLOW__ADMIN__KEYS_FILE", file.to_str().unwrap())]);
    for exporter in ["127.0.0.1", "127.0.0.2"] {
        run(&collector, &["senders", "add", exporter, "192.0.2.0/24"]);
    }
    let end = Instant::now() + PATIENCE;
    let listed = || collector.rest("GET", "/exporters", "").as_array().unwrap().len();
    while listed() < 2 {
        assert!(Instant::now() < end, "{}", collector.log());
        for exporter in ["127.0.0.1:0", "127.0.0.2:0"] {
            UdpSocket::bind(exporter).unwrap().send_to(&thirty_flows(), collector.receiving).unwrap();
        }
    }
    let mut live = Live::start(&collector, "NETFLOW_AUTH_KEY=reader-auth NETFLOW_SIGN_KEY=reader-sign");
    live.wait_for("this key is limited to some senders");
    live.wait_for("127.0.0.1         netflow-v5");
    assert!(!live.screen().contains("127.0.0.2"), "{}", live.screen());
    live.press("\r");
    live.wait_for("192.0.2.0/24  (prefix 1 of 1)");
    live.press("q");
    assert_eq!(live.ended(), Some(0));
    collector.terminate();
}

#[test]
fn live_needs_a_terminal() {
    let collector = Collector::start();
    let (printed, said, code) = collector.command(&["live"]);
    assert_eq!((printed.as_str(), code), ("", Some(1)));
    assert!(said.contains("netflow live needs a terminal"), "{said}");
    collector.terminate();
}
