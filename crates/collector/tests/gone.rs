//! Two collectors on one Cassandra, a real one, of which one is gone for good: the other rolls up what it has stored.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use accounting::block::{TableSet, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::period::{Interval, Minute, Period};
use accounting::tally::{FlowTime, GroupId, Monitored, Tally, TallySettings};
use collector::Keep;
use collector::flusher::Flusher;
use collector::status::Status;
use flow::{Counters, FlowRecord, Prefix, Timestamp};
use pipeline::Sealed;
use storage::cassandra::{Cassandra, CassandraSettings};
use storage::totals::totals;
use storage::{Selection, Store, WriterState};
use testing::Service;

const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// 2014-02-02 05:50 UTC
const BEGUN: Timestamp = Timestamp::from_seconds(1_391_320_200);

fn prefix() -> Prefix {
    "192.0.2.0/24".parse().unwrap()
}

/// A tally of this many flows in one minute.
fn sealed(flows: u64) -> Sealed {
    let mut tally = Tally::new(TallySettings::default());
    let monitored = Monitored::new(SENDER, &[(prefix(), GroupId(0))]);
    let flow = FlowRecord {
        destination: Ipv4Addr::new(192, 0, 2, 1).into(),
        forward: Counters { bytes: 100, packets: 2, flows: 1 },
        ..FlowRecord::empty(BEGUN)
    };
    for _ in 0..flows {
        tally.book(&monitored, &flow, FlowTime::at(Minute::of(BEGUN)), true);
    }
    Sealed::new(vec![tally])
}

async fn flusher(store: &Arc<dyn Store>, writer: u64) -> Flusher {
    let state = WriterState::new(WriterId(writer), 1, BEGUN);
    store.put_writer(&state).await.unwrap();
    Flusher::new(Arc::clone(store), state, Keep::default(), Status::new(0))
}

/// How many blocks of a writer there are for the hour, and what the hour, of all writers, adds up to.
async fn hour(store: &dyn Store, writer: u64) -> (usize, Counters) {
    let interval = Interval::containing(Period::Hour, Minute::of(BEGUN));
    let (sender, prefix, tables) = (SENDER, prefix(), TableSet::ALL);
    let blocks = store.read_blocks(&[Selection { interval, sender, prefix, tables }]).await.unwrap();
    let of_writer = blocks.iter().filter(|block| block.key.writer == WriterId(writer)).count();
    let totals = totals(store, sender, prefix, interval, tables).await.unwrap();
    (of_writer, totals.tables.get(Direction::In, Name::ALL).unwrap_or_default())
}

#[tokio::test]
async fn periods_of_a_collector_that_is_gone_are_rolled_up_by_the_other() {
    let service = Service::start("cassandra", 1, &[("SYNC", "periodic")]);
    let settings = CassandraSettings { hosts: service.hosts.clone(), ..CassandraSettings::default() };
    let store: Arc<dyn Store> = Arc::new(Cassandra::open(settings).unwrap());
    store.add_prefixes(SENDER, &[prefix()]).await.unwrap();
    let (mut gone, mut other) = (flusher(&store, 1).await, flusher(&store, 2).await);
    gone.flush(&sealed(5), BEGUN, || true).await.unwrap();
    other.flush(&sealed(7), BEGUN, || true).await.unwrap();
    drop(gone);

    // The hour is over, but a collector silent for less than an hour is not gone.
    let both = Counters { bytes: 1200, packets: 24, flows: 12 };
    other.maintain(BEGUN.saturating_add(Duration::from_secs(55 * 60))).await.unwrap();
    assert!(hour(store.as_ref(), 2).await.0 > 0);
    assert_eq!(hour(store.as_ref(), 1).await, (0, both));

    other.maintain(BEGUN.saturating_add(Duration::from_secs(2 * 3600))).await.unwrap();
    let (blocks, counted) = hour(store.as_ref(), 1).await;
    assert!(blocks > 0);
    assert_eq!(counted, both);
}
