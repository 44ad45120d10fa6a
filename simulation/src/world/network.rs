//! What exporters send, what the network delivers of it, and what a shard takes.

use super::*;

impl World {
    /// The network delivers datagrams: late, twice, or not at all.
    pub(super) async fn deliver(&mut self) {
        let mut network = std::mem::take(&mut self.late);
        for _ in 0..=self.random.below(6) {
            let from = self.random.below(self.exporters.len() as u64) as usize;
            let flows: Vec<u32> = (0..=self.random.below(3) as u32).map(|more| self.flows + more).collect();
            self.flows += flows.len() as u32;
            let exporter = &mut self.exporters[from];
            let sent = if self.random.once_in(8) { exporter.announce(self.now) } else { None };
            network.extend(sent.map(|sent| (from, sent)));
            let sent = exporter.send(self.now, flows);
            if self.random.once_in(12) {
                continue;
            }
            // Two copies in the queue for a template could not be distinguished.
            if self.random.once_in(12) && !exporter.has_templates() {
                network.push((from, sent.clone()));
            }
            network.push((from, sent));
            let length = network.len();
            network.swap(self.random.below(length as u64) as usize, length - 1);
        }
        let some = if self.random.once_in(3) { network.len() / 2 } else { network.len() };
        self.late = network.split_off(some);
        let shard = self.shard();
        for (from, sent) in network {
            if self.changes.is_due(30) {
                self.change_registrations().await;
            }
            self.take_one(shard, from, &sent);
        }
        self.commit(shard);
    }

    /// A shard takes a batch.
    pub(super) fn take(&mut self, batch: &[(usize, Sent)]) {
        let shard = self.shard();
        batch.iter().for_each(|(from, sent)| self.take_one(shard, *from, sent));
        self.commit(shard);
    }

    fn shard(&mut self) -> usize {
        self.first_of_batch = self.oracle.deliveries();
        self.random.below(SHARDS as u64) as usize
    }

    /// Receive times increase, like the kernel's.
    fn take_one(&mut self, shard: usize, from: usize, sent: &Sent) {
        self.now = self.now.saturating_add(Duration::from_millis(1));
        let (exporter, at) = (&self.exporters[from], self.now);
        let datagram = Datagram { exporter: exporter.address, received: at, payload: &sent.payload };
        let process = self.process.as_mut().expect("it is running");
        let mut held = process.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        held.read += 1;
        held.take(&datagram, "0.0.0.0:2055".parse().unwrap());
        drop(held);
        if let Some(honest) = &mut process.honest {
            honest.shard.take(&datagram);
        }
        let (exported, rate, meaning) = (sent.exported, exporter.rate(), Meaning::default());
        let received = Received { flow: None, exporter: from, exported, at, rate, meaning };
        if sent.flows.is_empty() {
            self.oracle.delivered(received);
        }
        for flow in &sent.flows {
            let meaning = self.exporters[from].meaning(*flow);
            self.oracle.delivered(Received { flow: Some(*flow), meaning, ..received });
        }
        if self.exporters[from].has_templates() {
            self.oracle.queued(&self.waiting());
        }
        self.story.push(format!("shard {shard} takes {from}:{sent}"));
    }

    fn commit(&mut self, shard: usize) {
        let missed = self.process().journal.counts().missed;
        self.process().shards[shard].lock().unwrap_or_else(PoisonError::into_inner).commit();
        if self.process().journal.counts().missed == missed {
            self.oracle.written(self.first_of_batch);
        } else {
            self.story.push("not in the journal".into());
        }
    }

    pub(super) fn disturb_an_exporter(&mut self) {
        let which = self.random.below(self.exporters.len() as u64) as usize;
        let now = self.now;
        match self.random.below(3) {
            0 => self.exporters[which].step_clock(&mut self.random),
            1 => {
                self.exporters[which].reboot(now);
                // A reader that starts recognises that a little later, like a collector that starts.
                self.is_log_whole &= !self.exporters[which].has_templates();
            }
            _ => self.redefine(which),
        }
        self.story.push(format!("now: {which} {:?}", self.exporters[which]));
    }

    /// Changes a template. Everything sent before is delivered first, nothing overtakes the new template, and neither
    /// disk nor power fails until it is synced. Otherwise only later data could survive, and it would be undecidable
    /// which of the two templates they need. For the same reason, the journal must not have missed an earlier
    /// announcement that is not durable, and no sync of it may have failed.
    fn redefine(&mut self, which: usize) {
        self.disk.spare(true);
        self.tick();
        let is_sure = self.is_sure_of_templates(which);
        let (own, late) = std::mem::take(&mut self.late).into_iter().partition(|(from, _)| *from == which);
        self.late = late;
        self.take(&own);
        let waits = self.waiting().iter().any(|(exporter, _)| *exporter == which);
        if self.exporters[which].has_templates() && !waits && is_sure {
            self.exporters[which].redefine();
            let announcement = self.exporters[which].announce(self.now).unwrap();
            self.take(&[(which, announcement)]);
        }
        self.tick();
        self.disk.spare(false);
    }

    /// After a tick: whether nothing that the exporter announces now can be lost while something later is not.
    pub(super) fn is_sure_of_templates(&mut self, which: usize) -> bool {
        let is_written = self.process().journal.counts().missed == self.process().missed_before;
        is_written
            && self.disk.is_synced()
            && self.oracle.is_registered(which)
            && !self.loses_databases
            && !self.flips_bits
    }
}
