//! Clocks that step, and exporters whose clocks are wrong: the right minute for right clocks, no minute beyond the limit
//! for wrong ones, and totals of every period that are exact whatever the wall clock does meanwhile.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use accounting::block::{TableSet, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::period::{Interval, Minute, PerPeriod, Period};
use accounting::tally::{Tally, TallySettings};
use collector::Keep;
use collector::flusher::Flusher;
use collector::senders;
use collector::status::Status;
use flow::{Exporter, Timestamp};
use pipeline::Counts;
use pipeline::Exporters;
use pipeline::{Rules, Sealed, Shard};
use storage::memory::Memory;
use storage::totals::totals;
use storage::{Blocks, Registry, Store, WriterState, Writers};
use wire::encode::{self, NetflowV9, TemplateSpec};
use wire::netflow_v5::{Header, Record};
use wire::{Datagram, FieldSpecifier, PendingBudget, SessionLimits};
use zerocopy::IntoBytes;

const MONITORED: &str = "192.0.2.0/24";
const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LIMIT: Duration = Duration::from_secs(600);
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// 2014-02-02 05:01.
const BEGUN: u64 = 1_391_317_260;
/// 2016-12-31 23:59:60, which Unix time counts as the second after it once more.
const LEAP_SECOND: u64 = 1_483_228_800;
/// Unix time beyond 31 and beyond 32 bits.
const YEAR_2038: u64 = 1 << 31;
const YEAR_2106: u64 = 1 << 32;

/// A v5 datagram of one flow, with the exporter's time.
fn datagram(seconds: u32, uptime: u32) -> Vec<u8> {
    let header = Header {
        version: 5.into(),
        count: 1.into(),
        unix_seconds: seconds.into(),
        uptime: uptime.into(),
        ..Header::default()
    };
    let record = Record {
        source: [198, 51, 100, 1],
        destination: [192, 0, 2, 1],
        octets: 100.into(),
        packets: 2.into(),
        ..Record::default()
    };
    [header.as_bytes(), record.as_bytes()].concat()
}

/// A shard and a flusher over a store in memory, driven by the times of a test.
struct Bench {
    store: Arc<Memory>,
    shard: Shard,
    flusher: Flusher,
    /// How many flows have to be in each minute.
    expected: BTreeMap<Minute, u64>,
}

impl Bench {
    async fn new(keep: Keep) -> Self {
        let store = Arc::new(Memory::default());
        store.add_prefixes(SENDER, &[MONITORED.parse().unwrap()]).await.unwrap();
        let state = WriterState::new(WriterId(1), 1, Timestamp::from_seconds(BEGUN));
        store.put_writer(&state).await.unwrap();
        let rules = Rules {
            scale_samples: true,
            clock_limit: LIMIT,
            session: SessionLimits::default(),
            tally: TallySettings::default(),
        };
        let exporters = Exporters::new(SessionLimits::default(), PendingBudget::default());
        let shard = Shard::new(
            rules,
            senders::load(store.as_ref(), &storage::Stated::default()).await.unwrap().admitted(),
            exporters,
        );
        let shared: Arc<dyn Store> = Arc::<Memory>::clone(&store);
        let flusher = Flusher::new(shared, state, keep, Status::new(0));
        Self { store, shard, flusher, expected: BTreeMap::new() }
    }

    /// Takes a datagram with this export time, received now; it must count in the minute of one of them.
    fn take(&mut self, exported: u64, received: u64) {
        let wrong = exported.abs_diff(received) > LIMIT.as_secs();
        let minute = Minute::of(Timestamp::from_seconds(if wrong { received } else { exported }));
        *self.expected.entry(minute).or_default() += 1;
        let payload = datagram(exported as u32, (exported as u32).wrapping_mul(1000));
        let received = Timestamp::from_seconds(received);
        self.shard.take(&Datagram { exporter: Exporter::udp(SENDER, 1), received, payload: &payload });
    }

    async fn flush(&mut self, now: u64) {
        let sealed = Sealed::new(vec![self.shard.seal(Tally::new(TallySettings::default()))]);
        self.flusher.flush(&sealed, Timestamp::from_seconds(now), || true).await.unwrap();
    }

    async fn flush_and_maintain(&mut self, now: u64) {
        self.flush(now).await;
        self.flusher.maintain(Timestamp::from_seconds(now)).await.unwrap();
    }

    async fn flows(&self, interval: Interval) -> u64 {
        let prefix = MONITORED.parse().unwrap();
        let totals = totals(self.store.as_ref(), SENDER, prefix, interval, TableSet::COUNTED).await.unwrap();
        assert!(totals.damaged.is_empty());
        totals.tables.get(Direction::In, Name::ALL).unwrap_or_default().flows
    }

