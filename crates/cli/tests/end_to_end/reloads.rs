//! SIGHUP: the configuration is reloaded under load, and no datagram is lost.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::collector::{Collector, PATIENCE};
use crate::load::{self, FLOWS_A_SECOND, Running, flows, until_exact, wait};
use crate::traffic::Totals;

/// A configuration of these tests.
struct Settings<'a> {
    /// `netflow.listen`
    netflow: &'a [SocketAddr],
    /// `http.listen`
    http: SocketAddr,
    /// Lines of `[admin]`.
    admin: &'a str,
    /// Lines of `[server]`.
    server: &'a str,
}

impl Settings<'_> {
    fn text(&self) -> String {
        let Self { netflow, http, admin, server } = self;
        let netflow: Vec<_> = netflow.iter().map(|address| format!("\"{address}\"")).collect();
        format!(
            "[netflow]\nlisten = [{}]\n[http]\nlisten = \"{http}\"\n[admin]\n{admin}\n[server]\n{server}\n",
            netflow.join(", ")
        )
    }
}

pub(crate) fn free_udp() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A free address.
pub(crate) fn free_tcp() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn keys(name: &str) -> String {
    format!("authKey = \"auth-{name}\"\nsignKey = \"sign-{name}\"")
}

/// The result of a request signed with these keys: standard error and exit code.
fn ask(at: SocketAddr, name: &str) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .args(["senders", "--url", &format!("http://{at}")])
        .env("NETFLOW_AUTH_KEY", format!("auth-{name}"))
        .env("NETFLOW_SIGN_KEY", format!("sign-{name}"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

#[test]
fn reloads_under_load_lose_nothing_and_a_new_address_receives() {
    let (first, second, http) = (free_udp(), free_udp(), free_tcp());
    let settings = |netflow: &[SocketAddr], server: &str| Settings { netflow, http, admin: "", server }.text();
    let collector = Collector::start_configured(&settings(&[first], "cores = 2"));
    load::register(&collector);
    let running = Running::start(first, FLOWS_A_SECOND, 1);
    let mut expected = Totals::new();
    for seed in 2..5 {
        let stderr = collector.reload(&settings(&[first, second], "cores = 2"));
        assert!(stderr.contains(&format!("listening on {second}")), "{stderr}");
        let more = Running::start(second, FLOWS_A_SECOND / 2, seed);
        wait(Duration::from_millis(300));
        collector.reload(&settings(&[second, first], "cores = 2\nlogLevel = \"debug\""));
        wait(Duration::from_millis(300));
        expected = load::sum(expected, more.stop());
        // Some datagrams may still be queued there.
        let stderr = collector.reload(&settings(&[first], "cores = 2"));
        assert!(stderr.contains(&format!("stopped listening on {second}")), "{stderr}");
    }
    let expected = load::sum(running.stop(), expected);
    assert!(flows(&expected) > 20_000);
    until_exact(&collector, &expected, PATIENCE);
    let (_, log) = collector.terminate();
    assert!(log.contains(" kernel_drops 0"), "{log}");
}

#[test]
fn a_reload_changes_keys_and_the_address_of_the_rest_interface() {
    let (netflow, http) = ([free_udp()], free_tcp());
    let text = |http, admin: &str| Settings { netflow: &netflow, http, admin, server: "" }.text();
    let collector = Collector::start_configured(&text(http, &keys("old")));
    assert_eq!(ask(http, "old").1, Some(0));
    assert_eq!(ask(http, "new").1, Some(9));

    collector.reload(&text(http, &keys("new")));
    assert_eq!(ask(http, "new"), (String::new(), Some(0)));
    let (stderr, code) = ask(http, "old");
    assert!(code == Some(9) && stderr.contains("401"), "{stderr}");

    // The same port on all addresses, then another port.
    let everywhere = SocketAddr::new([0, 0, 0, 0].into(), http.port());
    collector.reload(&text(everywhere, &keys("new")));
    assert_eq!(ask(http, "new").1, Some(0));
    assert_eq!(ask(SocketAddr::new([127, 0, 0, 2].into(), http.port()), "new").1, Some(0));
    let other = free_tcp();
    collector.reload(&text(other, &keys("new")));
    assert_eq!(ask(other, "new").1, Some(0));
    assert!(TcpStream::connect(http).is_err(), "it listens no longer at {http}");
}

#[test]
fn a_configuration_with_an_error_is_rejected_as_a_whole() {
    let (netflow, http) = ([free_udp()], free_tcp());
    let text = |admin: &str| Settings { netflow: &netflow, http, admin, server: "" }.text();
    let collector = Collector::start_configured(&text(&keys("old")));
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (address, taken)).unwrap();
    let none: [SocketAddr; 0] = [];
    let settings = |netflow, http| Settings { netflow, http, admin: &keys("new"), server: "" }.text();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    for (text, mistake) in [
        (text(&keys("new")).replace("authKey", "authkey"), "netflow.toml:6:1: unknown key 'admin.authkey'"),
        (text(&format!("{}\nkeysFile = \"nowhere\"", keys("new"))), "nowhere: does not exist (admin.keysFile)"),
        (settings(&[netflow[0], taken.0], http), &*format!("cannot receive at {}", taken.0)),
        (settings(&none, http), "no address to receive at"),
        (settings(&netflow, held.local_addr().unwrap()), "cannot serve the REST interface"),
        (settings(&netflow, "192.0.2.77:1".parse().unwrap()), "cannot serve the REST interface"),
    ] {
        let stderr = collector.reload(&text);
        assert!(
            stderr.contains("keeping the current configuration: ") && stderr.contains(mistake),
            "{mistake}\n{stderr}"
        );
        assert_eq!((ask(http, "old").1, ask(http, "new").1), (Some(0), Some(9)), "{mistake}");
    }
    collector.reload(&text(&keys("new")));
    assert_eq!(ask(http, "new").1, Some(0));
}

#[test]
fn settings_that_need_a_restart_are_logged_and_the_log_level_changes() {
    let (netflow, http) = ([free_udp()], free_tcp());
    let text = |server: &str| Settings { netflow: &netflow, http, admin: &keys("old"), server }.text();
    let collector = Collector::start_configured(&text("cores = 2"));
    let stderr = collector.reload(&format!("dataDir = \"elsewhere\"\n{}", text("cores = 1\nlogLevel = \"debug\"")));
    for key in ["dataDir", "server.cores"] {
        assert!(stderr.contains(&format!("{key} changed, but takes effect only after a restart")), "{stderr}");
    }
    assert!(!stderr.contains("logLevel changed"), "{stderr}");
    ask(http, "old");
    collector.wait_for_line("DEBUG request method=GET");
    assert!(!collector.path().join("elsewhere").exists());
}

#[test]
fn an_ignored_log_level_is_reported() {
    let started = |level: &str, filter: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
        let collector = Collector::start_as(command.env("NETFLOW__SERVER__LOG_LEVEL", level).env("RUST_LOG", filter));
        let stderr = collector.startup_log();
        collector.terminate();
        stderr
    };
    let stderr = started("debug", "info");
    assert!(stderr.contains("WARN server.logLevel is ignored: RUST_LOG=\"info\" takes precedence"), "{stderr}");
    let stderr = started("info", "");
    assert!(!stderr.contains("RUST_LOG"), "{stderr}");
    let stderr = started("debug", "collector=loud");
    let has = |text| stderr.contains(text);
    assert!(has("WARN RUST_LOG is ignored: ") && !has("server.logLevel is ignored"), "{stderr}");
}
