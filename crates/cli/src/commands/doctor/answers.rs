//! What the running collector answers, or why it does not: it is not there, the keys are not its own, the clocks differ.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::finding::Finding;
use super::machine;
use crate::client::{Answer, Client};
use crate::config::Config;
use crate::exit_code::Failure;

/// How far the clock of who signs may be off; the collector's own limit.
const SIGNING_WINDOW_SECONDS: u64 = 300;

/// Everything that is asked once.
pub(super) struct Answers {
    /// `GET /status`
    pub(super) status: Value,
    /// `GET /senders`; `None` when the store does not answer.
    pub(super) senders: Option<Vec<Value>>,
    /// `GET /exporters`
    pub(super) exporters: Vec<Value>,
    /// `GET /unknown`
    pub(super) unknown: Vec<Value>,
}

impl Answers {
    /// Asks; a finding when it cannot be asked.
    pub(super) fn gather(client: &Client, config: &Config) -> Result<Self, Finding> {
        let status = get(client, config, "/status")?;
        let list = |path| Ok(list(get(client, config, path)?));
        let senders = match client.exchange("GET", "/senders", "") {
            Ok(answer) if answer.status < 300 => serde_json::from_str(&answer.body).ok(),
            _ => None,
        };
        Ok(Self { status, senders, exporters: list("/exporters")?, unknown: list("/unknown")? })
    }

    /// Where datagrams are received.
    pub(super) fn receiving(&self) -> Vec<SocketAddr> {
        let receiving = self.status["receiving"].as_array().into_iter().flatten();
        receiving.filter_map(|address| address.as_str()?.parse().ok()).collect()
    }
}

/// One of a list of objects, by the address under this key.
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
        Finding::new("unreachable", format!("what answers at {} is no collector", client.url())).seen(error.to_string())
    })
}

fn unreachable(client: &Client, config: &Config, failure: &Failure) -> Finding {
    let what = format!("no collector answers at {}", client.url());
    let mut finding = Finding::new("unreachable", what).seen(format!("{:#}", failure.error));
    if machine::is_here(client.url()) {
        let ports = config.netflow.listen.iter().chain(&config.sflow.listen).map(SocketAddr::port);
        for port in ports.collect::<std::collections::BTreeSet<_>>() {
            finding = match machine::drops_at(port) {
                None => finding.seen(format!("no process of this machine receives at UDP port {port}")),
                Some(_) => {
                    finding.seen(format!("a process of this machine receives at UDP port {port}: is it the collector?"))
                }
            };
        }
        finding = finding.then_type("systemctl status netflow").then_type("journalctl -u netflow -n 50");
        finding = finding.then_type("netflow check-config");
    }
    finding.then_type("netflow doctor --url http://ADDRESS:PORT  # as http.listen says")
}

fn refused(client: &Client, answer: &Answer, refusal: &Failure) -> Finding {
    let said = format!("{:#}", refusal.error);
    if let Some(off) = answer.clock_off_seconds()
        && off.unsigned_abs() > SIGNING_WINDOW_SECONDS
    {
        let direction = if off > 0 { "ahead of" } else { "behind" };
        let what = format!(
            "the clock of this machine is {} s {direction} the collector's, so that signatures are refused",
            off.unsigned_abs()
        );
        return Finding::new("client_clock", what)
            .seen(said)
            .then_type("timedatectl")
            .then_type("date -u; ssh COLLECTOR date -u");
    }
    let finding = match answer.status {
        401 | 403 => {
            let what = format!("the collector at {} refuses the keys", client.url());
            Finding::new("keys_refused", what)
                .then_type("netflow doctor --keys DATADIR/keys  # dataDir of the collector")
                .then_type("netflow doctor --config FILE  # its configuration")
        }
        status => Finding::new("not_answered", format!("the collector at {} answers {status}", client.url()))
            .then_type("journalctl -u netflow -n 50"),
    };
    finding.seen(said)
}
