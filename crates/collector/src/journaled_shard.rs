//! Shards with their journals: the journal holds the datagrams that its shard has counted. A cut seals all shards at one
//! moment. A start counts the datagrams that an earlier run left in the journal.
//!
//! This file reads neither clocks nor sockets: receiving threads drive it, and the simulation.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use accounting::tally::{Tally, TallySettings};
use flow::{DatagramFate, Exporter, FlushNumber, Timestamp};
use journal::{Annotations, EntryKind, Journal, ReadCounts, Unreadable, Writer};
use pipeline::{Again, Booked, Counts, Exporters, Rules, Sealed, Shard};
use wire::Datagram;

use crate::acceptance::{Acceptance, HeldDatagrams};
use crate::kernel_drops::ThreadDrops;
use crate::ledgers::{CutCounts, RecoveredCounts};
use crate::lock::{locked, locked_in_turn};
use crate::log_notes::{self, Notes, SealedSums};
use crate::status::Status;
use crate::terms::{self, FoundTerms};
use crate::turn_mutex::TurnMutex;

/// A shard and its end of the journal.
pub struct JournaledShard {
    pub(crate) shard: Shard,
    /// `None` if nothing has to survive a crash.
    journal: Option<Writer>,
    /// Datagrams read from sockets.
    pub read: u64,
    /// Of the sockets that its thread reads.
    pub(crate) drops: ThreadDrops,
    published: Arc<Mutex<Counts>>,
    held: HeldDatagrams,
}

impl JournaledShard {
    /// Counts a datagram received at this address. It must not be sealed before the next [`commit`](Self::commit).
    pub fn take(&mut self, datagram: &Datagram<'_>, received_at: SocketAddr) {
        if self.held.is_on() {
            let address = datagram.exporter.address;
            if !self.shard.is_registered(address) {
                if self.held.hold(datagram, received_at) {
                    // It counts as read when it is counted.
                    self.read = self.read.saturating_sub(1);
                    return;
                }
            } else if self.held.has(address) {
                self.release(&[address]);
            }
        }
        self.count(datagram, received_at);
    }

    /// Counts what is held of these addresses.
    fn release(&mut self, addresses: &[IpAddr]) {
        let mut held = std::mem::take(&mut self.held);
        for address in addresses {
            held.release(*address, &mut |datagram, received_at| {
                self.read += 1;
                self.count(datagram, received_at);
            });
        }
        self.held = held;
    }

    /// Counts the held datagrams of routers that are registered now, or will not be; all of them at the end.
    pub(crate) fn release_decided(&mut self, is_ending: bool) {
        let shard = &mut self.shard;
        let decided = self.held.decided(|address| shard.is_registered(address), is_ending);
        if !decided.is_empty() {
            self.release(&decided);
            self.commit();
        }
    }

    /// Lets routers register themselves from now on.
    pub(crate) fn accept(&mut self, acceptance: Acceptance) {
        self.held = HeldDatagrams::new(acceptance);
    }

    fn count(&mut self, datagram: &Datagram<'_>, received_at: SocketAddr) {
        let fate = self.shard.take(datagram);
        if let Some(journal) = &mut self.journal
            && fate != DatagramFate::Unregistered
        {
            let exporter = datagram.exporter;
            if let Some(number) = journal.statement() {
                self.shard.unstated(exporter.address, number, &mut |sender, registration, rules| {
                    journal.state(sender, &terms::encode(registration, rules));
                });
            }
            let Booked { sums, origins } = self.shard.booked();
            journal.annotate([sums, origins]);
            journal.take(datagram.received, exporter, received_at, datagram.payload);
        }
    }

    /// Notes that a connection has ended, in which messages were received at this address: what was announced in it is gone.
    pub fn end_connection(&mut self, ended: Exporter, at: Timestamp, received_at: SocketAddr) {
        self.shard.end_connection(&ended);
        if let Some(journal) = &mut self.journal {
            journal.end(at, ended, received_at);
        }
    }

    /// Whether an address is registered now.
    pub fn is_registered(&mut self, address: IpAddr) -> bool {
        self.shard.is_registered(address)
    }

    /// Counts by these rules from now on.
    pub fn set_rules(&mut self, rules: Rules) {
        self.shard.set_rules(rules);
    }

