//! A panic in any thread ends the whole process: a collector without one of its threads answers requests, but does not
//! count everything. The service manager starts it again, and the journal has what was received and not stored.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::{process, thread};

use crate::output;

/// From now on a panic is logged, and aborts the process, whether panics unwind in this build or not.
pub(super) fn install() {
    panic::set_hook(Box::new(|panic| {
        report(panic);
        process::abort();
    }));
}

/// Nothing here fails where standard error cannot be written.
fn report(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(
        thread = thread.name().unwrap_or("unnamed"),
        place,
        "panic, aborting: {}",
        panic.payload_as_str().unwrap_or("no message")
    );
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        output::report(backtrace);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use super::*;

    /// Set in the process that the test starts: this test again, to panic.
    const PANICS: &str = "NETFLOW_TEST_PANICS";
    const SIGABRT: i32 = 6;

    #[test]
    fn a_panic_of_a_thread_is_logged_and_ends_the_process() {
        if std::env::var_os(PANICS).is_some() {
            crate::log::to_standard_error();
            install();
            let thread = thread::Builder::new().name("receiver-0".to_owned()).spawn(|| panic!("index out of bounds"));
            // Returns where the hook does not end the process; then the parent sees a success.
            let _ = thread.unwrap().join();
            return;
        }
        let test = "commands::serve::panic_hook::tests::a_panic_of_a_thread_is_logged_and_ends_the_process";
        let child = || {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", test, "--nocapture"]).env(PANICS, "1").env_remove("RUST_BACKTRACE");
            child
        };
        let output = child().output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.signal(), Some(SIGABRT), "{:?}\n{log}", output.status);
        let line = log.lines().find(|line| line.contains("ERROR")).unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains("panic, aborting: index out of bounds") && line.contains("receiver-0"), "{line}");
        assert!(line.contains("panic_hook.rs:"), "{line}");

        let (reader, closed) = io::pipe().unwrap();
        drop(reader);
        let status = child().stdout(Stdio::null()).stderr(closed).status().unwrap();
        assert_eq!(status.signal(), Some(SIGABRT), "{status:?}");
    }
}
