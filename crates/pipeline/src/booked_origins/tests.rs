use flow::{Country, Timestamp};
use testing::Random;

use super::*;

const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn flow(last: u8) -> FlowRecord {
    FlowRecord {
        source: IpAddr::from([192, 0, 2, last]),
        destination: IpAddr::from([198, 51, 100, last]),
        source_as: u32::from(last % 3) * 64500,
        destination_as: 64500,
        ..FlowRecord::empty(Timestamp::EPOCH)
    }
}

fn random_origin(random: &mut Random) -> Option<Origin> {
    let country = ["CH", "DE", "EU"].get(random.below(4) as usize).and_then(|letters| Country::new(letters));
    let from = AsSource::ALL[random.below(6) as usize];
    let asn = if has_asn(from) { [1, 127, 128, 64500, u32::MAX][random.below(5) as usize] } else { 0 };
    let origin = Origin { asn, from, country: country.map_or(0, Country::number), path: 0 };
    (random.below(5) > 0).then_some(origin)
}

fn with(mut flow: FlowRecord, [source, destination]: [Option<Origin>; 2]) -> FlowRecord {
    set(source, &mut flow.source_as, &mut flow.source_as_from, &mut flow.source_country);
    set(destination, &mut flow.destination_as, &mut flow.destination_as_from, &mut flow.destination_country);
    flow
}

/// Books random origins of this many flows. Returns the flows, without and with their origins.
fn book(booking: &mut Booking, random: &mut Random, flows: u8, mark: u32) -> Vec<(FlowRecord, FlowRecord)> {
    let mut booked = Vec::new();
    for last in 0..flows {
        let ends = [random_origin(random), random_origin(random)];
        let numbers = ends.map(|origin| origin.map_or(0, |origin| booking.number(origin, None)));
        booking.flow(key(ROUTER, &flow(last)), numbers);
        booked.push((flow(last), with(flow(last), ends)));
    }
    booking.finish(mark);
    booked
}

#[test]
fn flows_have_the_booked_origins_again_in_any_order() {
    let mut random = Random::new(1);
    let (mut booking, mut before) = (Booking::default(), Before::default());
    for round in 0..2000 {
        let flows = random.below(120) as u8;
        let mut booked = book(&mut booking, &mut random, flows, 7);
        before.read(booking.octets(), 7);
        for _ in 0..round % 3 * 10 {
            if let [one, other] = [0; 2].map(|_| random.below(u64::from(flows.max(1))) as usize)
                && flows > 0
            {
                booked.swap(one, other);
            }
        }
        for (mut flow, expected) in booked {
            assert_eq!(before.set(ROUTER, &mut flow), None);
            assert_eq!(flow, expected);
        }
        let mut more = flow(200);
        before.set(ROUTER, &mut more);
        assert_eq!(more, with(flow(200), [None, None]), "it was not booked");
    }
    assert!(before.others.order.is_empty());
}

#[test]
fn flows_that_come_with_a_later_datagram_have_their_origins_too() {
    let mut random = Random::new(3);
    let (mut booking, mut before) = (Booking::default(), Before::default());
    let mut booked = book(&mut booking, &mut random, 50, 1);
    before.read(booking.octets(), 1);
    let late = booked.split_off(20);
    let later = book(&mut booking, &mut random, 10, 2);
    for (mut flow, expected) in booked {
        before.set(ROUTER, &mut flow);
        assert_eq!(flow, expected);
    }
    before.read(booking.octets(), 2);
    for (mut flow, expected) in late.into_iter().chain(later) {
        before.set(ROUTER, &mut flow);
        assert_eq!(flow, expected);
    }
    let mut of_other = flow(30);
    before.set([127, 0, 0, 2].into(), &mut of_other);
    assert_eq!(of_other, with(flow(30), [None, None]), "it is of another router");
}