    /// Writes the counted datagrams to the journal and publishes the counts.
    pub fn commit(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.commit();
        }
        self.publish();
    }

    /// Writes queued data into the current segment, with the terms that their senders have now. Before them, readers of the
    /// log find which exporters are forgotten.
    fn carry(&mut self, waiting: Vec<(Exporter, Timestamp, Vec<u8>)>, forgotten: &[IpAddr]) {
        let Some(journal) = &mut self.journal else { return };
        log_notes::forgotten(forgotten).for_each(|note| journal.note(note.as_bytes()));
        let registered = self.shard.registered();
        let senders: BTreeSet<IpAddr> = waiting.iter().map(|(exporter, ..)| exporter.address).collect();
        for (sender, registration) in senders.iter().filter_map(|sender| registered.get_key_value(sender)) {
            journal.state(*sender, &terms::encode(Some(registration), self.shard.rules()));
        }
        journal.carry(waiting);
    }

    /// Notes that connections of an earlier run are gone, before anything that this run receives.
    fn note_ended(&mut self, ended: &[Exporter]) {
        let Some(journal) = &mut self.journal else { return };
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        ended.iter().for_each(|ended| journal.end(Timestamp::EPOCH, *ended, anywhere));
    }

    pub(crate) fn publish(&self) {
        *locked(&self.published) = self.counts();
    }

    fn counts(&self) -> Counts {
        Counts { kernel_drops: self.drops.counted(), ..*self.shard.counts() }
    }
}

/// Seals all shards at one moment, at which none of them takes a datagram. Their journals turn to the next flush, and
/// queued data are carried over to it. The counts of this moment are stored in `counted` for the ledgers.
///
/// Announcements are encoded while the shards wait, since those stored with this flush must not include a later template.
/// Only exporters with new ones have any, so there are few. Queued data are copied at that moment too, but written when
/// all shards except the first count again.
pub fn cut(
    shards: &[Arc<TurnMutex<JournaledShard>>],
    exporters: &Exporters,
    empties: Vec<Tally>,
    journal: Option<&Journal>,
    next: FlushNumber,
    counted: &mut CutCounts,
) -> Sealed {
    let before = *counted;
    let mut stopped: Vec<_> = shards.iter().map(|shard| locked_in_turn(shard)).collect();
    let mut sealed = Sealed::new(stopped.iter_mut().zip(empties).map(|(it, empty)| it.shard.seal(empty)).collect());
    exporters.report(&mut sealed);
    stopped.iter_mut().filter_map(|it| it.journal.as_mut()).for_each(Writer::commit);
    stopped.iter_mut().for_each(|it| it.drops.ask());
    counted.dropped = stopped.iter().map(|it| it.drops.reported()).sum();
    counted.read = stopped.iter().map(|it| it.read).sum();
    counted.shards = Counts::default();
    for it in &stopped {
        it.publish();
        counted.shards.merge(&it.counts());
    }
    counted.journal = journal.map(Journal::counts);
    let is_read = journal.is_some_and(Journal::is_read);
    if is_read && let Some(first) = stopped.first_mut().and_then(|first| first.journal.as_mut()) {
        note_sums(first, &before, counted);
    }
    stopped.iter_mut().filter_map(|it| it.journal.as_mut()).for_each(|journal| journal.turn(next));
    let waiting = if journal.is_some() { exporters.waiting() } else { Vec::new() };
    let forgotten = if is_read { forgotten(&sealed, exporters) } else { Vec::new() };
    stopped.truncate(1);
    if let Some(first) = stopped.first_mut() {
        first.carry(waiting, &forgotten);
    }
    sealed
}

/// The exporters that are forgotten with a cut, and have sent nothing since: a recovery may have forgotten some earlier.
fn forgotten(sealed: &Sealed, exporters: &Exporters) -> Vec<IpAddr> {
    sealed.forgotten().filter(|address| !exporters.knows(*address)).collect()
}

/// Notes the sums of a flush, unless nothing is in it.
fn note_sums(journal: &mut Writer, before: &CutCounts, now: &CutCounts) {
    let admitted = |counts: &CutCounts| counts.journal.map_or(0, |journal| journal.written + journal.missed);
    let sums = SealedSums {
        datagrams: admitted(now) - admitted(before),
        records: now.shards.shown_records - before.shards.shown_records,
    };
    if sums.datagrams > 0 {
        journal.note(log_notes::sealed(sums).as_bytes());
    }
}

