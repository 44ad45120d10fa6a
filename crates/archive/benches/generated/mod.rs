//! Generated flows as the rows of the log, for the benchmarks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use archive::Writer;
use columns::Row;
use flow::{Exporter, FlushNumber, Timestamp, WriterId};
use generator::{Generator, Load};
use wire::{Datagram, Session, SessionLimits};

/// How often a collector flushes. Files end with a flush.
const FLUSH: Duration = Duration::from_secs(10);

/// Makes rows of generated flows that arrive at a rate, and archives them if there is a writer. Returns the processor time of it,
/// without that of the generator. Each row is changed first.
pub(crate) fn rows(
    load: Load,
    flows: u64,
    flows_a_second: u64,
    change: impl Fn(&mut Row),
    mut writer: Option<&mut Writer>,
) -> Duration {
    let mut generator = Generator::new(load).unwrap();
    let mut sessions: HashMap<IpAddr, Session> = HashMap::new();
    let mut row = Row::new();
    let (mut taken, mut time) = (0, Duration::ZERO);
    let mut received = Timestamp::from_seconds(1_800_000_000);
    let begun_at = received;
    let (mut sequence, mut flush) = (0, received);
    while taken < flows {
        received = begun_at.saturating_add(Duration::from_millis(taken * 1000 / flows_a_second));
        let batch: Vec<_> = generator.batch(received, 64).map(|one| (one.source, one.payload.to_vec())).collect();
        let begun = processor_time();
        if received >= flush
            && let Some(writer) = &mut writer
        {
            if sequence > 0 {
                writer.end_flush(Some(received)).unwrap();
            }
            sequence += 1;
            writer.begin_flush(WriterId(1), FlushNumber { epoch: 1, sequence }).unwrap();
            flush = received.saturating_add(FLUSH);
        }
        for (source, payload) in &batch {
            let address = IpAddr::from(source.unwrap());
            let session = sessions.entry(address).or_insert_with(|| Session::new(SessionLimits::default()));
            let datagram = Datagram { exporter: Exporter::udp(address, 2055), received, payload };
            session.decode(&datagram, &mut |record| {
                if record.row(&mut row) {
                    taken += 1;
                    change(&mut row);
                    if let Some(writer) = &mut writer {
                        writer.take(&row).unwrap();
                    }
                }
            });
        }
        time += processor_time() - begun;
    }
    let begun = processor_time();
    if let Some(writer) = writer {
        writer.finish().unwrap();
    }
    time + processor_time() - begun
}

pub(crate) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap())
}
