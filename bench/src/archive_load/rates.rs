//! The highest rate without loss, with and without the archive, in turns; then twice as much as that.
//!
//! A flush comes each second instead of each ten, so that flows are archived while others arrive. Both collectors have it.

use std::time::Duration;

use flow::Protocol;
use generator::{Generator, Pace};

use super::Arguments;
use super::trial::Trial;
use crate::archive::keeping;
use crate::compare::{load, netflow_with_journal};
use crate::program::{Netflow, Program};
use crate::search::Search;
use crate::target::Target;

/// Distinct addresses on each side.
const ADDRESSES: u32 = 50_000;
/// How many times the highest rate without loss is sent at last.
const OVERLOAD: f64 = 2.0;

/// A collector, the search for its highest rate, and what was sent to it for that.
struct Side<'a> {
    netflow: &'a Netflow,
    search: Option<Search>,
    trials: Vec<Trial>,
}

/// Searches for both highest rates and sends twice as much.
pub(super) fn rates(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let generator = Generator::new(load(Protocol::NetflowV9, ADDRESSES, arguments.exporters, 0))?;
    let mut counting = netflow_with_journal();
    counting.settings.push(("NETFLOW__FLUSH_INTERVAL", "1s".into()));
    let keeping = keeping(counting.clone());
    let (mut pairs, mut archived) = (Vec::new(), Vec::new());
    for round in 1..=arguments.rounds {
        eprintln!("the highest rate without loss, round {round} of {}", arguments.rounds);
        let mut sides = [&counting, &keeping].map(|netflow| Side { netflow, search: None, trials: Vec::new() });
        // They take turns, so that a machine that becomes slower affects both.
        while sides.iter().any(|side| !side.has_ended()) {
            for side in &mut sides {
                side.step(&generator, arguments)?;
            }
        }
        let [without, with] = sides;
        pairs.push((without.found(), with.found()));
        archived.extend(with.trials.iter().map(|trial| (trial.is_archived(), trial.counted.flows)));
    }
    let mut targets = targets_of_rates(&pairs);
    let unarchived = archived.iter().filter(|(is_archived, _)| !is_archived).count();
    let flows: u64 = archived.iter().map(|(_, flows)| flows).sum();
    targets.push(Target::holds(
        "in each step it has all flows that were counted",
        unarchived == 0,
        format!("{unarchived} of {} steps not, {flows} flows", archived.len()),
    ));
    let found = pairs.iter().filter_map(|(_, with)| with.as_ref().map(|with| with.offered));
    let rate = found.reduce(f64::max).map(|rate| (OVERLOAD * rate) as u64);
    targets.extend(overload(&keeping, &generator, pace(arguments, rate))?);
    Ok(targets)
}

fn pace(arguments: &Arguments, rate: Option<u64>) -> Pace {
    Pace { rate, duration: Some(Duration::from_secs_f64(arguments.seconds)), flows: None }
}

/// The highest rate without loss, and how it was reached.
#[derive(Clone, Copy)]
struct Highest {
    offered: f64,
    /// Octets.
    peak_memory: f64,
}

impl Side<'_> {
    fn has_ended(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.next().is_none())
    }

    /// The next step of its search.
    fn step(&mut self, generator: &Generator, arguments: &Arguments) -> anyhow::Result<()> {
        if self.has_ended() {
            return Ok(());
        }
        let rate = self.search.as_ref().and_then(Search::next).map(|rate| rate as u64);
        let trial = Trial::run(self.netflow, generator, pace(arguments, rate))?;
        let share = trial.counted.flows as f64 / trial.sent.all.flows as f64;
        let (name, offered) = (self.netflow.name(), trial.offered());
        eprintln!("  {name:<20} {offered:>9.0} flows/s: {:.3} % counted, {} dropped", 100.0 * share, trial.drops);
        match &mut self.search {
            Some(search) => search.add(offered, trial.is_right()),
            None => self.search = Some(Search::below(offered, share, trial.is_right(), arguments.steps)),
        }
        self.trials.push(trial);
        Ok(())
    }

    fn found(&self) -> Option<Highest> {
        let offered = self.search.as_ref()?.found()?;
        let right = self.trials.iter().filter(|trial| trial.is_right());
        let peak_memory = right.map(|trial| trial.peak_memory).max()? as f64;
        Some(Highest { offered, peak_memory })
    }
}

/// The means of the rounds; a ratio is that of one round.
fn targets_of_rates(pairs: &[(Option<Highest>, Option<Highest>)]) -> Vec<Target> {
    let rounds: Vec<(Highest, Highest)> = pairs.iter().filter_map(|(without, with)| (*without).zip(*with)).collect();
    let mean = |of: &dyn Fn(&(Highest, Highest)) -> f64| rounds.iter().map(of).sum::<f64>() / rounds.len() as f64;
    let mebibytes = |octets: f64| octets / f64::from(1 << 20);
    vec![
        Target::holds(
            "rates without loss were found",
            rounds.len() == pairs.len(),
            format!("in {} of {} rounds", rounds.len(), pairs.len()),
        ),
        Target::figure("highest rate without loss, counting", mean(&|(without, _)| without.offered / 1e6), "M flows/s"),
        Target::figure("highest rate without loss, archive on", mean(&|(_, with)| with.offered / 1e6), "M flows/s"),
        Target::at_least(
            "highest rate without loss, archive on / counting",
            mean(&|(without, with)| with.offered / without.offered),
            0.95,
            "times",
        ),
        Target::at_most(
            "memory that it adds at these rates",
            mean(&|(without, with)| mebibytes(with.peak_memory - without.peak_memory)),
            128.0,
            "MiB",
        ),
    ]
}

/// More flows than can be counted: what was read is counted and archived.
fn overload(keeping: &Netflow, generator: &Generator, pace: Pace) -> anyhow::Result<Vec<Target>> {
    eprintln!("more flows than can be counted");
    let trial = Trial::run(keeping, generator, pace)?;
    let Trial { sent, read, drops, flows, counted, unbalanced_ledgers, archived, .. } = &trial;
    Ok(vec![
        Target::figure("overload: flows a second sent", trial.offered() / 1e6, "million"),
        Target::figure("overload: flows a second counted", trial.rate_counted() / 1e6, "million"),
        Target::holds(
            "overload: datagrams read and dropped add up to those sent",
            read + drops == sent.datagrams,
            format!("{read} + {drops} of {}", sent.datagrams),
        ),
        Target::holds(
            "overload: all flows that were read are stored",
            counted.flows == *flows,
            format!("{} of {flows}", counted.flows),
        ),
        Target::holds("overload: ledgers balance", *unbalanced_ledgers == 0, format!("{unbalanced_ledgers} do not")),
        Target::holds(
            "overload: it has all flows that were counted, or states what is missing",
            trial.is_archived(),
            archived.map_or_else(|| "no archive".to_owned(), |archived| archived.text(counted.flows)),
        ),
    ])
}
