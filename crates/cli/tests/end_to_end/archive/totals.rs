//! Running totals: the archive has the octets that were counted, although what is counted depends on what the collector
//! remembers of a connection, and the archive reads again what the process before it has counted.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use wire::encode::{Ipfix, TemplateSpec};
use wire::{FieldSpecifier, ipfix};

use super::{SETTINGS, is_archived, register};
use crate::collector::Collector;
use crate::crashes::EXPORTERS;

const KILLS: u64 = 4;
/// Of each exporter.
const CONNECTIONS: u64 = 20;

/// Reports all connections every few milliseconds, each time with more octets, until `stop`. Returns how often.
fn send(exporter: &str, to: SocketAddr, first: u64, stop: &AtomicBool) -> u64 {
    let socket = UdpSocket::bind((exporter, 0)).unwrap();
    let fields = [(8, 4), (12, 4), (85, 8), (86, 8)].map(|(id, length)| FieldSpecifier::iana(id, length));
    let template = TemplateSpec::data(256, fields);
    let mut report = first;
    while !stop.load(Ordering::Relaxed) {
        report += 1;
        let record = |connection: u64| {
            let ends = [[10, 0, 0, connection as u8], [192, 0, 2, 1]].concat();
            [ends, (report * (1000 + connection)).to_be_bytes().into(), report.to_be_bytes().into()].concat()
        };
        let records: Vec<_> = (0..CONNECTIONS).map(record).collect();
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32;
        let header = ipfix::Header { export_seconds: seconds.into(), ..Default::default() };
        // Refused once the collector is gone.
        let _ = socket.send_to(&Ipfix::new(header).template(&template).data(&template, &records).finish(), to);
        std::thread::sleep(Duration::from_millis(5));
    }
    report
}

#[test]
fn the_archive_has_of_running_totals_what_was_counted_although_the_process_is_killed() {
    let mut collector = Collector::start_with(&SETTINGS);
    register(&collector);
    let mut reports = EXPORTERS.map(|_| 0);
    for _ in 0..KILLS {
        let stop = AtomicBool::new(false);
        let directory = std::thread::scope(|scope| {
            let to = collector.receiving;
            let threads = EXPORTERS.iter().zip(reports).map(|(exporter, first)| {
                let stop = &stop;
                scope.spawn(move || send(exporter, to, first, stop))
            });
            let threads: Vec<_> = threads.collect();
            std::thread::sleep(Duration::from_millis(2500));
            let directory = collector.kill();
            stop.store(true, Ordering::Relaxed);
            for (report, thread) in reports.iter_mut().zip(threads) {
                *report = thread.join().unwrap();
            }
            directory
        });
        collector = Collector::start_in_with(directory, &SETTINGS);
    }
    is_archived(collector);
}
