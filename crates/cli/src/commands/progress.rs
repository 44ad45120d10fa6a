//! How far a long command has come: one line on standard error that is written over again and again, when that is a
//! terminal and the command takes longer than a moment.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is done faster needs no progress.
const MOMENT: Duration = Duration::from_secs(1);
/// How often the line is written.
const BETWEEN_LINES: Duration = Duration::from_millis(100);
/// A longer line would wrap in a terminal of the usual width, and could not be written over.
const WIDTH: usize = 79;

/// Says on the same line what is waited for, for as long as it lives, where a command cannot say how far it has come.
pub(crate) struct Waiting {
    /// Ends the thread when it goes.
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
        // What is printed next does not get in the way of the line.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The line; it is gone when this is.
pub(crate) struct Progress {
    /// `None` when nobody would see it.
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    /// Nothing is shown yet.
    pub(crate) fn new() -> Self {
        Self { next: io::stderr().is_terminal().then(|| Instant::now() + MOMENT), shown: false }
    }

    /// Shows a line, when it is time for one.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        if self.next.is_some_and(|next| Instant::now() >= next) {
            let line: String = line().chars().take(WIDTH).collect();
            // Progress that cannot be written is no reason to stop.
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
            self.shown = true;
            self.next = Some(Instant::now() + BETWEEN_LINES);
        }
    }

    /// Makes room for something else on the terminal.
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
