use super::super::budget::Budget;
use super::*;
use flow::Timestamp;
use view::{Arrivals, NameSource, RouterName, RouterNames, SenderTransport};

const TIMES: Times = Times { silent: minutes(10), losses: minutes(5), without_drops: minutes(1) };

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn address(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    [198, 18, high, low].into()
}

fn router(number: u16) -> Named {
    Named { address: address(number), name: Some("edge-1".to_owned()) }
}

/// A router that has sent these datagrams, of which those were lost.
fn exporter(number: u16, datagrams: u64, lost: u64) -> Exporter {
    let arrivals =
        Arrivals { unit: "datagrams", received: datagrams, lost, filled: 0, duplicates: 0, late: 0, restarts: 0 };
    Exporter {
        address: address(number),
        names: RouterNames::new(vec![RouterName { name: "edge-1".to_owned(), source: NameSource::Configured }]),
        relay: None,
        protocols: vec![("netflow-v9", datagrams)],
        first: None,
        last: None,
        rates: None,
        bits_per_second: None,
        arrivals: vec![arrivals],
        clock_offset_seconds: None,
        bmp: None,
        export_connections: Vec::new(),
        ended_export_connection: None,
        counters: Vec::new(),
    }
}

fn unknown(number: u16) -> Unknown {
    Unknown {
        address: address(number),
        names: RouterNames::default(),
        relay: None,
        datagrams: 1,
        last: Timestamp::EPOCH,
        protocol: Some("ipfix"),
        transport: SenderTransport::Udp,
    }
}

fn seen(exporters: &[Exporter]) -> Seen<'_> {
    Seen { exporters, unknown: Vec::new(), kernel_drops: 0, spool: None }
}

#[test]
fn a_router_is_logged_when_it_begins_falls_silent_and_sends_again() {
    let mut changes = Changes::default();
    let mut look = |datagrams, now| changes.look(&seen(&[exporter(1, datagrams, 0)]), now, &TIMES);
    assert_eq!(look(0, minutes(0)), []);
    let begins = Change::Sends { router: router(1), protocols: "netflow-v9".to_owned() };
    assert_eq!(look(3, minutes(1)), [begins]);
    assert_eq!(look(4, minutes(2)), []);
    assert_eq!(look(4, minutes(11)), []);
    assert_eq!(look(4, minutes(12)), [Change::Silent { router: router(1), silent: minutes(10) }]);
    assert_eq!(look(4, minutes(60)), []);
    assert_eq!(look(5, minutes(62)), [Change::SendsAgain { router: router(1), silent: minutes(60) }]);
    assert_eq!(look(6, minutes(63)), []);
}

#[test]
fn a_router_that_is_removed_and_registered_again_begins_again() {
    let mut changes = Changes::default();
    let mut begins = |exporters: &[Exporter], now| changes.look(&seen(exporters), minutes(now), &TIMES).len();
    let sending = [exporter(1, 1, 0)];
    assert_eq!([begins(&sending, 1), begins(&[], 2), begins(&sending, 3), begins(&sending, 4)], [1, 0, 1, 0]);
}

#[test]
fn losses_of_five_minutes_make_a_router_lossy_and_their_end_is_logged() {
    let mut changes = Changes::default();
    let mut look = |datagrams, lost, now| changes.look(&seen(&[exporter(1, datagrams, lost)]), minutes(now), &TIMES);
    assert_eq!(look(1000, 900, 0).len(), 1);
    assert_eq!(look(1500, 900, 5), [], "what was lost before it was seen is no change");
    let loses = Change::Loses { router: router(1), percent: 2.0, lost: 20, unit: "datagrams" };
    assert_eq!(look(2000, 910, 9), []);
    assert_eq!(look(2480, 920, 10), [loses]);
    assert_eq!(look(3475, 925, 15), [], "half a percent is neither lossy nor complete");
    assert_eq!(look(4475, 925, 20), [Change::LosesNothing { router: router(1), lossy: minutes(10) }]);
    assert_eq!(look(4479, 929, 25), [], "so few are no state");
    assert_eq!(look(4979, 900, 30), [], "late datagrams fill gaps");
}

