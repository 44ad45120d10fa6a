//! The answers of the collector, or why there are none: it does not run, refuses the keys, or the clocks differ.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::finding::Finding;
use super::machine;
use crate::client::{Answer, Client};
use crate::commands::ask::Zone;
use crate::config::Config;
use crate::exit_code::Failure;
use crate::table::duration;

/// How far the clock of a client may be off: the limit of the collector.
const SIGNING_WINDOW_SECONDS: u64 = 300;

/// The answers that all checks share.
pub(super) struct Answers {
    /// `GET /status`
    pub(super) status: Value,
    /// `GET /senders`; `None` when the store is unreachable.
    pub(super) senders: Option<Vec<Value>>,
    /// `GET /exporters`
    pub(super) exporters: Vec<Value>,
    /// `GET /unknown`
    pub(super) unknown: Vec<Value>,
}

impl Answers {
    /// Queries the collector; a finding when it does not answer.
    pub(super) fn gather(client: &Client, config: &Config) -> Result<Self, Finding> {
        let status = get(client, config, "/status")?;
        let list = |path| Ok(list(get(client, config, path)?));
        let senders = match client.exchange("GET", "/senders", "") {
            Ok(answer) if answer.status < 300 => serde_json::from_str(&answer.body).ok(),
            _ => None,
        };
        Ok(Self { status, senders, exporters: list("/exporters")?, unknown: list("/unknown")? })
    }

    /// Shows their times in a zone.
    pub(super) fn show_times(&mut self, zone: &Zone) -> Result<(), Failure> {
        let lists = [self.senders.as_mut(), Some(&mut self.exporters), Some(&mut self.unknown)];
        let values = lists.into_iter().flatten().flatten();
        values.chain([&mut self.status]).try_for_each(|value| zone.show_times(value))
    }

    /// The listen addresses for datagrams.
    pub(super) fn receiving(&self) -> Vec<SocketAddr> {
        let receiving = self.status["receiving"].as_array().into_iter().flatten();
        receiving.filter_map(|address| address.as_str()?.parse().ok()).collect()
    }
}

/// The object of a list that has this address under a key.
pub(super) fn by_address<'v>(list: &'v [Value], key: &str, address: IpAddr) -> Option<&'v Value> {
    list.iter().find(|object| address_of(object, key) == Some(address))
}

/// The address under a key.
pub(super) fn address_of(object: &Value, key: &str) -> Option<IpAddr> {
    object[key].as_str()?.parse().ok()
}

fn list(value: Value) -> Vec<Value> {
    if let Value::Array(list) = value { list } else { Vec::new() }
}

fn get(client: &Client, config: &Config, path: &str) -> Result<Value, Finding> {
    let answer = client.exchange("GET", path, "").map_err(|failure| unreachable(client, config, &failure))?;
    if let Err(refusal) = answer.refusal() {
        return Err(refused(client, &answer, &refusal));
    }
    serde_json::from_str(&answer.body).map_err(|error| {
        Finding::new("unreachable", format!("{} is not a netflow collector", client.url())).evidence(error.to_string())
    })
}

fn unreachable(client: &Client, config: &Config, failure: &Failure) -> Finding {
    let what = format!("no collector answers at {}", client.url());
    let mut finding = Finding::new("unreachable", what).evidence(format!("{:#}", failure.error));
    if machine::is_here(client.url()) {
        let ports = config.netflow.listen.iter().chain(&config.sflow.listen).map(SocketAddr::port);
        for port in ports.collect::<std::collections::BTreeSet<_>>() {
            finding = match machine::drops_at(port) {
                None => finding.evidence(format!("no process of this machine listens on UDP port {port}")),
                Some(_) => finding
                    .evidence(format!("a process of this machine listens on UDP port {port}: is it the collector?")),
            };
        }
        finding = finding.run("systemctl status netflow").run("journalctl -u netflow -n 50");
        finding = finding.run("netflow check-config");
    }
    finding.run("netflow doctor --url http://ADDRESS:PORT  # the address of http.listen")
}

fn refused(client: &Client, answer: &Answer, refusal: &Failure) -> Finding {
    let reason = format!("{:#}", refusal.error);
    if let Some(off) = answer.clock_off_seconds()
        && off.unsigned_abs() > SIGNING_WINDOW_SECONDS
    {
        let direction = if off > 0 { "ahead of" } else { "behind" };
        let what = format!(
            "the clock of this machine is {} {direction} the collector's: it refuses signatures",
            duration(off.unsigned_abs())
        );
        return Finding::new("client_clock", what)
            .evidence(reason)
            .run("timedatectl")
            .run("date -u; ssh COLLECTOR date -u");
    }
    let finding = match answer.status {
        401 | 403 => {
            let what = format!("the collector at {} refuses the keys", client.url());
            Finding::new("keys_refused", what)
                .run("netflow doctor --keys DATADIR/keys  # in the data directory of the collector")
                .run("netflow doctor --config FILE  # its configuration")
        }
        status => Finding::new("not_answered", format!("the collector at {} answers {status}", client.url()))
            .run("journalctl -u netflow -n 50"),
    };
    finding.evidence(reason)
}
