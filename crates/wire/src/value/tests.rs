//! Each data type from its full and its reduced sizes, and what becomes of sizes that fit none.

use proptest::prelude::*;

use super::*;

/// What a value shows as; `Value` itself has no equality because a list cannot have one.
fn shown(data_type: DataType, octets: &[u8]) -> String {
    format!("{:?}", typed(data_type, octets))
}

#[test]
fn integers_are_read_from_any_number_of_octets_up_to_eight() {
    let octets = [0xff, 2, 3, 4, 5, 6, 7, 8, 9];
    for length in 1..=8 {
        let expected = octets[..length].iter().fold(0u64, |value, octet| value * 256 + u64::from(*octet));
        assert_eq!(shown(DataType::Unsigned64, &octets[..length]), expected.to_string());
        assert_eq!(shown(DataType::Unsigned8, &octets[..length]), expected.to_string());
    }
    assert_eq!(shown(DataType::Unsigned64, &[0xff; 8]), u64::MAX.to_string());
    assert_eq!(shown(DataType::Signed64, &[0xff, 0xfe]), "-2");
    assert_eq!(shown(DataType::Signed64, &[0x7f, 0xff, 0xff]), "8388607");
    assert_eq!(shown(DataType::Signed32, &[0x80, 0, 0, 0]), i32::MIN.to_string());
    assert_eq!(shown(DataType::Signed64, &[0x80, 0, 0, 0, 0, 0, 0, 0]), i64::MIN.to_string());
}

#[test]
fn floats_are_read_from_four_and_eight_octets() {
    assert_eq!(shown(DataType::Float32, &1.5f32.to_be_bytes()), "1.5");
    assert_eq!(shown(DataType::Float64, &1.5f32.to_be_bytes()), "1.5");
    assert_eq!(shown(DataType::Float64, &0.1f64.to_be_bytes()), "0.1");
}

#[test]
fn booleans_are_one_and_two() {
    assert_eq!(shown(DataType::Boolean, &[1]), "true");
    assert_eq!(shown(DataType::Boolean, &[2]), "false");
    assert!(matches!(typed(DataType::Boolean, &[0]), Value::Octets([0])));
    assert!(matches!(typed(DataType::Boolean, &[0, 1]), Value::Octets([0, 1])));
}

#[test]
fn addresses_are_read_from_their_exact_size() {
    assert_eq!(shown(DataType::Ipv4Address, &[192, 0, 2, 1]), "192.0.2.1");
    let address: Ipv6Addr = "2001:db8::1".parse().unwrap();
    assert_eq!(shown(DataType::Ipv6Address, &address.octets()), "2001:db8::1");
    assert!(matches!(typed(DataType::MacAddress, &[0, 1, 2, 3, 4, 5]), Value::Mac([0, 1, 2, 3, 4, 5])));
}

#[test]
fn a_size_that_does_not_fit_the_type_shows_as_octets() {
    let octets = [7; 50];
    let types = (0..=u8::MAX).map_while(DataType::from_number);
    let mut seen = 0;
    for data_type in types.filter(|data_type| *data_type != DataType::String) {
        for length in [0, 3, 5, 9, 17, 50] {
            let integer = (1..=8).contains(&length)
                && (data_type.name().starts_with("unsigned") || data_type.name().starts_with("signed"));
            let value = typed(data_type, &octets[..length]);
            assert_eq!(matches!(value, Value::Octets(all) if all.len() == length), !integer, "{data_type:?} {length}");
        }
        seen += 1;
    }
    assert_eq!(seen, 23);
}

#[test]
fn strings_lose_the_padding_and_nothing_else() {
    for (sent, text) in
        [(&b"eth0\0\0\0"[..], &b"eth0"[..]), (b"a\0b", b"a\0b"), (b"\0\0", b""), (b"", b""), (b" x ", b" x ")]
    {
        assert!(matches!(typed(DataType::String, sent), Value::Text(found) if found == text), "{sent:?}");
    }
}

