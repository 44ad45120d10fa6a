//! What doctor says of records that arrive and are not counted, or maybe count twice.

use super::*;

const TO_OTHERS: [u8; 8] = [203, 0, 113, 1, 0, 0, 0, 100];

/// Sends these records until the finding is there.
fn provoke_with(router_address: &str, name: &str, template: &TemplateSpec, records: &[Vec<u8>]) -> (Collector, Value) {
    let collector = Collector::start();
    let from = router(router_address);
    add(&collector, router_address, "192.0.2.0/24");
    let found = provoke(&collector, router_address, name, || {
        from.send_to(&v9(0).template(template).data(template, records).finish(), collector.receiving).unwrap();
    });
    (collector, found)
}

#[test]
fn records_without_counters_are_reported_with_what_to_collect() {
    let without = TemplateSpec::data(256, [(8, 4), (12, 4), (10, 4)].map(|(id, n)| FieldSpecifier::iana(id, n)));
    let record = [[203, 0, 113, 1], [192, 0, 2, 1], [0, 0, 0, 5]].concat();
    let (collector, found) = provoke_with("127.0.3.1", "nothing_counted", &without, &[record]);
    assert!(found["what"].as_str().unwrap().starts_with("nothing is counted: "), "{found}");
    has(&found["evidence"], "template 256 has no counter: sourceIPv4Address, destinationIPv4Address, ingressInterface");
    has(&found["run"], "collect counter bytes");
    has(&found["run"], "collect counter packets");
    collector.terminate();
}

#[test]
fn records_whose_counters_are_always_zero_are_reported() {
    let events = template(&[(233, 1)]);
    let (collector, found) =
        provoke_with("127.0.3.2", "nothing_counted", &events, &[[&TO_MONITORED[..], &[3]].concat()]);
    assert_eq!(found["evidence"], json!([]));
    has(&found["run"], "netflow tap");
    collector.terminate();
}

#[test]
fn a_tenth_of_flows_outside_of_the_prefixes_is_reported_with_their_networks() {
    let records: Vec<Vec<u8>> = std::iter::repeat_n(TO_MONITORED.to_vec(), 8).chain([TO_OTHERS.to_vec()]).collect();
    let (collector, found) = provoke_with("127.0.3.3", "flows_outside", &template(&[]), &records);
    has(&found["evidence"], "203.0.113.0/24: source of 0, destination of ");
    has(&found["run"], "netflow senders add 127.0.3.3 203.0.113.0/24");
    assert!(!found["run"].to_string().contains("0.0.0.0/0"), "{found}");
    collector.terminate();
}

#[test]
fn a_few_flows_outside_of_the_prefixes_are_usual() {
    let records: Vec<Vec<u8>> = std::iter::repeat_n(TO_MONITORED.to_vec(), 19).chain([TO_OTHERS.to_vec()]).collect();
    let template = template(&[]);
    let collector = Collector::start();
    let from = router("127.0.3.4");
    add(&collector, "127.0.3.4", "192.0.2.0/24");
    collector.wait_until("counted", || {
        from.send_to(&v9(0).template(&template).data(&template, &records).finish(), collector.receiving).unwrap();
        collector.rest("GET", "/exporters/127.0.3.4", "")["counters"]["flows"]["unmatched"].as_u64() > Some(0)
    });
    let found = findings(&collector, "127.0.3.4");
    assert!(found.iter().all(|finding| finding["finding"] != "flows_outside"), "{found:?}");
    collector.terminate();
}

#[test]
fn flows_observed_at_ingress_and_at_egress_are_reported() {
    let records = [0, 1].map(|side| [&TO_MONITORED[..], &[side]].concat());
    let (collector, found) = provoke_with("127.0.3.5", "observed_twice", &template(&[(61, 1)]), &records);
    has(&found["evidence"], "flows at ingress, ");
    collector.terminate();
}

#[test]
fn sampled_packets_without_an_ip_header_are_reported() {
    let sections = TemplateSpec::data(256, [FieldSpecifier::iana(315, 60)]);
    let mut arp = vec![0; 60];
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    let (collector, found) = provoke_with("127.0.3.6", "no_ip_header", &sections, &[arp]);
    assert!(found["what"].as_str().unwrap().ends_with("they show no IP header"), "{found}");
    collector.terminate();
}

#[test]
fn out_counters_that_differ_are_reported_until_they_are_the_other_direction() {
    let records = [[&TO_MONITORED[..], &5000_u32.to_be_bytes()].concat()];
    let template = template(&[(23, 4)]);
    let (collector, found) = provoke_with("127.0.3.7", "out_counters_differ", &template, &records);
    has(&found["run"], "netflow senders set 127.0.3.7 outCounters=reverse");
    let (printed, stderr, code) = collector.command(&["senders", "set", "127.0.3.7", "outCounters=reverse"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(printed.contains("outCounters=reverse"), "{printed}");
    let found = findings(&collector, "127.0.3.7");
    assert!(found.iter().all(|finding| finding["finding"] != "out_counters_differ"), "{found:?}");
    let (_, stderr, code) = collector.command(&["senders", "set", "127.0.3.7", "outCounters=both"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("it must be 'same' or 'reverse'"), "{stderr}");
    collector.terminate();
}

/// IP in IP, from 203.0.113.1 to 203.0.113.2, with a packet to the monitored prefix inside.
fn packet_in_a_tunnel() -> Vec<u8> {
    let header = |protocol: u8, length: u8, destination: [u8; 4]| {
        [&[0x45, 0, 0, length, 0, 0, 0, 0, 64, protocol, 0, 0, 203, 0, 113, 1][..], &destination].concat()
    };
    [header(4, 40, [203, 0, 113, 2]), header(17, 20, [192, 0, 2, 1])].concat()
}

#[test]
fn packets_in_tunnels_between_other_networks_are_reported_until_those_inside_count() {
    let sections = TemplateSpec::data(256, [FieldSpecifier::iana(313, 40)]);
    let (collector, found) = provoke_with("127.0.3.8", "tunnelled", &sections, &[packet_in_a_tunnel()]);
    has(&found["run"], "netflow senders set 127.0.3.8 tunnels=inner");
    let (printed, stderr, code) = collector.command(&["senders", "set", "127.0.3.8", "tunnels=inner"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(printed.contains("tunnels=inner"), "{printed}");
    let found = findings(&collector, "127.0.3.8");
    assert!(found.iter().all(|finding| finding["finding"] != "tunnelled"), "{found:?}");
    collector.terminate();
}

#[test]
fn packets_in_tunnels_that_are_cut_off_are_reported_where_they_should_count() {
    let sections = TemplateSpec::data(256, [FieldSpecifier::iana(313, 30)]);
    let collector = Collector::start();
    let from = router("127.0.3.9");
    add(&collector, "127.0.3.9", "203.0.113.0/24");
    let (_, stderr, code) = collector.command(&["senders", "set", "127.0.3.9", "tunnels=inner"]);
    assert_eq!(code, Some(0), "{stderr}");
    let cut = packet_in_a_tunnel()[..30].to_vec();
    let found = provoke(&collector, "127.0.3.9", "inner_unknown", || {
        let datagram = v9(0).template(&sections).data(&sections, std::slice::from_ref(&cut)).finish();
        from.send_to(&datagram, collector.receiving).unwrap();
    });
    has(&found["run"], "sflow max-sampled-size 256");
    collector.terminate();
}
