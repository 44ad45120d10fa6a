//! The thread that reads the files with AS numbers, AS names and countries: at the start, when they change, and at a reload.
//! The threads that count never wait for it. A file that cannot be used changes nothing: what was read last remains.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use origin::{Error, Files, Table};

use super::origin_files_view::OriginFilesView;

/// How often it is looked whether a file has changed. It is read when it has not changed for this time.
const LOOKED_EVERY: Duration = Duration::from_secs(2);
/// How often reading is tried again, when the system refused it for a reason that may have passed.
const TRIED_EVERY: Duration = Duration::from_secs(60);

/// The thread, from outside. It ends when this is dropped.
pub(super) struct OriginFiles {
    shared: Arc<Shared>,
    view: OriginFilesView,
}

/// Who gets a table.
pub(super) type Publish = Box<dyn FnMut(&Arc<Table>) + Send>;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The files that are to be read.
    asked: Option<Vec<PathBuf>>,
    /// Whether nothing is being read, or will be at once.
    is_idle: bool,
    is_ended: bool,
}

/// What the thread has to do.
enum Work {
    Read(Vec<PathBuf>),
    Look,
    End,
}

impl OriginFiles {
    /// Starts the thread, which reads these files at once.
    pub(super) fn start(paths: Vec<PathBuf>, publish: Publish) -> io::Result<Self> {
        let (shared, view) = (Arc::<Shared>::default(), OriginFilesView::default());
        shared.state().asked = Some(paths);
        let reader =
            Reader { files: Files::default(), view: view.clone(), publish, in_use: None, before: None, tried: None };
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("origin-files".to_owned()).spawn(move || reader.run(&of_thread))?;
        Ok(Self { shared, view })
    }

    /// What is shown of it.
    pub(super) fn view(&self) -> OriginFilesView {
        self.view.clone()
    }

    /// Reads these files, also if they have not changed; returns at once.
    pub(super) fn read(&self, paths: Vec<PathBuf>) {
        let mut state = self.shared.state();
        (state.asked, state.is_idle) = (Some(paths), false);
        self.shared.changed.notify_all();
    }

    /// Waits until what was asked for is read, this long at most; returns whether it is.
    pub(super) fn wait(&self, patience: Duration) -> bool {
        let waited = self.shared.changed.wait_timeout_while(self.shared.state(), patience, |state| !state.is_idle);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_idle
    }
}

impl Drop for OriginFiles {
    fn drop(&mut self) {
        self.shared.state().is_ended = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work.
    fn next(&self) -> Work {
        let mut state = self.state();
        if state.asked.is_none() {
            state.is_idle = true;
            self.changed.notify_all();
        }
        let waits = |state: &mut State| state.asked.is_none() && !state.is_ended;
        let waited = self.changed.wait_timeout_while(state, LOOKED_EVERY, waits);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        match state.asked.take() {
            _ if state.is_ended => Work::End,
            Some(paths) => Work::Read(paths),
            None => Work::Look,
        }
    }
}

/// What the thread has.
struct Reader {
    files: Files,
    view: OriginFilesView,
    publish: Publish,
    /// The table that was published last.
    in_use: Option<Arc<Table>>,
    /// The one before, for a while: a counting thread that still has it would free it.
    before: Option<Arc<Table>>,
    /// When reading was last refused by the system.
    tried: Option<Instant>,
}

impl Reader {
    fn run(mut self, shared: &Shared) {
        let mut has_given_way = false;
        loop {
            let work = shared.next();
            self.before = None;
            match work {
                Work::End => return,
                Work::Read(paths) => {
                    self.view.watch(&paths);
                    match Files::new(paths) {
                        Ok(files) => self.files = files,
                        // The configuration has no more files than a table can have.
                        Err(error) => tracing::error!("origins.files: {error}"),
                    }
                    self.read();
                }
                Work::Look if self.files.changed_and_settled() || self.is_due() => self.read(),
                Work::Look => {}
            }
            if !has_given_way {
                // Not before the first reading: from then on, datagrams arrive meanwhile.
                collector::lower_priority();
                has_given_way = true;
            }
        }
    }

    /// Whether it is time to try again what the system refused.
    fn is_due(&self) -> bool {
        self.tried.is_some_and(|tried| tried.elapsed() >= TRIED_EVERY)
    }

    fn read(&mut self) {
        let began = Instant::now();
        match self.files.read() {
            Ok(table) => {
                self.tried = None;
                if self.in_use.is_none() && table.files().is_empty() {
                    return;
                }
                let table = Arc::new(table);
                self.view.has_read(&table);
                (self.publish)(&table);
                report(&table, began.elapsed());
                self.before = self.in_use.replace(table);
            }
            Err(errors) => {
                self.tried = errors.iter().any(is_passing).then(Instant::now);
                for error in self.view.has_failed(&errors) {
                    tracing::warn!("cannot use a file of origins.files, {}: {error}", self.view.consequence());
                }
            }
        }
    }
}

/// Whether an error can end without a change of the file.
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Unreadable { source, .. } if source.kind() != io::ErrorKind::NotFound)
}

fn report(table: &Table, took: Duration) {
    let (files, (ipv4, ipv6)) = (table.files().len(), table.ranges());
    if files > 0 {
        tracing::info!(
            "read {files} files of origins.files in {took:.1?}: {ipv4} IPv4 ranges, {ipv6} IPv6 ranges, {} AS names, {} KiB",
            table.names(),
            table.heap_bytes() / 1024
        );
    }
}

#[cfg(test)]
mod tests;
