//! `netflow generate`: a load of synthetic flows with known exact totals. The `generator` crate makes and sends them; this
//! file has the options and the output.

mod report;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use accounting::field::{Field, FieldSet};
use anyhow::{Context, anyhow};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use flow::{Prefix, Protocol};
use generator::{ExportConnections, Generator, Load, Pace, Popularity, Totals, Traffic, transmit, transmit_over};

use super::destination::{self, Destination};
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::transport::{Patience, Transport, TransportOptions, allow_connections};
use crate::config::unit::{DURATION_FORM, parse_duration};
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;

/// The end of its help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  A thousand flows per second of NetFlow v9, until Ctrl-C:
    netflow generate --to 127.0.0.1:2055
  IPFIX as fast as possible for ten seconds, a third of it IPv6:
    netflow generate --protocol ipfix --ipv6 33 --rate max --duration 10s
  A million flows from a hundred routers, 127.0.0.1 to 127.0.0.100, with the totals of each as JSON:
    netflow generate --exporters 100 --rate 50000 --flows 1000000 --json
  IPFIX over TLS, as an exporter with a certificate:
    netflow generate --tls --to collector.example --ca ca.pem --certificate r1.pem --key r1.key";

/// The port of `netflow.listen` in examples.
const UDP_PORT: u16 = 2055;
/// The templates of a stream are repeated after as many datagrams, because datagrams are lost.
const TEMPLATE_INTERVAL: u32 = 1000;

/// The options of `netflow generate`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The collector; over TCP and TLS the port may be missing [default: 127.0.0.1, and over UDP port 2055]
    #[arg(long, value_name = "HOST:PORT", value_parser = destination::parse)]
    to: Option<Destination>,
    /// The export protocol [default: v9; ipfix over TCP and TLS]
    #[arg(long, value_enum)]
    protocol: Option<Version>,
    /// Flows per second, or max
    #[arg(long, value_parser = parse_rate, default_value = "1000")]
    rate: Rate,
    /// Stop after this many flows, rounded up to whole datagrams
    #[arg(long)]
    flows: Option<u64>,
    /// Stop after this time, such as 10s or 5m
    #[arg(long, value_parser = read_duration)]
    duration: Option<Duration>,
    /// Print one JSON object instead of text, with the totals of each exporter
    #[arg(long)]
    json: bool,
    /// Add the expected counters of this monitored prefix to the JSON; can be repeated
    #[arg(long, value_name = "PREFIX", requires = "json")]
    names: Vec<Prefix>,
    /// The fields of these names [default: those that a collector counts by default]
    #[arg(long, value_name = "FIELD", value_delimiter = ',', value_parser = field(), requires = "names")]
    fields: Vec<Field>,

    #[command(flatten)]
    transport: TransportOptions,

    /// Number of exporters
    #[arg(long, default_value_t = 1, help_heading = "Exporters")]
    exporters: u32,
    /// Source address of the first exporter; the others use the following addresses, all of this machine
    /// [default: chosen by the kernel; 127.0.0.1 with several exporters]
    #[arg(long, value_name = "ADDRESS", help_heading = "Exporters")]
    source: Option<Ipv4Addr>,
    /// Source ports of each exporter, each an observation domain of its own
    #[arg(long, default_value_t = 1, help_heading = "Exporters")]
    ports: u16,
    /// Flows per datagram [default: as many as fit 1500 bytes, at most 30]
    #[arg(long, help_heading = "Exporters")]
    flows_per_datagram: Option<u16>,
    /// Datagrams of a source port between two announcements of its templates [default: 1000; over TCP and TLS only one at the
    /// beginning]
    #[arg(long, help_heading = "Exporters")]
    template_interval: Option<u32>,

    /// A prefix with one end of each flow; can be repeated [default: 192.0.2.0/24, 2001:db8::/32]
    #[arg(long, value_name = "PREFIX", help_heading = "Flows")]
    prefix: Vec<Prefix>,
    /// Distinct addresses inside the prefixes, and the same number outside, per address family
    #[arg(long, default_value_t = 1000, help_heading = "Flows")]
    addresses: u32,
    /// Distinct client ports
    #[arg(long, default_value_t = 28_000, help_heading = "Flows")]
    client_ports: u16,
    /// Distinct AS numbers outside the prefixes
    #[arg(long, default_value_t = 500, help_heading = "Flows")]
    as_numbers: u16,
    /// IP protocol numbers, equally likely
    #[arg(long, value_delimiter = ',', default_value = "6,17", help_heading = "Flows")]
    ip_protocols: Vec<u8>,
    /// Percentage of IPv6
    #[arg(long, value_name = "PERCENT", default_value_t = 0, help_heading = "Flows")]
    ipv6: u8,
    /// Percentage of flows with both ends in the prefixes
    #[arg(long, value_name = "PERCENT", default_value_t = 0, help_heading = "Flows")]
    local: u8,
    /// Percentage of flows from random addresses and ports, as in an attack
    #[arg(long, value_name = "PERCENT", default_value_t = 0, help_heading = "Flows")]
    random: u8,
    /// Give most flows to a few addresses, as in real traffic, instead of the same number to each
    #[arg(long, help_heading = "Flows")]
    zipf: bool,
    /// Repeat the same flows after this many; 0 for never, which is slower
    #[arg(long, default_value_t = 100_000, help_heading = "Flows")]
    repeat: u32,
    /// Seed; the same seed makes the same flows
    #[arg(long, default_value_t = 1, help_heading = "Flows")]
    seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Version {
    /// NetFlow v5
    V5,
    /// NetFlow v9
    V9,
    /// IPFIX
    Ipfix,
    /// sFlow v5, one sampled packet a flow
    Sflow,
}

