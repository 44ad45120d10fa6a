//! Whether the data directory can be written, and whether the files in it can be used.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use storage::sqlite::Sqlite;

use super::Findings;
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::keys::{Keys, Place};
use crate::store;

/// Looks at the data directory, the file of keys and the state file.
pub(super) fn check(config: &Config, findings: &mut Findings) {
    let directory = &config.data_dir;
    let shown = format!("dataDir: {}", directory.display());
    match nearest(directory) {
        Err(error) => findings.fault(ExitCode::Store, &format!("{shown}: {error}")),
        Ok(there) => match try_write(&there) {
            Ok(()) if there == *directory => findings.good(&format!("{shown} can be written")),
            Ok(()) => findings.good(&format!("{shown} will be made at the start")),
            Err(error) => {
                findings.fault(ExitCode::Store, &format!("{shown}: {} cannot be written: {error}", there.display()));
            }
        },
    }
    match Keys::look_up(&config.admin, directory) {
        Ok(Some(Place::Configuration)) => findings.good("keys: they are configured"),
        Ok(Some(Place::File { path, .. })) => findings.good(&format!("keys: they are in {}", path.display())),
        Ok(None) => findings.good("keys: they will be made at the start"),
        Err(error) => findings.fault(ExitCode::Store, &format!("keys: {error}")),
    }
    let state = store::path(config);
    if !state.exists() {
        return;
    }
    match Sqlite::is_older(&state) {
        Ok(false) => findings.good(&format!("state: {}", state.display())),
        Ok(true) => findings.note(&format!("state: {} is brought to a newer layout at the start", state.display())),
        Err(error) => findings.fault(ExitCode::Store, &format!("state: {error}")),
    }
    if let Some(process) = running_collector(&state) {
        findings.note(&format!("a collector runs on this dataDir (process {process})"));
    }
}

/// The directory itself, or the one above it in which it would be made.
fn nearest(directory: &Path) -> io::Result<PathBuf> {
    for path in directory.ancestors() {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => return Ok(path.to_owned()),
            Ok(_) => return Err(io::Error::other(format!("{} is no directory", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Makes a file and removes it: modes alone do not tell of full and of read-only disks.
fn try_write(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".check-config.{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

/// The process of the collector that has this state file, as its lock file says (`storage::state`).
pub(super) fn running_collector(state: &Path) -> Option<u32> {
    let mut lock = state.as_os_str().to_owned();
    lock.push(".lock");
    let process = fs::read_to_string(lock).ok()?.trim().strip_prefix("process ")?.parse().ok()?;
    Path::new("/proc").join(format!("{process}")).exists().then_some(process)
}
