//! From records to flows: sampling, events, both directions, counters that replace others, interfaces, lists, packets.

use super::*;

#[test]
fn a_sampler_table_gives_the_rate_of_the_sampler_that_a_record_names() {
    let options = TemplateSpec::options(300, 1, [iana(1, 4), iana(48, 1), iana(50, 4), iana(49, 1)]);
    let data = TemplateSpec::data(256, [iana(1, 4), iana(48, 2)]);
    let mut exchange = Exchange::new();
    let samplers = [numbers(&options, &[0, 1, 100, 2]), numbers(&options, &[0, 7, 2000, 2])];
    exchange.send(&v9().template(&options).data(&options, &samplers).template(&data).finish());
    exchange.send(&v9().data(&data, &[[5, 7], [5, 1], [5, 3]].map(|values| numbers(&data, &values))).finish());
    let rates: Vec<_> = exchange.flows.iter().map(|flow| (flow.sampling.rate, flow.sampling.source)).collect();
    assert_eq!(rates, [(2000, SamplingSource::Options), (100, SamplingSource::Options), (1, SamplingSource::None)]);
}

#[test]
fn a_rate_of_the_domain_holds_for_records_that_name_no_sampler_and_the_record_itself_wins() {
    let options = TemplateSpec::options(300, 1, [iana(149, 4), iana(305, 4), iana(306, 4)]);
    let plain = bytes_only();
    let with_rate = TemplateSpec::data(257, [iana(1, 4), iana(34, 4)]);
    let mut exchange = Exchange::new();
    exchange.send(&message().template(&options).data(&options, &[numbers(&options, &[0, 1, 999])]).finish());
    let datagram = message()
        .template(&plain)
        .data(&plain, &[numbers(&plain, &[5])])
        .template(&with_rate)
        .data(&with_rate, &[numbers(&with_rate, &[5, 64]), numbers(&with_rate, &[5, 0])])
        .finish();
    exchange.send(&datagram);
    let rates: Vec<_> = exchange.flows.iter().map(|flow| (flow.sampling.rate, flow.sampling.source)).collect();
    assert_eq!(rates, [(1000, SamplingSource::Options), (64, SamplingSource::Record), (1000, SamplingSource::Options)]);
}

#[test]
fn a_rate_that_routeros_sends_in_the_wrong_byte_order_is_corrected_and_reported() {
    let template = TemplateSpec::data(256, [iana(1, 4), iana(34, 4)]);
    let mut exchange = Exchange::new();
    let records = [[5, 0xae08_0000], [5, 2048]].map(|values| numbers(&template, &values));
    let decoded = exchange.send(&v9().template(&template).data(&template, &records).finish());
    let rates: Vec<_> = exchange.flows.iter().map(|flow| flow.sampling.rate).collect();
    assert_eq!((rates, decoded.corrected_rates), (vec![2222, 2048], 1));
}

#[test]
fn the_header_of_version_5_has_the_rate_in_its_low_fourteen_bits() {
    let mut exchange = Exchange::new();
    for (field, rate) in [(0x4000 | 100, 100), (512, 512), (0x8000, 1), (0, 1)] {
        let header = netflow_v5::Header { sampling: field.into(), ..Default::default() };
        exchange.send(&encode::netflow_v5(&header, &[netflow_v5::Record::default()]));
        assert_eq!(exchange.flows.last().unwrap().sampling.rate, rate);
    }
}

#[test]
fn a_firewall_event_is_a_flow_only_when_it_carries_new_bytes() {
    let template = TemplateSpec::data(256, [iana(233, 1), iana(231, 4), iana(232, 4)]);
    let events = [[1, 0, 0], [2, 100, 40], [3, 60, 0], [5, 0, 7], [2, 0, 0]];
    let mut exchange = Exchange::new();
    let records = events.map(|values| numbers(&template, &values));
    let decoded = exchange.send(&v9().template(&template).data(&template, &records).finish());
    assert_eq!(decoded.data, 5);
    let booked: Vec<_> = exchange.flows.iter().map(|flow| (flow.forward.bytes, flow.reverse.bytes)).collect();
    assert_eq!(booked, [(100, 40), (0, 7)]);
}

#[test]
fn a_biflow_books_both_directions() {
    let template = TemplateSpec::data(256, [iana(1, 4), iana(2, 4), reverse(1, 4), reverse(2, 4)]);
    let mut exchange = Exchange::new();
    let records = [[900, 9, 70, 1], [900, 9, 0, 0]].map(|values| numbers(&template, &values));
    exchange.send(&message().template(&template).data(&template, &records).finish());
    assert_eq!(exchange.flows[0].forward, Counters { bytes: 900, packets: 9, flows: 1 });
    assert_eq!(exchange.flows[0].reverse, Counters { bytes: 70, packets: 1, flows: 1 });
    assert_eq!(exchange.flows[1].reverse, Counters::ZERO);
}

#[test]
fn counters_after_the_middlebox_replace_empty_ones_and_are_never_added() {
    let template = TemplateSpec::data(256, [iana(1, 4), iana(2, 4), iana(23, 4), iana(24, 4)]);
    let mut exchange = Exchange::new();
    let records = [[900, 9, 880, 9], [0, 0, 60, 1]].map(|values| numbers(&template, &values));
    exchange.send(&v9().template(&template).data(&template, &records).finish());
    let booked: Vec<_> = exchange.flows.iter().map(|flow| (flow.forward.bytes, flow.forward.packets)).collect();
    assert_eq!(booked, [(900, 9), (60, 1)]);
}