#[test]
fn each_unregistered_address_is_logged_once_and_not_more_than_are_remembered() {
    let mut changes = Changes::default();
    let mut look = |numbers: std::ops::Range<u16>| {
        let seen = Seen { unknown: numbers.map(unknown).collect(), ..seen(&[]) };
        changes.look(&seen, minutes(0), &TIMES)
    };
    let sender = Named { address: address(7), name: None };
    let (protocol, transport) = (Some("ipfix"), SenderTransport::Udp);
    let begins = Change::Unregistered { sender, relay: None, protocol, transport };
    assert_eq!(look(7..8), [begins]);
    assert_eq!(look(7..8), []);
    // The table of them is of fixed size: they come and go.
    assert_eq!(look(100..4000).len(), 3900);
    let last = look(3000..9000);
    assert_eq!((last.len(), last.last()), (REMEMBERED - 3901 + 1, Some(&Change::TooManyUnregistered)));
    assert_eq!(look(0..20_000), []);
}

#[test]
fn the_begin_and_the_end_of_drops_are_logged() {
    let mut changes = Changes::default();
    let mut look =
        |kernel_drops, now| changes.look(&Seen { kernel_drops, ..seen(&[]) }, Duration::from_secs(now), &TIMES);
    assert_eq!(look(0, 0), []);
    assert_eq!(look(40, 10), [Change::Drops { dropped: 40 }]);
    assert_eq!([look(50, 20), look(50, 30), look(60, 70), look(60, 120)].concat(), []);
    let ends = Change::DropsNothing { dropped: 60, dropping: Duration::from_secs(60) };
    assert_eq!(look(60, 130), [ends]);
    assert_eq!(look(60, 900), []);
    assert_eq!(look(61, 910), [Change::Drops { dropped: 1 }]);
}

#[test]
fn a_spool_that_grows_is_logged_at_each_level_once_until_it_is_empty() {
    let mut changes = Changes::default();
    let mut look = |bytes, now| changes.look(&Seen { spool: Some((bytes, 1000)), ..seen(&[]) }, minutes(now), &TIMES);
    let grows = |bytes, percent| vec![Change::SpoolGrows { bytes, limit: 1000, percent }];
    assert_eq!(look(50, 0), []);
    assert_eq!(look(100, 1), grows(100, 10));
    assert_eq!(look(600, 2), grows(600, 60));
    assert_eq!([look(200, 3), look(600, 4)].concat(), []);
    assert_eq!(look(900, 5), grows(900, 90));
    assert_eq!(look(0, 6), [Change::SpoolIsEmpty]);
    assert_eq!(look(0, 7), []);
    assert_eq!(look(100, 8), grows(100, 10));
}

#[test]
fn a_flood_of_changes_has_ten_lines_a_minute_and_one_for_the_others() {
    let mut budget = Budget::default();
    let mut changes = Changes::default();
    let mut lines = |numbers: std::ops::Range<u16>, seconds| {
        let now = Duration::from_secs(seconds);
        let seen = Seen { unknown: numbers.map(unknown).collect(), kernel_drops: 1, ..seen(&[]) };
        budget.spend(changes.look(&seen, now, &TIMES), now)
    };
    let first = lines(0..500, 0);
    assert_eq!(
        (first.len(), first.last()),
        (11, Some(&Change::Drops { dropped: 1 })),
        "kinds have budgets of their own"
    );
    assert_eq!(lines(500..1000, 30), []);
    let more = Change::More { kind: "unregistered addresses send", changes: 990 };
    assert_eq!(lines(0..1000, 60).first(), Some(&more));
    assert_eq!(lines(1000..1003, 130).len(), 3);
}
