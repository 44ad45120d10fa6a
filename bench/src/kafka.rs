//! What flows cost that go to Kafka: this collector without and with them, and goflow2, each with a topic of its own on the same
//! broker. The records in the topics show who lost flows.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use flow::Protocol;
use generator::{Generator, Pace, transmit};
use testing::Service;

use crate::compare::{load, netflow_with_journal};
use crate::loaded_collector::LoadedCollector;
use crate::process::PATIENCE;
use crate::program::{Netflow, Setup, goflow2};
use crate::run::free_port;
use crate::target::Target;

/// Arguments of `bench kafka`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Flows a second
    #[arg(long, default_value_t = 50_000)]
    rate: u64,
    /// Seconds of load for each figure
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Rounds, each with all programs; figures are those of the median of the added time
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// goflow2, to be measured beside
    #[arg(long)]
    goflow2: Option<PathBuf>,
}

/// The processor time of a load, and what became of it.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// Seconds for a million flows that were sent.
    cost: f64,
    sent: u64,
    /// Records in the topic.
    records: u64,
}

/// A pause between two looks at a topic that grows.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A topic that has not grown for this long has everything: goflow2 sends what it holds each five seconds.
const GROWN: Duration = Duration::from_secs(12);

/// Measures all programs in turns.
pub(crate) fn kafka(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let brokers = Service::start("kafka", 1, &[("PARTITIONS", "1"), ("JIT", "full")]);
    let broker = brokers.hosts.first().context("no broker")?;
    let generator = Generator::new(load(Protocol::NetflowV9, 50_000, 1, 0))?;
    let pace = Pace {
        rate: Some(arguments.rate),
        duration: Some(Duration::from_secs_f64(arguments.seconds)),
        ..Pace::default()
    };
    let counting = netflow_with_journal();
    let (mut added, mut peers) = (Vec::new(), Vec::new());
    for round in 1..=arguments.rounds {
        let topic = Topic { broker, name: format!("netflow-{round}") };
        topic.create()?;
        let without = ours(&counting, &generator, pace, None)?;
        let mut streaming = counting.clone();
        streaming.settings.push(("NETFLOW__KAFKA__BROKERS", broker.clone()));
        streaming.settings.push(("NETFLOW__KAFKA__TOPIC", topic.name.clone()));
        let with = ours(&streaming, &generator, pace, Some(&topic))?;
        eprintln!("round {round}: counting {without:?}, to Kafka {with:?}");
        added.push((with.cost - without.cost, without.cost, with));
        if let Some(binary) = &arguments.goflow2 {
            let topic = Topic { broker, name: format!("goflow2-{round}") };
            topic.create()?;
            let peer = theirs(binary, &generator, pace, &topic)?;
            eprintln!("round {round}: goflow2 {peer:?}");
            peers.push(peer);
        }
    }
    added.sort_by(|a, b| a.0.total_cmp(&b.0));
    peers.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let (added, without, with) = *added.get(added.len() / 2).context("no round")?;
    let unit = "s for a million flows";
    let mut targets = vec![
        Target::figure("counting", without, unit),
        Target::at_most("added by protobuf and LZ4", added, 0.25, unit),
        Target::holds("all flows are in the topic", with.records == with.sent, with.lost()),
    ];
    if let Some(peer) = peers.get(peers.len() / 2) {
        targets.push(Target::figure("goflow2, which does not count", peer.cost, unit));
        targets.push(Target::figure("counting and sending / goflow2", with.cost / peer.cost, "times"));
        targets.push(Target::figure("flows that goflow2 lost", peer.sent as f64 - peer.records as f64, ""));
    }
    Ok(targets.into_iter().map(|target| target.of("kafka")).collect())
}

impl Measured {
    fn lost(self) -> String {
        format!("{} of {}", self.records, self.sent)
    }
}

/// This collector, until all flows are counted, and acknowledged if they go to a topic.
fn ours(netflow: &Netflow, generator: &Generator, pace: Pace, topic: Option<&Topic<'_>>) -> anyhow::Result<Measured> {
    let mut generator = generator.clone();
    let mut collector = LoadedCollector::start(netflow, &generator)?;
    let before = collector.netflow.process.processor_seconds();
    let (sent, _) = collector.send(&mut generator, pace)?;
    let sent = sent.all.flows;
    anyhow::ensure!(collector.netflow.status_counter("flows")? == sent, "{} datagrams dropped", collector.drops()?);
    let end = Instant::now() + PATIENCE;
    while topic.is_some() && collector.netflow.status_counter("kafka_sent_flows")? < sent {
        anyhow::ensure!(Instant::now() < end, "the stream does not catch up");
        thread::sleep(LOOK_EVERY);
    }
    let seconds = collector.netflow.process.end()? - before;
    let records = topic.map(Topic::records).transpose()?.unwrap_or_default();
    Ok(Measured { cost: seconds * 1e6 / sent as f64, sent, records })
}

/// goflow2, until its topic no longer grows.
fn theirs(binary: &std::path::Path, generator: &Generator, pace: Pace, topic: &Topic<'_>) -> anyhow::Result<Measured> {
    let (directory, port) = (tempfile::tempdir()?, free_port()?);
    let setup = Setup { directory: directory.path(), port, exporters: &[] };
    let mut process = goflow2(binary, &setup, topic.broker, &topic.name)?;
    process.wait_until_idle(port)?;
    let before = process.processor_seconds();
    let mut generator = generator.clone();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    transmit(&mut generator, to, pace, &mut |_| ControlFlow::Continue(()))?;
    let (mut records, mut grown) = (topic.records()?, Instant::now());
    while grown.elapsed() < GROWN {
        thread::sleep(LOOK_EVERY);
        let now = topic.records()?;
        if now > records {
            (records, grown) = (now, Instant::now());
        }
    }
    let seconds = process.end()? - before;
    let sent = generator.totals().all.flows;
    Ok(Measured { cost: seconds * 1e6 / sent as f64, sent, records: topic.records()? })
}

/// A topic with one partition.
struct Topic<'a> {
    broker: &'a str,
    name: String,
}

impl Topic<'_> {
    /// Asks for it, by which the broker creates it, until it is there.
    fn create(&self) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.records().is_err() {
            anyhow::ensure!(Instant::now() < end, "the broker does not create topic {}", self.name);
            self.kcat(&["-L", "-t", &self.name])?;
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Its records.
    fn records(&self) -> anyhow::Result<u64> {
        let found = self.kcat(&["-Q", "-t", &format!("{}:0:-1", self.name)])?;
        let offset = found.trim().rsplit(' ').next().and_then(|offset| offset.parse().ok());
        offset.with_context(|| format!("no end of topic {}: {found}", self.name))
    }

    fn kcat(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("kcat").args(["-b", self.broker]).args(arguments).output().context("kcat")?;
        Ok(String::from_utf8(output.stdout)?)
    }
}
