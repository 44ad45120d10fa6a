//! The contract over Redis: one server, a cluster of three masters, and a master found through a sentinel; and what
//! only a server can do. The servers are Debian's, started here.

#![cfg(feature = "redis")]
#![expect(clippy::expect_used, reason = "tests may panic")]

#[macro_use]
#[path = "contract/clauses.rs"]
mod clauses;
#[path = "contract/complete_flushes.rs"]
mod complete_flushes;
#[macro_use]
#[path = "contract/registrations.rs"]
mod registrations;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use accounting::block::{Block, BlockKey, TableSet, WriterId};
use accounting::period::{Interval, Minute, Period};
use flow::{FlushNumber, Prefix};
use storage::redis::{Redis, RedisSettings};
use storage::{Blocks, Registration, Registrations, Registry, Selection, Store, StoreError};
use testing::wait::DEADLINE;
use testing::{Service, wait_for};
use tokio::net::{TcpListener, TcpStream};

/// A namespace of its own for each store.
fn settings(service: &Service) -> RedisSettings {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let namespace = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    RedisSettings { hosts: service.hosts.clone(), namespace, ..RedisSettings::default() }
}

fn open(service: &Service) -> Redis {
    Redis::open(settings(service)).expect("good settings")
}

fn open_at(service: &Service, hosts: Vec<String>) -> Redis {
    Redis::open(RedisSettings { hosts, ..settings(service) }).expect("good settings")
}

mod server {
    use super::*;

    static SERVER: LazyLock<Service> = LazyLock::new(|| Service::start("redis", 1, &[]));

    async fn empty() -> (Redis, ()) {
        (open(&SERVER), ())
    }

    contract!(empty);
    registrations_contract!(empty);
}

mod cluster {
    use super::*;

    static CLUSTER: LazyLock<Service> = LazyLock::new(|| Service::start("redis", 3, &[("MODE", "cluster")]));

    async fn empty() -> (Redis, ()) {
        (open(&CLUSTER), ())
    }

    contract!(empty);
    registrations_contract!(empty);
}

mod sentinel {
    use super::*;

    static SENTINEL: LazyLock<Service> = LazyLock::new(|| Service::start("redis", 3, &[("MODE", "sentinel")]));

    async fn empty() -> (Redis, ()) {
        (open(&SENTINEL), ())
    }

    contract!(empty);
    registrations_contract!(empty);
}

/// 2026-11-01 00:00 UTC.
const START: Minute = Minute::new(29_891_520);

fn block(sequence: u64) -> Block {
    let sender = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let prefix = Prefix::new(Ipv4Addr::new(172, 16, 0, 0).into(), 16).expect("a first address");
    let interval = Interval { period: Period::Minute, start: START };
    let (writer, tables) = (WriterId(9), TableSet::ALL);
    let origin = FlushNumber { epoch: 1, sequence }.into();
    let key = BlockKey { interval, sender, prefix, writer, origin, part: 0, tables };
    Block { key, content: vec![7; 1_000].into() }
}

async fn stored(store: &dyn Store) -> Result<Vec<u64>, StoreError> {
    let BlockKey { interval, sender, prefix, tables, .. } = block(0).key;
    let blocks = store.read_blocks(&[Selection { interval, sender, prefix, tables }]).await?;
    let mut sequences: Vec<u64> = blocks.into_iter().map(|block| block.key.origin.numbers().1).collect();
    sequences.sort_unstable();
    Ok(sequences)
}

