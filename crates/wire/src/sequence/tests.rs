//! Streams of one or several ports, with losses, delays, strays and restarts.

use testing::Random;

use super::*;

const KEY: StreamKey = StreamKey { protocol: Protocol::NetflowV5, domain: 0, agent: None, samples: None };

fn note(sequences: &mut Sequences, port: u16, number: u32, units: u32, received: u64) -> Arrival {
    let clocks = Clocks { received: Timestamp::from_nanoseconds(received), ..Default::default() };
    let noted = Noted { key: KEY, port, number, units: Some(units), has_data: true, clocks };
    sequences.note(&Ports::default(), &noted)
}

fn arrivals(numbers: &[(u32, u32)]) -> Vec<Arrival> {
    let mut sequences = Sequences::default();
    numbers.iter().map(|&(number, units)| note(&mut sequences, 1, number, units, 0)).collect()
}

#[test]
fn loss_delay_repetition_and_restart_are_distinguished() {
    use Arrival::{Duplicate, First, InOrder, Late, Lost, Restarted, Stray};
    let numbers = [
        (100_000, 30),
        (100_030, 30),
        (100_090, 10),
        (100_060, 30),
        (100_100, 5),
        (100_100, 5),
        (100_105, 5),
        (0, 30),
        (30, 30),
        (30, 30),
        (60, 30),
        (90, 30),
    ];
    let expected =
        [First, InOrder, Lost(30), Late, InOrder, Duplicate, InOrder, Stray, Stray, Duplicate, Restarted, InOrder];
    assert_eq!(arrivals(&numbers), expected);
    let mut sequences = Sequences::default();
    for (number, units) in numbers {
        note(&mut sequences, 1, number, units, 0);
    }
    let (_, stream) = sequences.iter().next().unwrap();
    assert_eq!((stream.lost, stream.late, stream.duplicates, stream.restarts, stream.strays), (0, 1, 2, 1, 0));
    let expected = Arrivals {
        received: 30 + 30 + 10 + 30 + 5 + 5 + 30 + 30 + 30 + 30,
        lost: 0,
        filled: 30,
        duplicates: 2,
        late: 1,
        restarts: 1,
    };
    assert_eq!(sequences.arrivals(Unit::Records), expected);
    assert_eq!(sequences.arrivals(Unit::Datagrams), Arrivals::default());
}

/// As softflowd that is called twice.
#[test]
fn an_exporter_that_starts_again_on_another_port_is_neither_late_nor_lossy() {
    let mut sequences = Sequences::default();
    for (port, datagrams) in [(40_000, 20), (50_000, 13)] {
        for number in 0..datagrams {
            note(&mut sequences, port, 30 * number, 30, 0);
        }
    }
    let expected = Arrivals { received: 33 * 30, ..Arrivals::default() };
    assert_eq!(sequences.arrivals(Unit::Records), expected);
}

#[test]
fn a_long_gap_counts_when_two_more_datagrams_follow_it() {
    use Arrival::{First, InOrder, Late, Lost, Stray};
    // The first datagram after the gap is overtaken by the second one, and one from before it is late.
    let numbers = [(0, 30), (60, 30), (9030, 30), (30, 30), (9000, 30), (9090, 30), (9060, 30), (9120, 30)];
    let expected = [First, Lost(30), Stray, Late, Stray, Lost(8910), Late, InOrder];
    assert_eq!(arrivals(&numbers), expected);
    let mut sequences = Sequences::default();
    for (number, units) in numbers {
        note(&mut sequences, 1, number, units, 0);
    }
    assert_eq!(sequences.arrivals(Unit::Records).lost, 9000 - 90);
}

#[test]
fn threads_that_overtake_each_other_lose_nothing() {
    let mut sequences = Sequences::default();
    let mut note = |datagram: u32| note(&mut sequences, 1, datagram * 30, 30, 1_000_000 + u64::from(datagram));
    // One thread is delayed with every other datagram while the other continues.
    note(0);
    for datagram in (2..=20_000).step_by(2) {
        assert_eq!(note(datagram), Arrival::Lost(30));
    }
    for datagram in (1..20_000).step_by(2) {
        assert_eq!(note(datagram), Arrival::Late);
    }
    assert_eq!(note(20_001), Arrival::InOrder);
    let (_, stream) = sequences.iter().next().unwrap();
    assert_eq!((stream.lost, stream.restarts, stream.datagrams), (0, 0, 20_002));
}

#[test]
fn numbers_wrap_around() {
    assert_eq!(arrivals(&[(u32::MAX - 9, 30), (20, 30), (50, 1)])[1..], [Arrival::InOrder, Arrival::InOrder]);
}

