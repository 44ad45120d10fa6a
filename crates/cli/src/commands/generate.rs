//! `netflow generate`: a load of synthetic flows with known exact totals. The `generator` crate makes and sends them; this
//! file has the options and the output.

mod report;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use accounting::field::{Field, FieldSet};
use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use flow::{Prefix, Protocol};
use generator::{Generator, Load, Pace, Popularity, Traffic, transmit};

use super::destination;
use super::interrupt::Interrupt;
use super::progress::Progress;
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
    netflow generate --exporters 100 --rate 50000 --flows 1000000 --json";

/// The options of `netflow generate`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The collector
    #[arg(long, value_name = "HOST:PORT", value_parser = destination::parse, default_value = "127.0.0.1:2055")]
    to: SocketAddr,
    /// The export protocol
    #[arg(long, value_enum, default_value_t = Version::V9)]
    protocol: Version,
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
    /// Datagrams of a source port between two announcements of its templates
    #[arg(long, default_value_t = 1000, help_heading = "Exporters")]
    template_interval: u32,

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
            protocol: match self.protocol {
                Version::V5 => Protocol::NetflowV5,
                Version::V9 => Protocol::NetflowV9,
                Version::Ipfix => Protocol::Ipfix,
                Version::Sflow => Protocol::SflowV5,
            },
            seed: self.seed,
            exporters: self.exporters,
            first_source: self.source.or(several),
            ports: self.ports,
            flows_per_datagram: self.flows_per_datagram,
            template_interval: self.template_interval,
            repeat: (self.repeat > 0).then_some(self.repeat.min(limit.max(1))),
            traffic,
        }
    }
}

/// Sends until the limit or Ctrl-C, then prints the totals.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut generator = Generator::new(arguments.load()).or_exit(ExitCode::Failure)?;
    let interrupt = Interrupt::watch().or_exit(ExitCode::Failure)?;
    let pace = Pace { rate: arguments.rate.0, flows: arguments.flows, duration: arguments.duration };
    let mut progress = Progress::new();
    let begun = Instant::now();
    transmit(&mut generator, arguments.to, pace, &mut |totals| {
        progress.show(|| {
            let flows = totals.all.flows;
            format!("{flows} flows sent, {:.0} per second", flows as f64 / begun.elapsed().as_secs_f64())
        });
        if interrupt.came() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .with_context(|| format!("cannot send to {}", arguments.to))
    .or_exit(ExitCode::Failure)?;
    progress.clear();
    let sent = report::Sent { generator: &generator, seconds: begun.elapsed().as_secs_f64(), to: arguments.to };
    let text = if arguments.json { sent.json(&arguments.names, arguments.fields()) } else { sent.text() };
    output::print_line(text.or_exit(ExitCode::Failure)?)?;
    Ok(ExitCode::Success)
}
