//! A panic in any thread ends the whole process: a collector without one of its threads answers requests, but does not
//! count everything. The service manager starts it again, and the journal has what was received and not stored.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::{process, thread};

use crate::log;

/// From now on a panic is logged, and aborts the process, whether panics unwind in this build or not.
pub(super) fn install() {
    panic::set_hook(Box::new(|panic| {
        report(panic);
        process::abort();
    }));
}

/// Nothing here fails or waits where standard error cannot be written.
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
        log::append(backtrace);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use tokio::runtime::Runtime;

    use super::*;

    /// Set in the process that the test starts: this test again, to panic in a thread of this kind.
    const PANICS: &str = "NETFLOW_TEST_PANICS";
    const SIGABRT: i32 = 6;

    /// The kinds of threads of a collector.
    const KINDS: [&str; 3] = ["receiver-0", "task", "blocking"];

    /// Returns where the hook does not end the process; then the parent sees a success.
    fn panic_in(kind: &str) {
        let panics = || panic!("index out of bounds");
        match kind {
            "task" => drop(Runtime::new().unwrap().block_on(async { tokio::spawn(async move { panics() }).await })),
            "blocking" => {
                drop(Runtime::new().unwrap().block_on(async { tokio::task::spawn_blocking(panics).await }));
            }
            name => drop(thread::Builder::new().name(name.to_owned()).spawn(panics).unwrap().join()),
        }
    }

    #[test]
    fn a_panic_of_any_thread_is_logged_and_ends_the_process() {
        if let Ok(kind) = std::env::var(PANICS) {
            crate::log::to_standard_error();
            install();
            panic_in(&kind);
            return;
        }
        let test = "commands::serve::panic_hook::tests::a_panic_of_any_thread_is_logged_and_ends_the_process";
        for kind in KINDS {
            let child = || {
                let mut child = Command::new(std::env::current_exe().unwrap());
                child.args(["--exact", test, "--nocapture"]).env(PANICS, kind).env_remove("RUST_BACKTRACE");
                child
            };
            let output = child().output().unwrap();
            let log = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.signal(), Some(SIGABRT), "{kind}: {:?}\n{log}", output.status);
            let line = log.lines().find(|line| line.contains("ERROR")).unwrap_or_else(|| panic!("{log}"));
            assert!(line.contains("panic, aborting: index out of bounds"), "{line}");
            assert!(line.contains("panic_hook.rs:") && line.contains("thread="), "{line}");

            let (reader, closed) = io::pipe().unwrap();
            drop(reader);
            let (_unread, full) = io::pipe().unwrap();
            let mut filling = full.try_clone().unwrap();
            thread::spawn(move || while filling.write_all(&[b'x'; 4096]).is_ok() {});
            for stderr in [closed, full] {
                let mut child = child();
                let status = child.stdout(Stdio::null()).stderr(stderr).env("RUST_BACKTRACE", "1").status().unwrap();
                assert_eq!(status.signal(), Some(SIGABRT), "{kind}: {status:?}");
            }
        }
    }
}