#[test]
fn the_number_of_streams_is_limited() {
    let mut sequences = Sequences::default();
    for number in 0..10 * STREAMS_KEPT as u32 {
        let clocks = Clocks { received: Timestamp::from_seconds(u64::from(number)), ..Default::default() };
        let key = StreamKey { domain: number / 100, ..KEY };
        let port = (number % 100) as u16;
        let noted = Noted { key, port, number: 0, units: Some(1), has_data: true, clocks };
        sequences.note(&Ports::default(), &noted);
        assert!(sequences.count <= STREAMS_KEPT);
    }
    assert_eq!(sequences.iter().count(), sequences.count);
    assert!(sequences.streams.values().all(|streams| (1..=PORTS_KEPT).contains(&streams.len())));
}

/// A datagram on its way: when it arrives, its port, number and units, and whether it is lost.
#[derive(Clone, Copy, Debug)]
struct Sent {
    arrives: u64,
    port: u16,
    number: u32,
    units: u32,
    is_lost: bool,
}

/// A sequence that begins somewhere and is sent from these ports in turn. Single datagrams are lost and delayed, and now
/// and then the network fails for long.
fn sequence(random: &mut Random, ports: &[u16]) -> Vec<Sent> {
    let mut number = random.below(1 << 32) as u32;
    let lost_in_a_hundred = random.below(60);
    let mut outage = 0;
    let mut sent = Vec::new();
    for place in 0..2000_u64 {
        let units = random.below(31) as u32;
        outage = if outage > 0 {
            outage - 1
        } else if random.once_in(300) {
            random.below(500)
        } else {
            0
        };
        let is_edge = !(20..1980).contains(&place);
        let is_lost = !is_edge && (outage > 0 || random.below(100) < lost_in_a_hundred);
        let delay = if is_edge { 0 } else { random.below(15) };
        let port = if is_edge { ports[place as usize % ports.len()] } else { *random.pick(ports) };
        sent.push(Sent { arrives: place * 2 + 2 * delay, port, number, units, is_lost });
        number = number.wrapping_add(units);
    }
    sent
}

fn lost(sent: &[Sent]) -> u64 {
    sent.iter().filter(|sent| sent.is_lost).map(|sent| u64::from(sent.units)).sum()
}

/// All that arrives, in its order.
fn arriving(sequences: &[Vec<Sent>]) -> Vec<Sent> {
    let mut arriving: Vec<_> = sequences.iter().flatten().copied().filter(|sent| !sent.is_lost).collect();
    arriving.sort_by_key(|sent| sent.arrives);
    arriving
}

#[test]
fn losses_are_exact_whatever_is_lost_delayed_and_forged() {
    let mut random = Random::new(16);
    for run in 0..300 {
        let exporter = sequence(&mut random, &[1]);
        let (mut sequences, mut restarts) = (Sequences::default(), 0);
        for (received, sent) in (0..).zip(arriving(std::slice::from_ref(&exporter))) {
            let arrival = note(&mut sequences, sent.port, sent.number, sent.units, received);
            restarts += u32::from(arrival == Arrival::Restarted);
            if random.once_in(20) {
                // A number in a gap could be part of what is missing there.
                let far = (1 << 22) + random.below(1 << 31) as u32;
                note(&mut sequences, *random.pick(&[1, 2, 3]), sent.number.wrapping_add(far), 30, received);
            }
        }
        assert_eq!((sequences.arrivals(Unit::Records).lost, restarts), (lost(&exporter), 0), "run {run}");
    }
}

#[test]
fn losses_of_two_exporters_at_one_address_are_exact() {
    let mut random = Random::new(17);
    for run in 0..100 {
        let exporters = [1, 2].map(|port| sequence(&mut random, &[port]));
        let mut sequences = Sequences::default();
        for (received, sent) in (0..).zip(arriving(&exporters)) {
            note(&mut sequences, sent.port, sent.number, sent.units, received);
        }
        let expected = exporters.iter().map(|sent| lost(sent)).sum::<u64>();
        assert_eq!(sequences.arrivals(Unit::Records).lost, expected, "run {run}");
    }
}

/// Of one sequence, each datagram may come from another port, such as templates and data.
#[test]
fn losses_of_one_sequence_from_several_ports_are_exact() {
    let mut random = Random::new(18);
    let many: Vec<u16> = (1..1000).collect();
    for ports in [&[1, 2][..], &[1, 1, 1, 1, 1, 1, 2], &many] {
        for run in 0..100 {
            let exporter = sequence(&mut random, ports);
            let mut sequences = Sequences::default();
            for (received, sent) in (0..).zip(arriving(std::slice::from_ref(&exporter))) {
                note(&mut sequences, sent.port, sent.number, sent.units, received);
            }
            let expected = lost(&exporter);
            assert_eq!(sequences.arrivals(Unit::Records).lost, expected, "run {run} of {} ports", ports.len());
        }
    }
}
