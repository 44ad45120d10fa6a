//! A measured program with its children: the resources that it has used (proc(5)), and how it is stopped. Processes are
//! identified by their ID, and only those started here are stopped. A program also ends if the bench is killed
//! (setpriv(1), --pdeathsig).

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// The time limit for everything that a program does; after it, the measurement fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two checks of a condition.
const POLL: Duration = Duration::from_millis(10);
/// A program that has used no processor time for this long is idle.
const QUIET: Duration = Duration::from_millis(300);
/// Clock ticks a second in /proc, the same on every current Linux (sysconf(3), _SC_CLK_TCK).
const TICKS: f64 = 100.0;

/// What a process took until its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// With the time of the kernel. Seconds.
    pub(crate) processor_seconds: f64,
    /// Wall time. Seconds.
    pub(crate) seconds: f64,
}

impl Cost {
    /// More than anything takes.
    pub(crate) const MOST: Self = Self { processor_seconds: f64::INFINITY, seconds: f64::INFINITY };

    /// The smaller figure of each.
    pub(crate) const fn min(self, other: Self) -> Self {
        Self {
            processor_seconds: self.processor_seconds.min(other.processor_seconds),
            seconds: self.seconds.min(other.seconds),
        }
    }
}

/// Runs a program until its end. Returns its standard output, and what it took: bash measures in milliseconds, /proc in ten.
pub(crate) fn timed(command: &mut Command) -> anyhow::Result<(String, Cost)> {
    let mut bash = Command::new("bash");
    bash.args(["-c", "TIMEFORMAT='%U %S %R'; time \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    let output = bash.env("LC_ALL", "C").output()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "{}: {errors}", command.get_program().display());
    let times: Vec<f64> =
        errors.lines().last().unwrap_or_default().split_whitespace().filter_map(|time| time.parse().ok()).collect();
    let [user, system, seconds] = times[..] else { bail!("bash measured nothing: {errors}") };
    Ok((String::from_utf8(output.stdout)?, Cost { processor_seconds: user + system, seconds }))
}

/// A running program. It is killed on drop.
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts the program; its output goes to a file with its name in the directory.
    pub(crate) fn start(command: &mut Command, directory: &Path) -> anyhow::Result<Self> {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = fs::File::create(directory.join(format!("{name}.log")))?;
        let mut bound = Command::new("env");
        // A script that starts the bench in the background makes it, and all its children, ignore SIGINT.
        bound
            .args(["--default-signal=INT", "setpriv", "--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args());
        bound.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        if let Some(directory) = command.get_current_dir() {
            bound.current_dir(directory);
        }
        bound.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = bound.spawn().with_context(|| format!("cannot start {name}: is it installed?"))?;
        Ok(Self { child, name })
    }

    /// Waits until `find` returns something. Fails if the program exits first, or takes too long.
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut find: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = find() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} exited before {what} appeared: {status}", self.name);
            }
            if Instant::now() > end {
                bail!("timed out waiting for {what} of {}", self.name);
            }
            thread::sleep(POLL);
        }
    }

    /// Processor time of the program and its children, including the kernel's. Seconds.
    pub(crate) fn processor_seconds(&self) -> f64 {
        self.family().map(processor_seconds).sum()
    }

    /// Processor time of its threads with a name of this kind, which must not end. Seconds.
    pub(crate) fn seconds_of_threads(&self, is_meant: impl Fn(&str) -> bool) -> anyhow::Result<f64> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let thread = thread?.path();
            // Others may have ended.
            let Ok(name) = fs::read_to_string(thread.join("comm")) else { continue };
            if is_meant(name.trim()) {
                let times = fs::read_to_string(thread.join("schedstat"))?;
                let time = times.split_whitespace().next().and_then(|time| time.parse::<u64>().ok());
                nanoseconds += time.context("no processor time in schedstat")?;
            }
        }
        Ok(nanoseconds as f64 / 1e9)
    }

    /// Sum of the peak resident memory of the program and its children. Octets.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.family().map(|id| memory(id, "VmHWM:")).sum()
    }

    /// Current resident memory of the program and its children. Octets.
    pub(crate) fn memory(&self) -> u64 {
        self.family().map(|id| memory(id, "VmRSS:")).sum()
    }

    /// Waits until the sockets are empty and the program has used no processor time for a while.
    pub(crate) fn wait_until_idle(&mut self, port: u16) -> anyhow::Result<()> {
        let mut used = self.processor_seconds();
        let mut since = Instant::now();
        let end = Instant::now() + PATIENCE;
        while since.elapsed() < QUIET && Instant::now() < end {
            thread::sleep(POLL);
            let now = self.processor_seconds();
            // A single tick is housekeeping.
            if now > used + 1.5 / TICKS || sockets(port)?.waiting > 0 {
                (used, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Stops the program as Ctrl-C does (nfacctd ignores SIGTERM). Returns the processor time that it used until its
    /// end, and its children until this call. Seconds.
    pub(crate) fn end(&mut self) -> anyhow::Result<f64> {
        let children: f64 = self.family().skip(1).map(processor_seconds).sum();
        let id = self.child.id();
        Command::new("kill").args(["-INT", &id.to_string()]).status()?;
        let end = Instant::now() + PATIENCE;
        // As a zombie, it still has its processor time.
        while state(id) != Some('Z') {
            if Instant::now() > end {
                bail!("{} did not exit", self.name);
            }
            thread::sleep(POLL);
        }
        let own = processor_seconds(id);
        self.child.wait()?;
        Ok(own + children)
    }

    /// The IDs of the program and its children.
    fn family(&self) -> impl Iterator<Item = u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let children: Vec<u32> = children.split_whitespace().filter_map(|id| id.parse().ok()).collect();
        std::iter::once(id).chain(children)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let children: Vec<u32> = self.family().skip(1).collect();
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The plugins of nfacctd end with their parent, but not immediately.
        for id in children {
            let end = Instant::now() + PATIENCE;
            while state(id).is_some_and(|state| state != 'Z') && Instant::now() < end {
                thread::sleep(POLL);
            }
        }
    }
}

/// The fields of `/proc/ID/stat` after the name, which may contain spaces.
fn stat(id: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn state(id: u32) -> Option<char> {
    stat(id)?.first()?.chars().next()
}

/// Processor time of the bench itself. Seconds.
pub(crate) fn own_processor_seconds() -> f64 {
    processor_seconds(std::process::id())
}

fn processor_seconds(id: u32) -> f64 {
    let ticks = |fields: &[String], index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    // utime and stime are fields 14 and 15 of the whole line.
    stat(id).and_then(|fields| Some((ticks(&fields, 11)? + ticks(&fields, 12)?) / TICKS)).unwrap_or_default()
}

fn memory(id: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// The UDP sockets on a port.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sockets {
    /// Number of sockets.
    pub(crate) count: u64,
    /// Octets in the receive queues.
    pub(crate) waiting: u64,
    /// Datagrams dropped by the kernel.
    pub(crate) drops: u64,
}

/// Reads the sockets of a port from /proc/net/udp.
pub(crate) fn sockets(port: u16) -> anyhow::Result<Sockets> {
    let table = fs::read_to_string("/proc/net/udp")?;
    let mut sum = Sockets::default();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1).and_then(|local| local.rsplit_once(':')).map(|(_, port)| port);
        if local.and_then(|local| u16::from_str_radix(local, 16).ok()) != Some(port) {
            continue;
        }
        let queue = fields.get(4).and_then(|queues| queues.split_once(':')).map(|(_, receive)| receive);
        sum.count += 1;
        sum.waiting += queue.and_then(|queue| u64::from_str_radix(queue, 16).ok()).unwrap_or_default();
        sum.drops += fields.last().and_then(|drops| drops.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(sum)
}
