//! Connections that are reported more than once: each octet counts once, whatever is lost, late or repeated.

use std::ops::RangeInclusive;

use wire::ipfix::Header;

use super::*;

/// An hour before a test begins, in milliseconds: when connections started.
const START: u64 = (NOW as u64 - 3600) * 1000;
const CREATED: u8 = 1;
const END: u8 = 2;
const DENIED: u8 = 3;
const UPDATE: u8 = 5;

/// A firewall: connection, source, destination, start, event, octets from the initiator and from the responder.
fn firewall() -> TemplateSpec {
    let fields = [(148, 4), (8, 4), (12, 4), (152, 8), (233, 1), (231, 8), (232, 8)];
    TemplateSpec::data(256, fields.map(|(id, length)| field(id, length)))
}

fn event(connection: u32, event: u8, start: u64, [sent, received]: [u64; 2]) -> Vec<u8> {
    let counters = [sent, received].map(u64::to_be_bytes).concat();
    [&connection.to_be_bytes()[..], &INSIDE, &OUTSIDE, &start.to_be_bytes(), &[event], &counters].concat()
}

/// What the prefix has sent and received in octets after these events, each in a datagram of its own.
fn after(collector: &mut Collector, events: &[(u32, u8, [u64; 2])]) -> [u64; 2] {
    for (connection, kind, octets) in events {
        let records = [event(*connection, *kind, START, *octets)];
        collector.take(&v9(0).template(&firewall()).data(&firewall(), &records).finish());
    }
    octets(collector)
}

fn octets(collector: &mut Collector) -> [u64; 2] {
    [Direction::Out, Direction::In].map(|direction| collector.counters(direction, Name::ALL).bytes)
}

#[test]
fn the_end_of_a_connection_adds_what_its_updates_have_not_counted() {
    let connections = [
        // Updated twice.
        (1, CREATED, [0, 0]),
        (1, UPDATE, [1000, 400]),
        (1, UPDATE, [500, 0]),
        (1, END, [1600, 450]),
        // Too short for an update.
        (2, CREATED, [0, 0]),
        (2, END, [70, 30]),
        // An update was lost.
        (3, UPDATE, [100, 100]),
        (3, END, [900, 300]),
        // Never allowed.
        (4, DENIED, [0, 0]),
    ];
    assert_eq!(after(&mut Collector::new(), &connections), [1600 + 70 + 900, 450 + 30 + 300]);
}

#[test]
fn an_update_that_arrives_after_the_end_does_not_count_and_an_end_counts_once() {
    let late = [(1, END, [1600, 450]), (1, UPDATE, [500, 0]), (1, END, [1600, 450]), (2, UPDATE, [10, 0])];
    assert_eq!(after(&mut Collector::new(), &late), [1610, 450]);
}

#[test]
fn connections_of_other_ports_and_domains_are_others() {
    let mut collector = Collector::new();
    for (port, kind) in [(2055, UPDATE), (2056, UPDATE), (2055, END), (2056, END)] {
        let records = [event(1, kind, START, [100, 50])];
        collector.take_from(port, &v9(0).template(&firewall()).data(&firewall(), &records).finish());
        let other = Header { domain: 7.into(), export_seconds: NOW.into(), ..Header::default() };
        collector.take_from(port, &Ipfix::new(other).template(&firewall()).data(&firewall(), &records).finish());
    }
    assert_eq!(octets(&mut collector), [400, 200]);
}

#[test]
fn a_connection_that_was_updated_before_a_start_is_not_counted_again_by_its_end() {
    let mut collector = Collector::new();
    after(&mut collector, &[(1, UPDATE, [1000, 400]), (2, UPDATE, [1, 1])]);
    collector.restart();
    // The first ended without an update since the start, the second had one, the third began after it.
    let since = after(&mut collector, &[(1, END, [1000, 400]), (2, UPDATE, [2, 2]), (2, END, [3, 3])]);
    assert_eq!(since, [1003, 403]);
    let records = [event(3, END, u64::from(NOW) * 1000, [70, 30])];
    collector.take(&v9(0).template(&firewall()).data(&firewall(), &records).finish());
    assert_eq!(octets(&mut collector), [1073, 433]);
}

#[test]
fn a_firewall_that_sends_no_updates_is_counted_by_its_ends_also_after_a_start() {
    let mut collector = Collector::new();
    after(&mut collector, &[(1, END, [1000, 400])]);
    collector.restart();
    assert_eq!(after(&mut collector, &[(2, END, [10, 20])]), [1010, 420]);
}

/// Source, destination, ports, start, octets and packets since the start, why the flow ended.
fn running() -> TemplateSpec {
    let fields = [(8, 4), (12, 4), (7, 2), (11, 2), (150, 4), (85, 8), (86, 8), (136, 1)];
    TemplateSpec::data(300, fields.map(|(id, length)| field(id, length)))
}

const ACTIVE_TIMEOUT: u8 = 2;
const END_DETECTED: u8 = 3;

fn total(port: u16, start: u32, [octets, packets]: [u64; 2], reason: u8) -> Vec<u8> {
    let ports = [port, 443].map(u16::to_be_bytes).concat();
    let counters = [octets, packets].map(u64::to_be_bytes).concat();
    [&INSIDE[..], &OUTSIDE, &ports, &start.to_be_bytes(), &counters, &[reason]].concat()
}

