//! What a session promises about templates, waiting sets, samplers and damaged datagrams, one promise a test. Named
//! after the worst things that exporters and other decoders do.
#![expect(clippy::indexing_slicing, reason = "a test")]

use std::time::Duration;

use flow::{Counters, Exporter, FlowRecord, SamplingSource, Timestamp};
use wire::encode::{Ipfix, NetflowV9, TemplateSpec};
use wire::{
    Datagram, Decoded, ElementId, ErrorKind, FieldSpecifier, PendingBudget, PendingLimits, RecordKind, Session,
    SessionLimits, TemplateLimits, VARIABLE_LENGTH, Value, encode, ipfix, netflow_v5, netflow_v9,
};

/// An exporter address with one session, and what it has decoded.
struct Exchange {
    session: Session,
    now: u64,
    port: u16,
    flows: Vec<FlowRecord>,
    kinds: Vec<RecordKind>,
}

impl Exchange {
    fn new() -> Self {
        Self::with(SessionLimits::default())
    }

    fn with(limits: SessionLimits) -> Self {
        Self { session: Session::new(limits), now: 1_000_000, port: 4000, flows: Vec::new(), kinds: Vec::new() }
    }

    fn send(&mut self, payload: &[u8]) -> Decoded {
        let exporter = Exporter::new([192, 0, 2, 1].into(), self.port);
        let datagram = Datagram { exporter, received: Timestamp::from_seconds(self.now), payload };
        self.session.decode(&datagram, &mut |record| {
            self.flows.extend(record.flow);
            self.kinds.push(record.kind);
        })
    }

    fn bytes(&self) -> Vec<u64> {
        self.flows.iter().map(|flow| flow.forward.bytes).collect()
    }
}

const fn iana(id: u16, length: u16) -> FieldSpecifier {
    FieldSpecifier::iana(id, length)
}

const fn reverse(id: u16, length: u16) -> FieldSpecifier {
    FieldSpecifier { element: ElementId { enterprise: 29305, id }, length }
}

fn v9() -> NetflowV9 {
    NetflowV9::new(netflow_v9::Header::default())
}

fn v9_of(source_id: u32) -> NetflowV9 {
    NetflowV9::new(netflow_v9::Header { source_id: source_id.into(), ..Default::default() })
}

fn message() -> Ipfix {
    Ipfix::new(ipfix::Header::default())
}

/// A record of numbers, each in the length of its field.
fn numbers(template: &TemplateSpec, numbers: &[u64]) -> Vec<u8> {
    let octets: Vec<_> = numbers.iter().map(|number| number.to_be_bytes()).collect();
    let length = |field: &FieldSpecifier| field.fixed_length().map_or(4, usize::from);
    let fields: Vec<_> =
        template.fields.iter().zip(&octets).map(|(field, octets)| &octets[8 - length(field)..]).collect();
    template.record(&fields)
}

fn bytes_only() -> TemplateSpec {
    TemplateSpec::data(256, [iana(1, 4)])
}

fn packets_and_bytes() -> TemplateSpec {
    TemplateSpec::data(256, [iana(2, 4), iana(1, 4)])
}

#[test]
fn a_template_is_redefined_at_once_also_inside_a_datagram() {
    let (old, new) = (bytes_only(), packets_and_bytes());
    let mut exchange = Exchange::new();
    let datagram = v9()
        .template(&old)
        .data(&old, &[numbers(&old, &[7])])
        .template(&new)
        .data(&new, &[numbers(&new, &[2, 90])])
        .finish();
    let decoded = exchange.send(&datagram);
    assert_eq!((decoded.templates, decoded.data, decoded.errors), (2, 2, 0));
    assert_eq!(exchange.bytes(), [7, 90]);
}

#[test]
fn data_and_options_templates_share_one_space_of_ids() {
    let data = bytes_only();
    let options = TemplateSpec::options(256, 1, [iana(1, 4)]);
    let mut exchange = Exchange::new();
    let datagram = message()
        .template(&data)
        .data(&data, &[numbers(&data, &[1])])
        .template(&options)
        .data(&options, &[numbers(&options, &[2])])
        .finish();
    let decoded = exchange.send(&datagram);
    assert_eq!((decoded.data, decoded.options), (1, 1));
    assert_eq!(exchange.kinds, [RecordKind::Data, RecordKind::Options]);
    assert_eq!(exchange.bytes(), [1]);
}