#[test]
fn the_ip_interface_is_booked_and_the_physical_one_where_it_is_zero_or_missing() {
    let both = TemplateSpec::data(256, [iana(252, 4), iana(10, 2), iana(14, 4), iana(253, 2), iana(1, 4)]);
    let physical = TemplateSpec::data(257, [iana(1, 4), iana(253, 4), iana(252, 4)]);
    let neither = TemplateSpec::data(258, [iana(1, 4)]);
    let of_both = [[101, 1, 2, 102, 9], [101, 0, 0, 102, 9]].map(|values| numbers(&both, &values));
    let of_physical = [numbers(&physical, &[9, u64::from(u32::MAX), 8])];
    let of_neither = [numbers(&neither, &[9])];
    let sets = [(&both, &of_both[..]), (&physical, &of_physical), (&neither, &of_neither)];
    for payload in [
        sets.iter()
            .fold(v9(), |packet, (template, records)| packet.template(template).data(template, records))
            .finish(),
        sets.iter()
            .fold(message(), |ipfix, (template, records)| ipfix.template(template).data(template, records))
            .finish(),
    ] {
        let mut exchange = Exchange::new();
        exchange.send(&payload);
        let booked: Vec<_> = exchange.flows.iter().map(|flow| (flow.input_interface, flow.output_interface)).collect();
        assert_eq!(booked, [(1, 2), (101, 102), (8, u32::MAX), (0, 0)]);
    }
}

#[test]
fn a_record_without_counters_is_an_event_and_no_flow() {
    let template = TemplateSpec::data(256, [iana(8, 4), iana(230, 1)]);
    let mut exchange = Exchange::new();
    let decoded = exchange.send(&v9().template(&template).data(&template, &[numbers(&template, &[1, 4])]).finish());
    assert_eq!((decoded.data, exchange.flows.len()), (1, 0));
}

#[test]
fn a_record_may_aggregate_many_flows() {
    let template = TemplateSpec::data(256, [iana(3, 4), iana(1, 4)]);
    let mut exchange = Exchange::new();
    exchange.send(&v9().template(&template).data(&template, &[numbers(&template, &[12, 100])]).finish());
    assert_eq!(exchange.flows[0].forward.flows, 12);
}

#[test]
fn lists_in_a_record_are_opened_with_the_templates_of_its_domain() {
    let inner = TemplateSpec { id: 400, ..packets_and_bytes() };
    let outer = TemplateSpec::data(401, [iana(292, VARIABLE_LENGTH), iana(1, 4)]);
    let items = [[1, 60], [2, 3000]].map(|values| numbers(&inner, &values)).concat();
    // RFC 6313, section 4.5.2: semantic (3, all of), template id, records.
    let list = [&[3][..], &400_u16.to_be_bytes(), &items].concat();
    let message = message().template(&inner).template(&outer).data(&outer, &[outer.record(&[&list, &[0, 0, 0, 5]])]);
    let payload = message.finish();
    let exporter = Exporter::udp([192, 0, 2, 1].into(), 1);
    let mut lines = Vec::new();
    let datagram = Datagram { exporter, received: Timestamp::from_seconds(1), payload: &payload };
    Session::new(SessionLimits::default()).decode(&datagram, &mut |record| {
        record.fields(&mut |field| match field.value {
            Value::List(list) => list.visit(&mut |item| {
                item.visit(&mut |field| lines.push(format!("- {} {:?}", field.name, field.value)));
            }),
            value => lines.push(format!("{} {value:?}", field.name)),
        });
    });
    let expected = [
        "- packetDeltaCount 1",
        "- octetDeltaCount 60",
        "- packetDeltaCount 2",
        "- octetDeltaCount 3000",
        "octetDeltaCount 5",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_sampled_packet_is_a_flow_of_one_packet_unless_the_record_counts() {
    let ip = [&[0x45, 0, 0x05, 0xdc, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2][..], &[0, 53, 0, 99]].concat();
    let sampled = TemplateSpec::data(256, [iana(313, 24), iana(48, 1), iana(10, 4), iana(14, 2)]);
    let counted = TemplateSpec::data(257, [iana(1, 4), iana(313, VARIABLE_LENGTH)]);
    let mut exchange = Exchange::new();
    let datagram = message()
        .template(&sampled)
        .data(&sampled, &[sampled.record(&[&ip, &[1], &[0, 0, 0, 7], &[0, 9]])])
        .template(&counted)
        .data(&counted, &[counted.record(&[&[0, 0, 0, 7], &ip])])
        .finish();
    exchange.send(&datagram);
    let flow = exchange.flows[0];
    assert_eq!((flow.source.to_string().as_str(), flow.source_port, flow.destination_port), ("10.0.0.1", 53, 99));
    assert_eq!(flow.forward, Counters { bytes: 1500, packets: 1, flows: 1 });
    assert_eq!((flow.input_interface, flow.output_interface), (7, 9));
    assert_eq!(exchange.flows[1].forward.bytes, 7);
}
