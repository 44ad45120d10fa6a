//! Files that the collector has written and that were damaged or changed since.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use accounting::block::{Block, BlockKey, Sums, TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::{Field, Name, Value};
use accounting::period::{Interval, Minute, Period};
use flow::{Counters, Exporter, FlushNumber, Prefix, Timestamp};
use interfaces::{Details, History, Observation, Source};
use journal::disk::Directory;
use journal::{Journal, SegmentName, Settings, Sync};
use storage::spool::Spool;
use storage::{Blocks, Identity, Registry, Selection, Sqlite, Writers};
use tempfile::TempDir;
use tokio::runtime::Builder;
use wire::encode::{NetflowV9, TemplateSpec};
use wire::{Datagram, FieldSpecifier, Session, SessionLimits, netflow_v9};

/// A block of a store: eight octets are the tables of its key, the rest is its content. The content is read as it is and with
/// a valid checksum, because otherwise every change would fail at the checksum.
pub fn block(input: &[u8]) {
    let Some((tables, content)) = input.split_first_chunk::<8>() else { return };
    let key = key(TableSet::of_bits(u64::from_le_bytes(*tables)));
    let body = &content[..content.len().saturating_sub(4)];
    let first_version = [body, &crc32fast::hash(body).to_le_bytes()].concat();
    let block = |content: Vec<u8>| Block { key, content: content.into() };
    for block in [block(content.to_vec()), block(first_version), block(content.to_vec()).with_key(key)] {
        let octets = block.content.len();
        let mut tables = Tables::new();
        let read = tables.merge(&block, TableSet::ALL);
        assert!(read.is_ok() || tables.is_empty(), "nothing of a damaged block is counted");
        assert!(tables.len() <= octets, "{} rows of {octets} octets", tables.len());
        let mut sums = Sums::default();
        assert_eq!(sums.merge(&block).is_ok(), read.is_ok(), "both ways of reading agree");
    }
}

/// Blocks with every table.
pub fn blocks() -> Vec<Vec<u8>> {
    let mut tables = Tables::new();
    let counters = Counters { bytes: 1_000_000, packets: 1000, flows: 10 };
    for direction in Direction::ALL {
        tables.add(direction, Name::ALL, counters);
        for last in [1, 2, 3, 200] {
            let addresses =
                [IpAddr::from([192, 0, 2, last]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()])];
            for value in addresses.map(Value::Address) {
                tables.add(direction, Name { field: Field::SourceAddress, value }, counters);
            }
        }
        tables.add_other(direction, Field::SourceAddress, counters);
    }
    let made = tables.blocks(key(TableSet::ALL).interval, SENDER, prefix(), WRITER, FIRST.into());
    made.into_iter().map(|block| [&block.key.tables.bits().to_le_bytes()[..], &block.content].concat()).collect()
}

const FIRST: FlushNumber = FlushNumber { epoch: 1, sequence: 1 };
const WRITER: WriterId = WriterId(42);
const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn prefix() -> Prefix {
    Prefix::new(Ipv4Addr::new(192, 0, 2, 0).into(), 24).expect("a first address")
}

fn key(tables: TableSet) -> BlockKey {
    let interval = Interval { period: Period::Minute, start: Minute::new(29_538_719) };
    BlockKey { interval, sender: SENDER, prefix: prefix(), writer: WRITER, origin: FIRST.into(), part: 0, tables }
}

/// The stored announcements of an exporter.
pub fn announcements(input: &[u8]) {
    let limits = SessionLimits::default();
    let body = &input[..input.len().saturating_sub(4)];
    for octets in [input.to_vec(), [body, &crc32fast::hash(body).to_be_bytes()].concat()] {
        let mut session = Session::new(limits);
        let Ok(learnt) = session.learn(&octets) else {
            assert_eq!(session.templates().count(), 0, "nothing is restored from damaged octets");
            continue;
        };
        assert!(learnt <= octets.len());
        let mut again = Session::new(limits);
        assert_eq!(again.learn(&session.announcements()), Ok(learnt), "what was restored can be stored again");
    }
}

/// A template, an options template, a sampling rate.
pub fn announced() -> Vec<Vec<u8>> {
    let header = netflow_v9::Header { unix_seconds: 1_700_000_000.into(), source_id: 7.into(), ..Default::default() };
    let template = TemplateSpec::data(256, [8, 12, 1, 2].map(|element| FieldSpecifier::iana(element, 4)));
    let payload = NetflowV9::new(header).template(&template).finish();
    let exporter = Exporter::udp(SENDER, 4000);
    let mut session = Session::new(SessionLimits::default());
    let received = Timestamp::from_seconds(1_700_000_000);
    session.decode(&Datagram { exporter, received, payload: &payload }, &mut |_| {});
    vec![session.announcements(), Session::new(SessionLimits::default()).announcements()]
}

