//! The nonces of version 2 signatures that were used, for as long as their time would still be accepted.
//!
//! Only valid signatures get here, so strangers cannot fill the tables. Each key has a table of its own, so that one that
//! sends too many requests keeps no other out.
//!
//! The nonces survive a restart in a file: refusing requests dated before the start would not suffice, because a request
//! may be dated ahead of the clock and be replayed after the start. The file is a list of records of 24 octets (8 of expiry
//! in seconds since 1970, big-endian; the first 16 of the SHA-256 of key and nonce) that is rewritten when it has grown
//! to twice the tables. It is not synced: a crash of the process loses nothing, a crash of the machine may allow one
//! replay of a request of the last minutes. Each record is written at its own position, so that a record that a full disk
//! has cut short does not shift those after it; when the disk accepts writes again, the file is rewritten with the missing
//! records.
//!
//! The clock may be wrong for a while, above all after a start. A nonce is therefore only forgotten when its time has
//! passed by the clock and, since it was used or read from the file, also by the time that the process has run.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::keys::Key;
use crate::party::KeyId;

/// How far the time of a request may be from the clock.
pub(super) const WINDOW_SECONDS: u64 = 300;
/// The number of nonces stored for each key: 218 requests a second.
const SHARE: usize = 1 << 16;
/// How often those are removed whose time has passed.
const PRUNE_SECONDS: u64 = 10;
const RECORD: usize = 24;

type Mark = [u8; 16];

/// The nonces that were used.
#[derive(Debug, Default)]
pub(super) struct NonceStore(Mutex<Tables>);

/// A time by two clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Since 1970, by the clock of the machine, which somebody may set.
    pub(super) seconds: u64,
    /// Since the process started; never steps.
    pub(super) uptime: u64,
}

/// After this, the time of a request is refused anyway.
#[derive(Clone, Copy, Debug)]
struct Expiry(Moment);

impl Expiry {
    fn has_passed(self, now: Moment) -> bool {
        self.0.seconds < now.seconds && self.0.uptime < now.uptime
    }
}

type Nonces = HashMap<Mark, Expiry>;

#[derive(Debug, Default)]
struct Tables {
    /// Those since the start.
    keys: HashMap<KeyId, Nonces>,
    /// Those that the file had at the start, of any key.
    earlier: Nonces,
    /// When those were removed last whose time had passed.
    pruned: u64,
    file: Option<NonceFile>,
}

#[derive(Debug)]
struct NonceFile {
    path: PathBuf,
    file: File,
    records: usize,
    /// Whether the disk has refused a record that is in a table.
    lacks_some: bool,
}

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is new, and now stored.
    First,
    /// It was used already.
    Again,
    /// The table of the key is full.
    Full,
}

impl NonceStore {
    /// Stores them in a file, after reading those that it holds.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(super) fn stored_in(path: &Path, now: Moment) -> io::Result<Self> {
        let earlier = match File::open(path) {
            Ok(file) => read(file, now)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => return Err(error),
        };
        let file = Some(NonceFile::write(path, &earlier.iter().map(of_file).collect::<Vec<_>>())?);
        Ok(Self(Mutex::new(Tables { earlier, file, ..Tables::default() })))
    }

    /// Uses a nonce of a key for a request of this time.
    pub(super) fn take(&self, key: &Key, nonce: &str, seconds: u64, now: Moment) -> Use {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.prune(now);
        let mark = mark(key.auth_key(), nonce);
        let Tables { keys, earlier, .. } = &mut *tables;
        let used = keys.entry(key.id()).or_default();
        if [&*used, &*earlier].iter().filter_map(|nonces| nonces.get(&mark)).any(|expiry| !expiry.has_passed(now)) {
            return Use::Again;
        }
        if used.len() >= SHARE {
            return Use::Full;
        }
        let until = seconds.saturating_add(WINDOW_SECONDS);
        let expiry = Expiry(Moment { seconds: until, uptime: now.uptime + until.saturating_sub(now.seconds) });
        used.insert(mark, expiry);
        tables.note(mark, until, now);
        Use::First
    }
}

