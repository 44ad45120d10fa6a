//! Standard error for the log: writing a line neither fails nor waits for a reader that does not read. A thread that waited
//! would no longer count, although the process looks alive: a pipe, a terminal that is stopped with Ctrl-S and the socket of
//! a journald that hangs all fill up. Lines that cannot be written are counted; the next one that can be is preceded by
//! their number, which is also written when nothing else is logged for a while.
//!
//! Only a file on a disk that hangs (NFS) can still delay a line.

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing::Level;

use super::record;

/// How long a reader that has kept up so far may delay a line.
const PATIENCE: Duration = Duration::from_millis(100);
/// An output that can be written takes this many octets without waiting (pipe(7), `PIPE_BUF`).
const AT_ONCE: usize = 4096;

/// Lines that could not be written since the start.
static LOST: AtomicU64 = AtomicU64::new(0);
static LINES: Mutex<Lines> = Mutex::new(Lines::new());

/// The number of lines of this process that could not be written.
pub(crate) fn lost_lines() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Writes how many lines are missing, if there are some and it can be written now.
pub(crate) fn report_lost_lines() {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).report(&io::stderr());
}

/// Writes lines, or counts them as lost.
pub(super) struct StandardError;

impl Write for StandardError {
    /// Takes whole lines.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let written = LINES.lock().unwrap_or_else(PoisonError::into_inner).write(&io::stderr(), lines);
        if !written {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What became of the lines so far.
struct Lines {
    /// Lines lost since the last one that was written.
    lost: u64,
    /// Whether the reader did not read when it was last waited for: it is not waited for again.
    is_stuck: bool,
    /// Whether the output ends within a line.
    is_torn: bool,
}

impl Lines {
    const fn new() -> Self {
        Self { lost: 0, is_stuck: false, is_torn: false }
    }

    /// Writes this, and before it what is missing. Returns whether all of it was written.
    fn write(&mut self, output: &impl AsFd, lines: &[u8]) -> bool {
        let written = self.try_write(output, lines);
        if written.is_err() {
            self.lost += 1;
        }
        written.is_ok()
    }

    /// Writes only what is missing. What fails is tried again with the next line.
    fn report(&mut self, output: &impl AsFd) {
        if self.lost > 0 {
            drop(self.try_write(output, b""));
        }
    }

    fn try_write(&mut self, output: &impl AsFd, lines: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.put(output, b"\n")?;
        }
        if self.lost > 0 {
            self.put(output, missing(self.lost).as_bytes())?;
            self.lost = 0;
        }
        self.put(output, lines)
    }

    fn put(&mut self, output: &impl AsFd, octets: &[u8]) -> io::Result<()> {
        let mut rest = octets;
        while !rest.is_empty() {
            self.wait(output)?;
            let some = rest.get(..AT_ONCE).unwrap_or(rest);
            let written = match rustix::io::write(output, some) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            rest = rest.get(written..).unwrap_or_default();
            self.is_torn = !rest.is_empty();
        }
        Ok(())
    }

    /// Waits until the output takes something, but not for a reader that has been waited for.
    fn wait(&mut self, output: &impl AsFd) -> io::Result<()> {
        let patience = if self.is_stuck { Duration::ZERO } else { PATIENCE };
        let limit = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
        // An output that is broken is ready as well: writing to it gives the reason.
        self.is_stuck = match poll(&mut [PollFd::new(output, PollFlags::OUT)], Some(&limit)) {
            Ok(0) => true,
            Ok(_) | Err(rustix::io::Errno::INTR) => false,
            Err(error) => return Err(error.into()),
        };
        if self.is_stuck { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

/// The line that replaces lost ones.
fn missing(lost: u64) -> String {
    record::of_program(Level::WARN, "log lines lost, standard error could not be written", &[("lines", lost)])
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::{PipeReader, Read, pipe};

    use super::*;

    fn full_pipe() -> (PipeReader, io::PipeWriter, Lines) {
        let (reader, writer) = pipe().unwrap();
        let mut lines = Lines::new();
        while lines.write(&writer, &[b'x'; AT_ONCE]) {}
        (reader, writer, Lines::new())
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_no_time() {
        let (mut reader, writer, mut lines) = full_pipe();
        for _ in 0..10_000 {
            assert!(!lines.write(&writer, b"lost\n"));
        }
        let mut read = vec![0; 1 << 20];
        assert!(reader.read(&mut read).unwrap() > AT_ONCE);
        assert!(lines.write(&writer, b"first\n") && lines.write(&writer, b"second\n"));
        drop(writer);
        read.clear();
        reader.read_to_end(&mut read).unwrap();
        let text = String::from_utf8(read).unwrap();
        let text = text.trim_start_matches('x').lines().collect::<Vec<_>>();
        assert!(matches!(text.as_slice(), [lost, "first", "second"] if lost.ends_with("lines=10000")), "{text:?}");
    }

    #[test]
    fn lost_lines_are_reported_without_another_line() {
        let (mut reader, writer, mut lines) = full_pipe();
        assert!(!lines.write(&writer, b"lost\n"));
        lines.report(&writer);
        assert_eq!(lines.lost, 1, "a report that cannot be written is no lost line");
        let mut read = vec![0; 1 << 20];
        assert!(reader.read(&mut read).unwrap() > AT_ONCE);
        lines.report(&writer);
        lines.report(&writer);
        drop(writer);
        read.clear();
        reader.read_to_end(&mut read).unwrap();
        let text = String::from_utf8(read).unwrap();
        let text = text.trim_start_matches('x').lines().collect::<Vec<_>>();
        assert!(matches!(text.as_slice(), [lost] if lost.ends_with("lines=1")), "{text:?}");
    }

    #[test]
    fn a_broken_pipe_and_a_full_disk_cost_lines() {
        let (reader, broken) = pipe().unwrap();
        drop(reader);
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        for output in [broken.as_fd(), full.as_fd()] {
            let mut lines = Lines::new();
            assert!(!lines.write(&output, b"one\n") && !lines.write(&output, b"two\n"));
            assert_eq!(lines.lost, 2);
        }
    }

    #[test]
    fn a_line_that_is_cut_off_ends_before_the_next_one() {
        let (mut reader, writer, mut lines) = full_pipe();
        let mut read = vec![0; AT_ONCE];
        reader.read_exact(&mut read).unwrap();
        assert!(!lines.write(&writer, &[b'y'; 2 * AT_ONCE]));
        assert!(lines.is_torn);
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        while !lines.write(&writer, b"next\n") {}
        drop(writer);
        let text = reading.join().unwrap();
        let end: Vec<&str> = text.lines().rev().take(3).collect();
        assert!(
            matches!(end.as_slice(), ["next", lost, torn] if lost.contains(" WARN ") && torn.ends_with('y')),
            "{end:?}"
        );
    }

    #[test]
    fn a_file_takes_everything() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut lines = Lines::new();
        let long = [b'z'; 3 * AT_ONCE];
        assert!(lines.write(&File::create(file.path()).unwrap(), &long));
        assert_eq!(std::fs::read(file.path()).unwrap(), long);
    }
}
