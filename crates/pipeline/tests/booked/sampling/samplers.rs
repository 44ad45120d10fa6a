//! The rate of a sampler is that of the records that name it.

use super::*;

/// A sampler table: Cisco IOS, ipt_NETFLOW.
fn v9_table(samplers: &[(u64, u64)]) -> NetflowV9 {
    let options = TemplateSpec::options(300, 1, [field(1, 4), field(48, 1), field(49, 1), field(50, 4)]);
    let records: Vec<_> = samplers.iter().map(|(sampler, rate)| record(&options, &[0, *sampler, 2, *rate])).collect();
    v9().template(&options).data(&options, &records)
}

/// Selectors with n of N: Cisco IOS XR, with the samplingPacketInterval that it sends beside them.
fn ipfix_table(selectors: &[(u64, u64)]) -> Ipfix {
    let fields = [field(302, 4), field(305, 4), field(304, 2), field(309, 4), field(310, 4)];
    let options = TemplateSpec::options(300, 1, fields);
    let records: Vec<_> =
        selectors.iter().map(|(selector, rate)| record(&options, &[*selector, 1, 3, 1, *rate])).collect();
    ipfix().template(&options).data(&options, &records)
}

#[test]
fn records_that_name_no_sampler_are_not_sampled_where_others_name_theirs() {
    let mut router = collector();
    let (sampled, unsampled) = (flows(260, &[field(48, 1)]), flows(261, &[]));
    router.send(v9().template(&sampled).template(&unsampled));
    router.send(v9_table(&[(1, 1000)]));
    for round in ["before", "after"] {
        let both = v9().data(&sampled, &[flow(&sampled, &[1])]).data(&unsampled, &[flow(&unsampled, &[])]);
        assert_eq!(router.send(both), [1_001_000, 2002, 2], "{round}");
        if round == "before" {
            router.restart();
        }
    }
    // Repeated, and changed.
    router.send(v9().template(&unsampled).template(&sampled));
    router.send(v9_table(&[(1, 1000)]));
    assert_eq!(router.send(v9().data(&unsampled, &[flow(&unsampled, &[])])), packets(1));
    router.send(v9_table(&[(1, 50)]));
    assert_eq!(router.send(v9().data(&sampled, &[flow(&sampled, &[1])])), packets(50));
    assert_eq!(router.send(v9().data(&unsampled, &[flow(&unsampled, &[])])), packets(1));
}

#[test]
fn rates_of_selectors_are_those_of_the_records_that_name_them_too() {
    let mut router = collector();
    let (sampled, unsampled) = (flows(260, &[field(302, 4)]), flows(261, &[]));
    // Options data first.
    router.send(ipfix_table(&[(1, 4096), (2, 100)]));
    router.send(ipfix().template(&sampled).template(&unsampled));
    let mut of = |template: &TemplateSpec, more: &[u64]| router.send(ipfix().data(template, &[flow(template, more)]));
    assert_eq!(of(&sampled, &[1]), packets(4096));
    assert_eq!(of(&sampled, &[2]), packets(100));
    assert_eq!(of(&sampled, &[3]), packets(1));
    assert_eq!(of(&unsampled, &[]), packets(1));
    router.restart();
    assert_eq!(router.send(ipfix().data(&unsampled, &[flow(&unsampled, &[])])), packets(1));
}

/// `option sampler-table` without `collect flow sampler` on Cisco IOS.
#[test]
fn the_only_rate_of_all_samplers_applies_where_no_template_names_one() {
    let mut router = collector();
    let template = flows(256, &[]);
    router.send(v9().template(&template));
    router.send(v9_table(&[(1, 1000), (2, 1000)]));
    assert_eq!(router.send(v9().data(&template, &[flow(&template, &[])])), packets(1000));
    router.send(v9_table(&[(2, 100)]));
    assert_eq!(router.send(v9().data(&template, &[flow(&template, &[])])), packets(1));
    // Other domains of the router are another matter.
    router.send(ipfix_table(&[(1, 10)]));
    router.send(ipfix().template(&template));
    assert_eq!(router.send(ipfix().data(&template, &[flow(&template, &[])])), packets(10));
}