impl Tables {
    /// Removes those whose time has passed, now and then.
    fn prune(&mut self, now: Moment) {
        if now.uptime < self.pruned + PRUNE_SECONDS {
            return;
        }
        self.pruned = now.uptime;
        for nonces in self.keys.values_mut().chain([&mut self.earlier]) {
            nonces.retain(|_, expiry| !expiry.has_passed(now));
            nonces.shrink_to(2 * nonces.len());
        }
        self.keys.retain(|_, nonces| !nonces.is_empty());
    }

    fn all(&self) -> impl Iterator<Item = (&Mark, &Expiry)> {
        self.keys.values().chain([&self.earlier]).flatten()
    }

    fn count(&self) -> usize {
        self.earlier.len() + self.keys.values().map(HashMap::len).sum::<usize>()
    }

    fn note(&mut self, mark: Mark, until: u64, now: Moment) {
        let Some(mut file) = self.file.take() else { return };
        let lacked_some = file.lacks_some;
        let mut noted = file.append(mark, until);
        if noted.is_ok() && (lacked_some || file.records >= 2 * self.count().max(SHARE)) {
            let current: Vec<_> = self.all().filter(|(_, expiry)| !expiry.has_passed(now)).map(of_file).collect();
            noted = NonceFile::write(&file.path, &current).map(|new| file = new);
        }
        match noted {
            Ok(()) if lacked_some => tracing::info!("nonces are written to disk again"),
            Err(error) if !lacked_some => {
                file.lacks_some = true;
                tracing::error!(%error, "nonces cannot be written to disk: until they can, requests may be replayed after a restart");
            }
            _ => {}
        }
        self.file = Some(file);
    }
}

/// What the file has of a nonce.
fn of_file((mark, expiry): (&Mark, &Expiry)) -> (Mark, u64) {
    (*mark, expiry.0.seconds)
}

impl NonceFile {
    /// Rewrites the file, under another name first.
    fn write(path: &Path, used: &[(Mark, u64)]) -> io::Result<Self> {
        let draft = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        let records: Vec<u8> = used.iter().flat_map(|(mark, until)| record(*mark, *until)).collect();
        if let Err(error) = file.write_all(&records).and_then(|()| fs::rename(&draft, path)) {
            // Free the space again.
            let _ = fs::remove_file(&draft);
            return Err(error);
        }
        Ok(Self { path: path.to_owned(), file, records: used.len(), lacks_some: false })
    }

    fn append(&mut self, mark: Mark, until: u64) -> io::Result<()> {
        self.file.write_all_at(&record(mark, until), (self.records * RECORD) as u64)?;
        self.records += 1;
        Ok(())
    }
}

fn mark(auth_key: &[u8], nonce: &str) -> Mark {
    let digest = Sha256::new().chain_update(auth_key).chain_update([b'\n']).chain_update(nonce).finalize();
    let mut mark = Mark::default();
    mark.iter_mut().zip(digest).for_each(|(mark, octet)| *mark = octet);
    mark
}

fn record(mark: Mark, until: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record.iter_mut().zip(until.to_be_bytes().into_iter().chain(mark)).for_each(|(to, octet)| *to = octet);
    record
}