#[test]
fn the_template_of_the_same_port_wins_and_else_the_newest() {
    let (first, second) = (bytes_only(), packets_and_bytes());
    let mut exchange = Exchange::new();
    exchange.port = 1;
    exchange.send(&v9().template(&first).finish());
    exchange.port = 2;
    exchange.send(&v9().template(&second).finish());
    exchange.port = 1;
    exchange.send(&v9().data(&first, &[numbers(&first, &[5])]).finish());
    exchange.port = 3;
    exchange.send(&v9().data(&second, &[numbers(&second, &[1, 6])]).finish());
    assert_eq!(exchange.bytes(), [5, 6]);
}

#[test]
fn domains_and_protocols_do_not_share_templates() {
    let template = bytes_only();
    let mut exchange = Exchange::new();
    exchange.send(&v9_of(1).template(&template).finish());
    let record = [numbers(&template, &[5])];
    assert_eq!(exchange.send(&v9_of(2).data(&template, &record).finish()).missing_template_sets, 1);
    let ipfix = Ipfix::new(ipfix::Header { domain: 1.into(), ..Default::default() });
    assert_eq!(exchange.send(&ipfix.data(&template, &record).finish()).missing_template_sets, 1);
    assert_eq!(exchange.send(&v9_of(1).data(&template, &record).finish()).data, 1);
}

#[test]
fn a_withdrawal_over_udp_has_no_effect() {
    let template = bytes_only();
    let mut exchange = Exchange::new();
    exchange.send(&message().template(&template).finish());
    let withdrawal = message().template(&TemplateSpec::data(256, [])).finish();
    assert_eq!(exchange.send(&withdrawal).withdrawals, 1);
    assert_eq!(exchange.send(&message().data(&template, &[numbers(&template, &[5])]).finish()).data, 1);
}

#[test]
fn fields_of_no_length_are_passed_over_and_records_of_no_length_refused() {
    let partly = TemplateSpec::data(256, [iana(225, 0), iana(1, 4), iana(226, 0)]);
    let wholly = TemplateSpec::data(257, vec![iana(0, 0); 16_000]);
    let mut exchange = Exchange::new();
    exchange.send(&v9().template(&partly).finish());
    exchange.send(&v9().template(&wholly).finish());
    assert_eq!(exchange.send(&v9().data(&partly, &[numbers(&partly, &[0, 5, 0])]).finish()).data, 1);
    let endless = v9().data(&TemplateSpec::data(257, [iana(1, 64)]), &[vec![1; 60_000]]).finish();
    let decoded = exchange.send(&endless);
    assert_eq!((decoded.data, decoded.missing_template_sets), (0, 0));
    assert_eq!(exchange.bytes(), [5]);
}

#[test]
fn a_template_without_any_field_is_refused() {
    let mut exchange = Exchange::new();
    let decoded = exchange.send(&v9().template(&TemplateSpec::data(256, [])).finish());
    assert_eq!(decoded.first_error.unwrap().kind, ErrorKind::BadTemplate);
    assert_eq!(exchange.session.templates().count(), 0);
}

#[test]
fn lengths_that_sum_past_a_datagram_are_refused() {
    let mut exchange = Exchange::new();
    let template = TemplateSpec::data(256, [iana(1, 40_000), iana(2, 40_000)]);
    let decoded = exchange.send(&message().template(&template).finish());
    assert_eq!(decoded.first_error.unwrap().kind, ErrorKind::BadTemplate);
}

#[test]
fn an_address_of_fifty_octets_is_no_address() {
    let template = TemplateSpec::data(256, [iana(8, 50), iana(1, 4)]);
    let mut record = vec![0xff; 50];
    record.extend(9_u32.to_be_bytes());
    let mut exchange = Exchange::new();
    exchange.send(&message().template(&template).data(&template, &[record]).finish());
    assert_eq!(exchange.flows[0].source.to_string(), "0.0.0.0");
    assert_eq!(exchange.bytes(), [9]);
}