#[test]
fn a_template_that_is_no_longer_announced_as_naming_a_sampler_does_not_count_as_such() {
    let mut router = collector();
    let (naming, plain) = (flows(260, &[field(48, 1)]), flows(261, &[]));
    router.send(v9().template(&naming).template(&plain));
    router.send(v9_table(&[(1, 1000)]));
    assert_eq!(router.send(v9().data(&plain, &[flow(&plain, &[])])), packets(1));
    router.send(v9().template(&flows(260, &[])));
    assert_eq!(router.send(v9().data(&plain, &[flow(&plain, &[])])), packets(1000));
}

#[test]
fn a_template_forged_from_another_port_does_not_make_records_unsampled() {
    let mut router = collector();
    let plain = flows(256, &[]);
    router.send(v9().template(&plain));
    router.send(v9_table(&[(1, 1000)]));
    assert_eq!(router.send(v9().data(&plain, &[flow(&plain, &[])])), packets(1000));
    router.port = PORT + 1;
    router.send(v9().template(&flows(260, &[field(48, 1)])));
    router.port = PORT;
    assert_eq!(router.send(v9().data(&plain, &[flow(&plain, &[])])), packets(1000));
}

/// A sampler may have a rate of its own at each interface.
#[test]
fn sampler_and_interface_name_a_rate_together() {
    let mut router = collector();
    let template = flows(256, &[field(48, 1), field(10, 4)]);
    let options = TemplateSpec::options(300, 1, [field(2, 4), field(48, 1), field(50, 4)]);
    let rates = [[5, 1, 100], [6, 1, 1000], [6, 2, 10]].map(|values| record(&options, &values));
    router.send(v9().template(&template).template(&options).data(&options, &rates));
    let mut of = |sampler, input| router.send(v9().data(&template, &[flow(&template, &[sampler, input])]));
    assert_eq!(of(1, 5), packets(100));
    assert_eq!(of(1, 6), packets(1000));
    assert_eq!(of(2, 6), packets(10));
    assert_eq!(of(2, 5), packets(1));
}

#[test]
fn flags_and_sampler_in_one_number_name_the_only_sampler_or_one_without_flags() {
    let mut router = collector();
    let (combined, plain) = (flows(256, &[field(87, 4)]), flows(257, &[]));
    router.send(v9().template(&combined).template(&plain));
    router.send(v9_table(&[(1, 1000)]));
    let of = |router: &mut Collector, number| router.send(v9().data(&combined, &[flow(&combined, &[number])]));
    assert_eq!(of(&mut router, 1), packets(1000));
    assert_eq!(of(&mut router, 0x8000_0001), packets(1000));
    assert_eq!(of(&mut router, 0), packets(1));
    assert_eq!(router.send(v9().data(&plain, &[flow(&plain, &[])])), packets(1));
    router.send(v9_table(&[(2, 50)]));
    assert_eq!([1, 2].map(|number| of(&mut router, number)), [packets(1000), packets(50)]);
    assert_eq!(of(&mut router, 0x8000_0001), packets(1), "which of the two is not known");
}

#[test]
fn systematic_time_based_sampling_is_a_rate_where_both_intervals_are_given() {
    let mut router = collector();
    let (template, both) = (flows(256, &[field(302, 4)]), [field(302, 4), field(304, 2), field(307, 4), field(308, 4)]);
    let options = TemplateSpec::options(300, 1, both);
    let half = TemplateSpec::options(301, 1, [field(302, 4), field(304, 2), field(308, 4)]);
    let message = ipfix().template(&template).template(&options).template(&half);
    router.send(
        message.data(&options, &[record(&options, &[1, 2, 1000, 9000])]).data(&half, &[record(&half, &[2, 2, 9])]),
    );
    assert_eq!(router.send(ipfix().data(&template, &[flow(&template, &[1])])), packets(10));
    assert_eq!(router.send(ipfix().data(&template, &[flow(&template, &[2])])), packets(1));
}