/// The shards of a start, and the sealed tally of recovered datagrams.
pub type Begun = (Vec<Arc<TurnMutex<JournaledShard>>>, Option<Sealed>);

/// Starts as many shards as the status has. Datagrams that an earlier run left in the journal are counted first, in a
/// shard of their own; its sealed tally is returned too and must be flushed first. `first` is the number of the first
/// flush.
///
/// All of them become one flush: no part of them becomes durable alone, so that after a crash the unchanged segments are
/// counted again. Data that still lack their template stay queued, and are carried over to a segment of this start before
/// the old segments are released.
///
/// # Errors
/// If the journal cannot be read completely. Then nothing may be flushed: the segments remain for the next start.
pub fn begin(
    status: &Status,
    journal: Option<&Arc<Journal>>,
    shard: impl Fn() -> Shard,
    exporters: &Exporters,
    first: FlushNumber,
) -> Result<Begun, Unreadable> {
    let recovered = match journal {
        Some(journal) if journal.segments() > 0 => Some(recover(journal, shard(), exporters, status)?),
        _ => None,
    };
    let first = if recovered.is_some() { first.following() } else { first };
    let mut shards = Vec::new();
    for (number, published) in (0..).zip(status.shards()) {
        let journal = journal.map(|journal| journal.writer(number, first));
        let (drops, held) = (ThreadDrops::default(), HeldDatagrams::default());
        shards.push(JournaledShard { shard: shard(), journal, read: 0, drops, published, held });
    }
    let ended = exporters.end_connections();
    if let Some(first) = shards.first_mut().filter(|first| first.journal.is_some()) {
        let sealed = recovered.iter().filter(|_| journal.is_some_and(|journal| journal.is_read()));
        let forgotten: Vec<_> = sealed.flat_map(|sealed| forgotten(sealed, exporters)).collect();
        first.note_ended(&ended);
        first.carry(exporters.waiting(), &forgotten);
    }
    Ok((shards.into_iter().map(|shard| Arc::new(TurnMutex::new(shard))).collect(), recovered))
}

/// What was noted beside a datagram.
pub(crate) const fn booked<'d>([sums, origins]: Annotations<'d>) -> Booked<'d> {
    Booked { sums, origins }
}

