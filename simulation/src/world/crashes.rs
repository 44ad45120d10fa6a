//! How a process of the run ends: it is killed, the power fails, it exits because of a flush; and what becomes of its database
//! meanwhile.

use super::*;

impl World {
    /// The process is killed, or the power fails.
    pub(super) async fn crash(&mut self) {
        let power = self.random.once_in(2);
        self.story.push(if power { "the power fails".into() } else { "killed".into() });
        self.note_misses();
        self.doubt_what_was_carried();
        let loses_database = self.loses_databases && self.losses.once_in(4) && self.may_lose_database();
        self.process = None;
        self.connections.end_all();
        self.connections.is_exact &= !power;
        self.disk.spare(false);
        self.plan_faults_of_a_start();
        if power {
            self.totals.may_lack_terms |= !self.disk.is_synced();
            self.disk.lose_power(&mut self.random);
        }
        self.oracle.crashed(power);
        self.may_flip_a_bit();
        if loses_database {
            self.replace_database().await;
        }
        self.may_change(4).await;
        self.start().await;
        // Templates that were lost with the process or the database are announced again before any data.
        for which in 0..self.exporters.len() {
            if let Some(announcement) = self.exporters[which].announce(self.now).filter(|_| power || loses_database) {
                self.take(&[(which, announcement)]);
            }
        }
    }

    pub(super) fn back_up(&mut self) {
        let folder = self.folder.path();
        let _ = fs::remove_file(folder.join(BACKUP));
        BackupSource::open(&folder.join(STATE)).unwrap().copy_to(&folder.join(BACKUP), |_| {}).unwrap();
        self.has_backup = true;
        self.changes.known_in_backup = self.changes.known.clone();
        self.oracle.backed_up();
        self.story.push("backup".into());
    }

    /// Beside a store on the network, segments that the disk refused to remove would be counted again: the lost database was
    /// the only one that knew that the store has them.
    fn may_lose_database(&mut self) -> bool {
        if let Stored::Embedded = self.stored {
            return true;
        }
        self.disk.spare(true);
        let is_counted = self.is_counted();
        let any_left = self.disk.list().unwrap().into_iter().any(|(name, _)| is_counted(&name));
        // What was removed stays so.
        self.disk.sync_names().unwrap();
        self.disk.spare(false);
        !any_left
    }

    /// Whether the database has counted a segment.
    pub(super) fn is_counted(&self) -> impl Fn(&str) -> bool + use<> {
        let counted = BackupSource::open(&self.folder.path().join(STATE)).unwrap().counted().unwrap();
        move |name| {
            SegmentName::parse(name).is_some_and(|segment| {
                let own = Counted { writer: segment.writer, newest: segment.flush };
                counted.iter().any(|counted| counted.includes(&own))
            })
        }
    }

    /// The database is lost. The backup is put in its place, or a new one.
    async fn replace_database(&mut self) {
        let is_restored = self.has_backup && !self.losses.once_in(4);
        self.story.push(if is_restored { "the backup is restored".into() } else { "the database is new".into() });
        let folder = self.folder.path();
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(folder.join(format!("{STATE}{suffix}")));
        }
        if is_restored {
            fs::copy(folder.join(BACKUP), folder.join(STATE)).unwrap();
        }
        if let Stored::Remote(_) = self.stored {
            self.oracle.lost_spool();
        }
        self.oracle.lost_database(is_restored);
        self.lost_database = true;
        self.templates_may_be_lost();
        self.changes.lose_known(is_restored);
        if let Stored::Embedded = self.stored {
            self.register().await;
        }
    }

    /// Data of all exporters with templates wait for the next announcement.
    pub(super) fn templates_may_be_lost(&mut self) {
        self.oracle.may_wait(|which| self.exporters[which].has_templates());
    }

    /// If the process was killed during a flush, queued data may be only in the segment that they were carried over to.
    fn doubt_what_was_carried(&mut self) {
        if let Some(Process { sealed: Some((_, carried)), is_flushing: true, journal, syncs_failed, .. }) =
            &self.process
        {
            let is_synced = journal.counts().sync_errors == *syncs_failed;
            self.oracle.may_be_durable();
            self.oracle.doubt_waiting(if is_synced { *carried } else { carried.synced(false) });
        }
    }

    /// The process exits because of a flush.
    pub(super) async fn die(&mut self) {
        self.story.push("exits because of a flush".into());
        self.note_misses();
        self.doubt_what_was_carried();
        self.process = None;
        self.connections.end_all();
        self.oracle.crashed(false);
        self.start().await;
    }
}
