//! Progress of a long command: one line on standard error that is overwritten, when that is a terminal and the command takes
//! longer than a second.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Faster commands show no progress.
const DELAY: Duration = Duration::from_secs(1);
/// The time between two updates.
const BETWEEN_LINES: Duration = Duration::from_millis(100);
/// A longer line would wrap in a usual terminal, and could not be overwritten.
const WIDTH: usize = 79;

/// Shows what a command waits for, while it exists.
pub(crate) struct Waiting {
    /// Ends the thread when dropped.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Waiting {
    /// Nothing is shown yet.
    pub(crate) fn show(what: &'static str) -> Self {
        let mut progress = Progress::new();
        if progress.next.is_none() {
            return Self { end: None, thread: None };
        }
        let (end, ended) = channel();
        let begun = Instant::now();
        let thread = std::thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(BETWEEN_LINES) {
                progress.show(|| format!("{what}, {} s", begun.elapsed().as_secs()));
            }
        });
        Self { end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.end = None;
        // So that the line is gone before anything else is printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The line; removed when this is dropped.
pub(crate) struct Progress {
    /// `None` when standard error is not a terminal.
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    /// Nothing is shown yet.
    pub(crate) fn new() -> Self {
        Self { next: io::stderr().is_terminal().then(|| Instant::now() + DELAY), shown: false }
    }

    /// Shows a line, when an update is due.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        if self.next.is_some_and(|next| Instant::now() >= next) {
            let line: String = line().chars().take(WIDTH).collect();
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
            self.shown = true;
            self.next = Some(Instant::now() + BETWEEN_LINES);
        }
    }

    /// Removes the line.
    pub(crate) fn clear(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.shown = false;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
