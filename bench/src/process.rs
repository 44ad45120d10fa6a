//! A program that is measured, with its children: what it has used so far (proc(5)), and its end. Everything is by
//! process id; nothing is ended that was not started here. A program ends with the bench, however that ends (setpriv(1),
//! --pdeathsig).

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long a program may take for anything before the measurement is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often something that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// A program that has used no processor for so long has nothing left to do.
const QUIET: Duration = Duration::from_millis(300);
/// Clock ticks a second in /proc, the same on every Linux of today (sysconf(3), _SC_CLK_TCK).
const TICKS: f64 = 100.0;

/// A running program. It is killed when this goes out of scope.
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts it; what it says goes to a file of its name in the directory.
    pub(crate) fn start(command: &mut Command, directory: &Path) -> anyhow::Result<Self> {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = fs::File::create(directory.join(format!("{name}.log")))?;
        let mut bound = Command::new("env");
        // Who starts the bench in the background of a script has it ignore SIGINT, and all that it starts.
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

    /// Waits until something is there; fails when the program ends instead, or takes too long.
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut there: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = there() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended while {what} was waited for: {status}", self.name);
            }
            if Instant::now() > end {
                bail!("{} took too long: {what} was waited for", self.name);
            }
            thread::sleep(LOOK);
        }
    }

    /// Seconds of processor time that it and its children have used, in the kernel included.
    pub(crate) fn processor_seconds(&self) -> f64 {
        self.family().map(processor_seconds).sum()
    }

    /// The most that it and its children had resident, each at its own time. Octets.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.family().map(|id| memory(id, "VmHWM:")).sum()
    }

    /// What it and its children have resident now. Octets.
    pub(crate) fn memory(&self) -> u64 {
        self.family().map(|id| memory(id, "VmRSS:")).sum()
    }

    /// Waits until it has done what there was to do: nothing in its sockets, and no processor used for a while.
    pub(crate) fn settle(&mut self, port: u16) -> anyhow::Result<()> {
        let mut used = self.processor_seconds();
        let mut since = Instant::now();
        let end = Instant::now() + PATIENCE;
        while since.elapsed() < QUIET && Instant::now() < end {
            thread::sleep(LOOK);
            let now = self.processor_seconds();
            // A tick now and then is housekeeping.
            if now > used + 1.5 / TICKS || sockets(port)?.waiting > 0 {
                (used, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Ends it as Ctrl-C does (nfacctd does not listen to SIGTERM). Returns what it and its children have used up to their
    /// end; of children, up to now.
    pub(crate) fn end(&mut self) -> anyhow::Result<f64> {
        let children: f64 = self.family().skip(1).map(processor_seconds).sum();
        let id = self.child.id();
        Command::new("kill").args(["-INT", &id.to_string()]).status()?;
        let end = Instant::now() + PATIENCE;
        // As a zombie it still tells what it has used.
        while state(id) != Some('Z') {
            if Instant::now() > end {
                bail!("{} did not end", self.name);
            }
            thread::sleep(LOOK);
        }
        let own = processor_seconds(id);
        self.child.wait()?;
        Ok(own + children)
    }

    /// The ids of the program and of its children.
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
        // Plugins of nfacctd end with their parent, but not at once.
        for id in children {
            let end = Instant::now() + PATIENCE;
            while state(id).is_some_and(|state| state != 'Z') && Instant::now() < end {
                thread::sleep(LOOK);
            }
        }
    }
}

/// The fields of /proc/<id>/stat behind the name, which may hold spaces.
fn stat(id: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, behind) = stat.rsplit_once(") ")?;
    Some(behind.split_whitespace().map(str::to_owned).collect())
}

fn state(id: u32) -> Option<char> {
    stat(id)?.first()?.chars().next()
}

fn processor_seconds(id: u32) -> f64 {
    let ticks = |fields: &[String], index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    // utime and stime, fields 14 and 15 of the whole line.
    stat(id).and_then(|fields| Some((ticks(&fields, 11)? + ticks(&fields, 12)?) / TICKS)).unwrap_or_default()
}

fn memory(id: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// The UDP sockets of a port.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sockets {
    /// How many there are.
    pub(crate) count: u64,
    /// Octets that wait to be read.
    pub(crate) waiting: u64,
    /// Datagrams that the kernel had to drop.
    pub(crate) drops: u64,
}

/// What /proc/net/udp says of a port.
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
