//! Flow sampling (RFC 7014): a reported flow counts for others, which were not.

use super::*;

const fn of_flows(rate: u64) -> [u64; 3] {
    [1000 * rate, 2 * rate, rate]
}

/// Options data of selector 1, after the algorithm.
fn selector(algorithm: u64, parameters: &[(u16, u64)]) -> Ipfix {
    let fields: Vec<_> = parameters.iter().map(|(id, _)| field(*id, 8)).collect();
    let options = TemplateSpec::options(300, 1, [&[field(302, 4), field(390, 2)], fields.as_slice()].concat());
    let values: Vec<_> = [1, algorithm].into_iter().chain(parameters.iter().map(|(_, value)| *value)).collect();
    ipfix().template(&options).data(&options, &[record(&options, &values)])
}

/// ipt_NETFLOW, deterministic and random; others by the RFC.
#[test]
fn sampled_flows_are_multiplied_with_their_bytes_and_packets() {
    for (algorithm, parameters) in [
        (1, &[(396, 1), (397, 19)][..]),
        (3, &[(309, 1), (310, 20)]),
        (4, &[(311, 0.05_f64.to_bits())]),
        (6, &[(309, 1), (310, 20)]),
        (2, &[(398, 1000), (399, 19_000)]),
    ] {
        let mut router = collector();
        let template = flows(256, &[field(302, 4)]);
        router.send(selector(algorithm, parameters));
        router.send(ipfix().template(&template));
        assert_eq!(router.send(ipfix().data(&template, &[flow(&template, &[1])])), of_flows(20), "{parameters:?}");
        router.restart();
        assert_eq!(router.send(ipfix().data(&template, &[flow(&template, &[1])])), of_flows(20), "{parameters:?}");
        router.send(selector(1, &[(396, 2), (397, 6)]));
        assert_eq!(router.send(ipfix().data(&template, &[flow(&template, &[1])])), of_flows(4), "{parameters:?}");
    }
}

#[test]
fn sampled_flows_in_version_9_are_those_of_their_domain_too() {
    let mut router = collector();
    let template = flows(256, &[field(3, 4)]);
    let options = TemplateSpec::options(300, 1, [field(1, 4), field(390, 2), field(396, 4), field(397, 4)]);
    router.send(v9().template(&template));
    let aggregate = |flows| v9().data(&template, &[flow(&template, &[flows])]);
    assert_eq!(router.send(aggregate(5)), [1000, 2, 5], "before the options data");
    router.send(v9().template(&options).data(&options, &[record(&options, &[0, 1, 1, 9])]));
    assert_eq!(router.send(aggregate(5)), [10_000, 20, 50]);
}

#[test]
fn packets_of_sampled_flows_may_be_sampled_too() {
    let mut router = collector();
    let template = flows(256, &[]);
    let fields = [
        field(149, 4),
        field(304, 2),
        field(305, 4),
        field(306, 4),
        field(390, 2),
        field(309, 4),
        field(396, 4),
        field(397, 4),
    ];
    let options = TemplateSpec::options(300, 1, fields);
    router.send(ipfix().template(&template).template(&options));
    router.send(ipfix().data(&options, &[record(&options, &[0, 1, 1, 9, 1, 0, 1, 19])]));
    assert_eq!(router.send(ipfix().data(&template, &[flow(&template, &[])])), [200_000, 400, 20]);
}

#[test]
fn a_record_may_give_the_rate_of_its_flows() {
    let mut router = collector();
    let template = flows(256, &[field(396, 4), field(397, 4)]);
    router.send(ipfix().template(&template));
    let records = [flow(&template, &[1, 19]), flow(&template, &[1, 0]), flow(&template, &[0, 0])];
    assert_eq!(router.send(ipfix().data(&template, &records)), [22_000, 44, 22]);
}