#[test]
fn an_options_scope_longer_than_its_set_costs_the_set_only() {
    let template = bytes_only();
    let mut datagram = v9().template(&TemplateSpec::options(300, 1, [iana(1, 4), iana(34, 4)])).finish();
    // The octets of the scope list, behind the header of the packet, of the set, and the template id.
    datagram[20 + 4 + 2..][..2].copy_from_slice(&4000_u16.to_be_bytes());
    datagram.extend(v9().template(&template).data(&template, &[numbers(&template, &[5])]).finish().split_off(20));
    let mut exchange = Exchange::new();
    let decoded = exchange.send(&datagram);
    assert_eq!(decoded.first_error.unwrap().kind, ErrorKind::TruncatedTemplate);
    assert_eq!((decoded.errors, decoded.data), (1, 1));
}

#[test]
fn a_length_of_65535_is_a_variable_length_in_version_9_too() {
    let template = TemplateSpec::data(256, [iana(96, VARIABLE_LENGTH), iana(1, 4), iana(2, VARIABLE_LENGTH)]);
    let mut exchange = Exchange::new();
    let long = "n".repeat(300);
    let records = [("http", 7_u32, 3_u16), (long.as_str(), 8, 4)].map(|(name, bytes, packets)| {
        template.record(&[name.as_bytes(), &bytes.to_be_bytes(), &packets.to_be_bytes()])
    });
    let decoded = exchange.send(&v9().template(&template).data(&template, &records).finish());
    assert_eq!((decoded.data, decoded.errors), (2, 0));
    assert_eq!(exchange.bytes(), [7, 8]);
    assert_eq!(exchange.flows[1].forward.packets, 4);
}

#[test]
fn a_variable_length_beyond_the_set_costs_the_set_only() {
    let template = TemplateSpec::data(256, [iana(1, 4), iana(96, VARIABLE_LENGTH)]);
    let good = bytes_only();
    let mut cut = template.record(&[&[0, 0, 0, 1], b"application"]);
    cut.truncate(9);
    let good = TemplateSpec { id: 257, ..good };
    let mut exchange = Exchange::new();
    let datagram = message()
        .template(&template)
        .template(&good)
        .data(&template, &[cut])
        .data(&good, &[numbers(&good, &[5])])
        .finish();
    let decoded = exchange.send(&datagram);
    assert_eq!(decoded.first_error.unwrap().kind, ErrorKind::TruncatedField);
    assert_eq!((decoded.errors, decoded.data), (1, 1));
}

#[test]
fn data_before_its_template_waits_and_keeps_its_message() {
    let template = packets_and_bytes();
    let mut exchange = Exchange::new();
    for (second, bytes) in [(100_u32, 10), (200, 20)] {
        let header = netflow_v9::Header { unix_seconds: second.into(), ..Default::default() };
        let decoded =
            exchange.send(&NetflowV9::new(header).data(&template, &[numbers(&template, &[1, bytes])]).finish());
        assert_eq!((decoded.missing_template_sets, decoded.missing_template_bytes, decoded.pending), (1, 8, 1));
    }
    assert_eq!(exchange.session.pending(), 2);
    let header = netflow_v9::Header { unix_seconds: 300.into(), ..Default::default() };
    let last = NetflowV9::new(header).template(&template).data(&template, &[numbers(&template, &[1, 30])]).finish();
    let decoded = exchange.send(&last);
    assert_eq!((decoded.pending_decoded, decoded.pending_data, decoded.data), (2, 2, 3));
    let told: Vec<_> = exchange.flows.iter().map(|flow| (flow.exported.seconds(), flow.forward.bytes)).collect();
    assert_eq!(told, [(100, 10), (200, 20), (300, 30)]);
    assert_eq!(exchange.session.pending(), 0);
}

#[test]
fn waiting_sets_expire_and_give_their_room_back() {
    let limits = PendingLimits { octets: 4096, age: Duration::from_secs(60) };
    let budget = PendingBudget::new(1 << 20);
    let mut exchange = Exchange::new();
    exchange.session = Session::with_budget(SessionLimits { pending: limits, ..Default::default() }, budget.clone());
    let template = bytes_only();
    let lone = v9().data(&template, &vec![numbers(&template, &[1]); 300]).finish();
    let held: u32 = (0..10).map(|_| exchange.send(&lone).pending).sum();
    assert!((1..10).contains(&held), "{held} sets of 1200 octets wait in 4096");
    assert!(budget.free() < 1 << 20);
    exchange.now += 61;
    assert_eq!(exchange.send(&v9().finish()).pending_expired, held);
    assert_eq!((exchange.session.pending(), budget.free()), (0, 1 << 20));
    exchange.send(&lone);
    assert!(budget.free() < 1 << 20);
    drop(exchange);
    assert_eq!(budget.free(), 1 << 20);
}

