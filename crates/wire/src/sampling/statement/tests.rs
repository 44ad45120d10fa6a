//! Which rate the parameters of a record give, and which values are not believed.

use super::*;

fn rate(parameters: &[(u16, u64)]) -> Option<Result<Rate, Implausible>> {
    let mut values = Values::default();
    for (id, value) in parameters {
        values.note(Parameter::of(iana(*id)).unwrap(), &value.to_be_bytes());
    }
    values.rate()
}

/// The factor of packets, where flows are not sampled.
fn packets(parameters: &[(u16, u64)]) -> u32 {
    let rate = rate(parameters).unwrap().unwrap();
    assert_eq!(rate.flows, 1);
    rate.packets
}

fn implausible(parameters: &[(u16, u64)]) -> (u16, u64) {
    let Implausible { element, value } = rate(parameters).unwrap().unwrap_err();
    (element, value)
}

#[test]
fn each_algorithm_is_read_by_its_parameters() {
    assert_eq!(packets(&[(34, 1000), (35, 1)]), 1000);
    assert_eq!(packets(&[(49, 2), (50, 5000)]), 5000);
    assert_eq!(packets(&[(304, 1), (305, 1), (306, 999)]), 1000);
    assert_eq!(packets(&[(304, 2), (307, 1000), (308, 9000)]), 10);
    assert_eq!(packets(&[(304, 3), (309, 2), (310, 128)]), 64);
    assert_eq!(packets(&[(304, 4), (311, 0.01_f64.to_bits())]), 100);
    // Without their algorithm.
    assert_eq!(packets(&[(307, 1), (308, 3)]), 4);
    assert_eq!(packets(&[(309, 1), (310, 128)]), 128);
    // Several: those of the algorithm.
    assert_eq!(packets(&[(304, 3), (305, 1), (309, 1), (310, 4096)]), 4096);
    assert_eq!(packets(&[(304, 1), (305, 1), (306, 9), (309, 1), (310, 4096)]), 10);
}

#[test]
fn a_fraction_is_the_nearest_whole_rate() {
    assert_eq!(packets(&[(305, 3), (306, 2)]), 2);
    assert_eq!(packets(&[(309, 3), (310, 100)]), 33);
    assert_eq!(packets(&[(311, (1.0_f64 / 3.0).to_bits())]), 3);
    assert_eq!(packets(&[(311, u64::from(0.01_f32.to_bits()))]), 100);
    assert_eq!(packets(&[(311, 1.0_f64.to_bits())]), 1);
}

#[test]
fn flow_sampling_is_a_rate_of_flows_and_of_what_they_carried() {
    for parameters in [
        &[(390, 1), (396, 1), (397, 19)][..],
        &[(390, 2), (398, 50), (399, 950)],
        &[(390, 3), (309, 1), (310, 20)],
        &[(390, 4), (311, 0.05_f64.to_bits())],
        &[(396, 1), (397, 19)],
    ] {
        assert_eq!(rate(parameters), Some(Ok(Rate { packets: 20, flows: 20 })), "{parameters:?}");
    }
    let both = [(304, 1), (305, 1), (306, 9), (390, 1), (396, 1), (397, 19)];
    assert_eq!(rate(&both), Some(Ok(Rate { packets: 200, flows: 20 })));
}

#[test]
fn zeros_give_no_rate() {
    for parameters in
        [&[(34, 0), (35, 0)][..], &[(305, 0), (306, 0)], &[(309, 0), (310, 100)], &[(311, 0)], &[(304, 99)]]
    {
        assert_eq!(rate(parameters), None, "{parameters:?}");
    }
    assert_eq!(packets(&[(34, 100), (35, 0)]), 100);
}

#[test]
fn what_cannot_be_is_no_rate() {
    assert_eq!(implausible(&[(34, 1713), (35, 31)]), (35, 31));
    assert_eq!(implausible(&[(50, 100), (49, 3)]), (49, 3));
    assert_eq!(implausible(&[(304, 10), (305, 1), (306, 9)]), (304, 10));
    assert_eq!(implausible(&[(390, 1713), (309, 1), (310, 9)]), (390, 1713));
    assert_eq!(implausible(&[(305, 0), (306, 9)]), (305, 0));
    assert_eq!(implausible(&[(309, 9), (310, 3)]), (310, 3));
    assert_eq!(implausible(&[(34, 1 << 25)]), (34, 1 << 25));
    assert_eq!(implausible(&[(50, u64::MAX)]), (50, u64::MAX));
    assert_eq!(implausible(&[(396, 1), (397, 1 << 20)]), (397, (1 << 20) + 1));
    for (probability, thousandths) in [(3.0, 3000), (-0.5, 0), (1e-12, 0), (f64::NAN, 0), (f64::INFINITY, u64::MAX)] {
        assert_eq!(implausible(&[(311, probability.to_bits())]), (311, thousandths));
    }
}

#[test]
fn a_rate_in_little_endian_order_is_known_by_its_size() {
    for rate in [1_u32, 2, 64, 100, 255, 257, 512, 1000, 2222, 65_535] {
        assert_eq!(in_network_order(rate.swap_bytes()), rate);
        assert_eq!(in_network_order(rate), rate);
    }
    for rate in [0, 65_536, 100_000, 1_000_000, u32::MAX] {
        assert_eq!(in_network_order(rate), rate);
    }
}
