//! The nonces of version 2 signatures that were used, for as long as their time would still be accepted.
//!
//! Only valid signatures get here, so strangers cannot fill the table. The nonces survive a restart in a file: refusing
//! requests dated before the start would not suffice, because a request may be dated ahead of the clock and be replayed
//! after the start. The file is a list of records of 24 octets (8 of expiry in seconds since 1970, big-endian; the
//! first 16 of the SHA-256 of key and nonce) that is rewritten when it has grown to twice the table. It is not synced:
//! a crash of the process loses nothing, a crash of the machine may allow one replay of a request of the last minutes.
//! Each record is written at its own position, so that a record that a full disk has cut short does not shift those
//! after it; when the disk accepts writes again, the file is rewritten with the missing records.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// How far the time of a request may be from the clock.
pub(super) const WINDOW_SECONDS: u64 = 300;
/// The number of nonces stored: requests of version 2 in twice the window.
const LIMIT: usize = 1 << 17;
const RECORD: usize = 24;

type Mark = [u8; 16];

/// The nonces that were used.
#[derive(Debug, Default)]
pub(super) struct NonceStore(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// With the second after which the time of the request is refused anyway.
    used: HashMap<Mark, u64>,
    file: Option<NonceFile>,
}

#[derive(Debug)]
struct NonceFile {
    path: PathBuf,
    file: File,
    records: usize,
    /// Whether the disk has refused a record that is in the table.
    lacks_some: bool,
}

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is new, and now stored.
    First,
    /// It was used already.
    Again,
    /// The table is full.
    Full,
}

impl NonceStore {
    /// Stores them in a file, after reading those that it holds.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(super) fn stored_in(path: &Path, now: u64) -> io::Result<Self> {
        let used = match File::open(path) {
            Ok(file) => read(file, now)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => return Err(error),
        };
        let file = Some(NonceFile::write(path, &used)?);
        Ok(Self(Mutex::new(Table { used, file })))
    }

    /// Uses a nonce of a key for a request of this time.
    pub(super) fn take(&self, auth_key: &[u8], nonce: &str, seconds: u64, now: u64) -> Use {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = mark(auth_key, nonce);
        if table.used.len() >= LIMIT {
            table.used.retain(|_, until| *until >= now);
        }
        if table.used.get(&mark).is_some_and(|until| *until >= now) {
            return Use::Again;
        }
        if table.used.len() >= LIMIT {
            return Use::Full;
        }
        let until = seconds.saturating_add(WINDOW_SECONDS);
        table.used.insert(mark, until);
        table.note(mark, until, now);
        Use::First
    }
}

impl Table {
    fn note(&mut self, mark: Mark, until: u64, now: u64) {
        let Self { used, file } = self;
        let Some(file) = file else { return };
        let lacked_some = file.lacks_some;
        let mut noted = file.append(mark, until);
        if noted.is_ok() && (lacked_some || file.records >= 2 * LIMIT) {
            used.retain(|_, until| *until >= now);
            noted = NonceFile::write(&file.path, used).map(|new| *file = new);
        }
        match noted {
            Ok(()) if lacked_some => tracing::info!("nonces are written to disk again"),
            Err(error) if !lacked_some => {
                file.lacks_some = true;
                tracing::error!(%error, "nonces cannot be written to disk: until they can, requests may be replayed after a restart");
            }
            _ => {}
        }
    }
}

impl NonceFile {
    /// Rewrites the file, under another name first.
    fn write(path: &Path, used: &HashMap<Mark, u64>) -> io::Result<Self> {
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

/// An incomplete record at the end is ignored.
fn read(file: File, now: u64) -> io::Result<HashMap<Mark, u64>> {
    let mut bytes = Vec::new();
    file.take((3 * LIMIT * RECORD) as u64).read_to_end(&mut bytes)?;
    let mut used = HashMap::new();
    for record in bytes.as_chunks::<RECORD>().0 {
        let Some((until, mark)) = record.split_first_chunk::<8>() else { continue };
        let (until, Ok(mark)) = (u64::from_be_bytes(*until), Mark::try_from(mark)) else { continue };
        if until >= now {
            used.insert(mark, until);
        }
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_nonce_counts_once_for_each_key() {
        let nonces = NonceStore::default();
        assert_eq!(nonces.take(b"a", "nonce", NOW, NOW), Use::First);
        assert_eq!(nonces.take(b"a", "nonce", NOW + 1, NOW + 600), Use::First, "its time has passed");
        assert_eq!(nonces.take(b"a", "nonce", NOW + 1, NOW + 2), Use::Again);
        assert_eq!(nonces.take(b"b", "nonce", NOW, NOW), Use::First);
    }

    #[test]
    fn nonces_outlive_a_restart_and_a_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nonces");
        let first = NonceStore::stored_in(&path, NOW).unwrap();
        // Dated ahead of the clock.
        assert_eq!(first.take(b"a", "ahead", NOW + 300, NOW), Use::First);
        assert_eq!(first.take(b"a", "late", NOW - 300, NOW), Use::First);
        drop(first);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[0xff; 11]).unwrap();
        let second = NonceStore::stored_in(&path, NOW + 1).unwrap();
        assert_eq!(second.take(b"a", "ahead", NOW + 300, NOW + 1), Use::Again);
        assert_eq!(second.take(b"a", "new", NOW, NOW + 1), Use::First);
        assert_eq!(fs::metadata(&path).unwrap().len(), 2 * RECORD as u64, "what has expired is gone");
        drop(second);
        let third = NonceStore::stored_in(&path, NOW + 2).unwrap();
        assert_eq!(third.take(b"a", "new", NOW, NOW + 2), Use::Again);
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
        let path = folder.join("nonces");
        let nonces = NonceStore::stored_in(&path, NOW).unwrap();
        for number in 0..200 {
            assert_eq!(nonces.take(b"a", &number.to_string(), NOW, NOW), Use::First);
        }
        let length = fs::metadata(&path).unwrap().len();
        assert!(length == 4096 && !length.is_multiple_of(RECORD as u64), "{length}");
        // What was kept until then is good as it is.
        assert_eq!(read(File::open(&path).unwrap(), NOW).unwrap().len(), 4096 / RECORD);
        let room = Command::new("mount").args(["-o", "remount,size=1m"]).arg(&folder).status().unwrap();
        assert!(room.success());
        assert_eq!(nonces.take(b"a", "with room", NOW, NOW), Use::First);
        assert_eq!(nonces.take(b"a", "and after it", NOW, NOW), Use::First);
        drop(nonces);
        let after = NonceStore::stored_in(&path, NOW).unwrap();
        let all = (0..200).map(|number| number.to_string()).chain(["with room".into(), "and after it".into()]);
        for nonce in all {
            assert_eq!(after.take(b"a", &nonce, NOW, NOW), Use::Again, "{nonce}");
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn the_table_is_bounded_and_makes_room_when_times_pass() {
        let nonces = NonceStore::default();
        for number in 0..LIMIT {
            assert_eq!(nonces.take(b"a", &number.to_string(), NOW, NOW), Use::First);
        }
        assert_eq!(nonces.take(b"a", "one more", NOW, NOW), Use::Full);
        assert_eq!(nonces.take(b"a", "0", NOW, NOW), Use::Again);
        assert_eq!(nonces.take(b"a", "one more", NOW + 301, NOW + 301), Use::First);
    }
}