/// The file with the names of interfaces.
pub fn interfaces_file(input: &[u8]) {
    let (history, damaged) = interfaces::read(input);
    let lines = input.split(|octet| *octet == b'\n').count();
    assert!(history.len() + damaged <= lines, "each line is read or damaged");
    let (again, damaged) = interfaces::read(interfaces::write(&history).as_bytes());
    assert_eq!((&again, damaged), (&history, 0), "what was read can be stored again");
    let spans: Vec<_> = history.of(SENDER).collect();
    for pair in spans.windows(2) {
        let [(index, one), (other_index, other)] = pair else { continue };
        assert!(index != other_index || one.until.is_some_and(|until| until <= other.since), "spans do not overlap");
    }
}

/// Two interfaces, one of which was renumbered.
pub fn interfaces_files() -> Vec<Vec<u8>> {
    let mut history = History::default();
    for (index, second, name) in [(1, 5, "lo"), (2, 5, "ge-0/0/1"), (2, 9, "xe-1/0/0"), (2, 11, "a\n\"b\"")] {
        let at = Timestamp::from_seconds(second);
        let of = Observation { router: SENDER, source: Source::Options, at, booted: None };
        history.observe(of, index, Details { name: Some(name.into()), description: None, speed: Some(1000) });
    }
    vec![interfaces::write(&history).into_bytes(), interfaces::write(&History::default()).into_bytes()]
}

/// A folder, in memory if possible.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// The state file: the collector's identity, its spool and the embedded store.
pub fn state_file(input: &[u8]) {
    let folder = folder();
    let path = folder.path().join("netflow.sqlite");
    fs::write(&path, input).expect("a file");
    // Each may refuse the file; none may panic.
    if let Ok(mut identity) = Identity::open(&path) {
        let _ = (identity.counted(), identity.next_epoch(0, Timestamp::EPOCH));
        if let Ok(spool) = Spool::open(&path, identity.writer(), 1 << 20) {
            let _ = spool.oldest();
        }
    }
    let Ok(store) = Sqlite::open(&path) else { return };
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let _ = (store.senders().await, store.writers().await, store.templates().await);
        let key = key(TableSet::ALL);
        let selection = Selection { interval: key.interval, sender: SENDER, prefix: prefix(), tables: key.tables };
        for block in store.read_blocks(&[selection]).await.unwrap_or_default() {
            let _ = Tables::new().merge(&block, TableSet::ALL);
        }
    });
}

/// A new state file, and one with a sender, blocks and templates.
pub fn state_files() -> Vec<Vec<u8>> {
    let folder = folder();
    let path = folder.path().join("netflow.sqlite");
    drop(Identity::open(&path).expect("a new file"));
    let new = fs::read(&path).expect("it is there");
    let store = Sqlite::open(&path).expect("a good file");
    let blocks: Vec<Block> = blocks()
        .iter()
        .filter_map(|block| {
            let (tables, content) = block.split_first_chunk::<8>()?;
            Some(Block { key: key(TableSet::of_bits(u64::from_le_bytes(*tables))), content: content.to_vec().into() })
        })
        .collect();
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        store.add_prefixes(SENDER, &[prefix()]).await.expect("it is taken");
        store.put_blocks(&blocks).await.expect("they are taken");
        store.put_templates(&[(SENDER, announced().swap_remove(0))]).await.expect("they are taken");
    });
    // Closing the last connection writes the write-ahead log to the file.
    drop(store);
    vec![new, fs::read(&path).expect("it is there")]
}

/// A journal segment that is found at the start.
pub fn journal_segment(input: &[u8]) {
    let folder = folder();
    let flush = FIRST;
    let directory = Directory::open(folder.path()).expect("a folder");
    let name = SegmentName { flush, writer: WRITER, shard: 0, part: 0 };
    fs::write(folder.path().join(name.to_string()), input).expect("a file");
    let settings = Settings { sync: Sync::Off, limit_bytes: 1 << 20 };
    let journal = Journal::open(Box::new(directory), WRITER, settings).expect("whatever is in a segment");
    let mut recovery = journal.recovery();
    let (mut datagrams, mut octets) = (0, 0);
    while let Some(datagram) = recovery.next_datagram().expect("the disk reads it") {
        datagrams += 1;
        octets += datagram.payload.len();
    }
    let recovered = recovery.counts();
    assert_eq!(recovered.datagrams, datagrams);
    let skipped = usize::try_from(recovered.torn + recovered.damaged.octets).unwrap_or(usize::MAX);
    assert!(octets + skipped <= input.len(), "{recovered:?}, {octets}");
    let text = String::from_utf8_lossy(input);
    if let Some(name) = SegmentName::parse(&text) {
        assert_eq!(name.to_string(), text, "one name for one segment");
    }
}