#[test]
fn seconds_and_milliseconds_count_from_1970() {
    assert_eq!(shown(DataType::DateTimeSeconds, &1_391_317_260u32.to_be_bytes()), "2014-02-02T05:01:00Z");
    assert_eq!(shown(DataType::DateTimeSeconds, &[0xff; 4]), "2106-02-07T06:28:15Z");
    let milliseconds = 1_391_317_260_005u64.to_be_bytes();
    assert_eq!(shown(DataType::DateTimeMilliseconds, &milliseconds), "2014-02-02T05:01:00.005Z");
    assert!(matches!(typed(DataType::DateTimeSeconds, &milliseconds), Value::Octets(_)));
}

/// The NTP timestamp of a moment, fraction rounded down as RFC 5905, section A.5.6 does.
fn ntp_of(unix_seconds: u64, numerator: u64, denominator: u64) -> [u8; 8] {
    let seconds = (unix_seconds + 2_208_988_800) & 0xffff_ffff;
    let fraction = (u128::from(numerator) << 32) / u128::from(denominator);
    (seconds << 32 | u64::try_from(fraction).unwrap()).to_be_bytes()
}

#[test]
fn ntp_seconds_wrap_in_2036() {
    let time = |seconds: u32| shown(DataType::DateTimeNanoseconds, &(u64::from(seconds) << 32 | 1 << 31).to_be_bytes());
    assert_eq!(time(2_208_988_800), "1970-01-01T00:00:00.500Z");
    assert_eq!(time(u32::MAX), "2036-02-07T06:28:15.500Z");
    assert_eq!(time(0), "2036-02-07T06:28:16.500Z");
    assert_eq!(time(2_208_988_799), "2106-02-07T06:28:15.500Z");
}

#[test]
fn an_ntp_timestamp_of_zero_is_no_time() {
    assert!(matches!(typed(DataType::DateTimeMicroseconds, &[0; 8]), Value::Octets([0, 0, 0, 0, 0, 0, 0, 0])));
    assert!(matches!(typed(DataType::DateTimeNanoseconds, &[0; 8]), Value::Octets(_)));
}

#[test]
fn the_lowest_bits_of_a_microsecond_fraction_mean_nothing() {
    let mut octets = ntp_of(1_391_317_260, 123_456, 1_000_000);
    for lowest in [0, 0xff] {
        octets[7] = lowest;
        assert_eq!(shown(DataType::DateTimeMicroseconds, &octets), "2014-02-02T05:01:00.123456Z");
    }
}

proptest! {
    #[test]
    fn ntp_fractions_give_back_what_was_encoded(seconds in 0u64..1 << 32, nanoseconds in 0u32..1_000_000_000) {
        let octets = ntp_of(seconds, nanoseconds.into(), 1_000_000_000);
        if let Value::Time(time) = typed(DataType::DateTimeNanoseconds, &octets) {
            prop_assert_eq!(time, Timestamp::new(seconds, nanoseconds));
        } else {
            prop_assert_eq!(octets, [0; 8]);
        }
        let microseconds = nanoseconds / 1000;
        if let Value::Time(time) = typed(DataType::DateTimeMicroseconds, &ntp_of(seconds, microseconds.into(), 1_000_000)) {
            prop_assert_eq!(time, Timestamp::new(seconds, microseconds * 1000));
        }
    }

    #[test]
    fn any_octets_of_any_element_have_a_value(enterprise in prop_oneof![Just(0), Just(9), Just(29305), any::<u32>()],
                                              id in 0u16..600, octets in prop::collection::vec(any::<u8>(), 0..40)) {
        let element = ElementId { enterprise, id };
        let (name, value) = decode(element, &octets);
        prop_assert_eq!(matches!(name, FieldName::Unknown(unknown) if unknown == element), lookup(element).is_none());
        let _ = (format!("{name} {value:?}"), decode_v9(id, &octets));
    }
}
