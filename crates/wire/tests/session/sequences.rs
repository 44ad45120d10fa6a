//! Sequence numbers: a restart of the exporter, a late datagram and a loss are distinguished.

use wire::sflow::encode as sflow;
use wire::{Arrivals, Unit};

use super::*;

/// When the datagrams of a test are exported and received, in seconds.
const NOW: u64 = 1_700_000_000;

/// A datagram: its sequence number, when it was exported (seconds after [`NOW`]), and the uptime of its exporter
/// (seconds).
type Sent = (u32, u32, u32);

type Encode = fn(&Sent) -> Vec<u8>;

fn v5(&(sequence, seconds, uptime): &Sent) -> Vec<u8> {
    let header = netflow_v5::Header {
        sequence: sequence.into(),
        unix_seconds: (NOW as u32 + seconds).into(),
        uptime: (uptime * 1000).into(),
        ..Default::default()
    };
    encode::netflow_v5(&header, &[netflow_v5::Record::default()])
}

fn version_9(&(sequence, seconds, uptime): &Sent) -> Vec<u8> {
    let header = netflow_v9::Header {
        sequence: sequence.into(),
        unix_seconds: (NOW as u32 + seconds).into(),
        uptime: (uptime * 1000).into(),
        ..Default::default()
    };
    let template = bytes_only();
    NetflowV9::new(header).template(&template).data(&template, &[numbers(&template, &[1])]).finish()
}

/// IPFIX has no uptime.
fn ipfix(&(sequence, seconds, _): &Sent) -> Vec<u8> {
    let export_seconds = NOW as u32 + seconds;
    let header =
        ipfix::Header { sequence: sequence.into(), export_seconds: export_seconds.into(), ..Default::default() };
    let template = bytes_only();
    Ipfix::new(header).template(&template).data(&template, &[numbers(&template, &[1])]).finish()
}

/// sFlow has no export time.
fn sflow_v5(&(sequence, _, uptime): &Sent) -> Vec<u8> {
    let agent = [192, 0, 2, 1].into();
    sflow::sflow_v5(&sflow::DatagramHeader { agent, sub_agent: 0, sequence, uptime: uptime * 1000 }, &[])
}

/// The statistics of the sequence numbers of these datagrams.
fn arrivals(unit: Unit, datagram: Encode, sent: &[Sent]) -> Arrivals {
    let mut exchange = Exchange::new();
    for sent in sent {
        exchange.now = NOW + u64::from(sent.1);
        exchange.send(&datagram(sent));
    }
    exchange.session.arrivals(unit)
}

const PROTOCOLS: [(Unit, Encode); 4] =
    [(Unit::Records, v5), (Unit::Datagrams, version_9), (Unit::Records, ipfix), (Unit::Datagrams, sflow_v5)];

#[test]
fn an_exporter_that_restarts_after_few_datagrams_is_not_late_and_its_losses_stay() {
    // The third to fifth datagram are lost; a minute later the exporter starts again.
    let sent = [(0, 0, 100), (1, 1, 101), (5, 5, 105), (0, 65, 3), (1, 66, 4), (2, 67, 5)];
    for (unit, datagram) in PROTOCOLS {
        let expected = Arrivals { received: 6, lost: 3, restarts: 1, ..Default::default() };
        assert_eq!(arrivals(unit, datagram, &sent), expected, "{unit:?}");
    }
}

#[test]
fn an_exporter_that_restarts_after_one_datagram_does_not_repeat_it() {
    for (unit, datagram) in PROTOCOLS {
        let expected = Arrivals { received: 4, restarts: 1, ..Default::default() };
        let sent = [(0, 0, 100), (0, 60, 3), (1, 61, 4), (2, 62, 5)];
        assert_eq!(arrivals(unit, datagram, &sent), expected, "{unit:?}");
    }
}

#[test]
fn datagrams_that_overtake_each_other_are_late_and_no_restart() {
    let sent = [(0, 0, 100), (3, 1, 101), (1, 0, 100), (2, 1, 101), (4, 2, 102), (4, 2, 102)];
    for (unit, datagram) in PROTOCOLS {
        let expected = Arrivals { received: 5, filled: 2, late: 2, duplicates: 1, ..Default::default() };
        assert_eq!(arrivals(unit, datagram, &sent), expected, "{unit:?}");
    }
}

#[test]
fn an_exporter_whose_threads_stamp_the_time_out_of_order_has_not_restarted() {
    let sent = [(0, 0, 100), (2, 0, 100), (1, 1, 101), (3, 1, 100)];
    for (unit, datagram) in PROTOCOLS {
        let expected = Arrivals { received: 4, filled: 1, late: 1, ..Default::default() };
        assert_eq!(arrivals(unit, datagram, &sent), expected, "{unit:?}");
    }
}

#[test]
fn an_uptime_that_wraps_is_no_restart() {
    let sent = [(0, 0, 4_294_966), (1, 1, 4_294_967), (2, 2, 0), (3, 3, 1)];
    for (unit, datagram) in PROTOCOLS {
        assert_eq!(arrivals(unit, datagram, &sent), Arrivals { received: 4, ..Default::default() }, "{unit:?}");
    }
}
