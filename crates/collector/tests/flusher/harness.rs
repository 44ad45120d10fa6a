//! A flusher with its spool and a shard that counts for it, on any store and with a clock that tests set.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use accounting::block::{TableSet, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::period::{Interval, Minute, Period};
use accounting::tally::{Tally, TallySettings};
use collector::Keep;
use collector::flusher::Flusher;
use collector::senders;
use collector::status::Status;
use flow::{Exporter, Prefix, Timestamp};
use pipeline::Exporters;
use pipeline::{Rules, Sealed, Shard};
use storage::spool::Spool;
use storage::{Answers, Presence, Question, Store, StoreError, WriterState};
use tempfile::TempDir;
use wire::netflow_v5::{Header, Record};
use wire::{Datagram, PendingBudget, SessionLimits};
use zerocopy::IntoBytes;

const SENDER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
pub(crate) const OWN: WriterId = WriterId(3);
pub(crate) const OTHER: WriterId = WriterId(1);
/// 2027-12-31 22:30 UTC: soon the hour, the day, the month and the year end.
pub(crate) const BEGIN: u64 = 1_830_292_200;
pub(crate) const MINUTE: u64 = 60;
pub(crate) const HOUR: u64 = 3600;

fn prefixes() -> [Prefix; 2] {
    ["192.0.2.0/24", "192.0.2.0/25"].map(|prefix| prefix.parse().unwrap())
}

fn rules() -> Rules {
    Rules {
        scale_samples: true,
        clock_limit: Duration::from_secs(100 * 86_400),
        session: SessionLimits::default(),
        tally: TallySettings::default(),
    }
}

/// A collector's flusher with its spool, which outlive each other's crashes, and a shard that counts for it.
pub(crate) struct FlusherRun<S> {
    pub(crate) folder: TempDir,
    pub(crate) store: Arc<S>,
    pub(crate) flusher: Flusher,
    shard: Shard,
    pub(crate) keep: Keep,
    pub(crate) now: u64,
    /// The minute of each flow that was counted.
    counted: Vec<Minute>,
}

impl<S: Store + 'static> FlusherRun<S> {
    pub(crate) async fn begin(store: S, keep: Keep) -> Self {
        let store = Arc::new(store);
        store.add_prefixes(SENDER, &prefixes()).await.unwrap();
        let admitted = senders::load(store.as_ref(), &storage::Stated::default()).await.unwrap().admitted();
        let session = SessionLimits::default();
        let shard = Shard::new(rules(), admitted, Exporters::new(session, PendingBudget::default()));
        let folder = tempfile::tempdir().unwrap();
        let flusher = start(&folder, &store, keep, BEGIN).await;
        Self { folder, store, flusher, shard, keep, now: BEGIN, counted: Vec::new() }
    }

    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_seconds(self.now)
    }

    /// Flows of a minute so long ago go into the next flush, which is pushed into the spool.
    pub(crate) async fn flush(&mut self, minutes_ago: &[u64]) {
        for ago in minutes_ago {
            let exported = self.now - ago * MINUTE;
            let payload = datagram(exported);
            let received = self.time();
            self.shard.take(&Datagram { exporter: Exporter::udp(SENDER, 1), received, payload: &payload });
            self.counted.push(Minute::of(Timestamp::from_seconds(exported)));
        }
        let sealed: Sealed = Sealed::new(vec![self.shard.seal(Tally::new(TallySettings::default()))]);
        self.flusher.flush(&sealed, self.time(), || true).await.unwrap();
    }

    pub(crate) async fn drain(&mut self) -> Result<(), StoreError> {
        while self.flusher.drain_one(self.time()).await? {}
        Ok(())
    }

    /// Dies and starts again on the same spool.
    pub(crate) async fn restart(&mut self) {
        self.flusher = start(&self.folder, &self.store, self.keep, self.now).await;
    }

    /// Another collector takes this one for gone, as it was not seen for long.
    pub(crate) async fn another_rolls_up(&self) {
        let store: Arc<dyn Store> = Arc::<S>::clone(&self.store);
        let state = WriterState::new(OTHER, 1, self.time());
        store.put_writer(&state).await.unwrap();
        Flusher::new(store, state, self.keep, Status::new(0)).maintain(self.time()).await.unwrap();
    }

    /// Every interval of every period that a flow lies in has each of its flows once, for both prefixes.
    pub(crate) async fn check(&self, store: &dyn Store) {
        let mut expected = std::collections::BTreeMap::new();
        for minute in &self.counted {
            for period in Period::ALL {
                let interval = Interval::containing(period, *minute);
                let keep = self.keep.periods[period];
                let kept = keep.map_or(0, |keep| self.now - keep.as_secs());
                if interval.start.timestamp().seconds() >= kept {
                    *expected.entry(interval).or_insert(0_u64) += 1;
                }
            }
        }
        for prefix in prefixes() {
            let ask = |interval: &Interval| Question {
                range: (*interval).into(),
                sender: SENDER,
                prefix,
                tables: TableSet::ALL,
            };
            let answers = Answers::to(expected.keys().map(ask).collect()).all(store).await.unwrap();
            for ((interval, flows), answer) in expected.iter().zip(answers) {
                let counted = answer.tables.get(Direction::In, Name::ALL).unwrap_or_default();
                assert_eq!(counted.flows, *flows, "{prefix} in {} {interval}", interval.period.name());
            }
        }
    }
}

async fn start<S: Store + 'static>(folder: &TempDir, store: &Arc<S>, keep: Keep, now: u64) -> Flusher {
    let known = store.writers().await.unwrap().into_iter().find(|known| known.writer == OWN);
    // The state file knows of the epochs that the store has forgotten.
    let path = folder.path().join("epoch");
    let epoch = std::fs::read_to_string(&path).map_or(1, |epoch| epoch.parse::<u32>().unwrap() + 1);
    std::fs::write(&path, epoch.to_string()).unwrap();
    let seen = Timestamp::from_seconds(now);
    let state =
        WriterState { epoch, presence: Presence::Seen(seen), ..known.unwrap_or(WriterState::new(OWN, 0, seen)) };
    store.put_writer(&state).await.unwrap();
    let spool = Spool::open(&folder.path().join("state"), OWN, 1 << 20).unwrap();
    let store: Arc<dyn Store> = Arc::<S>::clone(store);
    Flusher::new(store, state, keep, Status::new(0)).over(Some(spool)).unwrap()
}

fn datagram(exported: u64) -> Vec<u8> {
    let unix_seconds = u32::try_from(exported).unwrap().into();
    let header = Header { version: 5.into(), count: 1.into(), unix_seconds, ..Header::default() };
    let record = Record {
        source: [198, 51, 100, 1],
        destination: [192, 0, 2, 1],
        protocol: 6,
        octets: 100.into(),
        packets: 2.into(),
        ..Record::default()
    };
    [header.as_bytes(), record.as_bytes()].concat()
}