    /// Every interval of these periods that a flow counts in has exactly the flows of its minutes.
    async fn assert_exact(&self, periods: &[Period]) {
        for period in periods {
            let mut expected = BTreeMap::<Interval, u64>::new();
            for (minute, flows) in &self.expected {
                *expected.entry(Interval::containing(*period, *minute)).or_default() += flows;
            }
            for (interval, flows) in expected {
                assert_eq!(self.flows(interval).await, flows, "{period:?} {interval}");
            }
        }
    }

    fn counts(&self) -> &Counts {
        self.shard.counts()
    }
}

#[tokio::test]
async fn exporters_that_are_years_off_count_when_they_are_received() {
    for now in [BEGUN, LEAP_SECOND, YEAR_2038, YEAR_2106 - 7 * DAY] {
        let mut bench = Bench::new(Keep::default()).await;
        let wrong = [0, 1, now - DAY, now + DAY, now - HOUR, now + HOUR, now / 2, YEAR_2038 - 1, YEAR_2106 - 1];
        let wrong = wrong.into_iter().filter(|exported| exported.abs_diff(now) > LIMIT.as_secs());
        let wrong: Vec<_> = wrong.collect();
        for exported in &wrong {
            bench.take(*exported, now);
        }
        for exported in [now - LIMIT.as_secs(), now - 1, now, now + 1, now + LIMIT.as_secs()] {
            bench.take(exported, now);
        }
        assert_eq!(bench.counts().time_clamped, wrong.len() as u64);
        bench.flush_and_maintain(now).await;
        bench.assert_exact(&Period::ALL).await;
        let limits = [now - LIMIT.as_secs(), now + LIMIT.as_secs()].map(|at| Minute::of(Timestamp::from_seconds(at)));
        let stored = bench.store.intervals(WriterId(1), Period::Minute, Minute::EPOCH, Minute::MAX).await.unwrap();
        assert!(stored.iter().all(|minute| (limits[0]..=limits[1]).contains(&minute.start)), "{stored:?}");
    }
}

#[tokio::test]
async fn right_clocks_keep_their_minute_across_every_turn_of_time() {
    for turn in [LEAP_SECOND, YEAR_2038, YEAR_2106 - 60] {
        let mut bench = Bench::new(Keep::default()).await;
        for second in turn - 120..turn + 60 {
            bench.take(second, second);
            // The kernel's clock was set back a little: a later datagram has an earlier time.
            bench.take(second, second - 3);
        }
        assert_eq!(bench.counts().time_clamped, 0);
        bench.flush_and_maintain(turn + HOUR).await;
        bench.assert_exact(&Period::ALL).await;
    }
}

/// After 2106 the seconds of NetFlow have wrapped; the receive time resolves them.
#[tokio::test]
async fn what_exporters_cannot_say_beyond_2106_counts_when_it_is_received() {
    let mut bench = Bench::new(Keep::default()).await;
    for second in 0..60 {
        let received = Timestamp::from_seconds(YEAR_2106 + second);
        let payload = datagram(second as u32, 0);
        bench.shard.take(&Datagram { exporter: Exporter::udp(SENDER, 1), received, payload: &payload });
        *bench.expected.entry(Minute::of(received)).or_default() += 1;
    }
    bench.flush_and_maintain(YEAR_2106 + DAY).await;
    bench.assert_exact(&Period::ALL).await;
}

/// A datagram of one flow of each version that has an uptime; the flow began a minute before it.
fn datagrams_with_uptime(seconds: u64, uptime: u64, sequence: u32) -> Vec<Vec<u8>> {
    let seconds = (seconds as u32).into();
    let [uptime, first] = [uptime, uptime.wrapping_sub(60_000)].map(|it| it as u32);
    let (source, destination) = ([198, 51, 100, 1], [192, 0, 2, 1]);
    macro_rules! fixed {
        ($($version:ident)*) => {[$(
            encode::$version(
                &wire::$version::Header { uptime: uptime.into(), unix_seconds: seconds, ..Default::default() },
                &[wire::$version::Record {
                    source,
                    destination,
                    octets: 100.into(),
                    packets: 2.into(),
                    first: first.into(),
                    last: uptime.into(),
                    ..Default::default()
                }],
            ),
        )*]};
    }
    let mut datagrams = fixed!(netflow_v1 netflow_v5 netflow_v7).to_vec();
    // Scheme 7: both ends, packets, octets, first, last.
    let record = [destination, source, 2_u32.to_be_bytes(), 100_u32.to_be_bytes(), first.to_be_bytes()].concat();
    let record = [record, uptime.to_be_bytes().to_vec(), vec![0; 16]].concat();
    let header = wire::netflow_v8::Header {
        uptime: uptime.into(),
        unix_seconds: seconds,
        aggregation: 7,
        aggregation_version: 2,
        ..Default::default()
    };
    datagrams.push(encode::netflow_v8(&header, &[record]));
    let elements = [(12, 4), (8, 4), (1, 4), (22, 4), (21, 4)];
    let template = TemplateSpec::data(256, elements.map(|(id, length)| FieldSpecifier::iana(id, length)));
    let header = wire::netflow_v9::Header {
        uptime: uptime.into(),
        unix_seconds: seconds,
        sequence: sequence.into(),
        ..Default::default()
    };
    let record = [destination, source, 100_u32.to_be_bytes(), first.to_be_bytes(), uptime.to_be_bytes()].concat();
    let packet = NetflowV9::new(header);
    // Its template is announced once, before the uptime wraps.
    let packet = if sequence == 0 { packet.template(&template) } else { packet };
    datagrams.push(packet.data(&template, &[record]).finish());
    datagrams
}

