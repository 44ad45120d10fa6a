//! One key that may only read one sender takes as many connections as it gets and asks the dearest questions that it may
//! ask, while flows arrive and another key asks short ones. With `--overload`, more flows arrive than can be counted.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use accounting::block::{Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::period::{Interval, Minute, Period};
use anyhow::Context;
use clap::Args;
use flow::{Counters, FlushNumber, Protocol, Timestamp};
use generator::Generator;
use storage::{Blocks, WriterState, Writers};

use crate::compare::{load, netflow_with_journal, three_prefixes};
use crate::elsewhere::give_way;
use crate::latency::Latencies;
use crate::loaded_collector::LoadedCollector;
use crate::program::{Client, Key, Netflow};
use crate::stop::StopAtEnd;
use crate::target::Target;

/// Arguments of `bench hostile`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Connections of the hostile key
    #[arg(long, default_value_t = 600)]
    connections: usize,
    /// Seconds without the hostile key, and seconds with it
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// Flows a second that arrive meanwhile
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Send as many flows as possible to one receiving thread, which is at least twice as many as it can count
    #[arg(long, conflicts_with = "rate")]
    overload: bool,
}

const HOSTILE: Key =
    Key { auth: "authentication-key-of-the-hostile-client", sign: "signing-key-of-the-hostile-client" };
const GOOD: Key = Key { auth: "authentication-key-of-the-good-client", sign: "signing-key-of-the-good-client" };
/// The sender of the hostile key and that of the good one. The exporters whose flows arrive have other addresses.
const SENDERS: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
/// What both senders have stored: the minutes of a few hours, with many names for the hostile client.
const MINUTES: u32 = 6 * 60;
const NAMES: [u32; 2] = [4_000, 20];

/// Measures the good client alone and beside the hostile one.
pub(crate) fn hostile(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    let files = tempfile::tempdir()?;
    let keys = files.path().join("keys.toml");
    write_keys(&keys)?;
    let mut settings = vec![("NETFLOW__ADMIN__KEYS_FILE", keys.to_string_lossy().into_owned())];
    if arguments.overload {
        settings.push(("NETFLOW__SERVER__CORES", "1".into()));
    }
    let netflow = Netflow { settings, ..netflow_with_journal() };

    let mut generator = Generator::new(load(Protocol::NetflowV9, 1_000, 4, 0))?;
    let mut collector = LoadedCollector::start(&netflow, &generator)?;
    store_history(&collector)?;
    let measured = measure(&collector, &mut generator, arguments)?;
    let peak_memory = collector.netflow.process.peak_memory();
    // Connections end, and so does what waits for them.
    thread::sleep(Duration::from_secs(15));
    let after = collector.netflow.process.memory();
    let mut targets = measured.targets(arguments);
    targets.extend(totals(&mut collector, &generator, arguments)?);
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    targets.extend([
        Target::figure("resident memory before", mib(measured.memory_before), "MiB"),
        Target::at_most("peak resident memory", mib(peak_memory), 256.0, "MiB"),
        Target::at_most("resident memory 15 s later", mib(after), 64.0, "MiB"),
    ]);
    let scenario = if arguments.overload { "hostile, overload" } else { "hostile" };
    Ok(targets.into_iter().map(|target| target.of(scenario)).collect())
}

/// What the clients were answered.
struct Measured {
    /// The good client while the hostile one is silent.
    alone: Latencies,
    /// The good client beside the hostile one.
    beside: Latencies,
    /// The operator and the probes of load balancers beside the hostile client.
    public: Latencies,
    /// The number of answers to the hostile client.
    hostile_answers: u64,
    /// Resident memory before the first request of the hostile client. Octets.
    memory_before: u64,
}

