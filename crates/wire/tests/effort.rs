//! The datagrams that are the most work for their octets: nothing in them costs more than it is long. What may be
//! damaged is in `robustness`.

use std::time::{Duration, Instant};

use flow::{Exporter, Timestamp};
use wire::{Datagram, Session, SessionLimits};

/// A datagram of 64 KiB takes at most 2 ms in a release build on an idle machine; a test runs in a debug build beside
/// others. What this finds is work that grows faster than the datagram.
const PATIENCE: Duration = Duration::from_millis(500);

/// An IPFIX message of the greatest length, of sets of a kind.
fn largest(id: u16, content: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 10, 0xff, 0xff];
    payload.resize(16, 0);
    while payload.len() + 4 + content.len() <= 65_535 {
        payload.extend(id.to_be_bytes());
        payload.extend((4 + content.len() as u16).to_be_bytes());
        payload.extend(content);
    }
    payload.resize(65_535, 0);
    payload
}

#[test]
fn the_most_laborious_datagrams_take_no_longer_than_their_octets_are_worth() {
    let template = |id: u16, fields: &[[u8; 4]]| {
        let mut octets = id.to_be_bytes().to_vec();
        octets.extend((fields.len() as u16).to_be_bytes());
        octets.extend(fields.concat());
        octets
    };
    let many_small: Vec<u8> = (256..8441).flat_map(|id| template(id, &[[0, 1, 0, 4]])).collect();
    let one_large = template(256, &vec![[0, 1, 0, 1]; 16_370]);
    let all_variable = template(257, &vec![[0, 96, 0xff, 0xff]; 16_370]);
    let single_octet = template(258, &[[0, 4, 0, 1]]);
    let cases = [
        ("many small templates", largest(2, &many_small[..65_472])),
        ("one large template", largest(2, &one_large)),
        ("a template of variable lengths", largest(2, &all_variable)),
        ("a template of one octet", largest(2, &single_octet)),
        ("records of one octet", largest(258, &vec![1; 60_000])),
        ("records of empty variable fields", largest(257, &vec![0; 65_000])),
        ("empty sets", largest(256, &[])),
        ("sets without template", largest(9999, &[1])),
        ("withdrawals", largest(2, &[1, 0, 0, 0].repeat(16_000))),
    ];
    let mut session = Session::new(SessionLimits::default());
    for round in 0..3 {
        for (name, payload) in &cases {
            let exporter = Exporter::new([192, 0, 2, 1].into(), 1);
            let datagram = Datagram { exporter, received: Timestamp::from_seconds(1_000_000 + round * 1000), payload };
            let start = Instant::now();
            let decoded = session.decode(&datagram, &mut |_| {});
            let took = start.elapsed();
            println!("{name}: {took:?}, {} records", decoded.data);
            assert!(took < PATIENCE, "{name}: {took:?}");
        }
    }
}
