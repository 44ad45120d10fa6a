//! A statement applies to its scope.

use super::*;

/// Options data with samplingInterval for these scopes.
fn v9_options(scope_type: u16, length: u16, rates: &[(u64, u64)]) -> NetflowV9 {
    let options = TemplateSpec::options(300, 1, [field(scope_type, length), field(34, 4), field(35, 1)]);
    let records: Vec<_> = rates.iter().map(|(scope, rate)| record(&options, &[*scope, *rate, 1])).collect();
    v9().template(&options).data(&options, &records)
}

fn ipfix_options(domain: u32, scope: &[FieldSpecifier], rates: &[(&[u64], u64)]) -> Ipfix {
    let scope_fields = scope.len() as u16;
    let options = TemplateSpec::options(300, scope_fields, [scope, &[field(305, 4), field(306, 4)]].concat());
    let record = |(scope, rate): &(&[u64], u64)| record(&options, &[*scope, &[1, rate - 1]].concat());
    ipfix_of(domain).template(&options).data(&options, &rates.iter().map(record).collect::<Vec<_>>())
}

#[test]
fn rates_of_templates_are_those_of_their_records_also_after_a_restart() {
    let mut router = collector();
    let [first, second, third] = [256, 257, 258].map(|id| flows(id, &[]));
    let templates = || v9().template(&first).template(&second).template(&third);
    router.send(templates());
    router.send(v9_options(5, 2, &[(256, 1000), (257, 100)]));
    for round in ["before", "after"] {
        assert_eq!(router.send(v9().data(&first, &[flow(&first, &[])])), packets(1000), "{round}");
        assert_eq!(router.send(v9().data(&second, &[flow(&second, &[])])), packets(100), "{round}");
        assert_eq!(router.send(v9().data(&third, &[flow(&third, &[])])), packets(1), "{round}");
        if round == "before" {
            router.restart();
        }
    }
    router.send(v9_options(5, 2, &[(257, 10)]));
    assert_eq!(router.send(v9().data(&second, &[flow(&second, &[])])), packets(10));
    assert_eq!(router.send(v9().data(&first, &[flow(&first, &[])])), packets(1000));
}

/// Juniper MX, inline: the scope is domain and template; the options data may come from another port, before the flows.
#[test]
fn rates_of_templates_may_come_from_another_port() {
    const OPTIONS: u16 = 4000;
    let mut router = collector();
    let [first, second] = [2510, 2512].map(|id| flows(id, &[]));
    let options = || ipfix_options(16, &[field(149, 4), field(145, 2)], &[(&[16, 2510], 10), (&[16, 2512], 200)]);
    router.port = OPTIONS;
    router.send(options());
    router.port = PORT;
    router.send(ipfix_of(16).template(&first).template(&second));
    assert_eq!(router.send(ipfix_of(16).data(&first, &[flow(&first, &[])])), packets(10));
    assert_eq!(router.send(ipfix_of(16).data(&second, &[flow(&second, &[])])), packets(200));
    // A stranger's do not count.
    router.port = PORT + 1;
    router.send(ipfix_options(16, &[field(149, 4), field(145, 2)], &[(&[16, 2510], 9999)]));
    router.port = PORT;
    assert_eq!(router.send(ipfix_of(16).data(&first, &[flow(&first, &[])])), packets(10));
}

/// The interfaces of routers are sampled one by one: at the input interface, else at the output.
#[test]
fn rates_of_interfaces_are_those_of_the_flows_that_pass_them() {
    let mut router = collector();
    let template = flows(256, &[field(10, 4), field(14, 4)]);
    router.send(v9().template(&template));
    router.send(v9_options(2, 4, &[(5, 100), (6, 1000)]));
    let mut of = |input, output| router.send(v9().data(&template, &[flow(&template, &[input, output])]));
    assert_eq!(of(5, 9), packets(100));
    assert_eq!(of(6, 5), packets(1000));
    assert_eq!(of(9, 5), packets(100));
    assert_eq!(of(8, 9), packets(1));
    let each = [[5, 9], [6, 9], [8, 9], [5, 9]].map(|interfaces| flow(&template, &interfaces));
    assert_eq!(router.send(v9().data(&template, &each)), [1201 * 1000, 1201 * 2, 4]);
}

