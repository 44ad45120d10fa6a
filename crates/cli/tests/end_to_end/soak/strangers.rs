//! Datagrams of strangers: from unregistered addresses, and from the exporters' addresses with other source ports. They
//! forge templates, sampling rates, sequence numbers and data of observation domains of their own, and are damaged.
//! Nothing of it may be counted, so no flow of theirs is in the monitored prefix.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use testing::Random;
use udp::{Outgoing, Sender};
use wire::encode::{self, NetflowV9, TemplateSpec};
use wire::netflow_v5::{Header, Record};
use wire::{FieldSpecifier, netflow_v9};

use super::StopAtPanic;
use crate::crashes::unread;

/// Datagrams of each kind in a round.
const A_ROUND: u64 = 8;
const ROUND: Duration = Duration::from_millis(50);
/// The first observation domain of strangers. That of an exporter is its own.
const DOMAINS: u64 = 1000;
/// How many exporters' addresses are forged. Their tables fill within minutes, and memory is measured after that.
const FORGED: usize = 2;
/// Nothing more is sent while the socket holds this number of datagrams.
const MOST_UNREAD: u64 = 300;

fn seconds() -> u32 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32
}

/// Thirty flows that no prefix matches, with any sequence number.
fn netflow_v5(random: &mut Random) -> Vec<u8> {
    let sequence = (random.below(u32::MAX.into()) as u32).into();
    let header = Header { unix_seconds: seconds().into(), sequence, ..Header::default() };
    let record = Record { destination: [203, 0, 113, 1], octets: 1000.into(), packets: 1.into(), ..Record::default() };
    encode::netflow_v5(&header, &[record; 30])
}

/// A packet of a forged observation domain: a new template, with or without data, or a sampling rate.
fn netflow_v9(random: &mut Random) -> Vec<u8> {
    let header = netflow_v9::Header {
        unix_seconds: seconds().into(),
        sequence: (random.below(u32::MAX.into()) as u32).into(),
        source_id: ((DOMAINS + random.below(1 << 20)) as u32).into(),
        ..netflow_v9::Header::default()
    };
    let id = 256 + random.below(60_000) as u16;
    let template = TemplateSpec::data(id, [12, 2, 1].map(|element| FieldSpecifier::iana(element, 4)));
    let record = [[203, 0, 113, 1], [0, 0, 0, 2], [0, 0, 0, 100]].concat();
    let packet = NetflowV9::new(header);
    match random.below(4) {
        0 => packet.template(&template),
        1 => packet.template(&template).data(&template, &[record]),
        // It waits for a template that never comes.
        2 => packet.data(&template, &[record]),
        _ => {
            let fields = [(1, 4), (48, 1), (34, 4)].map(|(element, length)| FieldSpecifier::iana(element, length));
            let options = TemplateSpec::options(id, 1, fields);
            packet.template(&options).data(&options, &[[&[0, 0, 0, 0, 1][..], &1000_u32.to_be_bytes()].concat()])
        }
    }
    .finish()
}

/// Sends until stopped; returns how many datagrams of unregistered addresses, and how many forged ones.
pub(super) fn send(to: SocketAddr, exporters: &[Ipv4Addr], stop: &AtomicBool) -> [u64; 2] {
    let _stop = StopAtPanic(stop);
    let (sender, mut random, mut sent) = (Sender::new(to).unwrap(), Random::new(1), [0; 2]);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(ROUND);
        if unread(to) > MOST_UNREAD {
            continue;
        }
        let mut datagrams = Vec::new();
        for _ in 0..A_ROUND {
            let unregistered = Ipv4Addr::from_bits(0x7f10_0000 + random.below(1 << 20) as u32);
            datagrams.push((unregistered, netflow_v5(&mut random)));
            let exporter = *random.pick(&exporters[..FORGED]);
            datagrams.push((exporter, netflow_v9(&mut random)));
            datagrams.push((exporter, netflow_v5(&mut random)));
            let mut damaged = netflow_v9(&mut random);
            damaged.truncate(random.index(damaged.len()));
            datagrams.push((exporter, damaged));
        }
        let outgoing = datagrams.iter().map(|(source, payload)| Outgoing { source: Some(*source), payload });
        sender.send(&outgoing.collect::<Vec<_>>()).unwrap();
        sent[0] += A_ROUND;
        sent[1] += 3 * A_ROUND;
    }
    sent
}
