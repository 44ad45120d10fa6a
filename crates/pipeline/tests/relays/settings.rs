//! Each exporter is counted by its own settings, and what its records mean is noted for it.

use accounting::direction::Direction;
use flow::{Counters, FlowFate};
use view::Ambiguities;
use wire::FieldSpecifier;
use wire::encode::TemplateSpec;

use crate::{
    Collector, INSIDE, ONE, OTHER, OUTSIDE, PORT, RELAY, STRANGER, both, counters, message, octets, record, template,
    v9,
};

#[test]
fn each_exporter_behind_a_relay_is_counted_by_its_own_settings() {
    let up_and_down: &[&[u8]] = &[&40_u32.to_be_bytes(), &1_u32.to_be_bytes(), &[1]];
    let template = template(&[(23, 4), (24, 4), (61, 1), (130, 4)]);
    let records = [ONE, OTHER].map(|exporter| record(&[&up_and_down.concat(), &octets(exporter)]));
    for datagram in both(&template, &records) {
        let settings = "samplingRate=7 flowDirection=ingress outCounters=reverse identity=agent";
        let mut collector =
            Collector::new(&[(RELAY, settings), (ONE, "samplingRate=5 outCounters=reverse"), (OTHER, "")]);
        collector.take(RELAY, &datagram);
        assert_eq!(collector.sent(ONE), counters(500, 5, 1));
        assert_eq!(collector.counters(ONE, Direction::In), counters(200, 5, 1));
        assert_eq!(collector.sent(OTHER), counters(100, 1, 1));
        assert_eq!(collector.counters(OTHER, Direction::In), Counters::ZERO);
        // Those of the relay are for what is its own.
        collector.register(&[(RELAY, settings), (ONE, "flowDirection=ingress"), (OTHER, "flowDirection=egress")]);
        collector.take(RELAY, &datagram);
        assert_eq!(collector.flows(FlowFate::OtherDirection), 1);
        assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).flows), [1, 2]);
    }
}

#[test]
fn addresses_after_translation_count_for_the_exporter_that_is_set_so() {
    let client = [192, 0, 2, 77];
    let template = template(&[(226, 4), (130, 4)]);
    let to_router = |exporter| {
        let ends = [OUTSIDE, [233, 252, 0, 9]].concat();
        [ends, 100_u32.to_be_bytes().to_vec(), 1_u32.to_be_bytes().to_vec(), client.to_vec(), octets(exporter)].concat()
    };
    let mut collector = Collector::new(&[(RELAY, "identity=agent"), (ONE, "natAddresses=inside"), (OTHER, "")]);
    for datagram in both(&template, &[to_router(ONE), to_router(OTHER)]) {
        collector.take(RELAY, &datagram);
    }
    assert_eq!(collector.counters(ONE, Direction::In), counters(200, 2, 2));
    assert_eq!((collector.counters(OTHER, Direction::In), collector.flows(FlowFate::Unmatched)), (Counters::ZERO, 2));
}