#[test]
fn rates_of_interfaces_in_ipfix_differ_by_direction_and_survive_a_restart() {
    let mut router = collector();
    let template = flows(256, &[field(10, 4), field(14, 4)]);
    router.send(ipfix().template(&template));
    router.send(ipfix_options(0, &[field(10, 4)], &[(&[5], 100)]));
    let output = TemplateSpec::options(301, 1, [field(14, 4), field(34, 4)]);
    router.send(ipfix().template(&output).data(&output, &[record(&output, &[5, 50])]));
    router.restart();
    let mut of = |input, output| router.send(ipfix().data(&template, &[flow(&template, &[input, output])]));
    assert_eq!(of(5, 1), packets(100));
    assert_eq!(of(1, 5), packets(50));
    assert_eq!(of(1, 2), packets(1));
}

/// softflowd: the scope is the interface that it listens on, which it does not know; pmacct and nProbe may export no
/// interfaces.
#[test]
fn a_rate_of_an_interface_is_that_of_all_where_interfaces_are_not_known() {
    let mut router = collector();
    let with = flows(256, &[field(10, 4), field(14, 4)]);
    let without = flows(257, &[]);
    router.send(v9().template(&with).template(&without));
    router.send(v9_options(2, 4, &[(0, 10)]));
    assert_eq!(router.send(v9().data(&with, &[flow(&with, &[0, 0])])), packets(10));
    assert_eq!(router.send(v9().data(&with, &[flow(&with, &[3, 4])])), packets(10));
    let mut router = collector();
    router.send(v9().template(&with).template(&without));
    router.send(v9_options(2, 4, &[(7, 64)]));
    assert_eq!(router.send(v9().data(&without, &[flow(&without, &[])])), packets(64));
    assert_eq!(router.send(v9().data(&with, &[flow(&with, &[0, 0])])), packets(64));
    // Two rates, and nothing says which.
    router.send(v9_options(2, 4, &[(8, 128)]));
    assert_eq!(router.send(v9().data(&without, &[flow(&without, &[])])), packets(1));
}

#[test]
fn rates_of_line_cards_and_observation_points_are_those_of_records_that_name_them() {
    for (element, scope_type) in [(141, Some(3)), (141, None), (138, None)] {
        let mut router = collector();
        let template = flows(256, &[field(element, 4)]);
        match scope_type {
            Some(scope_type) => {
                router.send(v9().template(&template));
                router.send(v9_options(scope_type, 4, &[(1, 100), (2, 1000)]));
            }
            None => {
                router.send(ipfix().template(&template));
                router.send(ipfix_options(0, &[field(element, 4)], &[(&[1], 100), (&[2], 1000)]));
            }
        }
        for (number, rate) in [(1, 100), (2, 1000), (3, 1)] {
            let records = [flow(&template, &[number])];
            let added = match scope_type {
                Some(_) => router.send(v9().data(&template, &records)),
                None => router.send(ipfix().data(&template, &records)),
            };
            assert_eq!(added, packets(rate), "element {element}, number {number}");
        }
    }
}

#[test]
fn the_system_the_processes_and_the_domain_are_all_records_of_the_domain() {
    for scope in [130, 143, 144, 149] {
        let mut router = collector();
        let template = flows(256, &[]);
        router.send(ipfix_of(7).template(&template));
        router.send(ipfix_options(7, &[field(scope, 4)], &[(&[7], 500)]));
        assert_eq!(router.send(ipfix_of(7).data(&template, &[flow(&template, &[])])), packets(500), "element {scope}");
    }
    let mut router = collector();
    let template = flows(256, &[]);
    router.send(v9().template(&template));
    router.send(v9_options(1, 4, &[(0xc000_0201, 500)]));
    assert_eq!(router.send(v9().data(&template, &[flow(&template, &[])])), packets(500));
}

