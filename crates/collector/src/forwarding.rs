//! Copies of received datagrams for other collectors. Counting never waits for them: a receiving thread copies a batch once,
//! for all targets, and hands it to queues that take it or do not; one thread for each target sends. What does not fit into
//! the queue of a target is dropped, the newest first, and counted there.
//!
//! | file | what it does |
//! | --- | --- |
//! | `forwarding.rs` | settings, start, reload and stop; what receiving threads call |
//! | `copies` | a batch of datagrams, copied for the targets that get some of them |
//! | `target` | the queue and the counts of a target |
//! | `sending` | the thread of a target |
//!
//! These threads have no [pulse](crate::pulse): none of them can keep the collector from counting, so none is a reason to
//! restart it.

mod copies;
mod sending;
mod target;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwapOption;
use arc_swap::cache::Cache;
use flow::{Prefix, canonical};
use udp::{Batch, Forwarder};

pub use self::target::QUEUE_OCTETS as FORWARD_QUEUE;

use self::copies::Copies;
use self::sending::SendingThread;
use self::target::Target;
use crate::settings::Reloadable;
use crate::start::join;
use crate::start_error::StartError;
use crate::stop_error::StopError;

/// The most targets.
pub const MOST_TARGETS: usize = 16;

/// Another collector, and what it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardTarget {
    /// Where it receives.
    pub address: SocketAddr,
    /// The exporters whose datagrams it gets, registered or not; none for all.
    pub exporters: Vec<Prefix>,
    /// The source address of the copies.
    pub source: ForwardSource,
}

/// The source address of forwarded datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardSource {
    /// An address of this host.
    #[default]
    Collector,
    /// Address and port of the exporter. Needs CAP_NET_RAW.
    Exporter,
}

/// Why nothing can be forwarded to a target.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The collector would receive its own copies.
    #[error("this collector receives there itself, and would forward every datagram again and again")]
    Loop,
    /// The source of datagrams cannot be kept.
    #[error(
        "datagrams can keep the address of their exporter only with CAP_NET_RAW: grant it as described in docs/forward.md, or use source = \"collector\""
    )]
    Capability,
    /// The kernel gives no socket, or no thread.
    #[error(transparent)]
    Kernel(#[from] io::Error),
}

impl ForwardTarget {
    /// Opens a socket for it, on a collector that listens at these addresses.
    ///
    /// # Errors
    /// If the target cannot be used.
    pub fn open(&self, listening: &[SocketAddr]) -> Result<Forwarder, ForwardError> {
        self.check(listening)?;
        Forwarder::open(self.address, self.keeps_source()).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ForwardError::Capability,
            _ => ForwardError::Kernel(error),
        })
    }

    fn check(&self, listening: &[SocketAddr]) -> Result<(), ForwardError> {
        let is_loop = listening.iter().any(|at| receives_itself(*at, self.address));
        if is_loop { Err(ForwardError::Loop) } else { Ok(()) }
    }

    const fn keeps_source(&self) -> bool {
        matches!(self.source, ForwardSource::Exporter)
    }
}

/// Whether a socket of this host that is bound to `listening` gets what is sent to `address`.
fn receives_itself(listening: SocketAddr, address: SocketAddr) -> bool {
    let (at, to) = (canonical(listening.ip()), canonical(address.ip()));
    let is_ours = || at == to || at.is_unspecified() && udp::is_here(SocketAddr::new(to, 0)).unwrap_or(false);
    // A socket from systemd that is bound to [::] also gets what is sent by IPv4.
    let is_of_family = at.is_ipv4() == to.is_ipv4() || at.is_ipv6() && at.is_unspecified();
    listening.port() == address.port() && is_of_family && is_ours()
}

/// The targets at present; `None` if there are none.
type Published = Arc<ArcSwapOption<Vec<Arc<Target>>>>;

/// What receiving threads call. Without targets, a batch costs one load of a pointer.
#[derive(Debug)]
pub(crate) struct Forwarding(Cache<Published, Option<Arc<Vec<Arc<Target>>>>>);

impl Forwarding {
    /// Queues copies of the datagrams of a batch for those targets that get them.
    pub(crate) fn take(&mut self, batch: &Batch) {
        if let Some(targets) = self.0.load().as_deref() {
            Copies::offer(batch.iter(), targets);
        }
    }
}