#[test]
fn of_running_totals_the_difference_counts() {
    let mut collector = Collector::new();
    let datagrams = [
        total(1, 5, [1000, 10], ACTIVE_TIMEOUT),
        total(1, 5, [1500, 14], ACTIVE_TIMEOUT),
        total(2, 5, [40, 1], ACTIVE_TIMEOUT),
        // Lost: a report of 2000. The next one has it.
        total(1, 5, [2500, 20], END_DETECTED),
        // Another flow with the same ends, and a sum that steps back: both begin with 0.
        total(1, 9, [3000, 30], END_DETECTED),
        total(2, 5, [30, 1], END_DETECTED),
    ];
    for (sequence, record) in (0..).zip(datagrams) {
        collector.take(&message(sequence).template(&running()).data(&running(), &[record]).finish());
    }
    assert_eq!(collector.sent(), counters(2500 + 40 + 3000 + 30, 20 + 1 + 30 + 1, 6));
}

/// Reverse running totals (RFC 5103).
#[test]
fn of_running_totals_of_both_ways_each_difference_counts() {
    let reverse = |id| FieldSpecifier { element: ElementId { enterprise: 29305, id }, length: 8 };
    let template = TemplateSpec::data(300, [field(8, 4), field(12, 4), field(85, 8), reverse(85)]);
    let mut collector = Collector::new();
    for (sequence, sums) in (0..).zip([[100_u64, 7], [300, 7], [300, 90]]) {
        let record = [&INSIDE[..], &OUTSIDE, &sums.map(u64::to_be_bytes).concat()].concat();
        collector.take(&message(sequence).template(&template).data(&template, &[record]).finish());
    }
    assert_eq!(octets(&mut collector), [300, 90]);
}

/// What a decoder shows of datagrams that were booked like this.
fn shown(collector: &Collector, decoder: &mut Decoder, kept: &[(Vec<u8>, Vec<u8>)]) -> [u64; 2] {
    let mut sums = [0, 0];
    for (payload, booked) in kept {
        let datagram =
            Datagram { exporter: Exporter::udp(ROUTER, PORT), received: Timestamp::from_seconds(NOW.into()), payload };
        let booked = Booked { sums: booked, ..Booked::default() };
        let again = Again { datagram, is_carried: false, booked };
        let mut registered = |_| Some(Arc::clone(&collector.registration));
        decoder.decode(&again, collector.shard.rules(), &mut registered, &mut |logged| {
            let flow = logged.record.flow;
            let octets = flow.map_or([0, 0], |flow| [flow.forward.bytes, flow.reverse.bytes]);
            sums = [sums[0] + octets[0], sums[1] + octets[1]];
        });
    }
    sums
}

#[test]
fn who_decodes_again_without_the_memory_shows_and_counts_what_was_booked() {
    let updates = [(1, UPDATE, [1000, 400]), (2, UPDATE, [7, 7]), (1, UPDATE, [500, 0])];
    let ends = [(1, END, [1600, 450]), (2, UPDATE, [1, 0]), (3, END, [70, 30]), (2, END, [8, 9])];
    let totals = [[1000, 10], [1500, 14], [2500, 20]];
    let events = |events: &[(u32, u8, [u64; 2])]| {
        let records: Vec<_> = events.iter().map(|(of, kind, octets)| event(*of, *kind, START, *octets)).collect();
        v9(0).template(&firewall()).data(&firewall(), &records).finish()
    };
    let total = |sequence, sums| {
        message(sequence).template(&running()).data(&running(), &[total(1, 5, sums, ACTIVE_TIMEOUT)]).finish()
    };
    let datagrams = [events(&updates), total(0, totals[0]), events(&ends), total(1, totals[1]), total(2, totals[2])];
    let mut collector = Collector::new();
    let mut kept = Vec::new();
    for payload in datagrams {
        collector.take(&payload);
        let booked = collector.shard.booked().sums.to_vec();
        kept.push((payload, booked));
    }
    let counted = octets(&mut collector);
    assert_eq!(counted, [1600 + 8 + 70 + 2500, 450 + 9 + 30]);
    for cut in 0..=kept.len() {
        let (before, after) = kept.split_at(cut);
        let mut decoder = Decoder::new(SessionLimits::default());
        let first = shown(&collector, &mut decoder, before);
        let mut decoder = Decoder::new(SessionLimits::default());
        let rest = shown(&collector, &mut decoder, after);
        assert_eq!([first[0] + rest[0], first[1] + rest[1]], counted, "restarted after {cut}");
    }
    // A recovery counts the last ones again, and continues with the sums that they had.
    let mut recovered = Collector::new();
    for (payload, booked) in &kept[2..] {
        let datagram =
            Datagram { exporter: Exporter::udp(ROUTER, PORT), received: Timestamp::from_seconds(NOW.into()), payload };
        let registration = Arc::clone(&recovered.registration);
        let booked = Booked { sums: booked, ..Booked::default() };
        let again = Again { datagram, is_carried: false, booked };
        recovered.shard.take_again(&again, &mut |_| Some(Arc::clone(&registration)));
    }
    recovered.take(&total(3, [2600, 21]));
    let [sent, received] = octets(&mut recovered);
    assert_eq!([sent + 1500 + 7 + 1000, received + 400 + 7], [counted[0] + 100, counted[1]]);
}

fn thousand(connections: RangeInclusive<u32>, kind: u8, octets: u64) -> Vec<Vec<u8>> {
    connections.map(|connection| event(connection, kind, START, [octets, 0])).collect()
}

#[test]
fn connections_for_which_there_is_no_room_count_by_their_end() {
    let mut collector = Collector::new();
    let most = 1 << 18;
    let beyond = most + 1000;
    for kind in [UPDATE, UPDATE, END] {
        let octets = if kind == END { 30 } else { 10 };
        for first in (1..=beyond).step_by(1000) {
            let records = thousand(first..=beyond.min(first + 999), kind, octets);
            collector.take(&v9(0).template(&firewall()).data(&firewall(), &records).finish());
        }
    }
    assert_eq!(octets(&mut collector), [30 * u64::from(beyond), 0]);
}
