//! The real program with Redis that loses accepted data: a master that dies before its replica has everything, and a server
//! that restarts from an older snapshot. Both lose something each time, which is counted; what
//! the collector answers is exact again long before it would have looked by itself.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::collector::{Collector, PATIENCE};
use crate::load::{FLOWS_A_SECOND, Running, flows, register, until_exact, wait};
use crate::stores::{settings, start};
use testing::Service;

/// How many flushes the store accepts and then loses, at least.
const LOST: u64 = 4;

/// How many fields the hashes of a server have in all, blocks among them.
const COUNT: &str = "local fields = 0
for _, key in ipairs(redis.call('keys', '*')) do
  if redis.call('type', key).ok == 'hash' then fields = fields + redis.call('hlen', key) end
end
return fields";

/// The answer of a server.
pub(crate) fn ask(port: u16, words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-e", "-p", &port.to_string()]).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn count(port: u16) -> u64 {
    ask(port, &["eval", COUNT, "0"]).parse().unwrap()
}

/// The port of the first server of a store.
pub(crate) fn port(service: &Service) -> u16 {
    service.hosts[0].rsplit_once(':').unwrap().1.parse().unwrap()
}

/// Under load: what `master` accepts from `part` on is lost by `succeed`. Wants everything counted all the same.
fn what_is_lost_is_put_again(
    service: &Service,
    master: u16,
    part: impl FnOnce(),
    succeed: impl FnOnce(&Collector, u64),
) {
    let collector = start(&settings("redis", &service.hosts, "netflow"));
    register(&collector);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    wait(Duration::from_secs(3));
    part();
    let (at_parting, flushes) = (count(master), collector.counter("flushes"));
    collector
        .wait_until("flushed", || collector.counter("flushes") >= flushes + LOST && count(master) > at_parting + 1);
    let accepted = count(master);
    succeed(&collector, accepted);
    let succeeded = Instant::now();
    wait(Duration::from_secs(2));
    let sent = load.stop();
    until_exact(&collector, &sent, PATIENCE);
    let took = succeeded.elapsed();
    let (_, log) = collector.terminate();
    let lost = log.matches("the store lost blocks that it had accepted").count();
    assert!(lost > 1, "nothing was lost, so nothing is proved\n{log}");
    println!(
        "{lost} flushes lost and put again: {} flows, exact {took:.1?} after the successor was there",
        flows(&sent)
    );
}

#[test]
fn a_failover_to_a_replica_that_lags_costs_nothing() {
    let redis = Service::start("redis", 3, &[("MODE", "sentinel")]);
    // The sentinel is the last of the three.
    let (master, replica) = (port(&redis) - 2, port(&redis) - 1);
    // It is stopped and cut off, so that nothing reaches it, not even later from the buffer of a socket.
    let part = || {
        redis.run(&["pause", "2"]);
        assert_eq!(ask(master, &["client", "kill", "type", "replica"]), "1");
    };
    let succeed = |_: &_, accepted| {
        redis.run(&["kill", "1"]);
        redis.run(&["resume", "2"]);
        // A second passes before a sentinel misses the master.
        assert!(count(replica) + 1 < accepted, "the replica does not lag");
    };
    what_is_lost_is_put_again(&redis, master, part, succeed);
    assert!(ask(replica, &["info", "replication"]).contains("role:master"));
}

#[test]
fn a_redis_restarted_from_an_older_snapshot_costs_nothing() {
    let redis = Service::start("redis", 1, &[("SYNC", "no")]);
    let port = port(&redis);
    let part = || assert_eq!(ask(port, &["save"]), "OK");
    // One that is back between two flushes is not noticed: then what it lost is looked for when its minute is over.
    let succeed = |collector: &Collector, _| {
        redis.run(&["kill", "1"]);
        collector.wait_for_line("the store does not take flushes");
        redis.run(&["start"]);
    };
    what_is_lost_is_put_again(&redis, port, part, succeed);
}
