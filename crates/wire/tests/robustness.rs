//! Whatever strangers send: nothing panics, nothing takes long, nothing is kept without bound. Captures (where they
//! are at hand) and encoded datagrams are cut, spliced and overwritten with the values that break decoders, from fixed
//! seeds, so that a failure can be repeated.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use flow::{Exporter, Timestamp};
use wire::encode::{Ipfix, NetflowV9, TemplateSpec};
use wire::{
    Datagram, FieldSpecifier, Session, SessionLimits, VARIABLE_LENGTH, encode, ipfix, netflow_v5, netflow_v8,
    netflow_v9,
};

/// A datagram of 64 KiB takes at most 2 ms in a release build on an idle machine; a test runs in a debug build beside
/// others. What this finds is work that grows faster than the datagram.
const PATIENCE: Duration = Duration::from_millis(500);

/// A small generator of random numbers (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Payloads to start from: up to eight of each capture, and one of each encoder.
fn payloads() -> Vec<Vec<u8>> {
    let mut payloads = encoded();
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/captures");
    let corpus = std::env::var_os("NETFLOW_CORPUS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let Ok(folders) = std::fs::read_dir(&corpus) else {
        eprintln!("only encoded datagrams: the captures are not at {}; set NETFLOW_CORPUS", corpus.display());
        return payloads;
    };
    let mut files: Vec<_> = folders
        .flatten()
        .filter_map(|folder| std::fs::read_dir(folder.path()).ok())
        .flat_map(|folder| folder.flatten().map(|file| file.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap"))
        .collect();
    files.sort();
    for path in files {
        let mut capture = capture::Capture::open(&path).unwrap();
        for _ in 0..8 {
            let Ok(Some(udp)) = capture.next() else { break };
            payloads.push(udp.payload.to_vec());
        }
    }
    payloads
}

fn encoded() -> Vec<Vec<u8>> {
    let fields = [(8, 4), (1, 8), (2, 4), (96, VARIABLE_LENGTH), (27, 16), (291, VARIABLE_LENGTH)];
    let template = TemplateSpec::data(256, fields.map(|(id, length)| FieldSpecifier::iana(id, length)));
    let record = template.record(&[&[1; 4], &[2; 8], &[3; 4], b"name", &[4; 16], &[5; 40]]);
    let options = TemplateSpec::options(257, 1, [FieldSpecifier::iana(149, 4), FieldSpecifier::iana(34, 4)]);
    let v9 = NetflowV9::new(netflow_v9::Header::default()).template(&template).template(&options);
    let ipfix = Ipfix::new(ipfix::Header::default()).template(&template).template(&options);
    let v8 = |aggregation| {
        let header = netflow_v8::Header { aggregation, ..Default::default() };
        encode::netflow_v8(&header, &vec![netflow_v8::record(aggregation, u64::from); 3])
    };
    vec![
        encode::netflow_v5(&Default::default(), &[netflow_v5::Record::default(); 3]),
        v8(7),
        v8(14),
        v9.data(&template, &[record.clone(), record.clone()]).data(&options, &[vec![1; 8]]).finish(),
        ipfix.data(&template, &[record.clone(), record]).data(&options, &[vec![1; 8]]).finish(),
    ]
}

/// Damages a payload in one to four of the ways that break decoders.
fn damage(random: &mut Random, payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = payloads[random.below(payloads.len())].clone();
    for _ in 0..=random.below(4) {
        let place = random.below(payload.len());
        match random.below(6) {
            0 => payload.truncate(place),
            1 => {
                let other = &payloads[random.below(payloads.len())];
                payload.truncate(place);
                payload.extend(&other[random.below(other.len())..]);
            }
            2 => payload.iter_mut().skip(place).take(1).for_each(|octet| *octet ^= 1 << (place % 8)),
            3 => payload.iter_mut().skip(place & !1).take(2).for_each(|octet| *octet = 0),
            4 => payload.iter_mut().skip(place & !1).take(2).for_each(|octet| *octet = 0xff),
            _ => {
                let value = [0, 1, 2, 3, 4, 255, 256, 0x7fff, 0x8000, 0xfffe][random.below(10)];
                for (octet, new) in payload.iter_mut().skip(place & !1).zip(u16::to_be_bytes(value)) {
                    *octet = new;
                }
            }
        }
    }
    payload
}

/// Decodes and looks at everything that there is to see.
fn decode_and_list(session: &mut Session, second: u64, payload: &[u8]) {
    let exporter = Exporter::new([192, 0, 2, 1].into(), (second % 3) as u16);
    let datagram = Datagram { exporter, received: Timestamp::from_seconds(second), payload };
    let mut seen = 0;
    let mut visited = 0;
    let decoded = session.decode(&datagram, &mut |record| {
        visited += 1;
        record.fields(&mut |field| seen += format!("{field:?}").len());
    });
    assert!(decoded.data + decoded.options <= visited);
    assert_eq!(decoded.errors > 0, decoded.first_error.is_some());
    assert!(decoded.listed_errors().all(|error| error.offset <= payload.len()));
}

#[test]
fn damaged_datagrams_neither_panic_nor_take_long_nor_fill_the_memory() {
    let payloads = payloads();
    let rounds = std::env::var("NETFLOW_ROBUSTNESS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    let limits = SessionLimits::default();
    for seed in 0..rounds {
        let mut random = Random(seed);
        let mut session = Session::new(limits);
        for second in 0..1000 {
            let payload = damage(&mut random, &payloads);
            let start = Instant::now();
            decode_and_list(&mut session, 1_000_000 + second, &payload);
            let took = start.elapsed();
            assert!(took < PATIENCE, "seed {seed}, datagram {second}: {took:?}");
        }
        assert!(session.templates().count() <= limits.templates.templates);
        let fields: usize = session.templates().map(|known| known.template.fields().len()).sum();
        assert!(fields <= limits.templates.fields, "{fields} fields are kept");
    }
}

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