/// Lengths that are no multiple of four: nothing may be added that could be taken for another record.
#[test]
fn what_waits_can_be_given_to_another_session_as_datagrams() {
    let template = TemplateSpec::data(256, [iana(1, 1)]);
    let mut exchange = Exchange::new();
    let ipfix = |seconds: u32| Ipfix::new(ipfix::Header { export_seconds: seconds.into(), ..Default::default() });
    let v9_header = |seconds: u32| netflow_v9::Header {
        unix_seconds: seconds.into(),
        uptime: 77.into(),
        source_id: 5.into(),
        ..Default::default()
    };
    let records: Vec<_> = (1..=3).map(|bytes| numbers(&template, &[bytes])).collect();
    exchange.send(&NetflowV9::new(v9_header(100)).data(&template, &records).finish());
    exchange.port += 1;
    exchange.now += 1;
    exchange.send(&ipfix(200).data(&template, &records[..1]).data(&template, &records[1..]).finish());

    let mut other = Exchange::new();
    let waiting = exchange.session.waiting();
    assert_eq!(waiting.len(), 3);
    let mut pending = 0;
    for (exporter, received, payload) in &waiting {
        let datagram = Datagram { exporter: *exporter, received: *received, payload };
        pending += other.session.decode(&datagram, &mut |_| panic!("there is no template yet")).pending;
    }
    assert_eq!((pending, other.session.waiting()), (3, waiting));
    other.send(&NetflowV9::new(v9_header(300)).template(&template).finish());
    other.send(&ipfix(300).template(&template).finish());
    let told: Vec<_> = other.flows.iter().map(|flow| (flow.exported.seconds(), flow.forward.bytes)).collect();
    assert_eq!(told, [(100, 1), (100, 2), (100, 3), (200, 1), (200, 2), (200, 3)]);
    assert_eq!(other.session.waiting(), []);
}

#[test]
fn no_more_templates_are_kept_than_the_limits_say_and_stale_ones_make_room() {
    let limits = TemplateLimits {
        templates: 10,
        fields: 100,
        domains: 3,
        stale_after: Duration::from_secs(600),
        lifetime: None,
    };
    let mut exchange = Exchange::with(SessionLimits { templates: limits, ..Default::default() });
    // Their data come with them: each reads something, and none may go.
    let used = |packet: NetflowV9, template: &TemplateSpec| {
        let record = numbers(template, &vec![1; template.fields.len()]);
        packet.template(template).data(template, &[record]).finish()
    };
    let mut refused = 0;
    for id in 256..276 {
        refused += exchange.send(&used(v9(), &TemplateSpec::data(id, [iana(1, 4)]))).errors;
    }
    assert_eq!((refused, exchange.session.templates().count()), (10, 10));
    let decoded = exchange.send(&message().template(&TemplateSpec::data(256, vec![iana(1, 4); 95])).finish());
    assert_eq!(decoded.first_error.unwrap().kind, ErrorKind::TooManyTemplates);
    exchange.now += 601;
    assert_eq!(exchange.send(&used(v9(), &TemplateSpec::data(900, [iana(1, 4)]))).errors, 0);
    assert_eq!(exchange.session.templates().count(), 1);
    let refused: u32 = (0..5).map(|domain| exchange.send(&used(v9_of(domain), &bytes_only())).errors).sum();
    assert_eq!((refused, exchange.session.displaced_templates()), (2, 0));
}

