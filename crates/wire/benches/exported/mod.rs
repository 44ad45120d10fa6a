//! What routers export, for the benchmarks.
#![allow(dead_code, reason = "each benchmark uses a part")]

use std::net::{Ipv4Addr, SocketAddrV4};

use wire::sflow::encode;

/// The twenty fields of a flow as a router of an Internet provider exports them: information element and length.
pub(crate) const TWENTY: &[(u16, u16)] = &[
    (8, 4),
    (12, 4),
    (15, 4),
    (10, 4),
    (14, 4),
    (2, 4),
    (1, 4),
    (22, 4),
    (21, 4),
    (7, 2),
    (11, 2),
    (6, 1),
    (4, 1),
    (5, 1),
    (16, 4),
    (17, 4),
    (9, 1),
    (13, 1),
    (61, 1),
    (48, 2),
];

/// As many samples as fit into a packet of 1500 octets.
pub(crate) const SAMPLES: u32 = 13;

/// An sFlow datagram of as many flow samples.
pub(crate) fn samples() -> Vec<u8> {
    let header =
        encode::DatagramHeader { agent: Ipv4Addr::new(192, 0, 2, 1).into(), sub_agent: 0, sequence: 1, uptime: 60_000 };
    let samples: Vec<_> = (1..=SAMPLES)
        .map(|sequence| encode::FlowSample {
            sequence,
            sampling_rate: 1000,
            data_source: 1,
            input: 1,
            output: 2,
            source: SocketAddrV4::new(Ipv4Addr::from(0x0a00_0000 + sequence), 40_000),
            destination: SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 53),
            frame_length: 1518,
        })
        .collect();
    encode::sflow_v5(&header, &samples)
}
