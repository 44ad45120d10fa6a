//! Completion in real shells: bash and zsh in a terminal with the key Tab, fish by its own command for what Tab shows.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::collector::{Collector, PATIENCE};
use crate::commands::run;
use crate::terminal::Terminal;

/// A collector with two routers, to be completed.
fn with_routers() -> Collector {
    let collector = Collector::start();
    run(&collector, &["senders", "add", "192.0.2.1", "10.20.0.0/16", "2001:db8:7::/48"]);
    run(&collector, &["senders", "add", "198.51.100.7", "10.30.0.0/16"]);
    run(&collector, &["senders", "set", "198.51.100.7", "tags=edge", "name=edge-7"]);
    run(&collector, &["networks", "add", "203.0.113.0/24", "name=office", "customer=customer-a"]);
    collector
}

/// The words that may follow, as the scripts get them; without descriptions.
fn words(collector: &Collector, line: &[&str]) -> Vec<String> {
    let printed = run(collector, &[&["complete-words", "--", "netflow"], line].concat());
    printed.lines().map(|line| line.split_once('\t').unwrap().0.to_owned()).collect()
}

#[test]
fn words_come_from_the_command_line_and_the_collector() {
    let collector = with_routers();
    let words = |line: &[&str]| words(&collector, line);
    assert_eq!(words(&["sen"]), ["senders"]);
    assert_eq!(words(&["senders", "rem"]), ["remove"]);
    assert_eq!(words(&["senders", "remove", "1"]), ["192.0.2.1", "198.51.100.7"]);
    assert_eq!(words(&["senders", "remove", "192.0.2.1", ""])[..2], ["10.20.0.0/16", "2001:db8:7::/48"]);
    assert_eq!(
        words(&["senders", "set", "192.0.2.1", "flow"]),
        ["flowDirection=both", "flowDirection=ingress", "flowDirection=egress"]
    );
    assert_eq!(words(&["senders", "set", "192.0.2.1", "tags"]), ["tags=edge", "tags="]);
    assert_eq!(words(&["top", "t"]), ["tag:edge"]);
    assert_eq!(words(&["top", "192.0.2.1,19"]), ["192.0.2.1,192.0.2.1", "192.0.2.1,198.51.100.7"]);
    assert_eq!(words(&["top", "198.51.100.7", "1"]), ["10.30.0.0/16"]);
    assert_eq!(words(&["top", "all", "1"]), ["10.20.0.0/16", "10.30.0.0/16"]);
    assert_eq!(words(&["top", "all", "o"]), ["office"]);
    assert_eq!(words(&["top", "all", "all", "--field", "dst"]).len(), 4);
    assert_eq!(words(&["series", "all", "all", "--name", "proto:tc"]), ["proto:tcp"]);
    assert_eq!(words(&["flows", "--by", "srcip,dstpo"]), ["srcip,dstport"]);
    assert_eq!(words(&["networks", "show", ""])[0], "203.0.113.0/24");
    assert_eq!(words(&["curl", "GET", "/stat"]), ["/stats", "/stats/", "/status"]);
    assert!(words(&["top", "--ta"]).is_empty());
    collector.terminate();
}

#[test]
fn without_a_collector_there_are_fewer_words_and_no_message() {
    let collector = Collector::start();
    run(&collector, &["senders", "add", "192.0.2.1"]);
    // It accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for url in ["http://127.0.0.1:1", &silent, "nonsense"] {
        let line = ["complete-words", "--", "netflow", "top", "--url", url, ""];
        let (printed, errors, code) = collector.command(&line);
        assert_eq!((errors.as_str(), code), ("", Some(0)), "{url}");
        assert!(printed.starts_with("all\t\n") && !printed.contains("192.0.2.1"), "{url}: {printed}");
    }
    collector.terminate();
}

/// An interactive shell in a terminal.
struct Shell(Terminal);

impl Shell {
    fn start(collector: &Collector, shell: &str) -> Self {
        Self(Terminal::start(collector, 200, "dumb", &format!("exec {shell}")))
    }

    fn press(&mut self, keys: &str) {
        self.0.press(keys);
    }

    /// Waits for a text after what was printed before; returns what was printed since.
    fn wait_for(&self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let printed = self.0.printed();
            if printed.contains(text) {
                self.0.forget();
                return printed;
            }
            assert!(Instant::now() < end, "no '{text}' in: {printed}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types a line and Tab, then waits until the line has this, and clears it.
    fn completes(&mut self, line: &str, completed: &str) {
        self.press(&format!("{line}\t"));
        self.wait_for(completed);
        // Ctrl-U empties the line; then a command shows that it is empty.
        self.press("\x15echo 'emp''ty'\n");
        self.wait_for("empty\r\n");
    }
}

#[test]
fn bash_completes_words_with_colons_and_equals_signs() {
    let collector = with_routers();
    let mut bash = Shell::start(&collector, "bash --norc --noprofile -i");
    bash.press("bind 'set enable-bracketed-paste off'; source <(netflow completions bash) && echo 'rea''dy'\n");
    bash.wait_for("ready\r\n");
    bash.completes("netflow senders rem", "netflow senders remove ");
    bash.completes("netflow senders show 198", "netflow senders show 198.51.100.7 ");
    bash.completes("netflow top tag:e", "netflow top tag:edge ");
    bash.completes("netflow top 192.0.2.1 2001:db8:", "netflow top 192.0.2.1 2001:db8:7::/48 ");
    bash.completes("netflow senders set 192.0.2.1 flowDirection=in", "flowDirection=ingress ");
    bash.completes("netflow senders set 192.0.2.1 na", "netflow senders set 192.0.2.1 na");
    bash.completes("netflow top all all --field=dstp", "netflow top all all --field=dstport ");
    collector.terminate();
}

#[test]
fn zsh_completes_words() {
    let collector = with_routers();
    let mut zsh = Shell::start(&collector, "zsh -f -i");
    zsh.press("PS1='$ '; unsetopt zle_bracketed_paste prompt_cr; autoload -U compinit; compinit -u -D; source <(netflow completions zsh); echo 'rea''dy'\n");
    zsh.wait_for("ready\r\n");
    zsh.completes("netflow senders rem", "ove ");
    zsh.completes("netflow senders show 198", ".51.100.7 ");
    zsh.completes("netflow top tag:e", "dge ");
    zsh.completes("netflow senders set 192.0.2.1 samplingRate=a", "nnounced ");
    collector.terminate();
}

#[test]
fn fish_completes_words_and_shows_names() {
    let collector = with_routers();
    let fish = |line: &str| {
        let program = Path::new(env!("CARGO_BIN_EXE_netflow"));
        let script = format!("netflow completions fish | source; complete --do-complete '{line}'");
        let output = Command::new("fish")
            .args(["--no-config", "-c", &script])
            .current_dir(collector.path())
            .env("HOME", collector.path())
            .env("NETFLOW_URL", format!("http://{}", collector.serving))
            .env("PATH", format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap()))
            .output()
            .expect("installed by `make test`");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(fish("netflow senders show 198"), "198.51.100.7\tedge-7\n");
    assert_eq!(fish("netflow top 192.0.2.1 2001:d"), "2001:db8:7::/48\n");
    assert!(fish("netflow senders rem").starts_with("remove\tRemove prefixes of a sender"));
    collector.terminate();
}
