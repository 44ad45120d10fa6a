//! How `netflow restore` replaces the files of a data directory, so that a kill at any moment leaves either the old or the
//! restored data.
//!
//! ```text
//! restore.incomplete    copies and checks are in progress; nothing has changed
//!        │ rename
//!        ▼
//! restoring-TIME        complete: from here on, the restore takes place. Files are moved one at a time
//!        │ removed
//!        ▼
//!    restored           replaced-TIME has the former database
//! ```
//!
//! If the process ends between the two, the next start of the collector or the next `netflow restore` moves the remaining
//! files. Until then, no command writes to the database. All of it happens with the lock of the data directory.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use collector::Interfaces;
use flow::{Counted, Timestamp};
use journal::SegmentName;
use storage::identity;

use crate::configured_store::{DATABASE, JOURNAL, NONCES};
use crate::{durable, keys};

/// The end of the name of a directory to which files are still being copied.
pub(crate) const INCOMPLETE: &str = ".incomplete";
/// The beginning of the name of the directory with the files to move.
const RESTORING: &str = "restoring-";
/// The beginning of the name of the directory with the replaced files.
const REPLACED: &str = "replaced-";
/// The lock of the data directory (`storage::identity`).
const LOCK: &str = "netflow.sqlite.lock";
/// The files of a database, the main one last.
const DATABASE_FILES: [&str; 3] = ["netflow.sqlite-shm", "netflow.sqlite-wal", DATABASE];

/// The copy of a backup that is going to replace the data.
pub(crate) struct Staged<'d> {
    data_dir: &'d Path,
    directory: PathBuf,
}

impl<'d> Staged<'d> {
    /// Begins without files.
    ///
    /// # Errors
    /// When the data directory cannot be written.
    pub(crate) fn begin(data_dir: &'d Path) -> anyhow::Result<Self> {
        let directory = data_dir.join(format!("restore{INCOMPLETE}"));
        remove_directory(&directory)?;
        durable::make_directory(&directory)?;
        durable::make_directory(&directory.join(JOURNAL))?;
        Ok(Self { data_dir, directory })
    }

    /// Where a file of this name is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Copies a file of the backup, if it exists.
    ///
    /// # Errors
    /// When it cannot be read, or the copy cannot be written.
    pub(crate) fn copy(&self, from: &Path, name: &str) -> anyhow::Result<()> {
        durable::copy_if_present(from, &self.path(name)).map(drop)
    }

    /// Copies the segments of a journal.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    pub(crate) fn copy_journal(&self, journal: &Path) -> anyhow::Result<()> {
        for name in names(journal)? {
            if name.to_str().and_then(SegmentName::parse).is_some() {
                durable::copy_if_present(&journal.join(&name), &self.directory.join(JOURNAL).join(&name))?;
            }
        }
        Ok(())
    }

    /// Replaces the data. Returns the directory with the replaced files; it does not exist if there were none.
    ///
    /// # Errors
    /// When a file cannot be renamed: then either nothing has changed, or [`finish`] continues.
    pub(crate) fn commit(self) -> anyhow::Result<PathBuf> {
        for directory in [&self.directory.join(JOURNAL), &self.directory] {
            for name in names(directory)? {
                give_to_collector(&directory.join(name), self.data_dir)?;
            }
            durable::sync_names(directory)?;
        }
        give_to_collector(&self.data_dir.join(LOCK), self.data_dir)?;
        let mut seconds = Timestamp::from(SystemTime::now()).seconds();
        while self.data_dir.join(replaced(&time_name(seconds))).exists() {
            seconds += 1;
        }
        let directory = self.data_dir.join(format!("{RESTORING}{}", time_name(seconds)));
        durable::rename(&self.directory, &directory)?;
        finish(self.data_dir)?;
        Ok(self.data_dir.join(replaced(&time_name(seconds))))
    }
}

