//! Sends datagrams at a rate, over UDP or another transport. The thread sleeps between due datagrams; at full speed it spends its
//! time in the kernel.

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use udp::{Outgoing, Sender};

use crate::generator::{Generated, Generator};
use crate::totals::Totals;

/// Datagrams a system call.
const BATCH: usize = 64;
/// The minimum sleep, so that a low rate does not cost a system call for each datagram.
const SHORTEST_NAP: Duration = Duration::from_millis(1);
/// The maximum sleep, so that it stops without delay.
const LONGEST_NAP: Duration = Duration::from_millis(50);

/// Rate and duration. Without an end, it continues until it is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Flows a second; `None` for full speed.
    pub rate: Option<u64>,
    /// Ends after this many flows, rounded up to whole datagrams.
    pub flows: Option<u64>,
    /// Ends after this time.
    pub duration: Option<Duration>,
}

/// What carries the datagrams of a generator to a collector.
pub trait Transport {
    /// Why a datagram is not sent.
    type Error;

    /// Sends these in order. A transport may gather them until [`Transport::flush`].
    ///
    /// # Errors
    /// When one of them cannot be sent.
    fn send<'g>(&mut self, datagrams: impl Iterator<Item = Generated<'g>>) -> Result<(), Self::Error>;

    /// Sends what is gathered, before a pause and at the end.
    ///
    /// # Errors
    /// As [`Transport::send`].
    fn flush(&mut self) -> Result<(), Self::Error>;
}

/// Sends the datagrams of a generator over UDP. Reports the totals regularly, and stops if the callback returns `Break`.
///
/// # Errors
/// When there is no route to the destination, or this machine does not have the address of an exporter.
pub fn transmit(
    generator: &mut Generator,
    destination: SocketAddr,
    pace: Pace,
    proceed: &mut dyn FnMut(&Totals) -> ControlFlow<()>,
) -> io::Result<()> {
    transmit_over(&mut Udp::new(destination, generator.load().ports)?, generator, pace, proceed)
}

/// As [`transmit`], over any transport.
///
/// # Errors
/// Those of the transport.
pub fn transmit_over<T: Transport>(
    transport: &mut T,
    generator: &mut Generator,
    pace: Pace,
    proceed: &mut dyn FnMut(&Totals) -> ControlFlow<()>,
) -> Result<(), T::Error> {
    let flows_per_datagram = u64::from(generator.flows_per_datagram());
    let before = generator.totals().all.flows;
    let begun = Instant::now();
    loop {
        let elapsed = begun.elapsed();
        let sent = generator.totals().all.flows - before;
        let ended = pace.duration.is_some_and(|duration| elapsed >= duration)
            || pace.flows.is_some_and(|flows| sent >= flows)
            || proceed(generator.totals()).is_break();
        if ended {
            return transport.flush();
        }
        let left = pace.flows.map_or(BATCH as u64, |flows| (flows - sent).div_ceil(flows_per_datagram));
        let due = match pace.rate {
            Some(rate) => {
                let due = u64::try_from(elapsed.as_nanos() * u128::from(rate) / 1_000_000_000).unwrap_or(u64::MAX);
                due.saturating_sub(sent) / flows_per_datagram
            }
            None => u64::MAX,
        };
        match left.min(due).min(BATCH as u64) as usize {
            0 => {
                transport.flush()?;
                thread::sleep(until_due(pace, sent + flows_per_datagram, elapsed));
            }
            datagrams => transport.send(generator.batch(SystemTime::now().into(), datagrams))?,
        }
    }
}

/// The time until this many flows are due.
fn until_due(pace: Pace, flows: u64, elapsed: Duration) -> Duration {
    let rate = u128::from(pace.rate.unwrap_or(u64::MAX).max(1));
    let at = u64::try_from(u128::from(flows) * 1_000_000_000 / rate).unwrap_or(u64::MAX);
    Duration::from_nanos(at).saturating_sub(elapsed).clamp(SHORTEST_NAP, LONGEST_NAP)
}

/// A socket for each source port of an exporter, for all exporters.
struct Udp {
    senders: Vec<Sender>,
}

impl Udp {
    fn new(destination: SocketAddr, ports: u16) -> io::Result<Self> {
        Ok(Self { senders: (0..ports).map(|_| Sender::new(destination)).collect::<io::Result<_>>()? })
    }
}

impl Transport for Udp {
    type Error = io::Error;

    fn send<'g>(&mut self, datagrams: impl Iterator<Item = Generated<'g>>) -> io::Result<()> {
        let mut outgoing = vec![Vec::with_capacity(BATCH); self.senders.len()];
        for datagram in datagrams {
            if let Some(outgoing) = outgoing.get_mut(usize::from(datagram.port)) {
                outgoing.push(Outgoing { source: datagram.source, payload: datagram.payload });
            }
        }
        self.senders.iter().zip(&outgoing).try_for_each(|(sender, outgoing)| sender.send(outgoing))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