/// The targets of a collector and their threads.
#[derive(Debug, Default)]
pub(crate) struct Forwarders {
    published: Published,
    running: Vec<RunningTarget>,
}

/// A change that cannot fail any more: the targets that are new, and those that stay.
#[derive(Debug, Default)]
pub(crate) struct PreparedTargets {
    wanted: Vec<ForwardTarget>,
    opened: Vec<RunningTarget>,
}

/// The targets, to show them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShownTargets(Published);

impl ShownTargets {
    pub(crate) fn view(&self) -> Vec<view::ForwardTarget> {
        self.0.load().as_deref().map_or_else(Vec::new, |targets| targets.iter().map(|target| target.view()).collect())
    }
}

impl Forwarders {
    /// For a receiving thread.
    pub(crate) fn forwarding(&self) -> Forwarding {
        Forwarding(Cache::new(Arc::clone(&self.published)))
    }

    pub(crate) fn shown(&self) -> ShownTargets {
        ShownTargets(Arc::clone(&self.published))
    }

    /// Opens the sockets of targets that are new, and starts their threads.
    ///
    /// # Errors
    /// If one of the targets cannot be used; also one that is in use already, and would receive its own copies now.
    pub(crate) fn prepare(
        &self,
        Reloadable { forward, listen, .. }: &Reloadable,
    ) -> Result<PreparedTargets, StartError> {
        let mut opened = Vec::new();
        for target in forward {
            let begun = self.begin(target, listen);
            opened.extend(begun.map_err(|error| StartError::Forward { address: target.address, error })?);
        }
        Ok(PreparedTargets { wanted: forward.clone(), opened })
    }

    fn begin(&self, wanted: &ForwardTarget, listening: &[SocketAddr]) -> Result<Option<RunningTarget>, ForwardError> {
        if self.running.iter().any(|running| running.target.wanted == *wanted) {
            return wanted.check(listening).map(|()| None);
        }
        Ok(Some(RunningTarget::start(wanted, wanted.open(listening)?)?))
    }

    /// Applies a prepared change. What is queued for targets that are no longer wanted is still sent, for a second at most.
    pub(crate) fn change(&mut self, PreparedTargets { wanted, opened }: PreparedTargets) {
        opened.iter().for_each(|opened| tracing::info!("forwarding to {}", opened.target.wanted.address));
        let mut known = std::mem::take(&mut self.running);
        known.extend(opened);
        // In the order of the configuration.
        for wanted in &wanted {
            self.running.extend(known.extract_if(.., |running| running.target.wanted == *wanted));
        }
        let targets: Vec<_> = self.running.iter().map(|running| Arc::clone(&running.target)).collect();
        self.published.store((!targets.is_empty()).then(|| Arc::new(targets)));
        for RunningTarget { target, .. } in &known {
            tracing::info!("no longer forwarding to {}", target.wanted.address);
        }
    }

    /// Lets the threads send what is queued, for a second at most. The receiving threads must have ended.
    pub(crate) fn begin_stop(&self) {
        self.running.iter().for_each(|running| running.target.stop());
    }

    /// Waits until all threads have ended.
    ///
    /// # Errors
    /// If one has died.
    pub(crate) fn stop(mut self) -> Result<(), StopError> {
        self.begin_stop();
        self.running.iter_mut().filter_map(|running| running.thread.take()).try_for_each(join)
    }
}

/// A target and its thread, which ends soon after this is dropped.
#[derive(Debug)]
struct RunningTarget {
    target: Arc<Target>,
    thread: Option<JoinHandle<()>>,
}

impl RunningTarget {
    fn start(wanted: &ForwardTarget, socket: Forwarder) -> io::Result<Self> {
        let (queue, queued) = channel();
        let target = Arc::new(Target::new(wanted.clone(), queue));
        let sending = SendingThread::new(Arc::clone(&target), queued, socket);
        let thread = thread::Builder::new().name("forwarder".to_owned()).spawn(|| sending.run())?;
        target.wake_by(thread.thread().clone());
        Ok(Self { target, thread: Some(thread) })
    }
}

impl Drop for RunningTarget {
    fn drop(&mut self) {
        self.target.stop();
    }
}

#[cfg(test)]
mod tests;