/// Puts until it works, as a flusher does.
async fn put_until_it_works(store: &dyn Store, sequence: u64) {
    let since = Instant::now();
    while let Err(error) = store.put_blocks(&[block(sequence)]).await {
        assert!(matches!(error, StoreError::Retry(_)), "{error:?}");
        assert!(since.elapsed() < DEADLINE, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn the_newest_complete_flush_is_known() {
    let server = Service::start("redis", 1, &[]);
    complete_flushes::the_newest_complete_flush_of_a_running_writer_is_known(&open(&server)).await.unwrap();
    server.run(&["clean"]);
}

#[tokio::test]
async fn a_server_that_was_killed_is_found_again_when_it_is_back() {
    let server = Service::start("redis", 1, &[("SYNC", "always")]);
    let store = open(&server);
    store.put_blocks(&[block(1)]).await.unwrap();
    server.run(&["kill", "1"]);
    assert!(matches!(store.put_blocks(&[block(2)]).await, Err(StoreError::Retry(_))));
    assert!(matches!(stored(&store).await, Err(StoreError::Retry(_))));
    server.run(&["start", "1"]);
    put_until_it_works(&store, 2).await;
    assert_eq!(stored(&store).await.unwrap(), [1, 2]);
    server.run(&["clean"]);
}

#[tokio::test]
async fn a_store_can_be_opened_while_its_server_is_unreachable() {
    let server = Service::start("redis", 1, &[]);
    server.run(&["stop"]);
    let store = open(&server);
    assert!(matches!(store.put_blocks(&[block(1)]).await, Err(StoreError::Retry(_))));
    server.run(&["start"]);
    put_until_it_works(&store, 1).await;
    assert_eq!(stored(&store).await.unwrap(), [1]);
    server.run(&["clean"]);
}

#[tokio::test]
async fn when_the_master_dies_the_sentinels_name_another() {
    let service = Service::start("redis", 3, &[("MODE", "sentinel")]);
    let store = open(&service);
    store.put_blocks(&[block(1)]).await.unwrap();
    service.run(&["kill", "1"]);
    put_until_it_works(&store, 2).await;
    // What the replica may have missed has to be put again.
    put_until_it_works(&store, 1).await;
    assert_eq!(stored(&store).await.unwrap(), [1, 2]);
    service.run(&["clean"]);
}

#[tokio::test]
async fn when_a_master_of_a_cluster_dies_its_replica_takes_over() {
    let service = Service::start("redis", 6, &[("MODE", "cluster"), ("REPLICAS", "1")]);
    let store = open(&service);
    store.put_blocks(&[block(1)]).await.unwrap();
    for master in ["1", "2"] {
        service.run(&["kill", master]);
        let more = 1 + master.parse::<u64>().expect("a number");
        put_until_it_works(&store, more).await;
    }
    // What a replica may have missed has to be put again.
    for sequence in [1, 2] {
        put_until_it_works(&store, sequence).await;
    }
    assert_eq!(stored(&store).await.unwrap(), [1, 2, 3]);
    service.run(&["clean"]);
}

#[tokio::test]
async fn a_password_is_given_and_a_wrong_one_is_the_operators_affair() {
    let server = Service::start("redis", 1, &[("PASSWORD", "secret")]);
    let with = |password: Option<&str>| {
        Redis::open(RedisSettings { password: password.map(str::to_owned), ..settings(&server) })
            .expect("good settings")
    };
    let store = with(Some("secret"));
    store.put_blocks(&[block(1)]).await.unwrap();
    assert_eq!(stored(&store).await.unwrap(), [1]);
    for wrong in [None, Some("wrong")] {
        let error = stored(&with(wrong)).await.unwrap_err();
        assert!(matches!(error, StoreError::Config(_)), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    server.run(&["clean"]);
}

#[tokio::test]
async fn an_encrypted_connection_checks_the_certificate_of_the_server() {
    let server = Service::start("redis", 1, &[("TLS", "yes")]);
    let authority = server.folder.join("tls/ca.pem");
    let with =
        |tls, authority| Redis::open(RedisSettings { tls, authority, ..settings(&server) }).expect("good settings");
    let store = with(true, Some(authority));
    store.put_blocks(&[block(1)]).await.unwrap();
    assert_eq!(stored(&store).await.unwrap(), [1]);
    assert!(stored(&with(true, None)).await.is_err(), "the system does not know this authority");
    assert!(stored(&with(false, None)).await.is_err(), "the server speaks TLS only");
    server.run(&["clean"]);
}

/// Passes connections on to one of some servers, as an address that moves with the master does. Connections that are open
/// stay where they are.
async fn moving_address(servers: Vec<String>) -> (String, Arc<AtomicUsize>) {
    let master = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let chosen = Arc::clone(&master);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let server = servers.get(chosen.load(Ordering::Relaxed)).cloned().expect("a server");
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await.expect("a server");
                // The end of a connection is no failure of the test.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, master)
}

async fn connection(host: &str) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(format!("redis://{host}/")).expect("an address");
    client.get_multiplexed_async_connection().await.expect("a connection")
}

#[tokio::test]
async fn after_a_failover_by_hand_the_new_master_is_written_to() {
    let service = Service::start("redis", 2, &[("NODES", "2")]);
    let hosts = service.hosts.clone();
    let (_, port) = hosts[0].split_once(':').expect("host and port");
    let mut replica = connection(&hosts[1]).await;
    let () = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).query_async(&mut replica).await.expect("a replica");
    let (address, chosen) = moving_address(hosts.clone()).await;
    let by_address = open_at(&service, vec![address]);
    let by_list = open_at(&service, hosts.clone());
    for store in [&by_address, &by_list] {
        store.put_blocks(&[block(1)]).await.unwrap();
    }
    // The replica is in step when it acknowledges.
    let mut master = connection(&hosts[0]).await;
    wait_for("a replica in step", async || {
        let acknowledged: u32 = redis::cmd("WAIT").arg(1).arg(1_000).query_async(&mut master).await.expect("an answer");
        (acknowledged == 1).then_some(())
    })
    .await;
    let () = redis::cmd("FAILOVER").query_async(&mut master).await.expect("a failover");
    wait_for("the end of the failover", async || {
        let role: redis::InfoDict = redis::cmd("INFO").arg("replication").query_async(&mut replica).await.ok()?;
        (role.get::<String>("role")? == "master").then_some(())
    })
    .await;
    chosen.store(1, Ordering::Relaxed);
    for store in [&by_address, &by_list] {
        put_until_it_works(store, 2).await;
        assert_eq!(stored(store).await.unwrap(), [1, 2]);
    }
    service.run(&["clean"]);
}

#[tokio::test]
async fn a_block_whose_list_was_lost_in_a_failover_is_missing_until_it_is_put_again() {
    let server = Service::start("redis", 1, &[]);
    let store = open(&server);
    let (key, other) = (block(1).key, block(2).key);
    store.put_blocks(&[block(1), block(2)]).await.unwrap();
    let mut connection = connection(&server.hosts[0]).await;
    for list in ["groups", "intervals"] {
        assert_eq!(store.missing(&[key, other]).await.unwrap(), []);
        let lists: Vec<String> =
            redis::cmd("KEYS").arg(format!("*:{list}:*")).query_async(&mut connection).await.expect("keys");
        assert_eq!(lists.len(), 1);
        let () = redis::cmd("DEL").arg(lists).query_async(&mut connection).await.expect("an answer");
        assert_eq!(store.missing(&[key, other]).await.unwrap(), [key, other], "without {list}");
        store.put_blocks(&[block(1), block(2)]).await.unwrap();
        assert_eq!(store.first_interval(key.writer, Period::Minute, Minute::EPOCH).await.unwrap(), Some(key.interval));
        assert_eq!(store.groups(key.writer, key.interval).await.unwrap(), [(key.sender, key.prefix)]);
    }
    server.run(&["clean"]);
}

/// How many octets a server has sent so far.
async fn octets_sent(connection: &mut redis::aio::MultiplexedConnection) -> u64 {
    let statistics: redis::InfoDict = redis::cmd("INFO").arg("stats").query_async(connection).await.expect("an answer");
    statistics.get("total_net_output_bytes").expect("a number")
}

#[tokio::test]
async fn to_read_one_sender_the_others_are_not_sent() {
    let server = Service::start("redis", 1, &[]);
    let store = open(&server);
    let prefixes: Vec<Prefix> = (0..100)
        .map(|number| Prefix::new(Ipv4Addr::new(172, 16, number, 0).into(), 24).expect("a first address"))
        .collect();
    let senders = (1..=200).map(|number| IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)));
    for sender in senders {
        store.add_prefixes(sender, &prefixes).await.unwrap();
    }
    let one = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 201));
    store.add_prefixes(one, &prefixes[..2]).await.unwrap();
    let mut connection = connection(&server.hosts[0]).await;
    let before = octets_sent(&mut connection).await;
    let found = store.sender(one).await.unwrap().expect("a sender");
    // With the first of the two answers about it.
    let sent = octets_sent(&mut connection).await - before;
    assert_eq!(found.prefixes, prefixes[..2]);
    // All of them take more than half a million.
    assert!(sent < 20_000, "{sent}");
    server.run(&["clean"]);
}

