//! Real servers behind a proxy that forwards requests and loses over a hundred answers.

use std::time::{Duration, Instant};

use collector::Keep;
use storage::Store;
use storage::Writers;
use storage::cassandra::{Cassandra, CassandraSettings};
use storage::redis::{Redis, RedisSettings};

use crate::harness::{FlusherRun, MINUTE};
use crate::proxy::Proxy;
use testing::Service;

const CUTS: u32 = 100;

/// Flushes, drains and rolls up until the connection was cut often enough; then everything is there once.
async fn nothing_is_lost_or_doubled(cut: impl Store + 'static, whole: &dyn Store, proxy: &Proxy) {
    let end = Instant::now() + testing::wait::DEADLINE;
    let mut run = FlusherRun::begin(cut, Keep::default()).await;
    proxy.cut();
    let mut failures = 0;
    while proxy.cuts() < CUTS {
        assert!(Instant::now() < end, "only {} cuts", proxy.cuts());
        run.flush(&[0, 1, 40, 100]).await;
        run.now += 20 * MINUTE;
        while run.drain().await.is_err() {
            failures += 1;
            assert!(Instant::now() < end, "{failures} failures, {} cuts", proxy.cuts());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        failures += u32::from(run.flusher.maintain(run.time()).await.is_err());
    }
    assert!(failures > 0, "no answer was lost");
    for _ in 0..3 {
        // A driver notices only a moment later that connections last again.
        while run.drain().await.is_err() || run.flusher.maintain(run.time()).await.is_err() {
            assert!(Instant::now() < end, "the store stays unreachable");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        run.now += 2 * MINUTE;
    }
    run.check(whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_answers_in_vain() {
    let server = Service::start("redis", 1, &[]);
    let proxy = Proxy::start(&server.hosts[0], CUTS);
    let open = |host: String| Redis::open(RedisSettings { hosts: vec![host], ..RedisSettings::default() }).unwrap();
    let (cut, whole) = (open(proxy.address.to_string()), open(server.hosts[0].clone()));
    nothing_is_lost_or_doubled(cut, &whole, &proxy).await;
    server.run(&["clean"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cassandra_that_answers_in_vain() {
    let server = Service::start("cassandra", 1, &[("SYNC", "periodic")]);
    let proxy = Proxy::start(&server.hosts[0], CUTS);
    let open = |host: String| {
        Cassandra::open(CassandraSettings { hosts: vec![host], ..CassandraSettings::default() }).unwrap()
    };
    let (cut, whole) = (open(proxy.address.to_string()), open(server.hosts[0].clone()));
    // Makes the tables.
    whole.writers().await.unwrap();
    nothing_is_lost_or_doubled(cut, &whole, &proxy).await;
    server.run(&["clean"]);
}
