//! The real program on free ports, used as the README describes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for an event before it fails: no test depends on the speed of the machine.
pub(crate) const PATIENCE: Duration = testing::wait::DEADLINE;

/// A running `netflow serve` with its own data directory, ended when dropped. Its ledgers must balance, unless it is killed on
/// purpose.
pub(crate) struct Collector {
    child: Child,
    directory: TempDir,
    /// Whether it has a configuration file.
    configured: bool,
    /// Its log until it was ready.
    startup: Vec<String>,
    log: Receiver<String>,
    pub(crate) receiving: SocketAddr,
    pub(crate) serving: SocketAddr,
}

impl Collector {
    /// Starts it in a new directory.
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    /// Starts it in a directory that an earlier one may have used.
    pub(crate) fn start_in(directory: TempDir) -> Self {
        Self::start_in_with(directory, &[])
    }

    /// Starts it in a new directory with settings from the environment.
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_in_with(tempfile::tempdir().unwrap(), settings)
    }

    /// Starts it in a directory with settings from the environment.
    pub(crate) fn start_in_with(directory: TempDir, settings: &[(&str, &str)]) -> Self {
        Self::spawn(&mut command(settings), directory)
    }

    /// Starts it with this command, in a new directory.
    pub(crate) fn start_as(command: &mut Command) -> Self {
        Self::start_in_as(tempfile::tempdir().unwrap(), command)
    }

    /// Starts it with this command, in a directory that an earlier one may have used.
    pub(crate) fn start_in_as(directory: TempDir, command: &mut Command) -> Self {
        Self::spawn(on_free_ports(command), directory)
    }

    /// Starts it with this command, which has its listen addresses, in a directory that an earlier one may have used.
    pub(crate) fn start_in_as_is(directory: TempDir, command: &mut Command) -> Self {
        Self::spawn(command, directory)
    }

    /// Starts it in a new directory with a configuration file there, `netflow.toml`, which has its listen addresses.
    pub(crate) fn start_configured(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("netflow.toml"), text).unwrap();
        Self::start_in_configured(directory)
    }

    /// The same with this command.
    pub(crate) fn start_configured_as(command: &mut Command, text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("netflow.toml"), text).unwrap();
        let mut collector = Self::spawn(command.args(["--config", "netflow.toml"]).stdin(Stdio::null()), directory);
        collector.configured = true;
        collector
    }

    /// Starts it in a directory with such a file.
    pub(crate) fn start_in_configured(directory: TempDir) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
        command.args(["--config", "netflow.toml"]).stdin(Stdio::null());
        let mut collector = Self::spawn(&mut command, directory);
        collector.configured = true;
        collector
    }

    /// Rewrites its configuration file and reloads it; returns the log of the reload.
    pub(crate) fn reload(&self, text: &str) -> String {
        fs::write(self.path().join("netflow.toml"), text).unwrap();
        self.signal("HUP");
        let end = Instant::now() + PATIENCE;
        let mut stderr = String::new();
        while let Ok(line) = self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
            stderr.push_str(&line);
            stderr.push('\n');
            if line.contains("configuration reloaded") || line.contains("reload failed") {
                stderr.extend(self.log.try_iter().map(|line| line + "\n"));
                return stderr;
            }
        }
        panic!("it did not read its configuration again:\n{stderr}");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Starts it with bound sockets, passed as by a service manager (sd_listen_fds(3)): a shell moves them to the expected
    /// descriptors, and becomes the collector.
    pub(crate) fn start_passing(directory: TempDir, receiving: &UdpSocket, serving: &TcpListener) -> Self {
        Self::spawn(&mut passing(receiving, serving), directory)
    }

    /// The same with the configuration file in the directory, `netflow.toml`, which has the addresses of the sockets.
    pub(crate) fn start_passing_configured(directory: TempDir, receiving: &UdpSocket, serving: &TcpListener) -> Self {
        let mut collector = Self::spawn(passing(receiving, serving).args(["--config", "netflow.toml"]), directory);
        collector.configured = true;
        collector
    }

    /// Starts it with sockets bound here, in a new directory, with a standard error that this test does not read. A shell
    /// runs `script` first, whose last word is the redirection of standard error.
    pub(crate) fn start_logging(shell: &mut Command, script: &str, stderr: impl Into<Stdio>) -> Self {
        let (receiving, serving) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (receives, serves) = (receiving.local_addr().unwrap(), serving.local_addr().unwrap());
        let script = script
            .replace("COLLECTOR", "LISTEN_FDS=2 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 4<&1 </dev/null >/dev/null");
        shell.args(["-euc", &script, env!("CARGO_BIN_EXE_netflow")]).stdin(OwnedFd::from(receiving));
        shell.env("NETFLOW__NETFLOW__LISTEN", receives.to_string()).env("NETFLOW__HTTP__LISTEN", serves.to_string());
        let directory = tempfile::tempdir().unwrap();
        let child = ready(shell, &directory).stdout(OwnedFd::from(serving)).stderr(stderr).spawn().unwrap();
        let (startup, (_, log)) = (Vec::new(), channel());
        let collector =
            Self { child, directory, configured: false, startup, log, receiving: receives, serving: serves };
        // Its socket accepts connections already; the answer waits until it is ready.
        let healthy = Command::new("curl").args(["-sSfo", "/dev/null", &format!("http://{serves}/healthz")]).status();
        assert!(healthy.unwrap().success());
        collector
    }

    fn spawn(command: &mut Command, directory: TempDir) -> Self {
        let mut child = ready(command, &directory).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut startup = Vec::new();
        let mut wait_for = |what: &str| address_after(&log, what, &mut startup);
        let (receiving, serving) = (wait_for("listening on "), wait_for("serving http"));
        Self { child, directory, configured: false, startup, log, receiving, serving }
    }

    /// Starts it and kills it some time later, whether it is ready or not.
    pub(crate) fn start_and_kill(directory: TempDir, settings: &[(&str, &str)], after: Duration) -> TempDir {
        let mut child = ready(&mut command(settings), &directory).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
        directory
    }

    /// Kills it (SIGKILL); returns its directory, for another.
    pub(crate) fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap())
    }

    /// Its data directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Its log until it was ready.
    pub(crate) fn startup_log(&self) -> String {
        self.startup.join("\n")
    }

    /// Waits for a line with this text, from the last read of the log on; returns it.
    pub(crate) fn wait_for_line(&self, what: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut stderr = Vec::new();
        while let Ok(line) = self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.contains(what) {
                return line;
            }
            stderr.push(line);
        }
        panic!("'{what}' is not in the log:\n{}", stderr.join("\n"));
    }

    /// Its log since it was last read.
    pub(crate) fn log(&self) -> String {
        self.log.try_iter().collect::<Vec<_>>().join("\n")
    }

    /// Ends it as systemd does, and waits for its end; returns its directory, for another, and its log.
    pub(crate) fn terminate(self) -> (TempDir, String) {
        self.balances();
        self.signal("TERM");
        let (directory, status, log) = self.ended();
        assert!(status.success(), "{status}\n{log}");
        // The ledgers of the last flush can no longer be queried.
        assert!(!log.contains("a ledger does not balance"), "{log}");
        (directory, log)
    }

    /// Waits for its end; returns its directory, for another, how it ended, and its log.
    pub(crate) fn ended(mut self) -> (TempDir, ExitStatus, String) {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "it still runs: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        };
        // The thread that reads the log ends with the process.
        let log = self.log.iter().collect::<Vec<_>>().join("\n");
        (std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap()), status, log)
    }

    /// Checks that its ledgers balance, and always have.
    fn balances(&self) {
        let (printed, stderr, code) = self.command(&["selfcheck", "--json"]);
        assert_eq!(code, Some(0), "{printed}{stderr}\n{}", self.log());
        let answer: Value = serde_json::from_str(&printed).unwrap();
        let ledgers = answer["ledgers"].as_array().unwrap();
        assert!(ledgers.len() >= 8 && ledgers.iter().all(|ledger| ledger["violations"] == 0), "{answer:#}");
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        resident(self.process())
    }

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Runs lines of the README as written, but for ports; its function for signed requests is defined.
    pub(crate) fn shell(&self, lines: &str) -> String {
        let script = format!("{}\n{lines}", shell_block(". data/keys"))
            .replace("127.0.0.1:2055", &self.receiving.to_string())
            .replace("127.0.0.1:8080", &self.serving.to_string());
        let output = Command::new("sh").arg("-euc").arg(&script).current_dir(self.path()).output().unwrap();
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs another netflow command beside it, with its data directory or its configuration, so with its keys: standard
    /// output, standard error and exit code.
    pub(crate) fn command(&self, arguments: &[&str]) -> (String, String, Option<i32>) {
        let output = Command::new(env!("CARGO_BIN_EXE_netflow"))
            .args(arguments)
            .args(self.configured.then_some(["--config", "netflow.toml"]).into_iter().flatten())
            .current_dir(self.path())
            .env("NETFLOW_CA", "ca.pem")
            .envs((!self.configured).then(|| ("NETFLOW_URL", format!("http://{}", self.serving))))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr), output.status.code())
    }

    /// A counter of `/status`.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.rest("GET", "/status", "")["counters"][name].as_u64().unwrap_or_else(|| panic!("no {name}"))
    }

    /// Waits until this holds.
    pub(crate) fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < end, "not {what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Queries the REST interface with the README's function.
    pub(crate) fn rest(&self, method: &str, path: &str, body: &str) -> Value {
        let answer = self.shell(&format!("ask {method} '{path}' '{body}'"));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let runs = self.child.try_wait().is_ok_and(|ended| ended.is_none());
        let asked = catch_unwind(AssertUnwindSafe(|| {
            if runs && !std::thread::panicking() {
                self.balances();
            }
        }));
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Err(panic) = asked {
            resume_unwind(panic);
        }
    }
}

