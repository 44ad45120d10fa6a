//! The totals that were sent, as text or as JSON with the keys of the REST interface.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use accounting::field::FieldSet;
use flow::{Counters, Prefix};
use generator::Generator;
use serde::Serialize;

use crate::commands::transport::Transport;

/// The most exporters that the text lists.
const EXPORTERS_SHOWN: usize = 20;

/// A load that was sent.
pub(super) struct Sent<'a> {
    pub(super) generator: &'a Generator,
    pub(super) seconds: f64,
    pub(super) to: SocketAddr,
    pub(super) transport: Transport,
}

#[derive(Serialize)]
struct Report {
    transport: &'static str,
    /// Or messages, over a connection.
    datagrams: u64,
    /// Of these, datagrams with templates only.
    templates: u64,
    #[serde(flatten)]
    all: Amounts,
    seconds: f64,
    exporters: Vec<ExporterTotals>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<Expected>,
}

#[derive(Serialize)]
struct Amounts {
    bytes: u64,
    pkts: u64,
    flows: u64,
}

#[derive(Serialize)]
struct ExporterTotals {
    ip: IpAddr,
    #[serde(flatten)]
    amounts: Amounts,
}

#[derive(Serialize)]
struct Expected {
    sender: IpAddr,
    prefix: String,
    direction: &'static str,
    name: String,
    #[serde(flatten)]
    amounts: Amounts,
}

impl From<Counters> for Amounts {
    fn from(Counters { bytes, packets, flows }: Counters) -> Self {
        Self { bytes, pkts: packets, flows }
    }
}

impl Sent<'_> {
    /// One line of totals, and one per exporter.
    pub(super) fn text(&self) -> io::Result<String> {
        let totals = self.generator.totals();
        let Counters { bytes, packets, flows } = totals.all;
        let rate = if self.seconds > 0.0 { flows as f64 / self.seconds } else { 0.0 };
        let mut text = format!(
            "sent {flows} flows, {packets} packets, {bytes} bytes in {} {} ({} of templates){} to {} in {:.1} s: {rate:.0} \
             flows/s",
            totals.datagrams,
            self.transport.units(),
            totals.templates,
            self.transport.over(),
            self.to,
            self.seconds
        );
        for (number, counters) in (0..).zip(&totals.exporters).take(EXPORTERS_SHOWN) {
            let Counters { bytes, packets, flows } = counters;
            let from = self.address(number)?;
            text.push_str(&format!("\n  from {from}: {flows} flows, {packets} packets, {bytes} bytes"));
        }
        if let more @ 1.. = totals.exporters.len().saturating_sub(EXPORTERS_SHOWN) {
            text.push_str(&format!("\n  and {more} more exporters; --json lists all"));
        }
        Ok(text)
    }

    /// One object, with the expected counters of these prefixes under the values of these fields.
    pub(super) fn json(&self, prefixes: &[Prefix], fields: FieldSet) -> io::Result<String> {
        let totals = self.generator.totals();
        let numbered = (0..).zip(&totals.exporters);
        let exporters = numbered
            .map(|(number, counters)| Ok(ExporterTotals { ip: self.address(number)?, amounts: (*counters).into() }))
            .collect::<io::Result<_>>()?;
        let mut names: Vec<_> = if prefixes.is_empty() {
            Vec::new()
        } else {
            self.generator.names(prefixes, &mut |name| fields.contains(name.field)).into_iter().collect()
        };
        names.sort_unstable_by_key(|(key, _)| *key);
        let names = names.into_iter().map(|(key, counters)| {
            Ok(Expected {
                sender: self.address(key.exporter)?,
                prefix: key.prefix.to_string(),
                direction: key.direction.name(),
                name: key.name.to_string(),
                amounts: counters.into(),
            })
        });
        let report = Report {
            transport: self.transport.name(),
            datagrams: totals.datagrams,
            templates: totals.templates,
            all: totals.all.into(),
            seconds: self.seconds,
            exporters,
            names: names.collect::<io::Result<_>>()?,
        };
        Ok(serde_json::to_string_pretty(&report)?)
    }

    /// The source address of an exporter; the kernel would choose the same again.
    fn address(&self, exporter: u32) -> io::Result<IpAddr> {
        if let Some(source) = self.generator.load().source(exporter) {
            return Ok(source.into());
        }
        let socket = UdpSocket::bind(if self.to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        socket.connect(self.to)?;
        Ok(socket.local_addr()?.ip())
    }
}