fn recover(journal: &Journal, mut shard: Shard, exporters: &Exporters, status: &Status) -> Result<Sealed, Unreadable> {
    let mut recovery = journal.recovery();
    let rules = *shard.rules();
    let mut terms = FoundTerms::new(shard.registered(), rules);
    let mut unstated = 0;
    loop {
        let is_found = recovery.advance()?;
        // As the process that was killed did.
        let Notes { forgotten, .. } = Notes::read(recovery.take_notes().iter().map(AsRef::as_ref));
        if !forgotten.is_empty() {
            shard.forget(&forgotten);
        }
        if !is_found {
            break;
        }
        let Some(found) = recovery.current() else { continue };
        let exporter = found.exporter();
        if matches!(found.kind, EntryKind::Ended(_)) {
            shard.end_connection(&exporter);
            continue;
        }
        let stated = found.terms.and_then(|octets| terms.get(exporter.address, octets)).cloned();
        unstated += u64::from(stated.is_none());
        shard.set_rules(stated.as_ref().map_or(rules, |stated| stated.rules));
        let datagram = Datagram { exporter, received: found.received, payload: found.payload };
        let is_carried = found.kind == EntryKind::Carried;
        let again = Again { datagram, is_carried, booked: booked(found.annotations) };
        shard.take_again(&again, &mut |address| {
            terms.registered_then(address, exporter.address, stated.as_ref(), recovery.terms_of(address))
        });
    }
    let ReadCounts { segments, datagrams, torn, damaged, .. } = recovery.counts();
    let counts = *shard.counts();
    tracing::info!(segments, datagrams, torn, damaged = damaged.places, "recovered from the journal: {counts}");
    if unstated > 0 {
        tracing::warn!(
            datagrams = unstated,
            "the journal lacks the prefixes and settings of some datagrams, because it is damaged or of an older program; they are counted by the current ones"
        );
    }
    if counts.discarded_sets > 0 {
        tracing::warn!(
            sets = counts.discarded_sets,
            "data of export connections in the journal are not counted: their templates are neither in the journal nor in the database"
        );
    }
    status.recovered(RecoveredCounts { datagrams, torn, damaged, unstated, counts });
    let mut sealed = Sealed::new(vec![shard.seal(Tally::new(TallySettings::default()))]);
    exporters.report(&mut sealed);
    // Nobody counted while no collector ran.
    exporters.end_streams();
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::{self, Read};
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use accounting::tally::{GroupId, Monitored};
    use flow::{Exporter, SenderSettings, Timestamp, WriterId};
    use journal::disk::{Disk, File};
    use journal::{Settings, Sync};
    use pipeline::{Admitted, Registration};
    use wire::encode::{NetflowV9, TemplateSpec};
    use wire::{FieldSpecifier, PendingBudget, SessionLimits};

    use super::*;

    const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A disk that reports when data are appended to the segment of the second flush, and then waits for permission.
    #[derive(Debug)]
    struct SlowDisk(Arc<Slow>);

    #[derive(Debug)]
    struct Slow {
        begins: Sender<()>,
        may_end: Mutex<Receiver<()>>,
    }

    #[derive(Debug)]
    struct SlowFile {
        slow: Arc<Slow>,
        is_slow: bool,
    }

    impl Disk for SlowDisk {
        fn list(&self) -> io::Result<Vec<(String, u64)>> {
            Ok(Vec::new())
        }

        fn read(&self, _: &str) -> io::Result<Box<dyn Read + Send>> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
            Ok(Box::new(SlowFile { slow: Arc::clone(&self.0), is_slow: name.contains("flush-2") }))
        }

        fn sync(&self, _: &str) -> io::Result<()> {
            Ok(())
        }

        fn remove(&self, _: &str) -> io::Result<()> {
            Ok(())
        }

        fn rename(&self, _: &str, _: &str) -> io::Result<()> {
            Ok(())
        }

        fn sync_names(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl File for SlowFile {
        fn append(&self, octets: &[u8]) -> io::Result<usize> {
            if self.is_slow {
                // The receiver is gone when the test is over.
                let _ = self.slow.begins.send(());
                let _ = locked(&self.slow.may_end).recv();
            }
            Ok(octets.len())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn other_shards_count_while_carried_data_are_written() {
        let (begins, begun) = channel();
        let (end, may_end) = channel();
        let disk = SlowDisk(Arc::new(Slow { begins, may_end: Mutex::new(may_end) }));
        let journal =
            Journal::open(Box::new(disk), WriterId(1), Settings { sync: Sync::Off, limit_bytes: 1 << 20 }).unwrap();
        let rules = Rules {
            scale_samples: true,
            clock_limit: Duration::from_secs(600),
            session: SessionLimits::default(),
            tally: TallySettings::default(),
        };
        let monitored = Monitored::new(SENDER, &[("192.0.2.0/24".parse().unwrap(), GroupId(0))]);
        let admitted = Admitted::default();
        let registration = Registration { monitored, settings: SenderSettings::default() };
        admitted.store(Arc::new(HashMap::from([(SENDER, Arc::new(registration))])));
        let exporters = Exporters::new(rules.session, PendingBudget::default());
        let shard = || Shard::new(rules, Arc::clone(&admitted), exporters.clone());
        let first = FlushNumber { epoch: 1, sequence: 1 };
        let (shards, _) = begin(&Status::new(2), Some(&journal), shard, &exporters, first).unwrap();
        // Data without a template.
        let template = TemplateSpec::data(256, [FieldSpecifier::iana(12, 4), FieldSpecifier::iana(1, 4)]);
        let payload = NetflowV9::new(wire::netflow_v9::Header::default()).data(&template, &[vec![0; 8]]).finish();
        let received = Timestamp::from_seconds(1_800_000_000);
        let datagram = Datagram { exporter: Exporter::udp(SENDER, 1), received, payload: &payload };
        locked_in_turn(&shards[0]).take(&datagram, "127.0.0.1:2055".parse().unwrap());
        locked_in_turn(&shards[0]).commit();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (empties, mut counted) =
                    (vec![Tally::new(rules.tally), Tally::new(rules.tally)], CutCounts::default());
                cut(&shards, &exporters, empties, Some(&journal), first.following(), &mut counted);
            });
            begun.recv().unwrap();
            let is_free = shards[1].try_lock().is_ok();
            drop(end);
            assert!(is_free, "the second shard waits for the disk");
        });
        assert_eq!(journal.counts().carried, 1);
    }
}
