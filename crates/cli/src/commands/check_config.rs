//! `netflow check-config`: whether the configuration is right, and whether a collector could start with it now as this
//! user. Nothing is changed: no directory, no file, no table is made. What is wrong in the configuration itself is told
//! before this runs, in the words of `netflow serve`.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `check_config/holder.rs` | which process has an address |
//! | `check_config/directory.rs` | whether a directory can be written, and the files in it used |

mod directory;
mod holder;

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use holder::{Holder, Transport};

use crate::config::{Access, Config, KEYS, Loaded, Origin, Storage};
use crate::exit_code::{ExitCode, Failure};
use crate::output::Output;
use crate::{store, tls};

/// What the help shows.
pub(crate) const EXAMPLES: &str = "\
Prints a line for each thing that was looked at. Lines with FAULT would stop a start; the exit code is then the one that
the start would end with.

Examples:
  netflow check-config
  netflow check-config --config /etc/netflow/netflow.toml && systemctl reload netflow";

/// How long a store on the network may take to answer.
const STORE_PATIENCE: Duration = Duration::from_secs(3);

/// What was found, printed as it is found.
struct Findings {
    output: Output,
    written: io::Result<()>,
    /// The code of the first thing that would stop a start.
    first_fault: Option<ExitCode>,
}

impl Findings {
    fn good(&mut self, what: &str) {
        self.print("ok   ", what);
    }

    /// What does not stop a start, but should be known.
    fn note(&mut self, what: &str) {
        self.print("note ", what);
    }

    fn fault(&mut self, code: ExitCode, what: &str) {
        self.print("FAULT", what);
        self.first_fault.get_or_insert(code);
    }

    /// At once: reaching a store may take seconds.
    fn print(&mut self, verdict: &str, what: &str) {
        if self.written.is_ok() {
            self.written = writeln!(self.output, "{verdict} {what}").and_then(|()| self.output.flush());
        }
    }
}

/// Prints a line for each thing that was looked at; the exit code is that of the first one that would stop a start.
pub(crate) fn run(loaded: &Loaded) -> Result<ExitCode, Failure> {
    let mut findings = Findings { output: Output::new(), written: Ok(()), first_fault: None };
    let config = &loaded.config;
    check_file(loaded, &mut findings);
    directory::check(config, &mut findings);
    check_store(config, &mut findings);
    check_certificate(config, &mut findings);
    check_addresses(config, &mut findings);
    findings.output.end(findings.written)?;
    match findings.first_fault {
        None => Ok(ExitCode::Success),
        Some(code) => Err(Failure::new(code, anyhow::anyhow!("the collector could not start"))),
    }
}

fn check_file(loaded: &Loaded, findings: &mut Findings) {
    let Some(path) = &loaded.file else {
        return findings.good("no configuration file: defaults and environment");
    };
    findings.good(&format!("{} is right", path.display()));
    let secret = KEYS.iter().find(|key| {
        key.literal(&loaded.config).is_none() && matches!(loaded.origins.get(key.name), Some(Origin::Line(_)))
    });
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.mode() & 0o007);
    if let Some(key) = secret.filter(|_| mode != 0) {
        let path = path.display();
        findings.note(&format!("everybody can read {} in {path}: run chmod o-rwx {path}", key.name));
    }
}

/// That a store on the network answers at all; what it is asked is left to the start.
fn check_store(config: &Config, findings: &mut Findings) {
    let (section, hosts, access, port) = match config.storage {
        Storage::Sqlite => return,
        Storage::Redis => ("redis", &config.redis.hosts, &config.redis.access, 6379),
        Storage::Cassandra => ("cassandra", &config.cassandra.hosts, &config.cassandra.access, 9042),
    };
    let attempts: Vec<_> =
        hosts.iter().map(|host| reach(host, port).map_err(|error| format!("{host}: {error}"))).collect();
    let failed: Vec<_> = attempts.iter().filter_map(|attempt| attempt.as_ref().err()).cloned().collect();
    if failed.len() == hosts.len() {
        findings.fault(ExitCode::Store, &format!("{section}.hosts: none can be reached ({})", failed.join("; ")));
    } else if failed.is_empty() {
        findings.good(&format!("{section}.hosts: each accepts connections"));
    } else {
        findings.note(&format!("{section}.hosts: some cannot be reached ({})", failed.join("; ")));
    }
    check_authority(section, access, findings);
}

fn reach(host: &str, port: u16) -> std::io::Result<()> {
    let addresses: Vec<SocketAddr> = match host.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        // Without a port of its own; a bare IPv6 address has colons all the same.
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
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => findings.good(&shown),
        Ok(_) => findings.fault(ExitCode::Config, &format!("{shown} holds no certificate in PEM")),
        Err(error) => findings.fault(ExitCode::Config, &format!("{shown}: {error}")),
    }
}

/// That the REST interface could be served with its certificate, and that clients would take it.
fn check_certificate(config: &Config, findings: &mut Findings) {
    match tls::server(&config.admin.tls) {
        Ok(None) => {}
        Ok(Some(_)) => findings.good("admin.tls: the certificate and its key can be used"),
        Err(error) => findings.fault(ExitCode::Config, &format!("{error:#}")),
    }
    tls::warnings(&config.admin.tls, SystemTime::now()).iter().for_each(|warning| findings.note(warning));
}

fn check_addresses(config: &Config, findings: &mut Findings) {
    let running = directory::running_collector(&store::path(config));
    if config.netflow.listen.is_empty() && config.sflow.listen.is_empty() {
        findings.fault(ExitCode::Listen, "netflow.listen and sflow.listen are both empty: nothing would be received");
    }
    let udp = |key: &'static str, addresses: &[SocketAddr]| {
        addresses.iter().map(|address| (key, Transport::Udp, *address)).collect::<Vec<_>>()
    };
    let all = [
        udp("netflow.listen", &config.netflow.listen),
        udp("sflow.listen", &config.sflow.listen),
        vec![("http.listen", Transport::Tcp, config.http.listen)],
    ];
    for (key, transport, address) in all.into_iter().flatten() {
        let bound = match transport {
            Transport::Udp => udp::try_bind(address),
            Transport::Tcp => TcpListener::bind(address).map(drop),
        };
        let Err(error) = bound else {
            findings.good(&format!("{key}: {address} is free"));
            continue;
        };
        if error.kind() != std::io::ErrorKind::AddrInUse {
            findings.fault(ExitCode::Listen, &format!("{key}: {address}: {error}"));
            continue;
        }
        match holder::of(transport, address) {
            Some(Holder::Process { id, .. }) if Some(id) == running => {
                findings.good(&format!("{key}: {address} belongs to the collector that runs (process {id})"));
            }
            holder => {
                let who = holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
                findings.fault(ExitCode::Listen, &format!("{key}: {address} is in use by {who}"));
            }
        }
    }
    check_receive_buffer(config.server.receive_buffer, findings);
}

/// What the kernel would grant a socket.
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
            "server.receiveBuffer: the kernel grants {granted} of {wanted} octets, so that bursts may be dropped; mend it with: sysctl -w net.core.rmem_max={wanted}"
        ));
    }
}