#[tokio::test]
async fn no_key_expires_by_itself() {
    let server = Service::start("redis", 1, &[]);
    let store = open(&server);
    store.put_blocks(&[block(1)]).await.unwrap();
    let mut connection = connection(&server.hosts[0]).await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.expect("keys");
    assert_eq!(keys.len(), 3, "{keys:?}");
    for key in keys {
        let expiry: i64 = redis::cmd("EXPIRETIME").arg(&key).query_async(&mut connection).await.expect("an answer");
        assert_eq!(expiry, -1, "{key}");
    }
    server.run(&["clean"]);
}

#[tokio::test]
async fn what_a_program_without_numbers_registers_or_removes_is_right() {
    let server = Service::start("redis", 1, &[]);
    let settings = settings(&server);
    let senders = format!("{}:senders", settings.namespace);
    let store = Redis::open(settings).expect("good settings");
    let mut connection = connection(&server.hosts[0]).await;
    let mut run = async |command: &str, fields: &[&str]| {
        let () = redis::cmd(command).arg(&senders).arg(fields).query_async(&mut connection).await.expect("an answer");
    };
    let entry = |text: &str| {
        let (sender, prefix) = text.split_once(' ').unwrap_or((text, ""));
        let prefix = (!prefix.is_empty()).then(|| prefix.parse().expect("a prefix"));
        (sender.parse::<IpAddr>().expect("an address"), prefix)
    };
    let (sender, prefix) = ("192.0.2.1", "192.0.2.1 172.16.0.0/16");
    run("HSET", &[sender, "", prefix, ""]).await;
    let first = Registration { is_registered: true, number: 1 };
    let found = [(entry(sender), first), (entry(prefix), first)].into();
    for _ in 0..2 {
        assert_eq!(store.registrations().await.unwrap(), found);
    }
    // A collector that was down meanwhile does not undo it.
    run("HDEL", &[sender, prefix]).await;
    store.put_registrations(&found).await.unwrap();
    assert_eq!(store.senders().await.unwrap(), []);
    // Nor this, after a removal with a number.
    store.add_prefixes(entry(sender).0, &[]).await.unwrap();
    assert!(store.remove_sender(entry(sender).0).await.unwrap());
    let removed = store.registrations().await.unwrap();
    run("HSET", &[sender, ""]).await;
    store.put_registrations(&removed).await.unwrap();
    let number = removed[&entry(sender)].number;
    assert_eq!(store.registrations().await.unwrap()[&entry(sender)], Registration { is_registered: true, number });
    server.run(&["clean"]);
}