#[test]
fn packets_in_tunnels_count_for_the_exporter_by_the_headers_that_it_is_set_to() {
    let ip = |protocol, length, source: [u8; 4], destination: [u8; 4]| {
        [&[0x45, 0, 0, length, 0, 0, 0, 0, 64, protocol, 0, 0][..], &source, &destination].concat()
    };
    let frame = [
        &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0][..],
        &ip(4, 120, OUTSIDE, OUTSIDE),
        &ip(17, 100, INSIDE, OUTSIDE),
        &[0, 53, 0, 53, 0, 80, 0, 0],
    ];
    let template = TemplateSpec::data(256, [FieldSpecifier::iana(315, 62), FieldSpecifier::iana(130, 4)]);
    let records = [ONE, OTHER].map(|exporter| [frame.concat(), octets(exporter)].concat());
    let mut collector = Collector::new(&[(RELAY, "identity=agent"), (ONE, "tunnels=inner"), (OTHER, "")]);
    for datagram in both(&template, &records) {
        collector.take(RELAY, &datagram);
    }
    assert_eq!(collector.sent(ONE), counters(200, 2, 2));
    assert_eq!((collector.sent(OTHER), collector.flows(FlowFate::Unmatched)), (Counters::ZERO, 2));
    let tunnelled = Ambiguities { tunnelled: 2, ..Ambiguities::default() };
    assert_eq!([ONE, OTHER].map(|it| collector.ambiguities(it)), [tunnelled; 2]);
    assert_eq!(collector.ambiguities(RELAY), Ambiguities::default());
    // The packet inside is cut off: only who counts by it does not know it.
    let template = TemplateSpec::data(257, [FieldSpecifier::iana(315, 40), FieldSpecifier::iana(130, 4)]);
    let records = [ONE, OTHER].map(|exporter| [&frame.concat()[..40], &octets(exporter)].concat());
    collector.take(RELAY, &v9(0).template(&template).data(&template, &records).finish());
    let unknown = Ambiguities { tunnelled: 3, inner_unknown: 1, ..Ambiguities::default() };
    assert_eq!(collector.ambiguities(ONE), unknown);
    assert_eq!(collector.ambiguities(OTHER), Ambiguities { inner_unknown: 0, ..unknown });
}

#[test]
fn what_is_ambiguous_in_records_is_noted_for_the_exporter_that_they_name() {
    let template = template(&[(23, 4), (24, 4), (61, 1), (226, 4), (130, 4)]);
    let ambiguous = |exporter, side: u8| {
        record(&[&1000_u32.to_be_bytes(), &1_u32.to_be_bytes(), &[side], &INSIDE, &octets(exporter)])
    };
    let records = [ambiguous(ONE, 0), ambiguous(ONE, 1), ambiguous(RELAY, 0), ambiguous(STRANGER, 1)];
    for datagram in both(&template, &records) {
        let mut collector = Collector::with_relay();
        collector.take(RELAY, &datagram);
        let of_relay = Ambiguities { ingress: 1, out_counters_differ: 1, translated: 1, ..Ambiguities::default() };
        let of_one = Ambiguities { ingress: 1, egress: 1, out_counters_differ: 2, translated: 2, ..of_relay };
        assert_eq!([RELAY, ONE].map(|it| collector.ambiguities(it)), [of_relay, of_one]);
    }
}

#[test]
fn rates_that_differ_by_exporter_are_no_change_and_a_change_is_that_of_the_exporter() {
    let template = template(&[(130, 4)]);
    let flow = |exporter| message(0).template(&template).data(&template, &[record(&[&octets(exporter)])]).finish();
    let options = TemplateSpec::options(257, 1, [FieldSpecifier::iana(130, 4), FieldSpecifier::iana(34, 4)]);
    let rate = |exporter, rate: u32| {
        let record = [&octets(exporter)[..], &rate.to_be_bytes()].concat();
        message(0).template(&options).data(&options, &[record]).finish()
    };
    let mut collector = Collector::with_relay();
    collector.take(RELAY, &rate(ONE, 100));
    collector.take(RELAY, &rate(OTHER, 1000));
    for exporter in [ONE, OTHER] {
        for _ in 0..40 {
            collector.take(RELAY, &flow(exporter));
        }
    }
    assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).packets), [40 * 100, 40 * 1000]);
    for sender in [RELAY, ONE, OTHER] {
        assert_eq!(collector.rate_changes(sender), []);
    }
    collector.take(RELAY, &rate(ONE, 5000));
    collector.take(RELAY, &flow(ONE));
    collector.take(RELAY, &flow(OTHER));
    assert_eq!(collector.rate_changes(ONE), [(100, 5000, Some(PORT))]);
    assert_eq!([RELAY, OTHER].map(|sender| collector.rate_changes(sender).len()), [0, 0]);
}
