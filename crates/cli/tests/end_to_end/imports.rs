//! `netflow import` says what it does not count: what is counted already, and what senders have sent that are not registered.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::collector::Collector;
use crate::load::{register, this_year};
use crate::thirty_flows_at;

/// What thirty flows count.
const THIRTY: [u64; 3] = [3000, 60, 30];

/// A capture file with datagrams of thirty flows.
pub(crate) fn capture(directory: &Path, name: &str, datagrams: &[(&str, SystemTime)]) -> PathBuf {
    let path = directory.join(name);
    let mut capture = capture::write::Writer::new(std::fs::File::create(&path).unwrap()).unwrap();
    let here: SocketAddr = "127.0.0.1:2055".parse().unwrap();
    for (source, at) in datagrams {
        let source = format!("{source}:40000").parse().unwrap();
        capture.write((*at).into(), source, here, &thirty_flows_at(*at)).unwrap();
    }
    capture.flush().unwrap();
    path
}

fn counted(collector: &Collector, times: u64) {
    let expected = THIRTY.map(|one| one * times);
    collector.wait_until(&format!("counted {times} times"), || this_year(collector) == Ok(expected));
}

#[test]
fn what_the_collector_has_counted_is_not_imported_unless_that_is_asked_for() {
    let collector = Collector::start();
    register(&collector);
    let now = SystemTime::now();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&thirty_flows_at(now), collector.receiving).unwrap();
    counted(&collector, 1);
    let same = capture(collector.path(), "same.pcap", &[("127.0.0.1", now)]);
    let same = same.to_str().unwrap();
    let (printed, errors, code) = collector.command(&["import", same]);
    assert_eq!((printed.as_str(), code), ("", Some(13)), "{errors}");
    assert!(errors.contains("counted already:\n  127.0.0.1  20") && errors.contains("import --add"), "{errors}");
    counted(&collector, 1);
    let (printed, errors, code) = collector.command(&["import", same, "--add"]);
    assert!(code == Some(0) && printed.starts_with("datagrams 1 flows 30 "), "{printed}{errors}");
    counted(&collector, 2);
    // Its own earlier import is replaced, and is no reason to refuse the collector's.
    let (_, errors, code) = collector.command(&["import", same]);
    assert!(code == Some(13) && errors.contains("counted already"), "{errors}");
    counted(&collector, 2);

    // An hour before, the collector has counted nothing. Another file with the same datagram then has.
    let before = now - Duration::from_secs(3600);
    let first = capture(collector.path(), "first.pcap", &[("127.0.0.1", before)]);
    for _ in 0..2 {
        let (printed, errors, code) = collector.command(&["import", first.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{printed}{errors}");
        counted(&collector, 3);
    }
    let other = capture(collector.path(), "other.pcap", &[("127.0.0.1", before), ("127.0.0.1", before)]);
    let (_, errors, code) = collector.command(&["import", other.to_str().unwrap()]);
    assert!(code == Some(13) && errors.contains("counted already"), "{errors}");
    counted(&collector, 3);
    collector.terminate();
}

#[test]
fn an_import_names_senders_that_are_not_registered_and_counts_the_others() {
    let collector = Collector::start();
    register(&collector);
    let before = SystemTime::now() - Duration::from_secs(3600);
    let datagrams = [("192.0.2.51", before), ("127.0.0.1", before), ("192.0.2.51", before)];
    let path = capture(collector.path(), "two.pcap", &datagrams);
    let (printed, errors, code) = collector.command(&["import", path.to_str().unwrap()]);
    assert_eq!(code, Some(13), "{printed}{errors}");
    assert!(errors.contains("192.0.2.51  2 datagrams  netflow senders add 192.0.2.51 PREFIX"), "{errors}");
    assert!(printed.starts_with("datagrams 3 flows 30 "), "{printed}");
    counted(&collector, 1);
    collector.terminate();
}

#[test]
fn the_former_names_of_both_commands_lead_to_the_new_ones() {
    let collector = Collector::start();
    let path = capture(collector.path(), "one.pcap", &[("127.0.0.1", SystemTime::now())]);
    let path = path.to_str().unwrap();
    let (_, errors, code) = collector.command(&["replay", path]);
    assert!(code == Some(2) && errors.contains("use netflow import"), "{errors}");
    let (printed, errors, code) = collector.command(&["send", path, "--to", &collector.receiving.to_string()]);
    assert!(code == Some(0) && printed.starts_with("sent 1 datagrams"), "{printed}{errors}");
    collector.terminate();
}
