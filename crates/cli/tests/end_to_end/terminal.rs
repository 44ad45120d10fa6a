//! Programs in a pseudo terminal of 24 rows, by script(1).

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use crate::collector::Collector;

/// A pseudo terminal in which a line of the shell runs. Ends it when it is dropped: script(1) closes its terminal.
pub(crate) struct Terminal {
    child: Child,
    printed: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Runs a line of the shell, which finds `netflow` and the collector, in a terminal with this many columns.
    pub(crate) fn start(collector: &Collector, columns: u16, kind: &str, line: &str) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_netflow"));
        let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut child = Command::new("script")
            .args(["-qfec", &format!("stty rows 24 cols {columns}; {line}"), "/dev/null"])
            .current_dir(collector.path())
            .env("NETFLOW_URL", format!("http://{}", collector.serving))
            .env("PATH", path)
            .env("HOME", collector.path())
            .env("PS1", "$ ")
            .env("TERM", kind)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bsdutils is on every Debian");
        let (mut out, printed) = (child.stdout.take().unwrap(), Arc::<Mutex<Vec<u8>>>::default());
        let shared = Arc::clone(&printed);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut buffer) {
                shared.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { child, printed }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// All that was printed since the last [`forget`](Self::forget).
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned()
    }

    pub(crate) fn forget(&self) {
        self.printed.lock().unwrap().clear();
    }

    /// Waits until the line has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail for a child that was waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
