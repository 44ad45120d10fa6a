//! A capture that is imported again, with other settings, into a real Cassandra.
#![expect(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use accounting::block::{TableSet, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::period::Period;
use accounting::query::parse_interval;
use accounting::tally::TallySettings;
use collector::Keep;
use collector::import::Import;
use flow::{Counters, Exporter, Prefix, Timestamp};
use pipeline::Rules;
use storage::Store;
use storage::cassandra::{Cassandra, CassandraSettings};
use storage::totals::totals;
use testing::Service;
use wire::netflow_v5::{Header, Record};
use wire::{Datagram, SessionLimits};
use zerocopy::IntoBytes;

const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// 2014-02-02 05:01 UTC
const BEGUN: Timestamp = Timestamp::from_seconds(1_391_317_260);

fn rules() -> Rules {
    Rules {
        scale_samples: true,
        clock_limit: Duration::from_secs(600),
        session: SessionLimits::default(),
        tally: TallySettings::default(),
    }
}

fn datagram(exported: Timestamp) -> Vec<u8> {
    let unix_seconds = u32::try_from(exported.seconds()).unwrap().into();
    let header = Header { version: 5.into(), count: 1.into(), unix_seconds, ..Header::default() };
    let record = Record { destination: [192, 0, 2, 1], octets: 100.into(), packets: 2.into(), ..Record::default() };
    [header.as_bytes(), record.as_bytes()].concat()
}

/// Two hours with a datagram a minute and one in its middle.
async fn import(store: &Arc<dyn Store>, flush_interval: Duration) {
    let mut import = Import::begin(
        Arc::clone(store),
        WriterId(7),
        rules(),
        &storage::Stated::default(),
        flush_interval,
        Keep::default(),
    )
    .await
    .unwrap();
    for half_minute in 0..240 {
        let received = Timestamp::from_seconds(BEGUN.seconds() + half_minute * 30);
        let payload = datagram(received);
        import.take(&Datagram { exporter: Exporter::udp(SENDER, 1), received, payload: &payload }).await.unwrap();
    }
    import.finish(Timestamp::from_seconds(BEGUN.seconds() + 86_400)).await.unwrap();
}

#[tokio::test]
async fn a_second_import_with_another_flush_interval_replaces_the_first() {
    let service = Service::start("cassandra", 1, &[("SYNC", "periodic")]);
    let settings = CassandraSettings { hosts: service.hosts.clone(), ..CassandraSettings::default() };
    let store: Arc<dyn Store> = Arc::new(Cassandra::open(settings).unwrap());
    let prefix: Prefix = "192.0.2.0/24".parse().unwrap();
    store.add_prefixes(SENDER, &[prefix]).await.unwrap();
    let expected = Some(Counters { bytes: 24_000, packets: 480, flows: 240 });
    for seconds in [30, 600, 60] {
        import(&store, Duration::from_secs(seconds)).await;
        for (period, at) in [(Period::Day, "2014-02-02"), (Period::Year, "2014")] {
            let interval = parse_interval(period, at).unwrap();
            let totals = totals(store.as_ref(), SENDER, prefix, interval, TableSet::COUNTED).await.unwrap();
            assert_eq!(totals.tables.get(Direction::In, Name::ALL), expected, "{at}, flushed every {seconds} s");
        }
    }
    service.run(&["clean"]);
}
