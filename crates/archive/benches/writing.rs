//! What a flow costs in the archive: octets of its file, and processor time to decode, encode, compress and write it. The flows do not
//! repeat; `cargo bench -p archive -- 3000000` takes 3 million.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may fail, and prints its figures")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use archive::Writer;
use columns::Row;
use flow::{Exporter, FlushNumber, Protocol, Timestamp, WriterId};
use generator::{Generator, Load};
use wire::{Datagram, Session, SessionLimits};

fn main() {
    let flows: u64 = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(3_000_000);
    for protocol in [Protocol::NetflowV5, Protocol::NetflowV9, Protocol::Ipfix] {
        let load =
            Load { protocol, exporters: 4, first_source: Some([127, 0, 0, 1].into()), repeat: None, ..Load::default() };
        let (decoded, _) = run(load.clone(), flows, false);
        let (written, octets) = run(load, flows, true);
        let each = |time: Duration| time.as_nanos() / u128::from(flows);
        println!(
            "{protocol}: {} ns to make a row, {} ns to archive it, {:.1} octets",
            each(decoded),
            each(written.saturating_sub(decoded)),
            octets as f64 / flows as f64
        );
    }
}

/// The processor time that it takes, without that of the generator, and the octets on disk.
fn run(load: Load, flows: u64, is_archived: bool) -> (Duration, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(folder.path().to_owned(), archive::Reserve { percent: 0 }).unwrap();
    let mut generator = Generator::new(load).unwrap();
    let mut sessions: HashMap<IpAddr, Session> = HashMap::new();
    let mut row = Row::new();
    let (mut taken, mut time) = (0, Duration::ZERO);
    let mut received = Timestamp::from_seconds(1_800_000_000);
    writer.begin_flush(WriterId(1), FlushNumber { epoch: 1, sequence: 1 }).unwrap();
    while taken < flows {
        received = received.saturating_add(Duration::from_millis(3));
        let batch: Vec<_> = generator.batch(received, 64).map(|one| (one.source, one.payload.to_vec())).collect();
        let begun = processor_time();
        for (source, payload) in &batch {
            let address = IpAddr::from(source.unwrap());
            let session = sessions.entry(address).or_insert_with(|| Session::new(SessionLimits::default()));
            let datagram = Datagram { exporter: Exporter::udp(address, 2055), received, payload };
            session.decode(&datagram, &mut |record| {
                if record.row(&mut row) {
                    taken += 1;
                    if is_archived {
                        writer.take(&row).unwrap();
                    }
                }
            });
        }
        time += processor_time() - begun;
    }
    let begun = processor_time();
    writer.finish().unwrap();
    let octets = archive::retention::parts(folder.path()).unwrap().iter().map(|part| part.octets).sum();
    (time + processor_time() - begun, octets)
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap())
}