/// After 49.7 days the uptime begins at 0 again, and flows have begun later than they ended: their minute is that of the
/// export all the same, and the exporter has not started again.
#[tokio::test]
async fn an_uptime_that_wraps_moves_no_flow() {
    let mut bench = Bench::new(Keep::default()).await;
    for second in 0..240 {
        let (seconds, uptime) = (BEGUN + second, (1 << 32) - 120_500 + 1000 * second);
        for payload in datagrams_with_uptime(seconds, uptime, second as u32) {
            let received = Timestamp::from_seconds(seconds);
            bench.shard.take(&Datagram { exporter: Exporter::udp(SENDER, 1), received, payload: &payload });
            *bench.expected.entry(Minute::of(received)).or_default() += 1;
        }
    }
    assert_eq!((bench.counts().missing_template_sets, bench.counts().decode_errors), (0, 0));
    bench.flush_and_maintain(BEGUN + HOUR).await;
    bench.assert_exact(&Period::ALL).await;
}

/// Nothing is flushed while the disk or the spool is full, and recovery reads a whole journal before the first flush.
#[tokio::test]
async fn hours_without_a_flush_keep_every_minute() {
    let mut bench = Bench::new(Keep::default()).await;
    for minute in 0..200 {
        bench.take(BEGUN + 60 * minute, BEGUN + 60 * minute);
        bench.take(BEGUN + 60 * minute - 300, BEGUN + 60 * minute);
    }
    assert_eq!(bench.counts().time_clamped, 0);
    bench.flush_and_maintain(BEGUN + 300 * 60).await;
    bench.assert_exact(&Period::ALL).await;
}

/// Half an hour of traffic around each step; the exporter's clock stays right, the collector's steps.
#[tokio::test]
async fn totals_are_exact_whichever_way_the_wall_clock_steps() {
    for step in [HOUR as i64, -(HOUR as i64), DAY as i64, -(DAY as i64)] {
        let mut bench = Bench::new(Keep::default()).await;
        let mut wall = BEGUN;
        for minute in 0..180_u64 {
            match minute {
                60 => wall = wall.strict_add_signed(step),
                120 => wall = wall.strict_add_signed(-step),
                _ => {}
            }
            bench.take(BEGUN + 60 * minute, wall);
            bench.take(wall, wall);
            bench.flush_and_maintain(wall).await;
            wall += 60;
        }
        bench.assert_exact(&Period::ALL).await;
        // And when everything is rolled up at last.
        bench.flush_and_maintain(BEGUN + 400 * DAY).await;
        bench.assert_exact(&Period::ALL).await;
    }
}

/// A step forward takes what is older for outdated by as much as it steps; what is not yet summed up never goes.
#[tokio::test]
async fn a_step_forward_deletes_nothing_that_is_not_summed_up() {
    let week = Some(Duration::from_secs(7 * DAY));
    let mut bench = Bench::new(Keep { periods: PerPeriod::new([week, None, None, None, None]) }).await;
    for minute in 0..90_u64 {
        bench.take(BEGUN + 60 * minute, BEGUN + 60 * minute);
    }
    let now = BEGUN + 90 * 60;
    bench.flush_and_maintain(now).await;
    for stepped in [now + DAY, now + 30 * DAY, now] {
        bench.flusher.maintain(Timestamp::from_seconds(stepped)).await.unwrap();
        bench.assert_exact(&[Period::Hour, Period::Day, Period::Month, Period::Year]).await;
    }
    // Late for a clock that was ahead, and counted at every period all the same.
    for minute in 0..90_u64 {
        bench.take(now + 60 * minute, now + 60 * minute);
    }
    bench.flush_and_maintain(now + 90 * 60).await;
    bench.assert_exact(&[Period::Hour, Period::Day, Period::Month, Period::Year]).await;
}
