//! A flood of new TLS sessions against the REST interface while flows arrive: no flow is lost, and clients are answered.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use flow::Protocol;
use generator::Generator;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use socket2::{Domain, Socket, Type};

use crate::compare::{load, netflow_with_journal};
use crate::elsewhere::give_way;
use crate::latency::Latencies;
use crate::loaded_collector::LoadedCollector;
use crate::process::PATIENCE;
use crate::program::{Client, Netflow, Tls};
use crate::target::Target;

/// Arguments of `bench handshakes`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// New TLS sessions a second
    #[arg(long, default_value_t = 1_000)]
    sessions: u64,
    /// Seconds without the flood, and seconds with it
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Flows a second that arrive meanwhile
    #[arg(long, default_value_t = 40_000)]
    rate: u64,
}

/// The threads of the flood. Each of them has its own address, from 127.0.0.1 on, which the other clients also use.
const THREADS: u8 = 32;
/// The sessions that a thread keeps open: all of them together are more than the collector has places for connections.
const OPEN: usize = 40;

/// Measures clients alone and beside the flood.
pub(crate) fn handshakes(arguments: &Arguments) -> anyhow::Result<Vec<Target>> {
    raise_descriptor_limit()?;
    let files = tempfile::tempdir()?;
    let tls = Tls::make(files.path())?;
    let netflow = Netflow { tls: Some(tls.clone()), ..netflow_with_journal() };
    let mut generator = Generator::new(load(Protocol::NetflowV9, 1_000, 1, 0))?;
    let mut collector = LoadedCollector::start(&netflow, &generator)?;
    let client = collector.netflow.client();
    let duration = Duration::from_secs_f64(arguments.seconds);
    let flood = Flood::new(client.server, tls.client, arguments.sessions, duration);
    let before = collector.netflow.process.memory();
    let (alone, beside, took) = collector.beside_load(&mut generator, Some(arguments.rate), || {
        let alone = ask(&client, duration)?;
        thread::scope(|scope| {
            let flood = scope.spawn(|| flood.run());
            let beside = ask(&client, duration)?;
            let took = flood.join().map_err(|_| anyhow::anyhow!("the flood has panicked"))?;
            anyhow::Ok((alone, beside, took))
        })
    })?;
    let peak_memory = collector.netflow.process.peak_memory();
    let drops = collector.drops()?;
    collector.netflow.restart()?;
    let (counted, sent) = (collector.netflow.totals()?, generator.totals().all);
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    let (opened, refused) = (flood.opened.into_inner(), flood.refused.into_inner());
    let mut targets = vec![
        Target::at_least(
            "handshakes: new TLS sessions a second",
            opened as f64 / took.as_secs_f64(),
            // The last ones are opened after the end.
            arguments.sessions as f64 * 0.99,
            "",
        ),
        Target::figure("handshakes: refused sessions", refused as f64, ""),
        Target::holds(
            format!("handshakes: all {} flows are counted", sent.flows),
            counted == sent && drops == 0,
            format!("{} counted, {drops} datagrams dropped", counted.flows),
        ),
    ];
    for (what, alone, beside) in
        [("/healthz", &alone.health, &beside.health), ("a signed question", &alone.signed, &beside.signed)]
    {
        let figure = |when: &str, of: &Latencies, percent| {
            Target::figure(format!("handshakes: {what} {when}, {percent} of 100"), of.percentile(percent), "ms")
        };
        let failed = alone.failed + beside.failed;
        let answers = alone.count() + beside.count();
        targets.extend([
            figure("alone", alone, 50),
            figure("alone", alone, 99),
            figure("beside the flood", beside, 50),
            figure("beside the flood", beside, 99),
            Target::holds(
                format!("handshakes: {what} is answered"),
                failed == 0,
                format!("{failed} of {answers} failed"),
            ),
        ]);
    }
    targets.extend([
        Target::figure("handshakes: resident memory before", mib(before), "MiB"),
        Target::at_most("handshakes: peak resident memory", mib(peak_memory), 256.0, "MiB"),
    ]);
    Ok(targets)
}

/// What the clients of both kinds measured.
struct Answers {
    health: Latencies,
    signed: Latencies,
}

/// Both kinds of clients at the same time; each request has a session of its own.
fn ask(client: &Client, duration: Duration) -> anyhow::Result<Answers> {
    let measure = |path: &'static str| {
        Latencies::measure(duration, |_| client.request("GET", path, "").map(|answer| answer.to_string()))
    };
    thread::scope(|scope| {
        let health = scope.spawn(move || measure("/healthz"));
        let signed = measure("/senders");
        let health = health.join().map_err(|_| anyhow::anyhow!("the thread that sends requests has panicked"))?;
        Ok(Answers { health, signed })
    })
}

/// Strangers who open TLS sessions and send nothing over them.
struct Flood {
    server: SocketAddr,
    tls: Arc<ClientConfig>,
    /// Sessions a second.
    rate: u64,
    /// All sessions.
    number: u64,
    next: AtomicU64,
    opened: AtomicU64,
    refused: AtomicU64,
}

impl Flood {
    fn new(server: SocketAddr, tls: Arc<ClientConfig>, rate: u64, duration: Duration) -> Self {
        let number = (rate as f64 * duration.as_secs_f64()) as u64;
        Self { server, tls, rate, number, next: 0.into(), opened: 0.into(), refused: 0.into() }
    }

    /// Opens all sessions, each when it is due, or as soon as one of the threads has time for it. Returns how long that
    /// took.
    fn run(&self) -> Duration {
        let begun = Instant::now();
        thread::scope(|scope| {
            for thread in 1..=THREADS {
                scope.spawn(move || self.run_thread(Ipv4Addr::new(127, 0, 0, thread), begun));
            }
        });
        begun.elapsed()
    }

    fn run_thread(&self, from: Ipv4Addr, begun: Instant) {
        give_way();
        let mut open = VecDeque::new();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.number {
                return;
            }
            let due = begun + Duration::from_secs_f64(number as f64 / self.rate as f64);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            match self.open_session(from) {
                Ok(session) => {
                    open.push_back(session);
                    self.opened.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    eprintln!("{error:#}");
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
            if open.len() > OPEN {
                open.pop_front();
            }
        }
    }

    /// A session whose handshake is done.
    fn open_session(&self, from: Ipv4Addr) -> anyhow::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        socket.connect_timeout(&self.server.into(), PATIENCE)?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut session = ClientConnection::new(Arc::clone(&self.tls), self.server.ip().into())?;
        session.complete_io(&mut stream)?;
        ensure!(session.handshake_kind() == Some(HandshakeKind::Full), "a session was resumed");
        Ok(stream)
    }
}

/// Raises the limit of open files as far as an ordinary user may.
fn raise_descriptor_limit() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}
