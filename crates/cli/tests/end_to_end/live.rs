//! `netflow live` in a real terminal, beside a collector that counts.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::collector::{Collector, PATIENCE};
use crate::commands::{counted, run};
use crate::tap::send;
use crate::terminal::Terminal;
use crate::thirty_flows;

/// `netflow live` in a terminal of 80 columns.
struct Live(Terminal);

impl Live {
    fn start(collector: &Collector, before: &str) -> Self {
        Self(Terminal::start(collector, 80, "xterm-256color", &format!("{before} netflow live")))
    }

    fn press(&mut self, keys: &str) {
        self.0.press(keys);
    }

    /// The text on the screen.
    fn screen(&self) -> String {
        let printed = self.0.printed();
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

    /// The exit code. Waits until the program has ended and the terminal is restored: the main screen, with a cursor.
    fn exit_code(mut self) -> Option<i32> {
        let status = self.0.wait();
        let end = Instant::now() + PATIENCE;
        loop {
            let printed = self.0.printed();
            if printed.rfind("\x1b[?1049l") > printed.rfind("\x1b[?1049h") && printed.contains("\x1b[?25h") {
                return status.code();
            }
            assert!(Instant::now() < end, "the terminal is not restored: {printed:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn live_shows_a_collector_in_a_real_terminal_and_restores_it() {
    let collector = counted();
    let mut live = Live::start(&collector, "");
    live.wait_for("OK: the store answers in");
    live.wait_for("127.0.0.1         netflow-v5");
    live.wait_for("127.0.0.1  lost 0  duplicates");
    UdpSocket::bind("127.0.0.9:0").unwrap().send_to(&thirty_flows(), collector.receiving).unwrap();
    live.wait_for("1 unregistered router");
    live.press("/v9\r");
    live.wait_for("no router matches the filter");
    live.press("\x1b");
    live.wait_for("127.0.0.1         netflow-v5");
    live.press("\r");
    live.wait_for("192.0.2.0/24  (prefix 1 of 2)");
    live.wait_for("srcip:198.51.100.1");
    send(&collector, 3);
    live.press("f");
    live.wait_for("dstip:192.0.2.1");
    live.press("?");
    live.wait_for("Keys and columns");
    live.press("?q");
    assert_eq!(live.exit_code(), Some(0));

    // It waits for a collector that has stopped, and ends by a signal.
    let directory = tempfile::tempdir().unwrap();
    let id = directory.path().join("id");
    let live = Live::start(&collector, &format!("sh -c 'echo $$ >{}; exec \"$0\" \"$@\"'", id.display()));
    live.wait_for("OK: the store answers in");
    collector.terminate();
    live.wait_for("no answer, retrying every second");
    let id = std::fs::read_to_string(id).unwrap();
    assert!(Command::new("kill").args(["-TERM", id.trim()]).status().unwrap().success());
    assert_eq!(live.exit_code(), Some(0));
}

#[test]
fn live_shows_a_limited_key_only_its_senders() {
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
    assert_eq!(live.exit_code(), Some(0));
    collector.terminate();
}

#[test]
fn live_needs_a_terminal() {
    let collector = Collector::start();
    let (printed, stderr, code) = collector.command(&["live"]);
    assert_eq!((printed.as_str(), code), ("", Some(1)));
    assert!(stderr.contains("netflow live needs a terminal"), "{stderr}");
    collector.terminate();
}
