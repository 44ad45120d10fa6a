//! What a start finds in the journal, with the real shards and a real directory, flush by flush.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use accounting::block::{TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::presence::Arrived;
use accounting::tally::{GroupId, Monitored, Tally, TallySettings};
use collector::Origins;
use collector::journaled_shard::{JournaledShard, begin, cut};
use collector::ledgers::CutCounts;
use collector::status::Status;
use collector::turn_mutex::TurnMutex;
use flow::{Counters, Exporter, FlushNumber, Timestamp};
use journal::disk::Directory;
use journal::{Journal, Sync};
use pipeline::{Admitted, Exporters, Registration, Sealed, Shard};
use wire::encode::{Ipfix, NetflowV9, TemplateSpec};
use wire::sflow::encode::{DatagramHeader, sflow_v5};
use wire::{Datagram, FieldSpecifier, PendingBudget, Session, SessionLimits, ipfix, netflow_v9};

use super::rules;

pub(crate) const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
pub(crate) const NOW: u64 = 1_800_000_000;

/// A run of a collector: its shards with their journal, without sockets and store.
pub(crate) struct Run {
    admitted: Admitted,
    pub(crate) journal: Arc<Journal>,
    pub(crate) exporters: Exporters,
    shards: Vec<Arc<TurnMutex<JournaledShard>>>,
    /// What it has found in the journal.
    pub(crate) recovered: Option<Sealed>,
    flush: FlushNumber,
}

/// Registers these senders, each with its settings, and no others.
fn register(admitted: &Admitted, senders: &[(IpAddr, &str)]) {
    let registered = senders.iter().zip((0..).map(GroupId)).map(|((sender, settings), id)| {
        let monitored = Monitored::new(*sender, &[("192.0.2.0/24".parse().unwrap(), id)]);
        (*sender, Arc::new(Registration { monitored, settings: settings.parse().unwrap() }))
    });
    admitted.store(Arc::new(registered.collect()));
}

impl Run {
    /// Starts with these senders, each with its settings, and with what the last run has announced.
    pub(crate) fn start(
        folder: &Path,
        epoch: u32,
        senders: &[(IpAddr, &str)],
        announced: &[(IpAddr, Vec<u8>)],
    ) -> Self {
        Self::start_with(folder, epoch, senders, announced, &Origins::default(), None)
    }

    /// Also looks up in these sources, and keeps the log for a reader.
    pub(crate) fn start_with(
        folder: &Path,
        epoch: u32,
        senders: &[(IpAddr, &str)],
        announced: &[(IpAddr, Vec<u8>)],
        origins: &Origins,
        reader: Option<&'static str>,
    ) -> Self {
        let settings = journal::Settings { sync: Sync::Off, limit_bytes: 1 << 20 };
        let disk = Directory::open(folder).unwrap();
        let journal = Journal::open(Box::new(disk), WriterId(1), settings).unwrap();
        if let Some(reader) = reader {
            journal.keep_for(&[reader], 1 << 20).unwrap();
            journal.begin_readers(BTreeMap::new);
        }
        let admitted = Admitted::default();
        register(&admitted, senders);
        let restored = announced.iter().map(|(router, announced)| {
            let mut session = Session::new(SessionLimits::default());
            session.learn(announced).unwrap();
            (*router, session)
        });
        let exporters =
            Exporters::new(SessionLimits::default(), PendingBudget::default()).restoring(restored.collect());
        let shard = || Shard::new(rules(), Arc::clone(&admitted), exporters.clone()).looking_up(origins.published());
        let first = FlushNumber { epoch, sequence: 1 };
        let (shards, recovered) = begin(&Status::new(2), Some(&journal), shard, &exporters, first).unwrap();
        Self { admitted, journal, exporters, shards, recovered, flush: first }
    }

    pub(crate) fn take(&self, at: Timestamp, payload: &[u8]) {
        self.take_in(0, at, payload);
    }

    pub(crate) fn take_in(&self, shard: usize, at: Timestamp, payload: &[u8]) {
        self.take_datagram(shard, Exporter::udp(ROUTER, 2055), at, payload);
    }

    pub(crate) fn take_from(&self, exporter: Exporter, at: Timestamp, payload: &[u8]) {
        self.take_datagram(0, exporter, at, payload);
    }