fn measure(collector: &LoadedCollector, generator: &mut Generator, arguments: &Arguments) -> anyhow::Result<Measured> {
    let netflow = &collector.netflow;
    let (hostile, good, operator) = (netflow.client_with(HOSTILE), netflow.client_with(GOOD), netflow.client());
    let duration = Duration::from_secs_f64(arguments.seconds);
    let ask = || Latencies::measure(duration, |number| short_question(&good, number));
    let questions = dear_questions(&hostile)?;
    let rate = (!arguments.overload).then_some(arguments.rate);
    let (stop, hostile_answers) = (AtomicBool::new(false), AtomicU64::new(0));
    collector.beside_load(generator, rate, || {
        let alone = ask();
        let memory_before = netflow.process.memory();
        let (beside, public) = thread::scope(|scope| {
            let (stop, answers, questions, server) = (&stop, &hostile_answers, &questions, hostile.server);
            let ended = StopAtEnd(stop);
            for number in 0..arguments.connections {
                let question = questions.get(number % questions.len()).context("no question")?;
                thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, move || {
                    give_way();
                    while !stop.load(Ordering::Relaxed) {
                        // The collector may close the connection for another one.
                        let answered = answer_of(server, question).is_ok();
                        answers.fetch_add(u64::from(answered), Ordering::Relaxed);
                    }
                })?;
            }
            let public = scope.spawn(|| Latencies::measure(duration, |number| public_question(&operator, number)));
            let beside = ask();
            drop(ended);
            let public = public.join().map_err(|_| anyhow::anyhow!("the thread that sends requests has panicked"))?;
            anyhow::Ok((beside, public))
        })?;
        let hostile_answers = hostile_answers.load(Ordering::Relaxed);
        Ok(Measured { alone, beside, public, hostile_answers, memory_before })
    })
}

impl Measured {
    fn targets(&self, arguments: &Arguments) -> Vec<Target> {
        let Self { alone, beside, public, hostile_answers, .. } = self;
        let change = beside.percentile(99) / alone.percentile(99);
        let answered = |of: &Latencies| format!("{} of {} failed", of.failed, of.count());
        vec![
            Target::figure("answers to the hostile key a second", *hostile_answers as f64 / arguments.seconds, ""),
            Target::figure("good key alone, median", alone.percentile(50), "ms"),
            Target::figure("good key alone, 99 of 100", alone.percentile(99), "ms"),
            Target::figure("good key beside it, median", beside.percentile(50), "ms"),
            Target::figure("good key beside it, 99 of 100", beside.percentile(99), "ms"),
            match arguments.overload {
                true => Target::figure("99 of 100, beside / alone", change, "times"),
                false => Target::at_most("99 of 100, beside / alone", change, 3.0, "times"),
            },
            Target::holds("the good key is answered", alone.failed + beside.failed == 0, answered(beside)),
            Target::holds(
                "its answers are the same",
                alone.answers == beside.answers,
                format!("{} answers", beside.answers.len()),
            ),
            Target::holds("the operator, /healthz and /readyz are answered", public.failed == 0, answered(public)),
            Target::figure("operator, /healthz and /readyz, 99 of 100", public.percentile(99), "ms"),
        ]
    }
}

/// Whether everything that was sent is counted; under overload, whether everything that was read is counted, and the rest
/// was dropped in the kernel.
fn totals(
    collector: &mut LoadedCollector,
    generator: &Generator,
    arguments: &Arguments,
) -> anyhow::Result<Vec<Target>> {
    let (sent, drops) = (generator.totals(), collector.drops()?);
    let (read, flows) = (collector.netflow.status_counter("datagrams")?, collector.netflow.status_counter("flows")?);
    let unbalanced = collector.netflow.unbalanced_ledgers()?;
    collector.netflow.restart()?;
    let counted = collector.netflow.totals()?;
    let mut targets = vec![
        Target::holds(
            "datagrams read and dropped add up to those sent",
            read + drops == sent.datagrams,
            format!("{read} + {drops} of {}", sent.datagrams),
        ),
        Target::holds(
            "all flows that were read are stored",
            counted.flows == flows,
            format!("{} of {flows}", counted.flows),
        ),
        Target::holds("ledgers balance", unbalanced == 0, format!("{unbalanced} do not")),
    ];
    targets.push(if arguments.overload {
        Target::at_least("flows sent / counted", sent.all.flows as f64 / flows as f64, 2.0, "times")
    } else {
        Target::holds("totals are exact", counted == sent.all && drops == 0, format!("{drops} dropped"))
    });
    Ok(targets)
}

/// Writes the file of keys: each may read one sender.
fn write_keys(path: &Path) -> anyhow::Result<()> {
    let entry = |name: &str, Key { auth, sign }: Key, sender: &str| {
        format!("[{name}]\nauthKey = \"{auth}\"\nsignKey = \"{sign}\"\nrole = \"read\"\nsenders = [\"{sender}\"]\n")
    };
    let [hostile, good] = SENDERS;
    std::fs::write(path, entry("hostile", HOSTILE, hostile) + &entry("good", GOOD, good))?;
    Ok(std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?)
}

