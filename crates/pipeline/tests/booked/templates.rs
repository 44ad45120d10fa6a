//! A template that is announced again and cannot be read: the old one of its id is no longer valid (RFC 7011, section 8).
//! Data of the new layout wait for a readable announcement, and are never read by the old layout.

use super::*;

const STRANGER: u16 = 40_000;

/// Source, destination, octets, packets.
fn old() -> TemplateSpec {
    TemplateSpec::data(256, [field(8, 4), field(12, 4), field(1, 4), field(2, 4)])
}

/// The same values in another order and other lengths: 20 octets, which the old layout reads as one record of nonsense.
fn new() -> TemplateSpec {
    TemplateSpec::data(256, [field(1, 8), field(8, 4), field(12, 4), field(2, 4)])
}

fn old_record(octets: u32) -> Vec<u8> {
    old().record(&[&INSIDE, &OUTSIDE, &octets.to_be_bytes(), &1_u32.to_be_bytes()])
}

fn new_record(octets: u64) -> Vec<u8> {
    new().record(&[&octets.to_be_bytes(), &INSIDE, &OUTSIDE, &1_u32.to_be_bytes()])
}

/// Announces template 256 with 40 fields, of which four follow.
fn cut_announcement() -> Vec<u8> {
    let fields = new().fields.iter().flat_map(|field| [field.element.id, field.length]).collect::<Vec<_>>();
    [256, 40].into_iter().chain(fields).flat_map(u16::to_be_bytes).collect()
}

/// Octets that could belong to a record of the old layout: source and destination, then large counters.
fn misleading_record() -> Vec<u8> {
    [&INSIDE[..], &OUTSIDE, &[0x7f; 12]].concat()
}

#[test]
fn netflow_v9_data_after_an_announcement_that_is_cut_are_not_read_by_the_old_template() {
    let mut collector = Collector::new();
    collector.take(&v9(0).template(&old()).data(&old(), &[old_record(500)]).finish());
    collector.take(&v9(1).set(netflow_v9::TEMPLATE_SET, &cut_announcement()).set(256, &misleading_record()).finish());
    collector.take(&v9(2).set(256, &misleading_record()).finish());
    assert_eq!(collector.sent(), counters(500, 1, 1));
    assert_eq!(collector.shard.counts().missing_template_sets, 2);
}

#[test]
fn ipfix_data_wait_for_the_announcement_that_follows_a_bad_one() {
    let mut collector = Collector::new();
    collector.take(&message(0).template(&old()).data(&old(), &[old_record(500)]).finish());
    collector.take(&message(1).set(ipfix::TEMPLATE_SET, &cut_announcement()).finish());
    collector.take(&message(1).data(&new(), &[new_record(70), new_record(7)]).finish());
    assert_eq!(collector.sent(), counters(500, 1, 1));
    collector.take(&message(3).template(&new()).finish());
    collector.take(&message(3).data(&new(), &[new_record(1000)]).finish());
    assert_eq!(collector.sent(), counters(1577, 4, 4));
}

#[test]
fn an_options_template_whose_scope_exceeds_it_replaces_a_data_template_of_its_id() {
    // Two fields, of which three are the scope.
    let ipfix_options = [256, 2, 3, 8, 4, 12, 4].map(u16::to_be_bytes).concat();
    // A scope of five octets is no list of fields.
    let v9_options = [256, 5, 4, 1, 4, 34, 4].map(u16::to_be_bytes).concat();
    let mut collector = Collector::new();
    collector.take(&message(0).template(&old()).data(&old(), &[old_record(500)]).finish());
    collector
        .take(&message(1).set(ipfix::OPTIONS_TEMPLATE_SET, &ipfix_options).set(256, &misleading_record()).finish());
    assert_eq!(collector.sent(), counters(500, 1, 1));
    collector.take(&v9(0).template(&old()).data(&old(), &[old_record(20)]).finish());
    collector.take(&v9(1).set(netflow_v9::OPTIONS_TEMPLATE_SET, &v9_options).set(256, &misleading_record()).finish());
    assert_eq!(collector.sent(), counters(520, 2, 2));
}