    pub(crate) fn end_connection(&self, ended: Exporter, at: Timestamp) {
        let mut shard = self.shards.first().unwrap().lock().unwrap();
        shard.end_connection(ended, at, "127.0.0.1:2055".parse().unwrap());
        shard.commit();
    }

    fn take_datagram(&self, shard: usize, exporter: Exporter, at: Timestamp, payload: &[u8]) {
        let datagram = Datagram { exporter, received: at, payload };
        let mut shard = self.shards.get(shard).unwrap().lock().unwrap();
        shard.take(&datagram, "127.0.0.1:2055".parse().unwrap());
        shard.commit();
    }

    /// What it has found in the journal of a sender.
    pub(crate) fn recovered_of(&self, sender: IpAddr) -> Counters {
        self.recovered.as_ref().map(|recovered| self.counted_of(&recovered.tallies, sender)).unwrap_or_default()
    }

    /// What these tallies have of a sender.
    pub(crate) fn counted_of(&self, tallies: &[Tally], sender: IpAddr) -> Counters {
        let mut tables = Tables::new();
        let blocks = tallies.iter().flat_map(|tally| tally.blocks(WriterId(1), self.flush));
        for block in blocks.filter(|block| block.key.sender == sender) {
            tables.merge(&block, TableSet::ALL).unwrap();
        }
        tables.get(Direction::In, Name::ALL).unwrap_or_default()
    }

    /// A flush that becomes durable.
    pub(crate) fn flush(&mut self) -> Sealed {
        let sealed = self.seal();
        self.journal.release(&self.journal.counted_with(self.flush));
        self.flush = self.flush.following();
        sealed
    }

    /// A flush that does not become durable.
    pub(crate) fn seal(&self) -> Sealed {
        let empties = self.shards.iter().map(|_| Tally::new(TallySettings::default())).collect();
        let (next, mut counted) = (self.flush.following(), CutCounts::default());
        cut(&self.shards, &self.exporters, empties, Some(&self.journal), next, &mut counted)
    }
}

/// Octets, datagrams and records that arrived, and what was lost.
fn arrived(sealed: &Sealed) -> [u64; 5] {
    let sum = |of: fn(&Arrived) -> u64| sealed.arrived.iter().map(of).sum();
    [
        sum(|of| of.arrived.bytes),
        sum(|of| of.arrived.packets),
        sum(|of| of.arrived.flows),
        sum(|of| of.lost.packets),
        sum(|of| of.lost.flows),
    ]
}

#[test]
fn queued_data_that_a_start_finds_in_the_journal_have_not_arrived_again() {
    // Destination address and bytes.
    let template = |id| TemplateSpec::data(id, [FieldSpecifier::iana(12, 4), FieldSpecifier::iana(1, 4)]);
    let record = [vec![192, 0, 2, 1, 0, 0, 0, 100]];
    for is_ipfix in [false, true] {
        let v9 = |sequence: u32| NetflowV9::new(netflow_v9::Header { sequence: sequence.into(), ..Default::default() });
        let message = |sequence: u32| Ipfix::new(ipfix::Header { sequence: sequence.into(), ..Default::default() });
        let announcement = if is_ipfix {
            message(0).template(&template(300)).finish()
        } else {
            v9(0).template(&template(300)).finish()
        };
        // Each has one record, so that both protocols number them alike.
        let data = |sequence, id| {
            if is_ipfix {
                message(sequence - 1).data(&template(id), &record).finish()
            } else {
                v9(sequence).data(&template(id), &record).finish()
            }
        };
        let at = |second| Timestamp::from_seconds(NOW + second);
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::start(folder.path(), 1, &[(ROUTER, "")], &[]);
        run.take(at(0), &announcement);
        run.take(at(1), &data(1, 300));
        // Its template is missing.
        run.take(at(2), &data(2, 301));
        run.take(at(3), &data(3, 300));
        run.take(at(4), &data(4, 300));
        let sealed = run.flush();
        let [.., lost_datagrams, lost_records] = arrived(&sealed);
        assert_eq!([lost_datagrams, lost_records], [0, 0]);
        let last = data(5, 300);
        run.take(at(5), &last);
        drop(run);

        let run = Run::start(folder.path(), 2, &[(ROUTER, "")], &sealed.announced);
        let octets = last.len() as u64;
        let expected = if is_ipfix { [octets, 0, 1, 0, 0] } else { [octets, 1, 0, 0, 0] };
        assert_eq!(arrived(run.recovered.as_ref().unwrap()), expected, "is IPFIX: {is_ipfix}");
        assert_eq!(run.exporters.waiting().len(), 1, "it waits still");
    }
}