/// An incomplete record at the end is ignored. The clock is not asked: nothing has shown yet that it is right. Whatever a
/// record was used for, it has passed after twice the window.
fn read(mut file: File, now: Moment) -> io::Result<Nonces> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let mut used = HashMap::new();
    for record in bytes.as_chunks::<RECORD>().0 {
        let Some((until, mark)) = record.split_first_chunk::<8>() else { continue };
        let Ok(mark) = Mark::try_from(mark) else { continue };
        let expiry = Moment { seconds: u64::from_be_bytes(*until), uptime: now.uptime + 2 * WINDOW_SECONDS };
        used.insert(mark, Expiry(expiry));
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(auth_key: &str) -> Key {
        Key::new("k", auth_key, "sign").unwrap()
    }

    /// So long after the start, by a clock that was right then.
    fn after(uptime: u64) -> Moment {
        Moment { seconds: NOW + uptime, uptime }
    }

    #[test]
    fn a_nonce_counts_once_for_each_key() {
        let (nonces, [a, b]) = (NonceStore::default(), ["a", "b"].map(key));
        assert_eq!(nonces.take(&a, "nonce", NOW, after(0)), Use::First);
        assert_eq!(nonces.take(&a, "nonce", NOW + 1, after(301)), Use::First, "its time has passed");
        assert_eq!(nonces.take(&a, "nonce", NOW + 1, after(301)), Use::Again);
        assert_eq!(nonces.take(&b, "nonce", NOW, after(301)), Use::First);
    }

    #[test]
    fn nonces_outlive_a_restart_and_a_torn_end() {
        let (folder, a) = (tempfile::tempdir().unwrap(), key("a"));
        let path = folder.path().join("nonces");
        let first = NonceStore::stored_in(&path, after(0)).unwrap();
        // Dated ahead of the clock.
        assert_eq!(first.take(&a, "ahead", NOW + 300, after(0)), Use::First);
        assert_eq!(first.take(&a, "late", NOW - 300, after(0)), Use::First);
        drop(first);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[0xff; 11]).unwrap();
        let second = NonceStore::stored_in(&path, after(1)).unwrap();
        assert_eq!(second.take(&a, "ahead", NOW + 300, after(1)), Use::Again);
        assert_eq!(second.take(&a, "new", NOW, after(1)), Use::First);
        assert_eq!(fs::metadata(&path).unwrap().len(), 3 * RECORD as u64, "nothing of the torn end");
        drop(second);
        let third = NonceStore::stored_in(&path, after(2)).unwrap();
        assert_eq!(third.take(&a, "new", NOW, after(2)), Use::Again);
    }

    #[test]
    fn a_clock_that_is_wrong_for_a_while_makes_no_request_valid_again() {
        let (folder, a) = (tempfile::tempdir().unwrap(), key("a"));
        let path = folder.path().join("nonces");
        let start = |seconds| NonceStore::stored_in(&path, Moment { seconds, uptime: 0 }).unwrap();
        let used = start(NOW);
        assert_eq!(used.take(&a, "right", NOW, after(0)), Use::First);
        drop(used);
        // A start with the clock an hour ahead, and requests signed by it.
        let ahead = start(NOW + 3600);
        for uptime in [0, PRUNE_SECONDS] {
            let now = Moment { seconds: NOW + 3600 + uptime, uptime };
            assert_eq!(ahead.take(&a, &format!("ahead {uptime}"), NOW + 3600, now), Use::First);
        }
        // The clock is set right, without and with another start.
        let now = Moment { seconds: NOW + 30, uptime: 30 };
        assert_eq!(ahead.take(&a, "right", NOW, now), Use::Again);
        drop(ahead);
        let right = start(NOW + 60);
        assert_eq!(right.take(&a, "right", NOW, Moment { seconds: NOW + 60, uptime: 0 }), Use::Again);
        // When the time comes that the clock had shown.
        let now = Moment { seconds: NOW + 3600, uptime: 3540 };
        assert_eq!(right.take(&a, "ahead 0", NOW + 3600, now), Use::Again);
    }

    #[test]
    fn nonces_are_forgotten_when_they_have_passed_by_both_clocks() {
        let (folder, a) = (tempfile::tempdir().unwrap(), key("a"));
        let path = folder.path().join("nonces");
        let before = NonceStore::stored_in(&path, after(0)).unwrap();
        assert_eq!(before.take(&a, "earlier", NOW, after(0)), Use::First);
        drop(before);
        let nonces = NonceStore::stored_in(&path, after(0)).unwrap();
        assert_eq!(nonces.take(&a, "later", NOW + 300, after(0)), Use::First);
        let count = |now| {
            let mut tables = nonces.0.lock().unwrap();
            tables.prune(now);
            (tables.keys.len(), tables.count())
        };
        assert_eq!(count(Moment { seconds: NOW + 3600, uptime: 600 }), (1, 2));
        assert_eq!(count(Moment { seconds: NOW + 200, uptime: 3600 }), (1, 2));
        assert_eq!(count(after(3700)), (0, 0));
    }

    /// Runs this test again in a mount namespace of its own, where a small file system is mounted on a folder; there
    /// gives that folder.
    fn small_disk(test: &str, size: &str) -> Option<PathBuf> {
        if let Some(folder) = std::env::var_os("SMALL_DISK") {
            return Some(folder.into());
        }
        let folder = tempfile::tempdir().unwrap();
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let mut command = Command::new("unshare");
        command.args(if is_root { &["--mount"][..] } else { &["--mount", "--map-root-user"] });
        command.args([
            "sh",
            "-euc",
            "mount -t tmpfs -o \"size=$1\" disk \"$SMALL_DISK\" && exec \"$0\" --exact \"$2\"",
        ]);
        command.arg(std::env::current_exe().unwrap()).args([size, test]).env("SMALL_DISK", folder.path());
        let output = command.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("1 passed"), "{output:?}");
        None
    }

    #[test]
    fn a_disk_that_was_full_costs_no_nonce() {
        let test = "auth::nonces::tests::a_disk_that_was_full_costs_no_nonce";
        // One page: it ends in the midst of a record.
        let Some(folder) = small_disk(test, "4k") else { return };
        let (path, a) = (folder.join("nonces"), key("a"));
        let nonces = NonceStore::stored_in(&path, after(0)).unwrap();
        for number in 0..200 {
            assert_eq!(nonces.take(&a, &number.to_string(), NOW, after(0)), Use::First);
        }
        let length = fs::metadata(&path).unwrap().len();
        assert!(length == 4096 && !length.is_multiple_of(RECORD as u64), "{length}");
        // What was kept until then is good as it is.
        assert_eq!(read(File::open(&path).unwrap(), after(0)).unwrap().len(), 4096 / RECORD);
        let room = Command::new("mount").args(["-o", "remount,size=1m"]).arg(&folder).status().unwrap();
        assert!(room.success());
        assert_eq!(nonces.take(&a, "with room", NOW, after(0)), Use::First);
        assert_eq!(nonces.take(&a, "and after it", NOW, after(0)), Use::First);
        drop(nonces);
        let restarted = NonceStore::stored_in(&path, after(0)).unwrap();
        let all = (0..200).map(|number| number.to_string()).chain(["with room".into(), "and after it".into()]);
        for nonce in all {
            assert_eq!(restarted.take(&a, &nonce, NOW, after(0)), Use::Again, "{nonce}");
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_key_has_a_bounded_share_and_its_flood_keeps_no_other_key_out() {
        let (nonces, [greedy, other]) = (NonceStore::default(), ["greedy", "other"].map(key));
        for number in 0..SHARE {
            assert_eq!(nonces.take(&greedy, &number.to_string(), NOW, after(0)), Use::First);
        }
        assert_eq!(nonces.take(&greedy, "one more", NOW, after(0)), Use::Full);
        assert_eq!(nonces.take(&greedy, "0", NOW, after(0)), Use::Again);
        assert_eq!(nonces.take(&other, "0", NOW, after(0)), Use::First);
        assert_eq!(nonces.take(&greedy, "one more", NOW + 301, after(301)), Use::First);
        let tables = nonces.0.lock().unwrap();
        let capacity = tables.keys[&greedy.id()].capacity();
        assert!(capacity < SHARE / 100, "memory for {capacity} is kept");
    }
}
