//! What `/status` and `/metrics` show of the files with AS numbers, AS names and countries.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use flow::Timestamp;
use origin::{Error, SourceFile, Table};
use view::{OriginFile, OriginFiles};

/// The state of the files, which their reader publishes.
#[derive(Clone, Debug, Default)]
pub(super) struct OriginFilesView(Arc<Mutex<OriginFiles>>);

impl OriginFilesView {
    fn shown(&self) -> MutexGuard<'_, OriginFiles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files; `None` if there are none.
    pub(super) fn get(&self) -> Option<OriginFiles> {
        Some(self.shown().clone()).filter(|shown| !shown.files.is_empty())
    }

    /// These files are to be read from now on. What is in use of others is so until these are read.
    pub(super) fn watch(&self, paths: &[PathBuf]) {
        let mut shown = self.shown();
        let known = std::mem::take(&mut shown.files);
        shown.files = paths
            .iter()
            .map(|path| {
                let path = path.display().to_string();
                let of_path = known.iter().find(|file| file.path == path).cloned();
                of_path.unwrap_or_else(|| OriginFile { path, ..OriginFile::default() })
            })
            .collect();
    }

    /// They were read.
    pub(super) fn has_read(&self, table: &Table) {
        let mut shown = self.shown();
        shown.read = Some(SystemTime::now().into());
        (shown.ipv4_ranges, shown.ipv6_ranges) = table.ranges();
        (shown.names, shown.bytes) = (table.names(), table.heap_bytes());
        shown.reads += 1;
        shown.files = table.files().iter().map(of_source).collect();
    }

    /// They could not be used; returns the errors that are new.
    pub(super) fn has_failed<'e>(&self, errors: &'e [Error]) -> Vec<&'e Error> {
        let mut shown = self.shown();
        shown.failures += 1;
        let mut new = Vec::new();
        for file in &mut shown.files {
            let error = errors.iter().find(|error| error.path().display().to_string() == file.path);
            let text = error.map(ToString::to_string);
            if text != file.error {
                new.extend(error);
            }
            file.failing_since = match &text {
                Some(_) => file.failing_since.or_else(|| Some(SystemTime::now().into())),
                None => None,
            };
            file.error = text;
        }
        new
    }

    /// What an error means for counting.
    pub(super) fn consequence(&self) -> String {
        match self.shown().read {
            Some(read) => format!("what was read at {read} remains in use"),
            None => "nothing of them is in use".to_owned(),
        }
    }
}

fn of_source(file: &SourceFile) -> OriginFile {
    OriginFile {
        path: file.path.display().to_string(),
        kind: Some(file.kind.to_string()),
        built: file.built.map(Timestamp::from_seconds),
        modified: file.modified.map(Timestamp::from_seconds),
        ipv4_ranges: file.ipv4_ranges,
        ipv6_ranges: file.ipv6_ranges,
        names: file.names,
        error: None,
        failing_since: None,
    }
}
