//! Export datagrams that several tests send.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use wire::sflow::encode::{DatagramHeader, FlowSample, sflow_v5};

/// An sFlow v5 datagram of an agent: a packet of 100 octets from 192.0.2.7 to 233.252.0.1, one of ten.
#[must_use]
pub fn sflow(agent: impl Into<IpAddr>, sequence: u32) -> Vec<u8> {
    let sample = FlowSample {
        sequence,
        data_source: 1,
        sampling_rate: 10,
        input: 1,
        output: 2,
        source: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 1000),
        destination: SocketAddrV4::new(Ipv4Addr::new(233, 252, 0, 1), 2000),
        frame_length: 100,
    };
    sflow_v5(&DatagramHeader { agent: agent.into(), sub_agent: 0, sequence, uptime: 1000 * sequence }, &[sample])
}