/// A relay passes on what several exporters state.
#[test]
fn rates_of_exporters_are_those_of_the_records_that_name_them_also_after_a_restart() {
    let (one, other, unstated) = (0xc633_6401, 0xc633_6402, 0xc633_6403);
    let mut router = collector();
    let [named, unnamed] = [flows(256, &[field(130, 4)]), flows(257, &[])];
    router.send(ipfix().template(&named).template(&unnamed));
    router.send(ipfix_options(0, &[field(130, 4)], &[(&[one], 100)]));
    // All records are those of the only exporter, but not those that name another one.
    assert_eq!(router.send(ipfix().data(&unnamed, &[flow(&unnamed, &[])])), packets(100));
    assert_eq!(router.send(ipfix().data(&named, &[flow(&named, &[0])])), packets(100));
    assert_eq!(router.send(ipfix().data(&named, &[flow(&named, &[other])])), packets(1));
    router.send(ipfix_options(0, &[field(130, 4)], &[(&[one], 100), (&[other], 1000)]));
    for round in ["before", "after"] {
        for (exporter, rate) in [(one, 100), (other, 1000), (unstated, 1), (one, 100)] {
            let added = router.send(ipfix().data(&named, &[flow(&named, &[exporter])]));
            assert_eq!(added, packets(rate), "{round}: {exporter:x}");
        }
        assert_eq!(router.send(ipfix().data(&unnamed, &[flow(&unnamed, &[])])), packets(1));
        if round == "before" {
            router.restart();
        }
    }
    // What is stated of the domain is for all others.
    router.send(ipfix_options(0, &[field(149, 4)], &[(&[0], 10)]));
    assert_eq!(router.send(ipfix().data(&named, &[flow(&named, &[unstated])])), packets(10));
    assert_eq!(router.send(ipfix().data(&named, &[flow(&named, &[one])])), packets(100));
}

#[test]
fn a_rate_of_the_sender_itself_is_that_of_all_that_it_sends() {
    let mut router = collector();
    let template = flows(256, &[field(130, 4)]);
    router.send(ipfix().template(&template));
    let IpAddr::V4(itself) = ROUTER else { panic!("an IPv4 address") };
    let [itself, other] = [u32::from(itself), 0xc633_6401].map(u64::from);
    router.send(ipfix_options(0, &[field(130, 4)], &[(&[itself], 1000)]));
    for exporter in [itself, other] {
        let added = router.send(ipfix().data(&template, &[flow(&template, &[exporter])]));
        assert_eq!(added, packets(1000), "{exporter:x}");
    }
    router.send(ipfix_options(0, &[field(130, 4)], &[(&[other], 10)]));
    assert_eq!(router.send(ipfix().data(&template, &[flow(&template, &[other])])), packets(10));
}

#[test]
fn a_statement_may_be_about_another_domain_than_that_of_its_message() {
    let mut router = collector();
    let template = flows(256, &[]);
    for domain in [0, 7, 8] {
        router.send(ipfix_of(domain).template(&template));
    }
    router.send(ipfix_options(0, &[field(149, 4)], &[(&[7], 500)]));
    for (domain, rate) in [(7, 500), (8, 1), (0, 1)] {
        let added = router.send(ipfix_of(domain).data(&template, &[flow(&template, &[])]));
        assert_eq!(added, packets(rate), "domain {domain}");
    }
}

#[test]
fn a_narrow_statement_takes_precedence_over_that_of_the_domain() {
    let mut router = collector();
    let [first, second] = [256, 257].map(|id| flows(id, &[field(10, 4)]));
    router.send(ipfix().template(&first).template(&second));
    router.send(ipfix_options(0, &[field(10, 4)], &[(&[5], 10)]));
    let template = TemplateSpec::options(301, 1, [field(145, 2), field(34, 4)]);
    router.send(ipfix().template(&template).data(&template, &[record(&template, &[257, 200])]));
    let domain = TemplateSpec::options(302, 1, [field(149, 4), field(34, 4)]);
    router.send(ipfix().template(&domain).data(&domain, &[record(&domain, &[0, 3000])]));
    let mut of = |template: &TemplateSpec, input| router.send(ipfix().data(template, &[flow(template, &[input])]));
    assert_eq!(of(&first, 1), packets(3000));
    assert_eq!(of(&second, 1), packets(200));
    assert_eq!(of(&second, 5), packets(10));
}