/// A time without colons, which other systems do not allow in names.
fn time_name(seconds: u64) -> String {
    Timestamp::from_seconds(seconds).to_string().replace(':', "")
}

fn replaced(time: &str) -> String {
    format!("{REPLACED}{time}")
}

/// Finishes an interrupted restore, before a collector with this database starts. Returns the directory with the replaced
/// files.
///
/// # Errors
/// When a file cannot be renamed, or another process has the data directory.
pub(crate) fn finish_interrupted(database: &Path) -> anyhow::Result<Option<PathBuf>> {
    let data_dir = database.parent().unwrap_or(database);
    if unfinished(data_dir)?.is_none() {
        return Ok(None);
    }
    let _lock = identity::lock(database)?;
    finish(data_dir)
}

/// Finishes an interrupted restore, if there is one. The caller has the lock. Returns the directory with the replaced files.
///
/// # Errors
/// When a file cannot be renamed.
pub(crate) fn finish(data_dir: &Path) -> anyhow::Result<Option<PathBuf>> {
    let Some(time) = unfinished(data_dir)? else { return Ok(None) };
    let (staged, replaced) = (data_dir.join(format!("{RESTORING}{time}")), data_dir.join(replaced(&time)));
    for (from, to) in remaining(data_dir, &staged, &replaced)? {
        if let Some(directory) = to.parent().filter(|directory| !directory.exists()) {
            durable::make_directory(directory)?;
            give_to_collector(directory, data_dir)?;
        }
        durable::rename(&from, &to)?;
    }
    durable::sync_names(data_dir)?;
    remove_directory(&staged)?;
    Ok(Some(replaced))
}

/// When root restores, the files belong to the collector's user all the same.
fn give_to_collector(path: &Path, data_dir: &Path) -> anyhow::Result<()> {
    let given = fs::metadata(data_dir).and_then(|owner| chown(path, Some(owner.uid()), Some(owner.gid())));
    given.with_context(|| format!("cannot set the owner of {}", path.display()))
}

/// Refuses to use a directory in which a restore was interrupted.
///
/// # Errors
/// When one was.
pub(crate) fn refuse_unfinished(data_dir: &Path) -> anyhow::Result<()> {
    match unfinished(data_dir)? {
        None => Ok(()),
        Some(_) => bail!(
            "a netflow restore to {} was interrupted: start the collector, or run the restore again",
            data_dir.display()
        ),
    }
}

/// The time in the name of the directory of an interrupted restore.
fn unfinished(data_dir: &Path) -> anyhow::Result<Option<String>> {
    let names = names(data_dir)?;
    Ok(names.iter().find_map(|name| Some(name.to_str()?.strip_prefix(RESTORING)?.to_owned())))
}

/// The renames that have not been done yet, in their order.
fn remaining(data_dir: &Path, staged: &Path, replaced: &Path) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let mut renames = Vec::new();
    // Those that are there are longer than their copies, or newer.
    for name in names(&staged.join(JOURNAL))? {
        let (staged, journal) = (staged.join(JOURNAL).join(&name), data_dir.join(JOURNAL));
        let in_log = name.to_str().and_then(SegmentName::parse).map(|segment| journal.join(segment.in_log()));
        if !journal.join(&name).exists() {
            // What readers of the log have not read yet is counted once more by the restored database, and read then.
            let from = in_log.filter(|in_log| in_log.exists()).unwrap_or(staged);
            renames.push((from, journal.join(&name)));
        }
    }
    for name in [keys::FILE_NAME, NONCES, Interfaces::FILE] {
        if staged.join(name).exists() && !data_dir.join(name).exists() {
            renames.push((staged.join(name), data_dir.join(name)));
        }
    }
    if staged.join(DATABASE).exists() {
        let existing = DATABASE_FILES.iter().filter(|name| data_dir.join(name).exists());
        renames.extend(existing.map(|name| (data_dir.join(name), replaced.join(name))));
        renames.push((staged.join(DATABASE), data_dir.join(DATABASE)));
    }
    Ok(renames)
}

