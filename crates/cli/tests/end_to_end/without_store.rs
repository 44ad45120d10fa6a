//! The real program that starts while its store on the network is unreachable: it receives, counts and keeps everything on
//! its own disk with the routers that the store listed last, and everything is in the totals later.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use testing::Service;

use crate::collector::{Collector, PATIENCE};
use crate::load::{FLOWS_A_SECOND, Running, register, sum, until_exact, wait};
use crate::stores::{settings, start, start_in};
use crate::traffic::Totals;

type Settings = Vec<(String, String)>;

/// A collector with a registered router has run in this directory, and has stored this.
fn once_with_the_store(settings: &Settings) -> (TempDir, Totals) {
    let collector = start(settings);
    register(&collector);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    wait(Duration::from_secs(1));
    let sent = load.stop();
    until_exact(&collector, &sent, PATIENCE);
    (collector.terminate().0, sent)
}

/// Starts without the store, which is away for `reason`, under load; with `settings` it is, with those later it is not.
fn start_without(directory: TempDir, settings: &Settings, reason: &str) -> Collector {
    let collector = start_in(directory, settings);
    let log = collector.startup_log();
    let line = log.lines().find(|line| line.contains("starting without the store: the store is unreachable"));
    assert!(line.is_some_and(|line| line.contains(reason)), "{reason}: {log}");
    assert!(log.contains("starting with the routers that the store listed last senders=1"), "{log}");
    let ready = collector.shell(&format!("curl -s http://{}/readyz", collector.serving));
    assert!(ready.contains("SERVICE_UNAVAILABLE") && ready.contains("the store is unreachable"), "{ready}");
    collector
}

/// What a load of a second sends.
fn load(collector: &Collector, seed: u64) -> Totals {
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, seed);
    wait(Duration::from_secs(1));
    let sent = load.stop();
    let flushes = collector.counter("flushes");
    collector.wait_until("flushed", || collector.counter("flushes") > flushes);
    sent
}

/// Starts twice without the store, the second time after a crash; then `bring_back` makes it reachable.
fn catches_up(reason: &str, settings: &Settings, take_away: impl FnOnce(), bring_back: impl FnOnce()) {
    let (directory, mut sent) = once_with_the_store(settings);
    take_away();
    let collector = start_without(directory, settings, reason);
    sent = sum(sent, load(&collector, 2));
    let collector = start_without(collector.kill(), settings, reason);
    sent = sum(sent, load(&collector, 3));
    bring_back();
    until_exact(&collector, &sent, PATIENCE);
    collector.wait_for_line("the store takes flushes again");
    collector.wait_until("ready", || {
        collector.shell(&format!("curl -s http://{}/readyz", collector.serving)).contains("\"OK\"")
    });

    let (directory, _) = collector.terminate();
    until_exact(&start_in(directory, settings), &sent, PATIENCE);
}

/// Starts without this store, which these verbs of its script stop and start.
fn returns(kind: &'static str, sync: &str, why: &str, stop: &str, start: &str) {
    let store = Service::start(kind, 1, &[("SYNC", sync)]);
    let settings = settings(kind, &store.hosts, "netflow");
    let run = |verb| drop(store.run(&[verb, "1"]));
    catches_up(why, &settings, || run(stop), || run(start));
}

#[test]
fn a_start_while_redis_refuses_connections_counts_and_catches_up() {
    returns("redis", "always", "refused", "kill", "start");
}

#[test]
fn a_start_while_redis_accepts_connections_but_is_silent_counts_and_catches_up() {
    returns("redis", "always", "", "pause", "resume");
}

#[test]
fn a_start_while_cassandra_refuses_connections_counts_and_catches_up() {
    returns("cassandra", "batch", "refused", "kill", "start");
}

#[test]
fn a_start_while_the_name_of_redis_is_not_resolved_counts_and_the_next_catches_up() {
    let redis = Service::start("redis", 1, &[("SYNC", "always")]);
    let there = settings("redis", &redis.hosts, "netflow");
    let (directory, sent) = once_with_the_store(&there);
    let unresolved = settings("redis", &["redis.invalid:6379".to_owned()], "netflow");
    let collector = start_without(directory, &unresolved, "lookup");
    let sent = sum(sent, load(&collector, 2));
    let (directory, log) = collector.terminate();
    assert!(log.contains("wait on disk for the store"), "{log}");
    until_exact(&start_in(directory, &there), &sent, PATIENCE);
}

#[test]
fn a_start_while_the_certificate_of_redis_is_expired_counts_and_catches_up() {
    let redis = Service::start("redis", 1, &[("SYNC", "always"), ("TLS", "yes")]);
    let tls = redis.folder.join("tls");
    let mut settings = settings("redis", &redis.hosts, "netflow");
    settings.push(("NETFLOW__REDIS__TLS".to_owned(), "true".to_owned()));
    settings.push(("NETFLOW__REDIS__TLS_AUTHORITY".to_owned(), tls.join("ca.pem").display().to_string()));
    let valid = fs::read(tls.join("server.pem")).unwrap();
    let port = redis.hosts[0].rsplit_once(':').unwrap().1;
    // Redis reads it again; connections of redis-cli end with the command.
    let reload = || {
        let script = format!("redis-cli -e --tls --insecure -p {port} config set tls-cert-file \"$PWD/server.pem\"");
        let script = format!("{script}\nredis-cli -e --tls --insecure -p {port} client kill type normal");
        let output = Command::new("sh").args(["-euc", &script]).current_dir(&tls).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let expire = || {
        let script = "printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' >expired.ext
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 99 -days -1 -extfile expired.ext -out server.pem";
        let output = Command::new("sh").args(["-euc", script]).current_dir(&tls).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        reload();
    };
    let renew = || {
        fs::write(tls.join("server.pem"), valid).unwrap();
        reload();
    };
    catches_up("xpired", &settings, expire, renew);
}
