//! What is kept from one datagram to the next: queued data, arrivals, running totals, the terms of exporters.

use std::net::IpAddr;

use accounting::tally::{Tally, TallySettings};
use pipeline::{Sealed, Shard};
use testing::datagrams::sflow;
use wire::FieldSpecifier;
use wire::encode::{NetflowV9, TemplateSpec};

use crate::{
    Collector, INSIDE, NOW, ONE, OTHER, OUTSIDE, RELAY, STRANGER, both, message, octets, record, template, v9,
};

#[test]
fn data_that_wait_for_the_template_of_a_relay_are_counted_for_their_exporters() {
    let mut collector = Collector::with_relay();
    let template = template(&[(130, 4)]);
    let records = [record(&[&octets(ONE)]), record(&[&octets(OTHER)])];
    collector.take(RELAY, &message(0).data(&template, &records).finish());
    assert_eq!(collector.exporters.waiting().len(), 1);
    collector.take(RELAY, &message(2).template(&template).data(&template, &records[..1]).finish());
    assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).flows), [2, 1]);
    // The sequence numbers are the relay's.
    collector.take(RELAY, &message(8).data(&template, &records[..1]).finish());
    assert_eq!(collector.shown(RELAY, "/arrivals/0/lost"), 5);
}

/// The exporters that were heard since the last time, and the octets that arrived for each.
fn heard(collector: &Collector) -> (Vec<IpAddr>, Vec<(IpAddr, u64)>) {
    let mut sealed = Sealed::new(Vec::new());
    collector.exporters.report(&mut sealed);
    let heard = sealed.heard.iter().map(|(sender, _)| *sender).collect();
    (heard, sealed.arrived.iter().map(|of| (of.sender, of.arrived.bytes)).collect())
}

#[test]
fn neither_a_relay_nor_those_behind_it_are_silent_and_each_octet_has_arrived_for_one_of_them() {
    let template = template(&[(130, 4)]);
    let records = [ONE, OTHER, ONE, STRANGER, RELAY].map(|exporter| record(&[&octets(exporter)]));
    for datagram in both(&template, &records) {
        let mut collector = Collector::with_relay();
        collector.take(RELAY, &datagram);
        // The octets of a record are those of the exporter that it names, all others the relay's.
        let rest = datagram.len() as u64 - 3 * 20;
        assert_eq!(heard(&collector), (vec![ONE, OTHER, RELAY], vec![(ONE, 40), (OTHER, 20), (RELAY, rest)]));
    }
    // Queued data are the relay's, when they arrive.
    let mut collector = Collector::with_relay();
    let [data, announcement] = [v9(0).data(&template, &records[..1]), v9(1).template(&template)].map(NetflowV9::finish);
    collector.take(RELAY, &data);
    collector.take(RELAY, &announcement);
    assert_eq!(heard(&collector), (vec![ONE, RELAY], vec![(RELAY, (data.len() + announcement.len()) as u64)]));
    // An sFlow datagram is the agent's.
    let datagram = sflow(ONE, 1);
    collector.take(RELAY, &datagram);
    assert_eq!(heard(&collector), (vec![ONE, RELAY], vec![(ONE, datagram.len() as u64)]));
    collector.take(RELAY, &sflow(STRANGER, 1));
    assert_eq!(heard(&collector), (vec![RELAY], vec![]));
}

#[test]
fn running_totals_of_two_exporters_are_those_of_two_flows() {
    let fields = [(8, 4), (12, 4), (85, 4), (86, 4), (130, 4)].map(|(id, length)| FieldSpecifier::iana(id, length));
    let template = TemplateSpec::data(256, fields);
    let total = |exporter, octets: u32| {
        [&INSIDE[..], &OUTSIDE, &octets.to_be_bytes(), &1_u32.to_be_bytes(), &self::octets(exporter)].concat()
    };
    let records = [total(ONE, 100), total(OTHER, 700), total(ONE, 150), total(OTHER, 800)];
    for datagram in both(&template, &records) {
        let mut collector = Collector::with_relay();
        collector.take(RELAY, &datagram);
        assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).bytes), [150, 800]);
    }
}