/// Registers both senders and stores what they can ask for.
fn store_history(collector: &LoadedCollector) -> anyhow::Result<()> {
    let operator = collector.netflow.client();
    for sender in SENDERS {
        operator.request(
            "PUT",
            &format!("/senders/{sender}"),
            r#"{"prefixes":[{"prefix":"10.0.0.0","prefixLen":16}]}"#,
        )?;
    }
    let store = collector.netflow.store()?;
    let writer = WriterId(7);
    let now = Minute::of(Timestamp::from(SystemTime::now()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        store.put_writer(&WriterState::new(writer, 1, Timestamp::EPOCH)).await?;
        for (sender, names) in SENDERS.into_iter().zip(NAMES) {
            let sender: IpAddr = sender.parse()?;
            let mut tables = Tables::new();
            let mut add = |name: Name, flows| {
                tables.add(Direction::In, name, Counters { bytes: 1000 * flows, packets: flows, flows })
            };
            add(Name::ALL, names.into());
            for number in 0..names {
                add(format!("srcip:198.18.{}.{}", number / 256, number % 256).parse()?, 1);
            }
            for (sequence, ago) in (1..=MINUTES).rev().enumerate() {
                let interval = Interval::containing(Period::Minute, now.saturating_sub(ago));
                let number = FlushNumber { epoch: 1, sequence: sequence as u64 };
                let prefix = three_prefixes().swap_remove(0);
                store.put_blocks(&tables.blocks(interval, sender, prefix, writer, number.into())).await?;
            }
        }
        anyhow::Ok(())
    })
}

/// What the good client asks in turn; the same at any time.
fn short_question(client: &Client, number: usize) -> anyhow::Result<String> {
    let [_, sender] = SENDERS;
    let path = format!("/stats/{sender}");
    let answer = match number % 3 {
        0 => client.request("GET", &format!("/senders/{sender}"), "")?,
        1 => client.request("POST", &path, r#"{"10.0.0.0/16":{"years":["2014"]}}"#)?,
        _ => client.request(
            "GET",
            &format!("/series/{sender}?prefix=10.0.0.0/16&step=day&from=2014-01-01&to=2014-01-08"),
            "",
        )?,
    };
    Ok(answer.to_string())
}

/// What others ask in turn.
fn public_question(operator: &Client, number: usize) -> anyhow::Result<String> {
    let path = ["/senders", "/healthz", "/readyz"].get(number % 3).unwrap_or(&"/");
    operator.request("GET", path, "").map(|answer| answer.to_string())
}

/// The dearest questions that the hostile key may ask, as they are sent.
fn dear_questions(client: &Client) -> anyhow::Result<Vec<Vec<u8>>> {
    let [sender, _] = SENDERS;
    let path = format!("/stats/{sender}");
    let all_time = "prefix=10.0.0.0/16&from=1970-01-01&to=9999-01-01";
    let now = Minute::of(Timestamp::from(SystemTime::now()));
    let date = |ago: u32| {
        let minute = Interval::containing(Period::Minute, now.saturating_sub(ago)).to_string();
        format!(r#"{{"{minute}":["all","srcip:198.18.0.1","srcip:198.18.0.2","srcip:198.18.0.3"]}}"#)
    };
    let stats = |number: u32, every: u32| {
        let dates: Vec<String> = (0..number).map(|number| date(number * every % 500_000)).collect();
        let body = format!(r#"{{"10.0.0.0/16":{{"minutes":[{}]}}}}"#, dates.join(","));
        // As large as a body may be.
        format!("{body}{}", " ".repeat((1 << 20) - body.len().min(1 << 20)))
    };
    let get = |path: String| client.encoded("GET", &path, "");
    let post = |body: String| client.encoded("POST", &path, &body);
    // As many hours of the future as may be asked for: none is next to another, and none is rolled up.
    let hours: Vec<String> = (0..9_999_u32)
        .map(|number| format!("\"{}\"", Interval::containing(Period::Hour, now.saturating_add(number * 120))))
        .collect();
    Ok(vec![
        get(format!("/top/{sender}?{all_time}&field=srcip&n=1000"))?,
        post(stats(10_000, 1))?,
        get(format!("/series/{sender}?prefix=10.0.0.0/16&step=minute&name=srcip:198.18.0.1"))?,
        post(stats(10_000, 2))?,
        get(format!("/billing/{sender}?prefix=10.0.0.0/16"))?,
        post(stats(12_000, 1))?,
        post(format!(r#"{{"10.0.0.0/16":{{"hours":[{}]}}}}"#, hours.join(",")))?,
    ])
}

fn answer_of(server: SocketAddr, question: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    stream.write_all(question)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map(|_| ())
}