/// Deletes the segments of a journal that are counted.
///
/// # Errors
/// When one cannot be deleted.
pub(crate) fn delete_segments(journal: &Path, counted: &[Counted]) -> anyhow::Result<()> {
    let existing = names(journal)?;
    if existing.is_empty() {
        return Ok(());
    }
    for name in existing {
        let Some(segment) = name.to_str().and_then(SegmentName::parse) else { continue };
        if counted.iter().any(|counted| counted.includes(&segment.counted())) {
            let path = journal.join(&name);
            fs::remove_file(&path).with_context(|| format!("cannot delete {}", path.display()))?;
        }
    }
    durable::sync_names(journal)
}

/// The names in a directory, sorted; none if it does not exist.
fn names(directory: &Path) -> anyhow::Result<Vec<OsString>> {
    let read = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>, _>>()),
    };
    let mut names = read.with_context(|| format!("cannot read {}", directory.display()))?;
    names.sort_unstable();
    Ok(names)
}

fn remove_directory(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with old files, and a complete copy of new ones.
    fn interrupted() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path();
        let (staged, replaced) = (data_dir.join("restoring-now"), data_dir.join("replaced-now"));
        for directory in [data_dir.join(JOURNAL), staged.clone(), staged.join(JOURNAL)] {
            durable::make_directory(&directory).unwrap();
        }
        let write = |name: &str, content| fs::write(data_dir.join(name), content).unwrap();
        for name in ["netflow.sqlite", "netflow.sqlite-wal", "netflow.sqlite-shm", "keys", "journal/1", "journal/2"] {
            write(name, "old");
        }
        for name in ["netflow.sqlite", "keys", "nonces", "journal/2", "journal/3"] {
            write(&format!("restoring-now/{name}"), "new");
        }
        write(&format!("journal/log-{SEGMENT}"), "old, and longer");
        write(&format!("restoring-now/journal/{SEGMENT}"), "old");
        (folder, staged, replaced)
    }

    /// It was copied before its flush ended, and the archive has not read it yet.
    const SEGMENT: &str = "epoch-1-flush-17-writer-00c0ffee00c0ffee-shard-0-part-0.pcap";

    #[test]
    fn a_restore_that_is_interrupted_after_any_rename_is_finished() {
        let all = {
            let (folder, staged, replaced) = interrupted();
            remaining(folder.path(), &staged, &replaced).unwrap().len()
        };
        assert_eq!(all, 7);
        for done in 0..=all {
            let (folder, staged, replaced) = interrupted();
            let data_dir = folder.path();
            fs::create_dir(&replaced).unwrap();
            for (from, to) in remaining(data_dir, &staged, &replaced).unwrap().into_iter().take(done) {
                fs::rename(from, to).unwrap();
            }
            assert!(refuse_unfinished(data_dir).unwrap_err().to_string().contains("run the restore again"));
            assert_eq!(finish(data_dir).unwrap().as_ref(), Some(&replaced));
            assert_eq!(finish(data_dir).unwrap(), None);
            refuse_unfinished(data_dir).unwrap();
            let content = |path: &str| fs::read_to_string(data_dir.join(path)).unwrap();
            for name in ["netflow.sqlite", "nonces", "journal/3"] {
                assert_eq!(content(name), "new", "{name}");
            }
            for name in
                ["keys", "journal/1", "journal/2", "replaced-now/netflow.sqlite", "replaced-now/netflow.sqlite-wal"]
            {
                assert_eq!(content(name), "old", "{name}");
            }
            assert_eq!(content(&format!("journal/{SEGMENT}")), "old, and longer");
            assert_eq!(names(&data_dir.join(JOURNAL)).unwrap().len(), 4, "it is there once");
            assert_eq!(names(data_dir).unwrap(), ["journal", "keys", "netflow.sqlite", "nonces", "replaced-now"]);
        }
    }
}
