//! More flows than the collector can count: the REST interface still answers, and every dropped datagram is counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use flow::Protocol;
use generator::{Generator, Pace};

use crate::compare::{load, netflow_with_journal};
use crate::loaded_collector::LoadedCollector;
use crate::target::Target;

/// Arguments of `bench overload`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Seconds of load at the highest possible rate
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// The pause between requests.
const PAUSE: Duration = Duration::from_millis(50);

/// Floods a collector and sends requests to it at the same time.
pub(crate) fn overload(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let mut generator = Generator::new(load(Protocol::NetflowV9, 50_000, 4, 0))?;
    let mut collector = LoadedCollector::start(&netflow_with_journal(), &generator)?;
    let duration = Duration::from_secs_f64(arguments.seconds);
    let client = collector.netflow.client();
    let ended = AtomicBool::new(false);
    let pace = Pace { duration: Some(duration), ..Pace::default() };
    let (sent, slowest) = thread::scope(|scope| {
        let ended = &ended;
        let slowest = scope.spawn(move || -> anyhow::Result<(Duration, usize)> {
            let (mut slowest, mut answers) = (Duration::ZERO, 0);
            while !ended.load(Ordering::Relaxed) {
                for path in ["/status", "/senders"] {
                    let begun = Instant::now();
                    client.request("GET", path, "")?;
                    slowest = slowest.max(begun.elapsed());
                    answers += 1;
                }
                thread::sleep(PAUSE);
            }
            Ok((slowest, answers))
        });
        let sent = collector.send(&mut generator, pace);
        ended.store(true, Ordering::Relaxed);
        let slowest = slowest.join().unwrap_or_else(|_| anyhow::bail!("the thread that sends requests has panicked"));
        anyhow::Ok((sent?.0, slowest?))
    })?;
    // The collector reads the drops of its sockets once a second.
    thread::sleep(Duration::from_millis(1500));
    let (read, dropped) =
        (collector.netflow.status_counter("datagrams")?, collector.netflow.status_counter("kernel_drops")?);
    let flows = collector.netflow.status_counter("flows")?;
    collector.netflow.restart()?;
    let stored = collector.netflow.totals()?.flows;
    let (slowest, answers) = slowest;
    Ok(vec![
        Target::figure("overload: flows a second sent", sent.all.flows as f64 / arguments.seconds / 1e6, "million"),
        Target::figure("overload: flows a second counted", flows as f64 / arguments.seconds / 1e6, "million"),
        Target::at_least("overload: sent / counted", sent.all.flows as f64 / flows as f64, 2.0, "times"),
        Target::at_most(format!("overload: slowest of {answers} answers"), slowest.as_secs_f64() * 1e3, 250.0, "ms"),
        Target::holds(
            "overload: datagrams read and dropped add up to those sent",
            read + dropped == sent.datagrams,
            format!("{read} + {dropped} of {}", sent.datagrams),
        ),
        Target::holds(
            "overload: all flows that were read are stored",
            stored == flows,
            format!("{stored} of {flows} flows"),
        ),
    ])
}
