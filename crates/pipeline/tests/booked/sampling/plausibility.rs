//! A rate that cannot be is reported, and multiplies nothing.

use super::*;

/// Elements and values of the rates that the collector did not believe, and how many records gave them.
fn disbelieved(router: &Collector) -> Vec<(String, u64, u64)> {
    let detail = router.exporters.detailed(ROUTER, true).unwrap().detail;
    detail.sampling.implausible.into_iter().map(|rate| (rate.element, rate.value, rate.records)).collect()
}

/// FortiGate, whose octets are not in the order of its template.
#[test]
fn an_algorithm_that_does_not_exist_is_no_rate() {
    let mut router = collector();
    let template = flows(256, &[]);
    let options = TemplateSpec::options(300, 1, [field(1, 2), field(34, 4), field(35, 1)]);
    router.send(v9().template(&template).template(&options));
    let announce = |interval, algorithm| v9().data(&options, &[record(&options, &[0, interval, algorithm])]);
    router.send(announce(1713, 31));
    router.send(announce(69, 131));
    assert_eq!(router.send(v9().data(&template, &[flow(&template, &[])])), packets(1));
    assert_eq!(disbelieved(&router), [("samplingAlgorithm".to_owned(), 131, 2)]);
    router.send(announce(100, 1));
    assert_eq!(router.send(v9().data(&template, &[flow(&template, &[])])), packets(100));
    // What was believed before remains.
    router.send(announce(1713, 36));
    assert_eq!(router.send(v9().data(&template, &[flow(&template, &[])])), packets(100));
}

#[test]
fn rates_that_no_sampler_can_have_are_no_rates() {
    for (parameters, element) in [
        (&[(311, 3.0_f64.to_bits())][..], "samplingProbability"),
        (&[(311, (-0.5_f64).to_bits())], "samplingProbability"),
        (&[(309, 9), (310, 3)], "samplingPopulation"),
        (&[(305, 0), (306, 999)], "samplingPacketInterval"),
        (&[(304, 77), (305, 1), (306, 999)], "selectorAlgorithm"),
        (&[(390, 77), (396, 1), (397, 19)], "flowSelectorAlgorithm"),
        (&[(34, 3_000_000_000)], "samplingInterval"),
        (&[(49, 9), (50, 100)], "samplerMode"),
    ] {
        let mut router = collector();
        let template = flows(256, &[]);
        let fields: Vec<_> = parameters.iter().map(|(id, _)| field(*id, 8)).collect();
        let options = TemplateSpec::options(300, 1, [&[field(149, 4)], fields.as_slice()].concat());
        let values: Vec<_> = [0].into_iter().chain(parameters.iter().map(|(_, value)| *value)).collect();
        router.send(ipfix().template(&options).data(&options, &[record(&options, &values)]).template(&template));
        assert_eq!(router.send(ipfix().data(&template, &[flow(&template, &[])])), packets(1), "{parameters:?}");
        let found = disbelieved(&router);
        assert_eq!(found.iter().map(|(element, ..)| element.as_str()).collect::<Vec<_>>(), [element]);
    }
}

/// H3C and RouterOS send the rate in each record.
#[test]
fn a_rate_in_a_record_that_cannot_be_gives_way_to_that_of_options_data() {
    let mut router = collector();
    let template = flows(256, &[field(34, 4), field(35, 1)]);
    router.send(v9().template(&template));
    let records = [[100, 2], [69, 36], [100, 0], [70, 36]].map(|sampling| flow(&template, &sampling));
    assert_eq!(router.send(v9().data(&template, &records)), [202_000, 404, 4]);
    assert_eq!(disbelieved(&router), [("samplingAlgorithm".to_owned(), 36, 2)]);
    let options = TemplateSpec::options(300, 1, [field(1, 4), field(34, 4)]);
    router.send(v9().template(&options).data(&options, &[record(&options, &[0, 10])]));
    assert_eq!(router.send(v9().data(&template, &records)), [220_000, 440, 4]);
}

#[test]
fn records_with_a_rate_and_algorithm_of_zero_are_not_reported() {
    let mut router = collector();
    let template = flows(256, &[field(34, 4), field(35, 1)]);
    router.send(v9().template(&template));
    assert_eq!(router.send(v9().data(&template, &[flow(&template, &[0, 0])])), packets(1));
    assert_eq!(disbelieved(&router), []);
}