#[test]
fn after_a_kill_records_of_a_relay_are_counted_by_the_terms_that_another_shard_has_stated() {
    let agent = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
    let fields = [(12, 4), (1, 4), (130, 4)].map(|(id, length)| FieldSpecifier::iana(id, length));
    let template = TemplateSpec::data(256, fields);
    let record = vec![192, 0, 2, 1, 0, 0, 0, 100, 198, 51, 100, 7];
    let message = || Ipfix::new(ipfix::Header::default());
    let folder = tempfile::tempdir().unwrap();
    let senders = [(ROUTER, "identity=agent"), (agent, "")];
    let run = Run::start(folder.path(), 1, &senders, &[]);
    // The template is received later than the data, but its thread was faster.
    run.take_in(0, Timestamp::new(NOW, 2), &message().template(&template).finish());
    run.take_in(1, Timestamp::new(NOW, 1), &message().data(&template, &[record]).finish());
    drop(run);
    // Whatever is registered now.
    let run = Run::start(folder.path(), 2, &senders[..1], &[]);
    assert_eq!(run.recovered_of(agent).flows, 1);
}

#[test]
fn after_a_kill_records_of_an_exporter_that_was_removed_are_not_counted_by_the_terms_of_another_shard() {
    let agent = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
    let fields = [(12, 4), (1, 4), (130, 4)].map(|(id, length)| FieldSpecifier::iana(id, length));
    let template = TemplateSpec::data(256, fields);
    let record = vec![192, 0, 2, 1, 0, 0, 0, 100, 198, 51, 100, 7];
    let message = Ipfix::new(ipfix::Header::default()).template(&template).data(&template, &[record]).finish();
    let folder = tempfile::tempdir().unwrap();
    let senders = [(ROUTER, "identity=agent"), (agent, "")];
    let run = Run::start(folder.path(), 1, &senders, &[]);
    run.take_in(0, Timestamp::new(NOW, 1), &message);
    register(&run.admitted, &senders[..1]);
    run.take_in(1, Timestamp::new(NOW, 2), &message);
    drop(run);
    let run = Run::start(folder.path(), 2, &senders, &[]);
    assert_eq!(run.recovered_of(agent).flows, 1);
}

#[test]
fn after_a_kill_the_presence_of_a_relay_and_of_those_behind_it_is_what_it_was() {
    let [agent, stranger] = [7, 9].map(|last| IpAddr::V4(Ipv4Addr::new(198, 51, 100, last)));
    let fields = [(12, 4), (1, 4), (130, 4)].map(|(id, length)| FieldSpecifier::iana(id, length));
    let template = TemplateSpec::data(256, fields);
    let records = |last| [vec![192, 0, 2, 1, 0, 0, 0, 100, 198, 51, 100, last]];
    let message = |last| Ipfix::new(ipfix::Header::default()).template(&template).data(&template, &records(last));
    let sflow = |agent| sflow_v5(&DatagramHeader { agent, sub_agent: 0, sequence: 1, uptime: 1 }, &[]);
    let senders = [(ROUTER, "identity=agent"), (agent, "")];
    let datagrams = [sflow(agent), sflow(stranger), message(7).finish(), message(9).finish()];
    for datagrams in datagrams.iter().map(std::slice::from_ref).chain([&datagrams[..]]) {
        let folder = tempfile::tempdir().unwrap();
        let run = Run::start(folder.path(), 1, &senders, &[]);
        for (second, datagram) in (0..).zip(datagrams) {
            run.take(Timestamp::from_seconds(NOW + second), datagram);
        }
        let mut before = Sealed::new(Vec::new());
        run.exporters.report(&mut before);
        drop(run);
        let recovered = Run::start(folder.path(), 2, &senders, &[]).recovered;
        assert_eq!(recovered.map_or(Vec::new(), |recovered| recovered.arrived), before.arrived);
    }
}
