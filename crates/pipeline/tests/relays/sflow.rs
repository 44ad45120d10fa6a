//! What relays send as sFlow: the agent that a datagram names.

use std::net::{IpAddr, Ipv4Addr};

use flow::{Counters, DatagramFate};
use testing::datagrams::sflow;

use crate::{Collector, INSIDE, ONE, OTHER, OUTSIDE, RELAY, STRANGER, both, counters, octets, record, template};

/// What [`sflow`] is in version 5, in version 4 or 2.
fn old_sflow(version: u32, agent: IpAddr, sequence: u32) -> Vec<u8> {
    let agent = u32::from_be_bytes(octets(agent).try_into().unwrap());
    let address = |octets: [u8; 4]| u32::from_be_bytes(octets);
    let header = [version, 1, agent, sequence, 1000 * sequence, 1];
    // A flow sample: its head; an IPv4 packet of 100 octets; no further structures.
    let sample = [1, sequence, 1, 10, 0, 0, 1, 2];
    let packet = [2, 100, 17, address(INSIDE), address(OUTSIDE), 1000, 2000, 0, 0];
    [&header[..], &sample, &packet, &[0]].concat().iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn an_sflow_datagram_of_a_relay_is_counted_for_the_agent_that_it_names() {
    for version in [5, 4, 2] {
        let datagram = |agent, sequence| match version {
            5 => sflow(agent, sequence),
            version => old_sflow(version, agent, sequence),
        };
        let mut collector = Collector::with_relay();
        for sequence in 1..=3 {
            assert_eq!(collector.take(RELAY, &datagram(ONE, sequence)), DatagramFate::Decoded);
            assert_eq!(collector.take(RELAY, &datagram(OTHER, 1000 + 2 * sequence)), DatagramFate::Decoded);
            assert_eq!(collector.take(RELAY, &datagram(STRANGER, sequence)), DatagramFate::Unregistered);
        }
        assert_eq!(collector.sent(ONE), counters(3000, 30, 3), "version {version}");
        assert_eq!(collector.sent(OTHER), counters(3000, 30, 3));
        assert_eq!([RELAY, STRANGER].map(|sender| collector.sent(sender)), [Counters::ZERO; 2]);
        assert_eq!(collector.unknown(), [(STRANGER, Some(RELAY), 3)]);
        // Sequence numbers are an agent's own: only the other one's have gaps.
        assert_eq!(collector.shown(ONE, "/arrivals/0/lost"), 0);
        assert_eq!(collector.shown(OTHER, "/arrivals/0/lost"), 2);
        assert_eq!(collector.shown(ONE, "/counters/datagrams/decoded"), 3);
        assert_eq!([ONE, OTHER, RELAY].map(|it| collector.relay_of(it)), [Some(RELAY), Some(RELAY), None]);
        // The relay has relayed nine, and none of them is its own.
        let protocol = format!("/protocols/sflow-v{version}");
        assert_eq!([RELAY, ONE].map(|it| collector.shown(it, &protocol)), [9, 3]);
        assert_eq!(collector.shown(RELAY, "/counters/datagrams/decoded"), 0);
    }
}

#[test]
fn an_sflow_datagram_that_names_the_relay_or_nobody_is_its_own() {
    let mut collector = Collector::with_relay();
    collector.take(RELAY, &sflow(RELAY, 1));
    collector.take(RELAY, &sflow(Ipv4Addr::UNSPECIFIED, 1));
    assert_eq!(collector.sent(RELAY), counters(2000, 20, 2));
    assert!(collector.unknown().is_empty());
    // Truncated before and after the agent.
    assert_eq!(collector.take(RELAY, &sflow(ONE, 1)[..10]), DatagramFate::UnknownVersion);
    assert_eq!(collector.take(RELAY, &sflow(ONE, 1)[..60]), DatagramFate::Damaged);
    assert_eq!(collector.shown(RELAY, "/counters/datagrams/unknown_version"), 1);
    assert_eq!(collector.shown(ONE, "/counters/datagrams/damaged"), 1);
}

#[test]
fn an_agent_may_also_send_by_itself_and_be_named_by_an_ipv6_address() {
    let six: IpAddr = "2001:db8::1".parse().unwrap();
    let mut collector = Collector::new(&[(RELAY, "identity=agent"), (ONE, ""), (six, "samplingRate=1")]);
    collector.take(ONE, &sflow(ONE, 1));
    collector.take(RELAY, &sflow(ONE, 2));
    collector.take(RELAY, &sflow(six, 1));
    assert_eq!(collector.sent(ONE), counters(2000, 20, 2));
    assert_eq!(collector.shown(ONE, "/arrivals/0/received"), 2);
    assert_eq!(collector.sent(six), counters(100, 1, 1));
    let mapped: IpAddr = "::ffff:198.51.100.1".parse().unwrap();
    collector.take(RELAY, &sflow(mapped, 3));
    assert_eq!(collector.sent(ONE), counters(3000, 30, 3));
}

#[test]
fn without_the_setting_the_source_address_is_the_exporter_whomever_the_payload_names() {
    let mut collector = Collector::new(&[(RELAY, ""), (ONE, ""), (STRANGER, "identity=source")]);
    collector.take(RELAY, &sflow(ONE, 1));
    collector.take(STRANGER, &sflow(ONE, 1));
    let template = template(&[(130, 4)]);
    for datagram in both(&template, &[record(&[&octets(ONE)])]) {
        collector.take(RELAY, &datagram);
    }
    assert_eq!(collector.sent(RELAY), counters(1200, 12, 3));
    assert_eq!(collector.sent(STRANGER), counters(1000, 10, 1));
    assert_eq!(collector.sent(ONE), Counters::ZERO);
}

#[test]
fn only_a_relay_that_is_registered_as_one_may_speak_for_others() {
    let mut collector = Collector::with_relay();
    // A stranger, and an exporter that is no relay.
    assert_eq!(collector.take(STRANGER, &sflow(ONE, 1)), DatagramFate::Unregistered);
    collector.take(OTHER, &sflow(ONE, 1));
    assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).flows), [0, 1]);
    assert_eq!(collector.unknown(), [(STRANGER, None, 1)]);
    // A relay does not speak for another relay's exporters: what it names is the exporter.
    collector.register(&[(RELAY, "identity=agent"), (OTHER, "identity=agent"), (ONE, "")]);
    collector.take(RELAY, &sflow(OTHER, 1));
    assert_eq!([ONE, OTHER].map(|sender| collector.sent(sender).flows), [0, 2]);
}
