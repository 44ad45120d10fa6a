//! More than can be counted: the interface still answers, and whatever is shed is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use flow::Protocol;
use generator::{Generator, Pace};

use crate::bar::Bar;
use crate::compare::{load, netflow_with_journal};
use crate::stage::Stage;

/// How long.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Seconds of load, which is sent as fast as it can be
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// How often the interface is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// Floods a collector and asks it meanwhile.
pub(crate) fn overload(arguments: &Arguments) -> anyhow::Result<Vec<Bar>> {
    let mut generator = Generator::new(load(Protocol::NetflowV9, 50_000, 4, 0))?;
    let mut stage = Stage::set(&netflow_with_journal(), &generator)?;
    let duration = Duration::from_secs_f64(arguments.seconds);
    let asker = stage.netflow.asker();
    let ended = AtomicBool::new(false);
    let pace = Pace { duration: Some(duration), ..Pace::default() };
    let (sent, slowest) = thread::scope(|scope| {
        let ended = &ended;
        let slowest = scope.spawn(move || -> anyhow::Result<(Duration, usize)> {
            let (mut slowest, mut answers) = (Duration::ZERO, 0);
            while !ended.load(Ordering::Relaxed) {
                for path in ["/status", "/senders"] {
                    let begun = Instant::now();
                    asker.ask("GET", path, "")?;
                    slowest = slowest.max(begun.elapsed());
                    answers += 1;
                }
                thread::sleep(PAUSE);
            }
            Ok((slowest, answers))
        });
        let sent = stage.send(&mut generator, pace);
        ended.store(true, Ordering::Relaxed);
        let slowest = slowest.join().unwrap_or_else(|_| anyhow::bail!("the thread that asks has died"));
        anyhow::Ok((sent?.0, slowest?))
    })?;
    // The sockets are looked at each second.
    thread::sleep(Duration::from_millis(1500));
    let (read, dropped) = (stage.netflow.status_counter("datagrams")?, stage.netflow.status_counter("kernel_drops")?);
    let flows = stage.netflow.status_counter("flows")?;
    stage.netflow.restart()?;
    let stored = stage.netflow.totals()?.flows;
    let (slowest, answers) = slowest;
    Ok(vec![
        Bar::told(
            "overload: flows a second that were sent",
            sent.all.flows as f64 / arguments.seconds / 1e6,
            "million",
        ),
        Bar::told("overload: flows a second that were counted", flows as f64 / arguments.seconds / 1e6, "million"),
        Bar::at_least("overload: sent, of what was counted", sent.all.flows as f64 / flows as f64, 2.0, "times"),
        Bar::at_most(format!("overload: the slowest of {answers} answers"), slowest.as_secs_f64() * 1e3, 250.0, "ms"),
        Bar::holds(
            "overload: datagrams read and dropped are those that were sent",
            read + dropped == sent.datagrams,
            format!("{read} + {dropped} of {}", sent.datagrams),
        ),
        Bar::holds("overload: what was read is stored", stored == flows, format!("{stored} of {flows} flows")),
    ])
}
