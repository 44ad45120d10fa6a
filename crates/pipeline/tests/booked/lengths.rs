//! Lengths and counts that disagree: each record that is whole is counted once, and nothing else is counted.

use wire::VARIABLE_LENGTH;

use super::*;

/// Octets of an IPFIX header.
const HEADER: usize = 16;

/// Source, destination, octets, packets: 16 octets.
fn template() -> TemplateSpec {
    TemplateSpec::data(256, [field(8, 4), field(12, 4), field(1, 4), field(2, 4)])
}

fn record(octets: u32) -> Vec<u8> {
    template().record(&[&INSIDE, &OUTSIDE, &octets.to_be_bytes(), &1_u32.to_be_bytes()])
}

/// A template and two sets of two records, with 1, 20, 300 and 4000 octets.
fn ipfix_of_two_sets() -> Vec<u8> {
    let (first, second) = ([record(1), record(20)], [record(300), record(4000)]);
    message(0).template(&template()).data(&template(), &first).data(&template(), &second).finish()
}

fn v9_of_two_sets() -> Vec<u8> {
    let (first, second) = ([record(1), record(20)], [record(300), record(4000)]);
    v9(0).template(&template()).data(&template(), &first).data(&template(), &second).finish()
}

fn set_number(payload: &mut [u8], at: usize, number: usize) {
    payload[at..at + 2].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
}

/// What is counted of one datagram, as octets and the number of flows, and the fate of the datagram.
fn counted(payload: &[u8]) -> (u64, u64, DatagramFate) {
    let mut collector = Collector::new();
    let fate = collector.take(payload);
    let sent = collector.sent();
    assert_eq!(sent.flows, collector.shard.counts().data_records, "every record is a flow of the prefix");
    (sent.bytes, sent.flows, fate)
}

#[test]
fn ipfix_sets_beyond_the_length_of_the_message_are_counted_if_the_datagram_has_them() {
    let whole = ipfix_of_two_sets();
    // From a length that is right to one within the first set of data, and to none at all.
    for length in (HEADER..=whole.len()).rev() {
        let mut payload = whole.clone();
        set_number(&mut payload, 2, length);
        assert_eq!(counted(&payload), (4321, 4, DatagramFate::Decoded), "length {length}");
    }
    let mut payload = whole;
    set_number(&mut payload, 2, 0);
    assert_eq!(counted(&payload), (4321, 4, DatagramFate::Damaged));
}

#[test]
fn ipfix_messages_longer_than_their_datagram_lose_only_what_is_missing() {
    let whole = ipfix_of_two_sets();
    let mut too_long = whole.clone();
    set_number(&mut too_long, 2, whole.len() + 40);
    assert_eq!(counted(&too_long), (4321, 4, DatagramFate::Damaged), "its sets are whole");
    for (missing, expected) in [(1, (321, 3)), (16, (321, 3)), (17, (21, 2)), (36, (21, 2)), (40, (1, 1))] {
        let (octets, flows, fate) = counted(&whole[..whole.len() - missing]);
        assert_eq!(((octets, flows), fate), (expected, DatagramFate::Damaged), "{missing} octets are missing");
    }
}

#[test]
fn netflow_v9_packets_that_are_cut_lose_only_what_is_missing_whatever_their_count_is() {
    let whole = v9_of_two_sets();
    for count in [0, 1, 4, 5, 6, 500] {
        let mut payload = whole.clone();
        set_number(&mut payload, 2, count);
        assert_eq!(counted(&payload), (4321, 4, DatagramFate::Decoded), "count {count}");
    }
    for (missing, expected) in [(1, (321, 3)), (16, (321, 3)), (17, (21, 2)), (32, (21, 2)), (41, (1, 1))] {
        let (octets, flows, fate) = counted(&whole[..whole.len() - missing]);
        assert_eq!(((octets, flows), fate), (expected, DatagramFate::Damaged), "{missing} octets are missing");
    }
}

#[test]
fn a_set_whose_length_is_wrong_makes_no_records_of_the_sets_after_it() {
    for (mut payload, header) in [(ipfix_of_two_sets(), HEADER), (v9_of_two_sets(), 20)] {
        // The first set of data begins after the header and a template of 24 octets.
        set_number(&mut payload, header + 24 + 2, 60_000);
        assert_eq!(counted(&payload), (0, 0, DatagramFate::Damaged));
    }
}

#[test]
fn padding_that_is_counted_in_the_length_of_the_last_set_need_not_be_sent() {
    let odd = TemplateSpec::data(256, [field(8, 4), field(12, 4), field(1, 3)]);
    let record = odd.record(&[&INSIDE, &OUTSIDE, &[0, 0, 7]]);
    for is_ipfix in [false, true] {
        let mut payload = if is_ipfix {
            message(0).template(&odd).data(&odd, std::slice::from_ref(&record)).finish()
        } else {
            v9(0).template(&odd).data(&odd, std::slice::from_ref(&record)).finish()
        };
        payload.pop();
        if is_ipfix {
            let length = payload.len();
            set_number(&mut payload, 2, length);
        }
        let (octets, flows, _) = counted(&payload);
        assert_eq!((octets, flows), (7, 1), "IPFIX: {is_ipfix}");
    }
}

#[test]
fn padding_is_no_record_even_if_a_record_could_be_as_short() {
    // Three records of two octets, and two of padding.
    let short = TemplateSpec::data(256, [field(1, 2)]);
    let content = [0, 1, 0, 2, 0, 3, 0, 0];
    for payload in
        [message(0).template(&short).set(256, &content).finish(), v9(0).template(&short).set(256, &content).finish()]
    {
        let mut collector = Collector::new();
        collector.take(&payload);
        assert_eq!(collector.shard.counts().data_records, 3);
    }
    // A record of two names, five octets long, and three of padding, which could be another one without names.
    let names = TemplateSpec::data(256, [field(82, VARIABLE_LENGTH), field(83, VARIABLE_LENGTH)]);
    let mut collector = Collector::new();
    collector.take(&message(0).template(&names).set(256, &[1, b'a', 2, b'b', b'c', 0, 0, 0]).finish());
    assert_eq!(collector.shard.counts().data_records, 1);
    // A record of zeros alone is one.
    collector.take(&message(1).template(&short).set(256, &[0, 0, 0, 0]).finish());
    assert_eq!(collector.shard.counts().data_records, 2);
}

#[test]
fn further_messages_and_other_octets_after_a_message_are_not_counted() {
    let whole = ipfix_of_two_sets();
    for trailing in [&[0; 40][..], &[1; 40], &message(4).data(&template(), &[record(7)]).finish()] {
        assert_eq!(counted(&[&whole, trailing].concat()), (4321, 4, DatagramFate::Decoded));
    }
}

#[test]
fn a_cut_set_that_waits_for_its_template_is_counted_as_far_as_it_is_there() {
    let whole = v9(0).data(&template(), &[record(1), record(20)]).finish();
    let mut collector = Collector::new();
    collector.take(&whole[..whole.len() - 5]);
    collector.take(&v9(1).template(&template()).finish());
    assert_eq!(collector.sent(), counters(1, 1, 1));
}

#[test]
fn nothing_is_learnt_from_a_message_longer_than_its_datagram_that_has_no_record() {
    let mut payload = message(0).template(&template()).finish();
    let length = payload.len();
    set_number(&mut payload, 2, length + 8);
    let mut collector = Collector::new();
    assert_eq!(collector.take(&payload), DatagramFate::Damaged);
    collector.take(&message(0).data(&template(), &[record(1)]).finish());
    assert_eq!(collector.shard.counts().missing_template_sets, 1);
}
