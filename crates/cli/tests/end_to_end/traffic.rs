//! Traffic that real exporters watch, and what an independent tool (tshark) counts in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use etherparse::PacketBuilder;
use flow::{Counters, Prefix};
use testing::Random;

/// The prefixes that the tests monitor. The second lies inside the first; the third is of the other family.
pub(crate) const PREFIXES: [&str; 3] = ["192.0.2.0/24", "192.0.2.128/25", "2001:db8:1::/64"];

/// Counters by prefix, direction and name, as the REST interface shows them.
pub(crate) type Totals = BTreeMap<(String, String, String), Counters>;

/// Writes a classic pcap of Ethernet frames, the newest of them now: hosts of the monitored prefixes speak with the
/// world and with each other, over TCP and UDP. Without FIN and RST, so that an exporter sees each flow end but once.
pub(crate) fn write(path: &Path, ipv6: bool) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let header: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1];
    header.iter().for_each(|word| file.write_all(&word.to_le_bytes()).unwrap());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    let mut random = Random::new(1);
    let mut next = |below: u64| random.below(below);
    let packets = 4000;
    for number in 0..packets {
        let local = number % 7 == 0;
        let six = ipv6 && number % 3 == 0;
        let (host, peer, port) = (next(40) as u8 + 110, next(60) as u8 + 1, next(3) as u16);
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let mut ends = match (six, local) {
            (false, false) => [[192, 0, 2, host], [198, 51, 100, peer]].map(IpAddr::from),
            (false, true) => [[192, 0, 2, host], [192, 0, 2, peer]].map(IpAddr::from),
            (true, false) => [v6(1, host), v6(2, peer)],
            (true, true) => [v6(1, host), v6(1, peer)],
        };
        let incoming = next(2) == 0;
        if incoming {
            ends.reverse();
        }
        let builder = match ends {
            [IpAddr::V4(from), IpAddr::V4(to)] => builder.ipv4(from.octets(), to.octets(), 64),
            [IpAddr::V6(from), IpAddr::V6(to)] => builder.ipv6(from.octets(), to.octets(), 64),
            _ => unreachable!("both ends are of one family"),
        };
        let (server, client) = ([53, 443, 8443][usize::from(port)], 40_000 + u16::from(host));
        let (from, to) = if incoming { (server, client) } else { (client, server) };
        let payload = vec![0x5a; next(1400) as usize];
        let mut frame = Vec::new();
        if port == 0 {
            builder.udp(from, to).write(&mut frame, &payload).unwrap();
        } else {
            builder.tcp(from, to, number as u32, 65_000).ack(1).psh().write(&mut frame, &payload).unwrap();
        }
        let time = now - (packets - number);
        let record = [(time / 1000) as u32, (time % 1000) as u32 * 1000, frame.len() as u32, frame.len() as u32];
        record.iter().for_each(|word| file.write_all(&word.to_le_bytes()).unwrap());
        file.write_all(&frame).unwrap();
    }
    file.flush().unwrap();
}

fn v6(network: u16, host: u8) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, network, 0, 0, 0, 0, u16::from(host)])
}

/// One packet as tshark shows it.
struct Packet {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    source_port: u16,
    destination_port: u16,
    bytes: u64,
}

/// What must be answered: octets of the IP packets, packets, and flows (distinct five-tuples of one direction).
pub(crate) fn expected(path: &Path) -> Totals {
    // Software that watches an interface knows no routes, so no AS either.
    expected_with(path, |_| 0)
}

/// All source and destination addresses.
pub(crate) fn addresses(path: &Path) -> BTreeSet<IpAddr> {
    packets(path).iter().flat_map(|packet| [packet.source, packet.destination]).collect()
}

/// The same with the AS numbers of addresses.
pub(crate) fn expected_with(path: &Path, asn: impl Fn(IpAddr) -> u32) -> Totals {
    let mut totals = Totals::new();
    let mut seen = BTreeSet::new();
    let prefixes = PREFIXES.map(|prefix| prefix.parse::<Prefix>().unwrap());
    for packet in packets(path) {
        let holds = |address| prefixes.iter().filter(move |prefix| prefix.contains(address)).map(ToString::to_string);
        let (sources, destinations): (Vec<_>, Vec<_>) =
            (holds(packet.source).collect(), holds(packet.destination).collect());
        let local = if sources.is_empty() || destinations.is_empty() { "" } else { ":local" };
        let out = sources.iter().map(|prefix| (prefix, format!("out{local}")));
        let into = destinations.iter().map(|prefix| (prefix, format!("in{local}")));
        let tuple = (packet.source, packet.destination, packet.protocol, packet.source_port, packet.destination_port);
        let flows = u64::from(seen.insert(tuple));
        for (prefix, direction) in out.chain(into) {
            for name in packet.names(&asn) {
                let counters = totals.entry((prefix.clone(), direction.clone(), name)).or_default();
                counters.add(Counters { bytes: packet.bytes, packets: 1, flows });
            }
        }
    }
    totals
}

impl Packet {
    fn names(&self, asn: impl Fn(IpAddr) -> u32) -> [String; 8] {
        [
            "all".into(),
            format!("proto:{}", self.protocol),
            format!("srcip:{}", self.source),
            format!("srcport:{}", self.source_port),
            format!("srcas:{}", asn(self.source)),
            format!("dstip:{}", self.destination),
            format!("dstport:{}", self.destination_port),
            format!("dstas:{}", asn(self.destination)),
        ]
    }
}

fn packets(path: &Path) -> Vec<Packet> {
    let fields = [
        "ip.src",
        "ip.dst",
        "ip.proto",
        "ip.len",
        "ipv6.src",
        "ipv6.dst",
        "ipv6.nxt",
        "ipv6.plen",
        "tcp.srcport",
        "tcp.dstport",
        "udp.srcport",
        "udp.dstport",
    ];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).args(["-T", "fields", "-E", "separator=,"]);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = command.output().expect("tshark is installed by `make test`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let packets: Vec<Packet> = lines.lines().map(packet).collect();
    assert!(!packets.is_empty());
    packets
}

fn packet(line: &str) -> Packet {
    let field: Vec<&str> = line.split(',').collect();
    let either = |a: usize, b: usize| if field[a].is_empty() { field[b] } else { field[a] };
    Packet {
        source: either(0, 4).parse().unwrap(),
        destination: either(1, 5).parse().unwrap(),
        protocol: either(2, 6).parse().unwrap(),
        // The payload length of IPv6 does not include its header of 40 octets.
        bytes: field[3].parse().or_else(|_| field[7].parse::<u64>().map(|payload| payload + 40)).unwrap(),
        source_port: either(8, 10).parse().unwrap(),
        destination_port: either(9, 11).parse().unwrap(),
    }
}
