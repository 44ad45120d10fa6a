//! Whether the data directory is writable, and its files can be used.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use storage::sqlite::Sqlite;

use super::Findings;
use crate::config::Config;
use crate::configured_store;
use crate::exit_code::ExitCode;
use crate::keys::{self, KeySource, Keys};

/// Checks the data directory, the file of keys and the state file.
pub(super) fn check(config: &Config, findings: &mut Findings) {
    let directory = &config.data_dir;
    let shown = format!("dataDir: {}", directory.display());
    match nearest(directory) {
        Err(error) => findings.error(ExitCode::Store, &format!("{shown}: {error}")),
        Ok(there) => match try_write(&there) {
            Ok(()) if there == *directory => findings.ok(&format!("{shown} is writable")),
            Ok(()) => findings.ok(&format!("{shown} will be created at the start")),
            Err(error) => {
                findings.error(ExitCode::Store, &format!("{shown}: {} is not writable: {error}", there.display()));
            }
        },
    }
    match Keys::look_up(&config.admin, directory) {
        Ok(Some(KeySource::Configuration)) => findings.ok("keys: in the configuration"),
        Ok(Some(KeySource::File { path, .. })) => findings.ok(&format!("keys: in {}", path.display())),
        Ok(None) => findings.ok("keys: will be generated at the start"),
        Err(error) => findings.error(ExitCode::Store, &format!("keys: {:#}", anyhow::Error::from(error))),
    }
    keys::warnings(&config.admin).iter().for_each(|warning| findings.note(&format!("keys: {warning}")));
    let state = configured_store::path(config);
    if !state.exists() {
        return;
    }
    match configured_store::in_file(&state, Sqlite::is_older(&state)) {
        Ok(false) => findings.ok(&format!("state: {}", state.display())),
        Ok(true) => {
            findings.note(&format!("state: {} will be converted to a newer layout at the start", state.display()))
        }
        Err(error) => findings.error(ExitCode::Store, &format!("state: {}", storage::chain(error.as_ref()))),
    }
    if let Some(process) = running_collector(&state) {
        findings.note(&format!("a collector runs on this dataDir (process {process})"));
    }
}

/// The directory itself, or the existing directory in which it would be created.
fn nearest(directory: &Path) -> io::Result<PathBuf> {
    for path in directory.ancestors() {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => return Ok(path.to_owned()),
            Ok(_) => return Err(io::Error::other(format!("{} is not a directory", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Creates a file and removes it: modes do not show full and read-only disks.
fn try_write(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".check-config.{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

/// The process of the collector that uses this state file, from its lock file (`storage::identity`).
pub(super) fn running_collector(state: &Path) -> Option<u32> {
    let mut lock = state.as_os_str().to_owned();
    lock.push(".lock");
    let process = fs::read_to_string(lock).ok()?.trim().strip_prefix("process ")?.parse().ok()?;
    Path::new("/proc").join(format!("{process}")).exists().then_some(process)
}
