//! Templates: which one decodes a set, which are rejected, and how many are kept.

use super::*;

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
    let zero_length = TemplateSpec::data(257, vec![iana(0, 0); 16_000]);
    let mut exchange = Exchange::new();
    exchange.send(&v9().template(&partly).finish());
    exchange.send(&v9().template(&zero_length).finish());
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
    // The octets of the scope list, after the headers of packet and set, and the template id.
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
fn no_more_templates_are_kept_than_fit_and_silent_ones_make_room() {
    let limits = TemplateLimits { octets: 4096, lifetime: None };
    let mut exchange = Exchange::with(SessionLimits { templates: limits, ..Default::default() });
    // Each has data, so none may be evicted.
    let used = |packet: NetflowV9, template: &TemplateSpec| {
        let record = numbers(template, &vec![1; template.fields.len()]);
        packet.template(template).data(template, &[record]).finish()
    };
    let mut refused = 0;
    for id in 256..276 {
        exchange.now += 2;
        refused += exchange.send(&used(v9(), &TemplateSpec::data(id, [iana(1, 4)]))).errors as usize;
    }
    let kept = exchange.session.template_count();
    assert!((5..20).contains(&kept), "{kept}");
    assert_eq!((refused, exchange.session.displaced_templates()), (20 - kept, 0));
    let decoded = exchange.send(&message().template(&TemplateSpec::data(256, vec![iana(1, 4); 95])).finish());
    assert_eq!(decoded.first_error.unwrap().kind, ErrorKind::TooManyTemplates);
    exchange.now += 3601;
    assert_eq!(exchange.send(&used(v9(), &TemplateSpec::data(900, [iana(1, 4)]))).errors, 0);
    assert_eq!(exchange.session.templates().count(), 1);
}

#[test]
fn who_forges_announcements_pushes_out_only_what_no_data_come_for() {
    let mut exchange = Exchange::new();
    let first = TemplateSpec::data(256, [iana(1, 4)]);
    exchange.send(&v9_of(7).template(&first).finish());
    let mut expected = Vec::new();
    for forged in 0..50_000_u32 {
        exchange.port = 6666;
        let template = TemplateSpec::data((256 + forged / 1000) as u16, [iana(1, 4), iana(2, 4)]);
        // Some change a template that was forged before.
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
        // The exporter announces another one; its data follow some packets later.
        let new = TemplateSpec::data(300 + (forged / 1000) as u16, [iana(2, 4), iana(1, 4)]);
        if forged % 1000 == 500 {
            assert_eq!(exchange.send(&v9_of(7).template(&new).finish()).errors, 0, "{forged}");
        }
        if forged % 1000 == 700 {
            let decoded = exchange.send(&v9_of(7).data(&new, &[numbers(&new, &[1, number])]).finish());
            assert_eq!(decoded.data, 1, "{forged}");
            expected.push(number);
        }
    }
    assert_eq!(exchange.bytes(), expected);
    assert_eq!(exchange.session.refused_templates(), 0);
    assert!(exchange.session.displaced_templates() > 40_000, "{}", exchange.session.displaced_templates());
    // Also with forged ports: of the ports of an id, a used one is kept.
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
        assert_eq!(exchange.send(&announcement).data, 1, "announced again, it decodes the pending set");
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
