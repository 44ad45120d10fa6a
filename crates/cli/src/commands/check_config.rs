//! `netflow check-config`: whether a collector could start now, as this user, with its configuration. It changes nothing
//! and creates no directory, file or table. Errors of the configuration itself are reported before this runs, as by
//! `netflow serve`.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `check_config/holder.rs` | the process that uses an address |
//! | `check_config/directory.rs` | whether the data directory and its files can be used |

mod directory;
mod holder;

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, SystemTime};

use holder::{Holder, Transport};
use origin::Contents;
use serde_json::json;

use crate::config::{Access, Config, Loaded, Storage};
use crate::exit_code::{ExitCode, Failure};
use crate::output::Output;
use crate::{agents, configured_store, tls};

/// The end of its help.
pub(crate) const EXAMPLES: &str = "\
Prints one line per check. A line with ERROR would prevent a start; the exit code is the one that the start would fail
with.

Examples:
  netflow check-config
  netflow check-config --config /etc/netflow/netflow.toml && systemctl reload netflow";

/// How long to wait for a connection to a store.
const STORE_PATIENCE: Duration = Duration::from_secs(3);

/// The format of the results.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Print one JSON object per line: the checks, then whether the collector can start
    #[arg(long)]
    json: bool,
}

/// The results, printed as they come.
struct Findings {
    output: Output,
    is_json: bool,
    written: io::Result<()>,
    /// The exit code of the first error.
    first_error: Option<ExitCode>,
}

impl Findings {
    fn ok(&mut self, what: &str) {
        self.print("ok", what);
    }

    /// A problem that does not prevent a start.
    fn note(&mut self, what: &str) {
        self.print("note", what);
    }

    fn error(&mut self, code: ExitCode, what: &str) {
        self.print("ERROR", what);
        self.first_error.get_or_insert(code);
    }

    /// At once: reaching a store may take seconds.
    fn print(&mut self, verdict: &str, what: &str) {
        if self.written.is_ok() {
            let written = match self.is_json {
                true => writeln!(self.output, "{}", json!({ "result": verdict.to_lowercase(), "check": what })),
                false => writeln!(self.output, "{verdict:5} {what}"),
            };
            self.written = written.and_then(|()| self.output.flush());
        }
    }
}

/// Prints one line per check; the exit code is that of the first error.
pub(crate) fn run(loaded: &Loaded, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut findings = Findings { output: Output::new(), is_json: arguments.json, written: Ok(()), first_error: None };
    let config = &loaded.config;
    check_file(loaded, &mut findings);
    directory::check(config, &mut findings);
    check_store(config, &mut findings);
    check_certificates(config, &mut findings);
    check_origin_files(config, &mut findings);
    check_agents(config, &mut findings);
    check_addresses(config, &mut findings);
    check_forwarding(config, &mut findings);
    if arguments.json && findings.written.is_ok() {
        findings.written = writeln!(findings.output, "{}", json!({ "canStart": findings.first_error.is_none() }));
    }
    findings.output.end(findings.written)?;
    match findings.first_error {
        None => Ok(ExitCode::Success),
        Some(code) => Err(Failure::new(code, anyhow::anyhow!("the collector cannot start"))),
    }
}

fn check_file(loaded: &Loaded, findings: &mut Findings) {
    let Some(path) = &loaded.file else {
        return findings.ok("no configuration file, using defaults and the environment");
    };
    findings.ok(&format!("{}: no errors", path.display()));
    if let Some(warning) = loaded.exposed_secret() {
        findings.note(&warning);
    }
}

/// Whether a store on the network accepts connections; it is not queried.
fn check_store(config: &Config, findings: &mut Findings) {
    let (section, hosts, access, port) = match config.storage {
        Storage::Sqlite => return,
        Storage::Redis => ("redis", &config.redis.hosts, &config.redis.access, 6379),
        Storage::Cassandra => ("cassandra", &config.cassandra.hosts, &config.cassandra.access, 9042),
    };
    if !config.storage.is_built() {
        return findings.error(ExitCode::Store, &configured_store::unsupported(config.storage));
    }
    let attempts: Vec<_> =
        hosts.iter().map(|host| reach(host, port).map_err(|error| format!("{host}: {error}"))).collect();
    let failed: Vec<_> = attempts.iter().filter_map(|attempt| attempt.as_ref().err()).cloned().collect();
    if failed.len() == hosts.len() {
        findings.error(ExitCode::Store, &format!("{section}.hosts: all are unreachable ({})", failed.join("; ")));
    } else if failed.is_empty() {
        findings.ok(&format!("{section}.hosts: all accept connections"));
    } else {
        findings.note(&format!("{section}.hosts: some are unreachable ({})", failed.join("; ")));
    }
    check_authority(section, access, findings);
}

fn reach(host: &str, port: u16) -> std::io::Result<()> {
    let addresses: Vec<SocketAddr> = match host.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        // A host without a port, which may be an IPv6 address.
        Err(_) => (host.trim_matches(['[', ']']), port).to_socket_addrs()?.collect(),
    };
    let mut last = std::io::Error::other("the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, STORE_PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn check_authority(section: &str, access: &Access, findings: &mut Findings) {
    let Some(path) = access.tls_authority.as_ref().filter(|_| access.tls) else { return };
    let shown = format!("{section}.tlsAuthority: {}", path.display());
    match fs::read_to_string(path) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => findings.ok(&shown),
        Ok(_) => findings.error(ExitCode::Config, &format!("{shown} contains no PEM certificate")),
        Err(error) => findings.error(ExitCode::Config, &format!("{shown}: {error}")),
    }
}