#[test]
fn who_forges_announcements_pushes_out_only_what_no_data_come_for() {
    let mut exchange = Exchange::new();
    let limits = TemplateLimits::default();
    let first = TemplateSpec::data(256, [iana(1, 4)]);
    exchange.send(&v9_of(7).template(&first).finish());
    let mut expected = Vec::new();
    for forged in 0..50_000_u32 {
        exchange.port = 6666;
        let template = TemplateSpec::data((256 + forged / 1000) as u16, [iana(1, 4), iana(2, 4)]);
        // Now and then one that changes what was forged before.
        exchange.send(&v9_of(forged % 1000).template(&template).finish());
        exchange.send(&v9_of(1).template(&TemplateSpec::data(9999, [iana(1, 1 + (forged % 2) as u16)])).finish());
        exchange.port = 4000;
        let number = u64::from(forged);
        if forged % 100 == 99 {
            assert_eq!(
                exchange.send(&v9_of(7).data(&first, &[numbers(&first, &[number])]).finish()).data,
                1,
                "{forged}"
            );
            expected.push(number);
        }
        // The exporter announces another one, and its data come some packets later.
        let new = TemplateSpec::data(300 + (forged / 1000) as u16, [iana(2, 4), iana(1, 4)]);
        if forged % 1000 == 500 {
            assert_eq!(exchange.send(&v9_of(7).template(&new).finish()).errors, 0, "{forged}");
        }
        if forged % 1000 == 700 {
            let decoded = exchange.send(&v9_of(7).data(&new, &[numbers(&new, &[1, number])]).finish());
            assert_eq!(decoded.data, 1, "{forged}");
            expected.push(number);
        }
        assert!(exchange.session.template_count() <= limits.templates);
    }
    assert_eq!(exchange.bytes(), expected);
    assert_eq!(exchange.session.refused_templates(), 0);
    assert!(exchange.session.displaced_templates() > 40_000, "{}", exchange.session.displaced_templates());
    // Also where the process behind the port of the exporter is forged: of the ports of an id, one that reads stays.
    for port in 1..1000 {
        exchange.port = port;
        exchange.send(&v9_of(7).template(&TemplateSpec::data(256, [iana(2, 4)])).finish());
    }
    exchange.port = 4000;
    assert_eq!(exchange.send(&v9_of(7).data(&first, &[numbers(&first, &[5])]).finish()).data, 1);
    assert_eq!(exchange.bytes().last(), Some(&5));
}

#[test]
fn a_template_beyond_its_lifetime_is_not_used() {
    let limits = TemplateLimits { lifetime: Some(Duration::from_secs(600)), ..Default::default() };
    for announcement in [v9().template(&bytes_only()).finish(), message().template(&bytes_only()).finish()] {
        let mut exchange = Exchange::with(SessionLimits { templates: limits, ..Default::default() });
        let record = [numbers(&bytes_only(), &[1])];
        let data = match announcement[1] {
            9 => v9().data(&bytes_only(), &record).finish(),
            _ => message().data(&bytes_only(), &record).finish(),
        };
        exchange.send(&announcement);
        exchange.now += 600;
        assert_eq!(exchange.send(&data).data, 1);
        exchange.now += 1;
        let late = exchange.send(&data);
        assert_eq!((late.data, late.pending), (0, 1));
        assert_eq!(exchange.send(&announcement).data, 1, "announced again, it reads what waits");
        assert_eq!(exchange.send(&data).data, 1);
    }
}

#[test]
fn an_exporter_that_starts_again_is_not_read_with_its_old_templates() {
    let (old, new) = (bytes_only(), packets_and_bytes());
    let packet = |sequence: u32, seconds: u32, uptime: u32| {
        NetflowV9::new(netflow_v9::Header {
            sequence: sequence.into(),
            unix_seconds: seconds.into(),
            uptime: (uptime * 1000).into(),
            ..Default::default()
        })
    };
    let mut exchange = Exchange::new();
    exchange.send(&packet(70, 10_000, 5_000).template(&old).finish());
    let decoded = exchange.send(&packet(0, 10_060, 5).data(&new, &[numbers(&new, &[1, 9])]).finish());
    assert_eq!(decoded.pending, 1);
    exchange.send(&packet(1, 10_061, 6).template(&new).finish());
    assert_eq!(exchange.bytes(), [9]);
}

#[test]
fn a_sampler_table_gives_the_rate_of_the_sampler_that_a_record_names() {
    let options = TemplateSpec::options(300, 1, [iana(1, 4), iana(48, 1), iana(50, 4), iana(49, 1)]);
    let data = TemplateSpec::data(256, [iana(1, 4), iana(48, 2)]);
    let mut exchange = Exchange::new();
    let samplers = [numbers(&options, &[0, 1, 100, 2]), numbers(&options, &[0, 7, 2000, 2])];
    exchange.send(&v9().template(&options).data(&options, &samplers).template(&data).finish());
    exchange.send(&v9().data(&data, &[[5, 7], [5, 1], [5, 3]].map(|values| numbers(&data, &values))).finish());
    let told: Vec<_> = exchange.flows.iter().map(|flow| (flow.sampling.rate, flow.sampling.source)).collect();
    assert_eq!(told, [(2000, SamplingSource::Options), (100, SamplingSource::Options), (1, SamplingSource::None)]);
}

