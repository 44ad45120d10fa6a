//! Standard output, and messages on standard error. Commands write to both through here (clippy's `print_stdout` and
//! `print_stderr` see to that), because `println!` panics where standard output cannot be written. The log and progress
//! write to standard error on their own, and drop what fails.
//!
//! A reader that closes the pipe early, such as `head`, has what it wanted: the command stops printing and exits with the
//! code that it would have had otherwise, so that `netflow doctor | head -1` keeps its verdict and `set -o pipefail` sees no
//! failure. Ending by SIGPIPE, as C programs do, would lose both. Every other error of standard output, such as a full
//! disk, is a failure: a file that ends too early must not pass for a whole one.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Stdout, Write};

use anyhow::Context;

use crate::exit_code::{ExitCode, Failure, OrExit};

/// Buffered standard output.
pub(crate) struct Output(BufWriter<Stdout>);

impl Output {
    pub(crate) fn new() -> Self {
        Self(BufWriter::with_capacity(64 * 1024, io::stdout()))
    }

    /// Writes what is buffered, when everything before it was written.
    ///
    /// # Errors
    /// When standard output cannot be written for another reason than a closed pipe.
    pub(crate) fn end(mut self, written: io::Result<()>) -> Result<(), Failure> {
        outcome(written.and_then(|()| self.0.flush()))
    }
}

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Prints what `write` writes.
///
/// # Errors
/// When standard output cannot be written for another reason than a closed pipe, or `write` fails.
pub(crate) fn print(write: impl FnOnce(&mut Output) -> io::Result<()>) -> Result<(), Failure> {
    let mut output = Output::new();
    let written = write(&mut output);
    output.end(written)
}

/// Prints a line.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_line(line: impl Display) -> Result<(), Failure> {
    print(|output| writeln!(output, "{line}"))
}

/// What an error of standard output means: nothing when its reader has closed the pipe.
///
/// # Errors
/// Every other error.
pub(crate) fn outcome(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if is_closed_pipe(&error) => Ok(()),
        written => written.context("cannot write to standard output").or_exit(ExitCode::Failure),
    }
}

/// Whether an error is that of a closed pipe, or has it as its cause.
fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let cause = match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == ErrorKind::BrokenPipe => return true,
        Some(error) => error.get_ref().map(|cause| cause as &(dyn Error + 'static)),
        None => error.source(),
    };
    cause.is_some_and(is_closed_pipe)
}

/// Writes a line to standard error; it is lost when that cannot be written.
pub(crate) fn report(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