/// The resident memory of a process, in bytes.
pub(crate) fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
    on_free_ports(&mut command).envs(settings.iter().copied());
    command
}

/// A shell that passes sockets to the collector that it becomes.
fn passing(receiving: &UdpSocket, serving: &TcpListener) -> Command {
    let mut command = Command::new("sh");
    let script = "LISTEN_FDS=2 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 4<&1 </dev/null >/dev/null";
    command.args(["-c", script, env!("CARGO_BIN_EXE_netflow")]);
    command.env("NETFLOW__NETFLOW__LISTEN", receiving.local_addr().unwrap().to_string());
    command.env("NETFLOW__HTTP__LISTEN", serving.local_addr().unwrap().to_string());
    command.stdin(OwnedFd::from(receiving.try_clone().unwrap()));
    command.stdout(OwnedFd::from(serving.try_clone().unwrap()));
    command
}

fn on_free_ports(command: &mut Command) -> &mut Command {
    let command = command.env("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0").env("NETFLOW__HTTP__LISTEN", "127.0.0.1:0");
    command.stdin(Stdio::null())
}

/// The command that serves, and the settings that all share, unless a test has set them.
fn ready<'c>(command: &'c mut Command, directory: &TempDir) -> &'c mut Command {
    let shared = [
        ("NETFLOW__SFLOW__LISTEN", ""),
        ("NETFLOW__FLUSH_INTERVAL", "1s"),
        // Tests that choose when to flush register their routers while the collector runs.
        ("NETFLOW__FIRST_FLUSH", "5m"),
        ("NETFLOW__SERVER__STATUSLOG", "1s"),
        // However full the disk of the tests is.
        ("NETFLOW__ARCHIVE__FREE_PERCENT", "0"),
        // Whatever the DNS servers of the machine are.
        ("NETFLOW__SENDERS__DNS_NAMES", "none"),
    ];
    for (name, value) in shared {
        if !command.get_envs().any(|(set, _)| set == name) {
            command.env(name, value);
        }
    }
    command.arg("serve").current_dir(directory.path())
}

fn address_after(log: &Receiver<String>, what: &str, stderr: &mut Vec<String>) -> SocketAddr {
    let end = Instant::now() + PATIENCE;
    while let Ok(line) = log.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if let Some((_, rest)) = line.split_once(what) {
            let address = rest.split_whitespace().next().unwrap();
            // Without http:// or https://.
            return address.rsplit('/').next().unwrap().parse().unwrap();
        }
        stderr.push(line);
    }
    panic!("'{what}' is not in the log:\n{}", stderr.join("\n"));
}

/// The README of this repository.
pub(crate) fn readme() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    fs::read_to_string(path).unwrap()
}

/// The blocks of shell lines of the README, in their order.
pub(crate) fn shell_blocks() -> Vec<String> {
    let readme = readme();
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("\n```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

/// The block that starts like this.
pub(crate) fn shell_block(start: &str) -> String {
    let block = shell_blocks().into_iter().find(|block| block.starts_with(start));
    block.unwrap_or_else(|| panic!("the README has no lines that start with '{start}'"))
}