#[test]
fn records_that_would_be_longer_than_a_message_replace_the_old_template() {
    let too_long = TemplateSpec::data(256, [field(8, 40_000), field(12, 40_000)]);
    let mut collector = Collector::new();
    collector.take(&v9(0).template(&old()).data(&old(), &[old_record(500)]).finish());
    collector.take(&v9(1).template(&too_long).set(256, &misleading_record()).finish());
    assert_eq!(collector.sent(), counters(500, 1, 1));
}

#[test]
fn a_bad_announcement_from_a_strange_port_leaves_the_template_of_the_router() {
    let mut collector = Collector::new();
    collector.take(&v9(0).template(&old()).data(&old(), &[old_record(500)]).finish());
    collector.take_from(STRANGER, &v9(0).set(netflow_v9::TEMPLATE_SET, &cut_announcement()).finish());
    collector.take(&v9(1).data(&old(), &[old_record(20)]).finish());
    // Also for the data of a further port of the router, which announces nothing itself.
    collector.take_from(PORT + 1, &v9(2).data(&old(), &[old_record(3)]).finish());
    assert_eq!(collector.sent(), counters(523, 3, 3));
}

#[test]
fn the_good_announcement_of_a_strange_port_neither_reads_nor_drops_what_waits() {
    let mut collector = Collector::new();
    collector.take(&v9(0).template(&old()).data(&old(), &[old_record(500)]).finish());
    collector.take(&v9(1).set(netflow_v9::TEMPLATE_SET, &cut_announcement()).data(&new(), &[new_record(70)]).finish());
    collector.take_from(STRANGER, &v9(0).template(&old()).finish());
    assert_eq!(collector.sent(), counters(500, 1, 1));
    collector.take(&v9(2).template(&new()).finish());
    assert_eq!(collector.sent(), counters(570, 2, 2));
}

#[test]
fn a_bad_announcement_from_the_port_of_the_templates_holds_for_data_of_other_ports() {
    let mut collector = Collector::new();
    collector.take(&message(0).template(&old()).finish());
    collector.take_from(PORT + 1, &message(0).data(&old(), &[old_record(500)]).finish());
    collector.take(&message(0).set(ipfix::TEMPLATE_SET, &cut_announcement()).finish());
    collector.take_from(PORT + 1, &message(1).set(256, &misleading_record()).finish());
    assert_eq!(collector.sent(), counters(500, 1, 1));
    collector.take(&message(0).template(&old()).finish());
    collector.take_from(PORT + 1, &message(2).data(&old(), &[old_record(20)]).finish());
    assert_eq!(collector.shard.counts().missing_template_sets, 1);
}

#[test]
fn a_router_with_a_new_port_and_a_bad_announcement_is_not_read_by_the_template_of_its_old_port() {
    let mut collector = Collector::new();
    collector.take(&v9(0).template(&old()).data(&old(), &[old_record(500)]).finish());
    collector.take_from(PORT + 1, &v9(1).set(netflow_v9::TEMPLATE_SET, &cut_announcement()).finish());
    collector.take_from(PORT + 1, &v9(2).set(256, &misleading_record()).finish());
    assert_eq!(collector.sent(), counters(500, 1, 1));
}

#[test]
fn a_bad_announcement_still_counts_after_a_restart_of_the_collector() {
    for is_ipfix in [false, true] {
        let mut collector = Collector::new();
        let (first, bad, data) = if is_ipfix {
            let first = message(0).template(&old()).data(&old(), &[old_record(500)]).finish();
            let bad = message(1).set(ipfix::TEMPLATE_SET, &cut_announcement()).finish();
            (first, bad, message(1).data(&new(), &[new_record(70)]).finish())
        } else {
            let first = v9(0).template(&old()).data(&old(), &[old_record(500)]).finish();
            let bad = v9(1).set(netflow_v9::TEMPLATE_SET, &cut_announcement()).finish();
            (first, bad, v9(2).data(&new(), &[new_record(70)]).finish())
        };
        // Another port still has a valid template of the old layout.
        collector.take_from(PORT + 1, &first);
        collector.take(&first);
        collector.take(&bad);
        collector.restart();
        collector.take(&data);
        collector.restart();
        assert_eq!(collector.sent(), counters(1000, 2, 2), "IPFIX: {is_ipfix}");
        let good = if is_ipfix { message(2).template(&new()).finish() } else { v9(3).template(&new()).finish() };
        collector.take(&good);
        assert_eq!(collector.sent(), counters(1070, 3, 3), "IPFIX: {is_ipfix}");
    }
}
