//! What to send, and the errors of invalid loads.

use std::net::Ipv4Addr;

use flow::Protocol;

use crate::datagram;
use crate::traffic::Traffic;

/// What to send. Public fields with defaults: change what matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// NetFlow v5, v9, IPFIX or sFlow v5.
    pub protocol: Protocol,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The number of exporters, each with its own address.
    pub exporters: u32,
    /// The address of the first exporter; the others use the following addresses. `None` lets the kernel choose, which
    /// works for one exporter only.
    pub first_source: Option<Ipv4Addr>,
    /// The number of source ports of each exporter. Each port is an observation domain with its own sequence numbers.
    pub ports: u16,
    /// The number of flows in a datagram; `None` for as many as fit into a packet of 1500 octets, at most 30.
    pub flows_per_datagram: Option<u16>,
    /// The number of data datagrams of a stream between two repetitions of its template.
    pub template_interval: u32,
    /// The same flows are sent again after this many, rounded to whole datagrams. This is fast: datagrams are encoded
    /// once and sent many times. `None` encodes each datagram.
    pub repeat: Option<u32>,
    /// The properties of the flows.
    pub traffic: Traffic,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            protocol: Protocol::NetflowV9,
            seed: 1,
            exporters: 1,
            first_source: None,
            ports: 1,
            flows_per_datagram: None,
            template_interval: 1000,
            repeat: Some(100_000),
            traffic: Traffic::default(),
        }
    }
}

/// An invalid load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The protocol is not supported.
    #[error("{0} cannot be generated: choose netflow-v5, netflow-v9, ipfix or sflow-v5")]
    Protocol(Protocol),
    /// A required setting is missing or 0.
    #[error("there must be at least one of: {0}")]
    None(&'static str),
    /// The protocol cannot carry IPv6 here.
    #[error("{0} is generated without IPv6: choose netflow-v9 or ipfix, or no IPv6")]
    Ipv6(Protocol),
    /// A percentage is above 100.
    #[error("{0} percent is more than all")]
    Percent(u8),
    /// More flows than fit into a datagram.
    #[error("{flows} flows do not fit a datagram: at most {limit} do")]
    FlowsPerDatagram {
        /// The requested number.
        flows: u16,
        /// The maximum.
        limit: u16,
    },
    /// Several exporters, but the kernel chooses the address.
    #[error("{0} exporters need an address each: give the first one")]
    FirstSource(u32),
    /// The addresses of the exporters reach beyond 255.255.255.255, or are more than can be numbered.
    #[error("there are no {exporters} addresses of exporters from {first} on")]
    Exporters {
        /// The requested number.
        exporters: u32,
        /// The first address.
        first: Ipv4Addr,
    },
    /// More exporters times ports than the limit.
    #[error("{0} streams (exporters times ports) are too many: at most {MOST_STREAMS} are possible")]
    Streams(u64),
}

/// Each stream has a datagram in memory.
const MOST_STREAMS: u64 = 1 << 20;

impl Load {
    /// The address of an exporter; `None` when the kernel chooses.
    #[must_use]
    pub fn source(&self, exporter: u32) -> Option<Ipv4Addr> {
        self.first_source.map(|first| Ipv4Addr::from_bits(first.to_bits().wrapping_add(exporter)))
    }

    /// The number of streams: exporters times ports.
    #[must_use]
    pub fn streams(&self) -> u64 {
        u64::from(self.exporters) * u64::from(self.ports)
    }

    /// Returns an error if the load is invalid.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let Traffic { addresses, client_ports, autonomous_systems, interfaces, protocols, prefixes, .. } =
            &self.traffic;
        let needed = [
            ("exporters", self.exporters == 0),
            ("ports of an exporter", self.ports == 0),
            ("data datagrams between templates", self.template_interval == 0),
            ("flows until they repeat", self.repeat == Some(0)),
            ("flows in a datagram", self.flows_per_datagram == Some(0)),
            ("addresses", *addresses == 0),
            ("client ports", *client_ports == 0),
            ("autonomous systems", *autonomous_systems == 0),
            ("interfaces", *interfaces == 0),
            ("protocols", protocols.is_empty()),
            ("prefixes of IPv4", self.traffic.ipv6_percent < 100 && !prefixes.iter().any(|p| p.address().is_ipv4())),
            ("prefixes of IPv6", self.traffic.ipv6_percent > 0 && !prefixes.iter().any(|p| p.address().is_ipv6())),
        ];
        if let Some((what, _)) = needed.iter().find(|(_, missing)| *missing) {
            return Err(LoadError::None(what));
        }
        let limit = datagram::most_flows(self.protocol, &self.traffic).ok_or(LoadError::Protocol(self.protocol))?;
        if let Some(flows) = self.flows_per_datagram.filter(|flows| *flows > limit) {
            return Err(LoadError::FlowsPerDatagram { flows, limit });
        }
        if self.traffic.ipv6_percent > 0 && !self.protocol.has_templates() {
            return Err(LoadError::Ipv6(self.protocol));
        }
        let Traffic { ipv6_percent, local_percent, random_percent, .. } = self.traffic;
        if let Some(percent) = [ipv6_percent, local_percent, random_percent].into_iter().find(|percent| *percent > 100)
        {
            return Err(LoadError::Percent(percent));
        }
        self.check_streams()
    }

    fn check_streams(&self) -> Result<(), LoadError> {
        match self.first_source {
            None if self.exporters > 1 => return Err(LoadError::FirstSource(self.exporters)),
            Some(first) if first.to_bits().checked_add(self.exporters - 1).is_none() => {
                return Err(LoadError::Exporters { exporters: self.exporters, first });
            }
            _ => {}
        }
        let streams = self.streams();
        if streams > MOST_STREAMS { Err(LoadError::Streams(streams)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_load_is_an_error_that_names_the_setting() {
        let refusal = |change: fn(&mut Load)| {
            let mut load = Load::default();
            change(&mut load);
            load.check().unwrap_err().to_string()
        };
        assert_eq!(Load::default().check(), Ok(()));
        assert!(refusal(|load| load.protocol = Protocol::NetflowV8).contains("netflow-v8"));
        assert!(refusal(|load| load.exporters = 0).contains("exporters"));
        assert!(refusal(|load| load.exporters = 2).contains("first"));
        assert!(refusal(|load| load.traffic.prefixes.clear()).contains("prefixes of IPv4"));
        assert!(refusal(|load| load.traffic.local_percent = 101).contains("101"));
        let refusal_of_v5 = refusal(|load| {
            load.protocol = Protocol::NetflowV5;
            load.flows_per_datagram = Some(31);
        });
        assert!(refusal_of_v5.contains("30"), "{refusal_of_v5}");
        let refusal_of_ipv6 = refusal(|load| {
            load.protocol = Protocol::SflowV5;
            load.traffic.ipv6_percent = 1;
        });
        assert!(refusal_of_ipv6.contains("IPv6"), "{refusal_of_ipv6}");
        let refusal_of_the_end = refusal(|load| {
            load.first_source = Some(Ipv4Addr::BROADCAST);
            load.exporters = 2;
        });
        assert!(refusal_of_the_end.contains("255.255.255.255"), "{refusal_of_the_end}");
    }
}