/// Whether the certificates can be used, and clients and exporters will accept them.
fn check_certificates(config: &Config, findings: &mut Findings) {
    match tls::server(&config.admin.tls) {
        Ok(None) => {}
        Ok(Some(_)) => findings.ok("admin.tls: the certificate and its key can be used"),
        Err(error) => findings.error(ExitCode::Config, &format!("{error:#}")),
    }
    match tls::exporters(&config.netflow.tls) {
        Ok(None) => {}
        Ok(Some(_)) => findings.ok("netflow.tls: the certificate, its key and the authorities can be used"),
        Err(error) => findings.error(ExitCode::Config, &format!("{error:#}")),
    }
    tls::warnings(config, SystemTime::now()).iter().for_each(|warning| findings.note(warning));
}

/// Whether the files with AS numbers can be used. A collector starts without them.
fn check_origin_files(config: &Config, findings: &mut Findings) {
    for path in &config.origins.files {
        match Contents::read(path) {
            Ok(contents) => {
                let file = contents.file();
                findings.ok(&format!(
                    "origins.files: {}: {}, {} IPv4 ranges, {} IPv6 ranges, {} AS names",
                    path.display(),
                    file.kind,
                    file.ipv4_ranges,
                    file.ipv6_ranges,
                    file.names
                ));
            }
            Err(error) => findings.note(&format!("origins.files: {error}: no file is used until all can be")),
        }
    }
}

fn check_agents(config: &Config, findings: &mut Findings) {
    let Some(path) = &config.snmp.agents_file else { return };
    match agents::read(path) {
        Ok(agents) => findings.ok(&format!("snmp.agentsFile: {}: {} agents or ranges", path.display(), agents.len())),
        Err(error) => findings.error(ExitCode::Config, &format!("snmp.agentsFile: {:#}", anyhow::Error::from(error))),
    }
}

fn check_addresses(config: &Config, findings: &mut Findings) {
    let running = directory::running_collector(&configured_store::path(config));
    if config.netflow.listen.is_empty() && config.sflow.listen.is_empty() {
        findings.error(ExitCode::Listen, "netflow.listen and sflow.listen are both empty: nothing would be received");
    }
    let at = |key: &'static str, transport: Transport, addresses: &[SocketAddr]| {
        addresses.iter().map(|address| (key, transport, *address)).collect::<Vec<_>>()
    };
    let all = [
        at("netflow.listen", Transport::Udp, &config.netflow.listen),
        at("netflow.tcp.listen", Transport::Tcp, &config.netflow.tcp.listen),
        at("netflow.tls.listen", Transport::Tcp, &config.netflow.tls.listen),
        at("sflow.listen", Transport::Udp, &config.sflow.listen),
        at("bmp.listen", Transport::Tcp, &config.bmp.listen),
        at("http.listen", Transport::Tcp, &[config.http.listen]),
    ];
    for (key, transport, address) in all.into_iter().flatten() {
        let bound = match transport {
            Transport::Udp => udp::try_bind(address),
            Transport::Tcp => TcpListener::bind(address).map(drop),
        };
        match bound {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => match holder::of(transport, address) {
                Some(Holder::Process { id, .. }) if Some(id) == running => {
                    findings.ok(&format!("{key}: {address} is in use by the running collector (process {id})"));
                }
                holder => {
                    let who = holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
                    findings.error(ExitCode::Listen, &format!("{key}: {address} is in use by {who}"));
                }
            },
            _ if matches!(udp::is_here(address), Ok(false)) => {
                let until = match key {
                    "http.listen" => "the REST interface is not served until it has",
                    _ => "nothing is received there until it has",
                };
                findings.note(&format!("{key}: this host does not have {address} yet: {until}"));
            }
            Ok(()) => findings.ok(&format!("{key}: {address} is free")),
            Err(error) => findings.error(ExitCode::Listen, &format!("{key}: {address}: {error}")),
        }
    }
    check_receive_buffer(config.server.receive_buffer, findings);
}

/// Whether the targets can be forwarded to, as this user.
fn check_forwarding(config: &Config, findings: &mut Findings) {
    let listening = config.listen();
    for target in &config.forward.targets {
        match target.open(&listening) {
            Ok(socket) => match socket.connect() {
                Ok(()) => findings.ok(&format!("forward.targets: {} can be forwarded to", target.address)),
                Err(error) => findings.note(&format!(
                    "forward.targets: {}: {error}: nothing is forwarded there until there is a route",
                    target.address
                )),
            },
            Err(error) => findings.error(ExitCode::Config, &format!("forward.targets: {}: {error}", target.address)),
        }
    }
}

/// The receive buffer that the kernel grants.
fn check_receive_buffer(wanted: usize, findings: &mut Findings) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let Some(granted) = udp::bind(any, 1, udp::Steering::default(), wanted)
        .ok()
        .and_then(|sockets| Some(sockets.first()?.receive_buffer()))
    else {
        return;
    };
    if granted < wanted {
        findings.note(&format!(
            "server.receiveBuffer: the kernel grants {granted} of {wanted} bytes, bursts may be dropped; fix with: sysctl -w \
             net.core.rmem_max={wanted}"
        ));
    }
}