#[test]
fn the_octets_are_as_documented() {
    let mut booking = Booking::default();
    let ch = Country::new("CH").unwrap().number();
    let file = booking.number(Origin { asn: 300, from: AsSource::File, country: ch, path: 0 }, None);
    let same = booking.number(Origin { asn: 300, from: AsSource::File, country: ch, path: 0 }, None);
    let stated = booking.number(Origin { from: AsSource::Exporter, country: ch, ..Origin::default() }, None);
    booking.flow(0x0102_0304, [file, 0]);
    booking.flow(5, [stated, same]);
    booking.finish(0x0a0b_0c0d);
    let body = [
        &[0x0d, 0x0c, 0x0b, 0x0a, 0][..],
        &[2, 16 | 5, 0xac, 0x02, b'C', b'H', 16 | 1, b'C', b'H'],
        &[4, 3, 2, 1, 1, 0, 5, 0, 0, 0, 2, 1],
    ]
    .concat();
    assert_eq!(booking.octets(), [&[0x80 | body.len() as u8, 0x80, 0x80, 0][..], &body].concat());
    booking.flow(1, [0, 0]);
    booking.finish(1);
    assert!(booking.octets().is_empty(), "nothing is known");
}

#[test]
fn nothing_known_is_not_the_same_as_what_the_exporter_sent() {
    let mut booking = Booking::default();
    let number = booking.number(Origin::default(), None);
    let mut default_route = flow(0);
    default_route.source_as = 64512;
    booking.flow(key(ROUTER, &default_route), [number, 0]);
    booking.finish(1);
    let mut before = Before::default();
    before.read(booking.octets(), 1);
    before.set(ROUTER, &mut default_route);
    assert_eq!((default_route.source_as, default_route.source_as_from), (0, AsSource::None));
}

#[test]
fn numbers_of_any_length_are_booked() {
    let numbers = (0..u32::BITS).flat_map(|bits| [(1_u32 << bits) - 1, 1 << bits]).chain([u32::MAX]);
    for (number, country) in numbers.flat_map(|number| [(number, 0), (number, 0x4348)]) {
        let (mut booking, mut before, mut looked_up) = (Booking::default(), Before::default(), flow(0));
        let origin = Origin { asn: number, from: AsSource::File, country, path: 0 };
        let origin = booking.number(origin, None);
        booking.flow(key(ROUTER, &looked_up), [0, origin]);
        booking.finish(1);
        before.read(booking.octets(), 1);
        before.set(ROUTER, &mut looked_up);
        assert_eq!((looked_up.destination_as, looked_up.destination_country), (number, country));
    }
}

#[test]
fn the_note_of_another_datagram_is_not_read() {
    let mut booking = Booking::default();
    let mut octets = Vec::new();
    for mark in 1..4 {
        let number = booking.number(Origin { asn: mark, from: AsSource::File, ..Origin::default() }, None);
        booking.flow(key(ROUTER, &flow(0)), [number, 0]);
        booking.finish(mark);
        octets.extend(booking.octets());
    }
    for (mark, expected) in [(2, 2), (3, 3), (9, 0)] {
        let mut before = Before::default();
        before.read(&octets, mark);
        let mut flow = flow(0);
        before.set(ROUTER, &mut flow);
        assert_eq!((flow.source_as, before.is_empty()), (expected, expected == 0), "{mark}");
    }
}

#[test]
fn damaged_octets_are_left_out() {
    let mut random = Random::new(2);
    let mut booking = Booking::default();
    let booked = book(&mut booking, &mut random, 40, 7);
    let whole = booking.octets().to_vec();
    for length in 0..whole.len() {
        let mut before = Before::default();
        before.read(&whole[..length], 7);
        assert!(before.is_empty(), "{length}");
    }
    let mut before = Before::default();
    for _ in 0..20_000 {
        let mut octets = whole.clone();
        for _ in 0..=random.below(3) {
            let place = random.below(octets.len() as u64) as usize;
            octets[place] = random.below(256) as u8;
        }
        before.read(&octets, 7);
        for (mut flow, _) in booked.iter().copied() {
            before.set(ROUTER, &mut flow);
        }
    }
    before.read(&[0xff; 100], 7);
    assert!(before.others.order.len() <= MOST_OTHERS);
}

#[test]
fn many_origins_fit() {
    let mut booking = Booking::default();
    let flow = |number: u32| FlowRecord { source: IpAddr::from(number.to_be_bytes()), ..flow(1) };
    for round in 0..2 {
        for asn in 1..=60_000 {
            let number = booking.number(Origin { asn, from: AsSource::File, ..Origin::default() }, None);
            booking.flow(key(ROUTER, &flow(asn)), [number, number]);
        }
        booking.finish(round);
        let mut before = Before::default();
        before.read(booking.octets(), round);
        for asn in 1..=60_000 {
            let mut flow = flow(asn);
            before.set(ROUTER, &mut flow);
            assert_eq!((flow.source_as, flow.destination_as), (asn, asn));
        }
    }
}
