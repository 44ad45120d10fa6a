//! A question about all flows of the archive, asked again and again while others arrive: what that costs the threads that
//! receive, and whether all are counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use flow::Prefix;
use generator::{Generator, Pace};
use serde_json::Value;

use super::Arguments;
use super::trial::Archived;
use crate::archive::{keeping, load};
use crate::compare::netflow_with_journal;
use crate::elsewhere::give_way;
use crate::loaded_collector::LoadedCollector;
use crate::program::{Client, Netflow, RunningNetflow};
use crate::stop::StopAtEnd;
use crate::target::Target;

/// All flows of the last day in groups by their source and port.
const QUESTION: &str = "/flows/top?by=srcip,dstport&last=1d";

/// What some threads did in a measurement.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    flows: u64,
    /// Of the threads that receive, decode and count. Seconds.
    receiving: f64,
    /// Of these and the ones that flush, sync and archive. Seconds.
    keeping: f64,
}

impl Work {
    /// What was done since the start.
    fn so_far(netflow: &RunningNetflow) -> anyhow::Result<Self> {
        let is_receiving = |name: &str| name.starts_with("receiver-");
        let is_keeping = |name: &str| is_receiving(name) || ["flusher", "journal", "archive"].contains(&name);
        Ok(Self {
            flows: netflow.status_counter("flows")?,
            receiving: netflow.process.seconds_of_threads(is_receiving)?,
            keeping: netflow.process.seconds_of_threads(is_keeping)?,
        })
    }

    /// What is done in this time.
    fn within(netflow: &RunningNetflow, duration: Duration) -> anyhow::Result<Self> {
        let before = Self::so_far(netflow)?;
        thread::sleep(duration);
        let after = Self::so_far(netflow)?;
        Ok(Self {
            flows: after.flows - before.flows,
            receiving: after.receiving - before.receiving,
            keeping: after.keeping - before.keeping,
        })
    }

    fn add(&mut self, other: Self) {
        self.flows += other.flows;
        self.receiving += other.receiving;
        self.keeping += other.keeping;
    }

    /// Nanoseconds a flow.
    fn receiving_a_flow(self) -> f64 {
        self.receiving * 1e9 / self.flows as f64
    }

    fn keeping_a_flow(self) -> f64 {
        self.keeping * 1e9 / self.flows as f64
    }
}

/// What a client was answered.
#[derive(Clone, Copy, Debug)]
struct Answers {
    count: usize,
    failed: usize,
    /// The flows of the answer with the fewest.
    fewest_flows: u64,
    /// Seconds of all answers.
    seconds: f64,
}

impl Answers {
    const NONE: Self = Self { count: 0, failed: 0, fewest_flows: u64::MAX, seconds: 0.0 };

    /// Asks until the signal.
    fn ask(&mut self, client: &Client, stop: &AtomicBool) {
        give_way();
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            match flows_of_answer(client) {
                Ok(flows) => {
                    self.fewest_flows = self.fewest_flows.min(flows);
                    self.count += 1;
                    self.seconds += begun.elapsed().as_secs_f64();
                }
                Err(error) => {
                    eprintln!("{error:#}");
                    self.failed += 1;
                }
            }
        }
    }
}

fn flows_of_answer(client: &Client) -> anyhow::Result<u64> {
    let answer = client.request("GET", QUESTION, "")?;
    answer.pointer("/total/flows").and_then(Value::as_u64).context("an answer without a total")
}

/// Measures without questions and with them, in turns.
pub(super) fn questions(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let mut generator = Generator::new(load())?;
    let prefixes: Vec<Prefix> = generator.load().traffic.prefixes.clone();
    let once = prefixes.len();
    let netflow = keeping(Netflow { prefixes, once, ..netflow_with_journal() });
    let mut collector = LoadedCollector::start(&netflow, &generator)?;
    eprintln!("archiving {} flows", arguments.flows);
    let pace = Pace { rate: Some(arguments.first_rate), flows: Some(arguments.flows), duration: None };
    let (first, _) = collector.send(&mut generator, pace)?;
    let mut drops = collector.drops()?;
    // A stopping collector completes the files.
    collector.netflow.restart()?;
    Archived::after(&mut collector, first.all.flows)?;

    eprintln!("asking while {} flows/s arrive", arguments.rate);
    let (mut alone, mut beside, mut answers) = (Work::default(), Work::default(), Answers::NONE);
    collector.beside_load(&mut generator, Some(arguments.rate), || {
        let (netflow, duration) = (&collector.netflow, Duration::from_secs_f64(arguments.question_seconds));
        // In this order, a machine that becomes slower affects both.
        for is_asked in [false, true, true, false] {
            if is_asked {
                beside.add(with_questions(netflow, duration, &mut answers)?);
            } else {
                alone.add(Work::within(netflow, duration)?);
            }
        }
        Ok(())
    })?;
    collector.wait_until_idle()?;
    drops += collector.drops()?;
    collector.netflow.restart()?;
    let (sent, counted) = (generator.totals().all, collector.netflow.totals()?);
    let archived = Archived::after(&mut collector, counted.flows)?;
    let ratio = |of: fn(Work) -> f64| of(beside) / of(alone);
    let Answers { count, failed, fewest_flows, seconds } = answers;
    Ok(vec![
        Target::figure("questions: answers", count as f64, ""),
        Target::figure("questions: time of an answer", seconds / count as f64, "s"),
        Target::figure("questions: time of receiving threads a flow, without", alone.receiving_a_flow(), "ns"),
        Target::figure("questions: time of receiving threads a flow, with", beside.receiving_a_flow(), "ns"),
        Target::at_most(
            "questions: time of receiving threads a flow, with / without",
            ratio(Work::receiving_a_flow),
            1.1,
            "times",
        ),
        Target::figure(
            "questions: with flushing, syncing and archiving, with / without",
            ratio(Work::keeping_a_flow),
            "times",
        ),
        Target::holds(
            "questions: all flows are counted",
            counted == sent && drops == 0,
            format!("{} of {}, {drops} dropped", counted.flows, sent.flows),
        ),
        Target::holds(
            "questions: all flows are archived",
            archived.rows == counted.flows,
            archived.text(counted.flows),
        ),
        Target::holds(
            "questions: each answer has all flows of before",
            failed == 0 && count > 0 && fewest_flows >= first.all.flows,
            format!("{fewest_flows} of {}, {failed} failed", first.all.flows),
        ),
    ])
}

/// Measures while questions are asked.
fn with_questions(netflow: &RunningNetflow, duration: Duration, answers: &mut Answers) -> anyhow::Result<Work> {
    let (client, stop) = (netflow.client(), AtomicBool::new(false));
    thread::scope(|scope| {
        let ended = StopAtEnd(&stop);
        let asking = scope.spawn(|| answers.ask(&client, &stop));
        let work = Work::within(netflow, duration);
        drop(ended);
        asking.join().map_err(|_| anyhow::anyhow!("the thread that asks questions has panicked"))?;
        work
    })
}