#[tokio::test]
async fn removals_are_forgotten_after_three_months() {
    let server = Service::start("redis", 1, &[]);
    let store = open(&server);
    let [old, recent] = [1, 2].map(|host| (IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), None));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let ago = |age: Duration| u64::try_from((now - age).as_millis()).expect("a number");
    let day = Duration::from_secs(24 * 3600);
    let removed = |age| Registration { is_registered: false, number: ago(age) };
    let both = Registrations::from([(old, removed(91 * day)), (recent.clone(), removed(89 * day))]);
    store.put_registrations(&both).await.unwrap();
    assert_eq!(store.registrations().await.unwrap(), both);
    assert_eq!(store.registrations().await.unwrap(), [(recent, removed(89 * day))].into());
    server.run(&["clean"]);
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let refused = |settings| match Redis::open(settings) {
        Err(error @ StoreError::Config(_)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let none = RedisSettings { hosts: Vec::new(), ..RedisSettings::default() };
    assert_eq!(refused(none), "redis.hosts names no host");
    let url = RedisSettings { hosts: vec!["redis://localhost".to_owned()], ..RedisSettings::default() };
    assert!(refused(url).contains("'redis://localhost' in redis.hosts"));
    let missing = RedisSettings { authority: Some("/nowhere/ca.pem".into()), ..RedisSettings::default() };
    assert!(refused(missing).starts_with("/nowhere/ca.pem: "));
}