#[test]
fn a_rate_of_the_domain_holds_for_records_that_name_no_sampler_and_the_record_itself_wins() {
    let options = TemplateSpec::options(300, 1, [iana(149, 4), iana(305, 4), iana(306, 4)]);
    let plain = bytes_only();
    let telling = TemplateSpec::data(257, [iana(1, 4), iana(34, 4)]);
    let mut exchange = Exchange::new();
    exchange.send(&message().template(&options).data(&options, &[numbers(&options, &[0, 1, 999])]).finish());
    let datagram = message()
        .template(&plain)
        .data(&plain, &[numbers(&plain, &[5])])
        .template(&telling)
        .data(&telling, &[numbers(&telling, &[5, 64]), numbers(&telling, &[5, 0])])
        .finish();
    exchange.send(&datagram);
    let told: Vec<_> = exchange.flows.iter().map(|flow| (flow.sampling.rate, flow.sampling.source)).collect();
    assert_eq!(told, [(1000, SamplingSource::Options), (64, SamplingSource::Record), (1000, SamplingSource::Options)]);
}

#[test]
fn a_rate_that_routeros_tells_in_the_wrong_byte_order_is_corrected_and_reported() {
    let template = TemplateSpec::data(256, [iana(1, 4), iana(34, 4)]);
    let mut exchange = Exchange::new();
    let records = [[5, 0xae08_0000], [5, 2048]].map(|values| numbers(&template, &values));
    let decoded = exchange.send(&v9().template(&template).data(&template, &records).finish());
    let rates: Vec<_> = exchange.flows.iter().map(|flow| flow.sampling.rate).collect();
    assert_eq!((rates, decoded.corrected_rates), (vec![2222, 2048], 1));
}

#[test]
fn the_header_of_version_5_tells_the_rate_in_its_low_fourteen_bits() {
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
fn counters_after_the_middlebox_stand_in_for_empty_ones_and_are_never_added() {
    let template = TemplateSpec::data(256, [iana(1, 4), iana(2, 4), iana(23, 4), iana(24, 4)]);
    let mut exchange = Exchange::new();
    let records = [[900, 9, 880, 9], [0, 0, 60, 1]].map(|values| numbers(&template, &values));
    exchange.send(&v9().template(&template).data(&template, &records).finish());
    let booked: Vec<_> = exchange.flows.iter().map(|flow| (flow.forward.bytes, flow.forward.packets)).collect();
    assert_eq!(booked, [(900, 9), (60, 1)]);
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
    let exporter = Exporter::new([192, 0, 2, 1].into(), 1);
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
    let sampled = TemplateSpec::data(256, [iana(313, 24), iana(48, 1)]);
    let counted = TemplateSpec::data(257, [iana(1, 4), iana(313, VARIABLE_LENGTH)]);
    let mut exchange = Exchange::new();
    let datagram = message()
        .template(&sampled)
        .data(&sampled, &[sampled.record(&[&ip, &[1]])])
        .template(&counted)
        .data(&counted, &[counted.record(&[&[0, 0, 0, 7], &ip])])
        .finish();
    exchange.send(&datagram);
    let flow = exchange.flows[0];
    assert_eq!((flow.source.to_string().as_str(), flow.source_port, flow.destination_port), ("10.0.0.1", 53, 99));
    assert_eq!(flow.forward, Counters { bytes: 1500, packets: 1, flows: 1 });
    assert_eq!(exchange.flows[1].forward.bytes, 7);
}

#[test]
fn junk_is_named_and_harms_nothing() {
    let mut exchange = Exchange::new();
    for (payload, kind) in [
        (&[][..], ErrorKind::TruncatedHeader),
        (&[0], ErrorKind::TruncatedHeader),
        (&[0, 9, 0], ErrorKind::TruncatedHeader),
        (&[0xff, 0xff, 1, 2], ErrorKind::UnknownVersion),
        (&[0, 3, 1, 2], ErrorKind::UnknownVersion),
        (&[0, 10, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], ErrorKind::MessageTooShort),
    ] {
        assert_eq!(exchange.send(payload).first_error.unwrap().kind, kind, "{payload:?}");
    }
}
