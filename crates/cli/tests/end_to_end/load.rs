//! A load from the generator, sent while something happens to collectors or their store; and whether exactly what was
//! sent is what they answer.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use accounting::field::{Field, Name};
use flow::{Counters, Prefix, Protocol};
use generator::{Generator, Load, Pace, Traffic, transmit};
use serde_json::{Value, json};

use crate::collector::{Collector, shell_block};
use crate::traffic::{PREFIXES, Totals};

pub(crate) const FLOWS_A_SECOND: u64 = 20_000;

/// A load that is being sent, from 127.0.0.1 and about the prefix that the README registers.
pub(crate) struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Generator>,
}

impl Running {
    /// Sends this many flows per second to a collector until stopped. The seed selects the flows.
    pub(crate) fn start(to: SocketAddr, rate: u64, seed: u64) -> Self {
        let traffic = Traffic { prefixes: vec![prefix()], addresses: 200, client_ports: 500, ..Traffic::default() };
        Self::of(
            to,
            rate,
            Load { protocol: Protocol::NetflowV5, seed, repeat: Some(6_000), traffic, ..Load::default() },
        )
    }

    /// Sends this load.
    pub(crate) fn of(to: SocketAddr, rate: u64, load: Load) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut generator = Generator::new(load).unwrap();
            let pace = Pace { rate: Some(rate), ..Pace::default() };
            let mut proceed = |_: &_| match stopped.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            transmit(&mut generator, to, pace, &mut proceed).unwrap();
            generator
        });
        Self { stop, thread }
    }

    /// Stops it; returns what must be counted under all, under both protocols and under each source.
    pub(crate) fn stop(self) -> Totals {
        self.stop.store(true, Ordering::Relaxed);
        let generator = self.thread.join().unwrap();
        let mut wanted = |name: &Name| matches!(name.field, Field::All | Field::Protocol | Field::SourceAddress);
        let names = generator.names(&[prefix()], &mut wanted);
        let text =
            |key: generator::NameKey| (key.prefix.to_string(), key.direction.name().to_owned(), key.name.to_string());
        names.into_iter().map(|(key, counters)| (text(key), counters)).collect()
    }
}

fn prefix() -> Prefix {
    PREFIXES[0].parse().unwrap()
}

/// How many flows there are in all.
pub(crate) fn flows(totals: &Totals) -> u64 {
    totals.iter().filter(|(key, _)| key.2 == "all").map(|(_, counters)| counters.flows).sum()
}

/// What two loads add up to.
pub(crate) fn sum(mut one: Totals, other: Totals) -> Totals {
    for (key, counters) in other {
        one.entry(key).or_insert(Counters::ZERO).add(counters);
    }
    one
}

/// Has 127.0.0.1 admitted, by the README's line.
pub(crate) fn register(collector: &Collector) {
    let answer = collector.shell(&shell_block("ask PUT"));
    assert!(answer.contains("\"prefixes\""), "{answer}");
    collector.wait_for_line("senders=1");
}

/// What is counted for the README's prefix this year, in bytes, packets and flows, or the collector's refusal.
pub(crate) fn this_year(collector: &Collector) -> Result<[u64; 3], Value> {
    let year = collector.shell("date -u +%Y");
    let year = year.trim();
    let question = json!({ PREFIXES[0]: { "years": [year] } });
    let answer = collector.rest("POST", "/stats/127.0.0.1", &question.to_string());
    let Some(rows) = answer[PREFIXES[0]]["years"][0][year].as_array() else { return Err(answer) };
    let sum = |key: &str| rows.iter().map(|row| row[key].as_u64().unwrap()).sum();
    Ok(["bytes", "pkts", "flows"].map(sum))
}

/// Waits until a collector answers exactly this, under every name; gives how long that took.
pub(crate) fn until_exact(collector: &Collector, expected: &Totals, patience: Duration) -> Duration {
    let begun = Instant::now();
    let mut all = Counters::ZERO;
    expected.iter().filter(|(key, _)| key.2 == "all").for_each(|(_, counters)| all.add(*counters));
    let all = [all.bytes, all.packets, all.flows];
    loop {
        let answer = this_year(collector);
        if answer == Ok(all) {
            break;
        }
        assert!(begun.elapsed() < patience, "{answer:?} of {all:?}\n{}", collector.log());
    }
    let took = begun.elapsed();
    let answered = crate::answered(collector, expected);
    for (key, counters) in expected {
        assert_eq!(answered.get(key), Some(counters), "{key:?}");
    }
    took
}

pub(crate) fn wait(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
    }
}