/// Flows per second; `None` for the maximum. Not a plain `Option`: clap takes that for an optional argument.
#[derive(Clone, Copy, Debug)]
struct Rate(Option<u64>);

/// The prefixes that README and examples monitor, so that they count what is generated by default.
fn documented_prefixes() -> Vec<Prefix> {
    let prefixes: [(IpAddr, u64); 2] =
        [(Ipv4Addr::new(192, 0, 2, 0).into(), 24), (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).into(), 32)];
    prefixes.into_iter().filter_map(|(address, length)| Prefix::new(address, length).ok()).collect()
}

fn parse_rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate(None));
    }
    let rate = text.parse().ok().filter(|rate| *rate > 0);
    rate.map(|rate| Rate(Some(rate))).ok_or_else(|| "write a whole number of at least 1, or max".into())
}

fn field() -> impl TypedValueParser<Value = Field> {
    PossibleValuesParser::new(Field::ALL.map(Field::name))
        .map(|name| Field::ALL.into_iter().find(|field| field.name() == name).unwrap_or(Field::All))
}

fn read_duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("write {DURATION_FORM}"))
}

impl Arguments {
    fn fields(&self) -> FieldSet {
        if self.fields.is_empty() { FieldSet::DEFAULT } else { self.fields.iter().copied().collect() }
    }

    fn pace(&self) -> Pace {
        Pace { rate: self.rate.0, flows: self.flows, duration: self.duration }
    }

    fn protocol(&self) -> Protocol {
        match self.protocol {
            None if self.transport.transport().is_connection() => Protocol::Ipfix,
            None | Some(Version::V9) => Protocol::NetflowV9,
            Some(Version::V5) => Protocol::NetflowV5,
            Some(Version::Ipfix) => Protocol::Ipfix,
            Some(Version::Sflow) => Protocol::SflowV5,
        }
    }

    fn load(&self) -> Load {
        let mut traffic = Traffic {
            addresses: self.addresses,
            client_ports: self.client_ports,
            autonomous_systems: self.as_numbers,
            protocols: self.ip_protocols.clone(),
            ipv6_percent: self.ipv6,
            local_percent: self.local,
            random_percent: self.random,
            popularity: if self.zipf { Popularity::Zipf } else { Popularity::Even },
            ..Traffic::default()
        };
        traffic.prefixes = if self.prefix.is_empty() { documented_prefixes() } else { self.prefix.clone() };
        let several = (self.exporters > 1).then_some(Ipv4Addr::LOCALHOST);
        // Do not make more flows than are sent.
        let limit = self.flows.and_then(|flows| u32::try_from(flows).ok()).unwrap_or(u32::MAX);
        Load {
            protocol: self.protocol(),
            seed: self.seed,
            exporters: self.exporters,
            first_source: self.source.or(several),
            ports: self.ports,
            flows_per_datagram: self.flows_per_datagram,
            template_interval: self.template_interval.unwrap_or(match self.transport.transport().is_connection() {
                // A connection loses none (RFC 7011, section 8.1).
                true => u32::MAX,
                false => TEMPLATE_INTERVAL,
            }),
            repeat: (self.repeat > 0).then_some(self.repeat.min(limit.max(1))),
            traffic,
        }
    }
}

/// Sends until the limit or Ctrl-C, then prints the totals.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (transport, protocol) = (arguments.transport.transport(), arguments.protocol());
    if transport.is_connection() && protocol != Protocol::Ipfix {
        let what = "cannot be sent over a connection, only ipfix can: leave out --protocol, or send it over UDP";
        return Err(Failure::new(ExitCode::CommandLine, anyhow!("{protocol} {what}")));
    }
    let destination =
        arguments.to.clone().unwrap_or_else(|| Destination::local(transport.default_port().or(Some(UDP_PORT))));
    let to = destination.address(transport.default_port()).or_exit(ExitCode::CommandLine)?;
    let mut generator = Generator::new(arguments.load()).or_exit(ExitCode::Failure)?;
    let interrupt = Interrupt::watch().or_exit(ExitCode::Failure)?;
    let mut progress = Progress::new();
    let begun = Instant::now();
    let mut proceed = |totals: &Totals| {
        progress.show(|| {
            let flows = totals.all.flows;
            format!("{flows} flows sent, {:.0} per second", flows as f64 / begun.elapsed().as_secs_f64())
        });
        if interrupt.came() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    match transport {
        Transport::Udp => transmit(&mut generator, to, arguments.pace(), &mut proceed)
            .with_context(|| format!("cannot send to {to}"))
            .or_exit(ExitCode::Failure)?,
        Transport::Tcp | Transport::Tls => {
            connected(arguments, &destination, &mut generator, &interrupt, &mut proceed)?
        }
    }
    progress.clear();
    let sent = report::Sent { generator: &generator, seconds: begun.elapsed().as_secs_f64(), to, transport };
    let text = if arguments.json { sent.json(&arguments.names, arguments.fields()) } else { sent.text() };
    output::print_line(text.or_exit(ExitCode::Failure)?)?;
    Ok(ExitCode::Success)
}

/// Sends over export connections. Without an error, the collector has read everything.
fn connected(
    arguments: &Arguments,
    to: &Destination,
    generator: &mut Generator,
    interrupt: &Interrupt,
    proceed: &mut dyn FnMut(&Totals) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let target = arguments.transport.target(to)?;
    allow_connections(generator.load().streams());
    let patience =
        Patience::new(interrupt, arguments.duration.and_then(|duration| Instant::now().checked_add(duration)));
    let give_up = || patience.has_ended();
    let sent = ExportConnections::open(generator.load(), &target, &give_up).and_then(|mut connections| {
        transmit_over(&mut connections, generator, arguments.pace(), proceed)?;
        connections.end()
    });
    sent.map_err(|error| arguments.transport.failure(&error))
}