#[test]
fn of_two_firewalls_behind_a_relay_only_the_one_that_sends_updates_had_counted_before_a_start() {
    const END: u8 = 2;
    const UPDATE: u8 = 5;
    // Connection, ends, start, event, octets both ways, exporter.
    let fields = [(148, 4), (8, 4), (12, 4), (152, 8), (233, 1), (231, 8), (232, 8), (130, 4)];
    let template = TemplateSpec::data(256, fields.map(|(id, length)| FieldSpecifier::iana(id, length)));
    let started = (u64::from(NOW) - 3600) * 1000;
    let event = |exporter, connection: u32, event: u8, sent: u64| {
        let counters = [sent, 0].map(u64::to_be_bytes).concat();
        let connection = [&connection.to_be_bytes()[..], &INSIDE, &OUTSIDE, &started.to_be_bytes()].concat();
        [&connection[..], &[event], &counters, &octets(exporter)].concat()
    };
    for protocol in [0, 1] {
        let mut collector = Collector::with_relay();
        let before = [event(ONE, 1, UPDATE, 1000), event(OTHER, 1, END, 700)];
        collector.take(RELAY, &both(&template, &before)[protocol]);
        collector.restart();
        // Both connections began an hour ago: one firewall has reported the first 1000 octets of its one, the other nothing.
        let after = [event(ONE, 1, END, 1000), event(OTHER, 2, END, 30)];
        collector.take(RELAY, &both(&template, &after)[protocol]);
        assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).bytes), [1000, 730]);
        // It is remembered at the next start too.
        collector.restart();
        collector.take(RELAY, &both(&template, &after)[protocol]);
        assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).bytes), [1000, 760]);
    }
}

/// What has to be stated before the last datagram of the relay, by sender; `None` if it is not registered.
fn unstated(collector: &mut Collector, number: u64) -> Vec<(IpAddr, Option<String>)> {
    let mut stated = Vec::new();
    collector.shard.unstated(RELAY, number, &mut |sender, registration, _| {
        stated.push((sender, registration.map(|registration| registration.settings.to_string())));
    });
    stated
}

#[test]
fn the_terms_of_the_exporters_that_a_relay_names_are_stated_with_their_changes() {
    let relay = || (RELAY, Some("identity=agent".to_owned()));
    let template = template(&[(130, 4)]);
    let records = [ONE, STRANGER].map(|exporter| record(&[&octets(exporter)]));
    for datagram in both(&template, &records).iter().chain([&sflow(ONE, 1)]) {
        let mut collector = Collector::with_relay();
        collector.take(RELAY, datagram);
        assert_eq!(unstated(&mut collector, 1), [relay(), (ONE, Some(String::new()))]);
        collector.take(RELAY, datagram);
        assert_eq!(unstated(&mut collector, 1), []);
        assert_eq!(unstated(&mut collector, 2), [relay(), (ONE, Some(String::new()))]);
        collector.register(&[(RELAY, "identity=agent"), (ONE, "samplingRate=5")]);
        collector.take(RELAY, datagram);
        assert_eq!(unstated(&mut collector, 2), [(ONE, Some("samplingRate=5".to_owned()))]);
    }
    for datagram in both(&template, &records) {
        let mut collector = Collector::with_relay();
        collector.take(RELAY, &datagram);
        unstated(&mut collector, 1);
        // Without a statement, a reader of the journal would take it for registered still.
        collector.register(&[(RELAY, "identity=agent")]);
        collector.take(RELAY, &datagram);
        assert_eq!(unstated(&mut collector, 1), [(ONE, None)]);
        collector.take(RELAY, &datagram);
        assert_eq!(unstated(&mut collector, 1), []);
        collector.register(&[(RELAY, "identity=agent"), (ONE, ""), (STRANGER, "")]);
        collector.take(RELAY, &datagram);
        assert_eq!(unstated(&mut collector, 1), [(ONE, Some(String::new())), (STRANGER, Some(String::new()))]);
    }
}

#[test]
fn an_exporter_that_was_removed_and_registered_again_keeps_its_place_behind_a_relay() {
    let mut collector = Collector::with_relay();
    let template = template(&[(130, 4)]);
    let [datagram, _] = both(&template, &[record(&[&octets(ONE)])]);
    collector.take(RELAY, &datagram);
    let mut other_shard =
        Shard::new(*collector.shard.rules(), collector.admission.admitted(), collector.exporters.clone());
    collector.register(&[(RELAY, "identity=agent")]);
    // Another shard notices it.
    drop(other_shard.seal(Tally::new(TallySettings::default())));
    collector.register(&[(RELAY, "identity=agent"), (ONE, "")]);
    collector.take(RELAY, &datagram);
    assert_eq!(collector.shown(ONE, "/counters/flows/matched"), 1);
    assert_eq!(collector.sent(ONE).flows, 2);
}
