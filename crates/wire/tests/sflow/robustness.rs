//! Datagrams changed, cut and spliced, by a fixed seed: nothing panics, nothing takes long, and nothing is visited that
//! the octets could not hold. Where the capture corpus is at hand, its sFlow datagrams are changed too.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use capture::Capture;
use wire::sflow::{encode, is_sflow};

use crate::datagrams::{AGENT, DESTINATION, SOURCE, decode};
use crate::version_4;

/// xorshift64*: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit.max(1)
    }
}

fn datagrams() -> Vec<Vec<u8>> {
    let header = encode::DatagramHeader { agent: AGENT, sub_agent: 1, sequence: 2, uptime: 3 };
    let sample = encode::FlowSample {
        sequence: 1,
        sampling_rate: 1000,
        input: 1,
        output: 2,
        source: SOURCE,
        destination: DESTINATION,
        frame_length: 1518,
    };
    let encoded = encode::sflow_v5(&header, &[sample; 10]);
    let mut datagrams = vec![
        encoded,
        version_4::datagram(2, 1, &version_4::full_flow_sample(2)),
        version_4::datagram(4, 1, &version_4::full_flow_sample(4)),
        version_4::datagram(4, 7, &version_4::counter_samples()),
    ];
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    let corpus = std::env::var_os("NETFLOW_CORPUS").map_or(beside, PathBuf::from);
    for path in captures(&corpus) {
        let mut capture = Capture::open(&path).unwrap();
        // A few of each capture are enough: they are alike.
        let mut kept = 0;
        while let Some(packet) = capture.next().unwrap() {
            if is_sflow(packet.payload) && kept < 8 {
                datagrams.push(packet.payload.to_vec());
                kept += 1;
            }
        }
    }
    datagrams
}

/// The captures of the corpus that are named after sFlow; none when it is absent.
fn captures(corpus: &Path) -> Vec<PathBuf> {
    let Ok(sources) = std::fs::read_dir(corpus) else { return Vec::new() };
    let folders = sources.map(|source| source.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|file| file.unwrap().path());
    let mut captures: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap"))
        .filter(|path| path.file_name().unwrap().to_string_lossy().contains("sflow"))
        .collect();
    captures.sort();
    captures
}

/// Changes a datagram in one of the ways in which datagrams go wrong.
fn change(random: &mut Random, datagram: &mut Vec<u8>, other: &[u8]) {
    let place = random.below(datagram.len());
    match random.below(5) {
        0 => datagram.truncate(place),
        1 => datagram.splice(place.., other.iter().copied().skip(random.below(other.len()))).for_each(drop),
        2 => {
            if let Some(octet) = datagram.get_mut(place) {
                *octet = random.next() as u8;
            }
        }
        // A count, a length or a format.
        _ => {
            let word = [0, 1, 2, 4, 0x7fff_ffff, 0x8000_0000, u32::MAX][random.below(7)];
            if let Some(octets) = datagram.get_mut(place / 4 * 4..place / 4 * 4 + 4) {
                octets.copy_from_slice(&word.to_be_bytes());
            }
        }
    }
}

#[test]
fn changed_datagrams_neither_panic_nor_take_long_nor_make_records_of_nothing() {
    let datagrams = datagrams();
    let mut random = Random(0x5f10_3176);
    let (mut visited, mut failed) = (0, 0);
    for round in 0..20_000 {
        let mut datagram = datagrams[round % datagrams.len()].clone();
        let other = &datagrams[random.below(datagrams.len())];
        for _ in 0..=random.below(4) {
            change(&mut random, &mut datagram, other);
        }
        let start = Instant::now();
        let decoding = decode(&datagram);
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}: {datagram:02x?}", start.elapsed());
        // A sample has at least format and length, or format and content.
        assert!(decoding.records.len() <= datagram.len() / 8);
        assert_eq!(decoding.records.len(), (decoding.report.data + decoding.report.options) as usize);
        visited += decoding.records.len();
        failed += usize::from(decoding.report.errors > 0);
    }
    // The changes are neither too mild nor too wild to test anything.
    assert!(visited > 10_000 && failed > 2_000, "{visited} records, {failed} datagrams with errors");
}
