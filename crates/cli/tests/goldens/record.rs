//! A record as `netflow decode` prints it, and what can be asked of it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::value::milliseconds;

/// All records of a capture, in the order of the wire.
pub(crate) struct Records(pub(crate) Vec<Record>);

/// One line of `netflow decode`.
pub(crate) struct Record(pub(crate) Value);

impl Records {
    /// Decodes a capture by the real binary.
    pub(crate) fn of(capture: &Path) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_netflow")).arg("decode").arg(capture).output().unwrap();
        assert!(output.status.success(), "{}: {}", capture.display(), String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        Self(text.lines().map(|line| Record(serde_json::from_str(line).unwrap())).collect())
    }

    /// Those of one kind: `data`, `options`, `counters`, `drop`.
    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Record> {
        self.0.iter().filter(move |record| record.0["kind"] == kind)
    }
}

impl Record {
    /// The value of the first of these names that the record has, separated by `|`; `null` when it has none.
    ///
    /// A name is that of a field; with a slash in front it is a pointer into the whole object, with an `@` in front
    /// something that follows from other fields. Of a repeated field it is the first value, the last one with a `$`
    /// after the name.
    pub(crate) fn get(&self, names: &str) -> Value {
        names.split('|').map(|name| self.one(name)).find(|value| !value.is_null()).unwrap_or_default()
    }

    /// The same of a repeated field, which has this number among its values.
    pub(crate) fn get_repeated(&self, names: &str, number: usize) -> Value {
        if number == 0 { self.get(names) } else { self.values(names).get(number).cloned().unwrap_or_default() }
    }

    fn one(&self, name: &str) -> Value {
        if let Some(name) = name.strip_prefix('@') {
            return self.derived(name);
        }
        if name.starts_with('/') {
            return self.0.pointer(name).cloned().unwrap_or_default();
        }
        if let Some(name) = name.strip_suffix('$') {
            return self.values(name).last().cloned().unwrap_or_default();
        }
        self.values(name).first().cloned().unwrap_or_default()
    }

    /// All values of a field, those in the scope first. Items of a list are objects: a list is one value.
    fn values(&self, name: &str) -> Vec<Value> {
        let parts = ["scope", "fields"].map(|part| &self.0[part][name]).into_iter();
        let values = parts.flat_map(|value| match value {
            Value::Null => Vec::new(),
            Value::Array(values) if values.first().is_some_and(|value| !value.is_object()) => values.clone(),
            value => vec![value.clone()],
        });
        values.collect()
    }

    /// All addresses of a direction that say something. In a tunnel the last one is inside, the first one outside.
    fn addresses(&self, direction: &str) -> Vec<Value> {
        let names = ["IPv6Address", "IPv4Address"].map(|address| format!("{direction}{address}"));
        let all = names.iter().flat_map(|name| self.values(name));
        let mut addresses: Vec<_> = all.filter(|address| *address != "0.0.0.0" && *address != "::").collect();
        if addresses.is_empty() {
            addresses.extend(names.iter().find_map(|name| self.values(name).first().cloned()));
        }
        addresses
    }

    /// The outer value: the first of those that a record of a tunnel has twice.
    fn outside(&self, values: Vec<Value>) -> Value {
        let is_tunnel = self.values("protocolIdentifier").len() > 1;
        values.into_iter().next().filter(|_| is_tunnel).unwrap_or_default()
    }

    /// The labels of the stack that are not zero: 20 bits of each section (RFC 3032, section 2.1).
    fn labels(&self) -> Vec<i64> {
        let names = ["mplsTopLabelStackSection".to_owned()].into_iter();
        let names = names.chain((2..=10).map(|section| format!("mplsLabelStackSection{section}")));
        let entries = names.filter_map(|name| i64::from_str_radix(self.one(&name).as_str()?, 16).ok());
        entries.map(|entry| entry >> 4).filter(|&label| label != 0).collect()
    }

    /// A member of all items of a list, or of the lists in them.
    fn items(&self, list: &str, inner: &str, member: &str) -> Vec<i64> {
        let lists = self.0["fields"][list].as_array().into_iter().flatten();
        let items = lists.flat_map(|item| match item.pointer(inner).unwrap() {
            Value::Array(items) => items.clone(),
            item => vec![item.clone()],
        });
        items.filter_map(|item| item[member].as_i64()).collect()
    }

    fn derived(&self, name: &str) -> Value {
        let number = |names: &str| self.get(names).as_i64();
        // sysUpTime is in milliseconds, as of the time of export (RFC 3954, section 5.1).
        let since_boot = |uptime: &str| {
            let booted = milliseconds(self.0["exported"].as_str()?)? - number("/uptime")?;
            Some(booted + number(uptime)?)
        };
        let list = |values: Vec<i64>| if values.is_empty() { Value::Null } else { json!(values) };
        let value = match name {
            "source" => return self.addresses("source").pop().unwrap_or_default(),
            "destination" => return self.addresses("destination").pop().unwrap_or_default(),
            "tunnel source" => return self.outside(self.addresses("source")),
            "tunnel destination" => return self.outside(self.addresses("destination")),
            "tunnel protocol" => return self.outside(self.values("protocolIdentifier")),
            "tunnel tos" => return self.outside(self.values("ipClassOfService")),
            // A single label is of the outer header, too; nfacctd knows it only where there are two.
            "tunnel flow label" if self.values("flowLabelIPv6").len() < 2 => None,
            "tunnel flow label" => return self.outside(self.values("flowLabelIPv6")),
            "mpls labels" => return list(self.labels()),
            "as path" => return list(self.items("extended_gateway.dst_as_path", "/path", "as")),
            "communities" => return list(self.items("extended_gateway.communities", "", "community")),
            "version" => match self.0["protocol"].as_str().unwrap() {
                "ipfix" => Some(10),
                text => text.rsplit('v').next().and_then(|version| version.parse().ok()),
            },
            "start" => since_boot("flowStartSysUpTime"),
            "end" => since_boot("flowEndSysUpTime"),
            "engine type" => number("/domain").map(|domain| domain >> 8),
            "ether type" => ether_type(&self.get("inner_packet.source_address|packet.source_address|@source")),
            "outer ether type" => ether_type(&self.get("@tunnel source|@source")),
            // Without an element for it, type and code are in the destination port.
            "icmp type" => number("icmpTypeCodeIPv4|destinationTransportPort").map(|code| code >> 8),
            "icmp code" => number("icmpTypeCodeIPv4").map(|code| code & 0xff),
            "agent version" => ether_type(&self.get("agent_address")).map(|kind| if kind == 0x0800 { 4 } else { 6 }),
            "administratively up" => number("if_counters.ifStatus").map(|status| status & 1),
            "operationally up" => number("if_counters.ifStatus").map(|status| status >> 1 & 1),
            "sampled octets" => self.one("sampled_header.header").as_str().map(|digits| digits.len() as i64 / 2),
            "engine id" => number("/domain").map(|domain| domain & 0xff),
            _ => panic!("nothing follows for {name}"),
        };
        value.map_or(Value::Null, Value::from)
    }
}

fn ether_type(address: &Value) -> Option<i64> {
    address.as_str().map(|address| if address.contains(':') { 0x86dd } else { 0x0800 })
}
