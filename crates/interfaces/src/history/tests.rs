use proptest::prelude::*;

use super::*;

const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn details(name: &str, description: &str, speed: u64) -> Details {
    Details { name: Some(name.into()), description: Some(description.into()), speed: Some(speed) }.tidy()
}

fn heard(source: Source, seconds: u64, booted: Option<u64>) -> Observation {
    Observation { router: ROUTER, source, at: at(seconds), booted: booted.map(at) }
}

/// Since, until, name, description and speed.
type Shown = (u64, Option<u64>, String, String, u64);

fn spans(history: &History, index: u32) -> Vec<Shown> {
    let of_index = history.of(ROUTER).filter(|(other, _)| *other == index);
    of_index
        .map(|(_, span)| {
            let Details { name, description, speed } = span.details.clone();
            (
                span.since.seconds(),
                span.until.map(Timestamp::seconds),
                name.unwrap_or_default(),
                description.unwrap_or_default(),
                speed.unwrap_or_default(),
            )
        })
        .collect()
}

fn shown(since: u64, until: Option<u64>, name: &str, description: &str, speed: u64) -> Shown {
    (since, until, name.into(), description.into(), speed)
}

#[test]
fn options_data_come_before_the_configuration_and_that_before_snmp() {
    let mut history = History::default();
    history.observe(heard(Source::Snmp, 10, None), 5, details("snmp", "by snmp", 3));
    history.configure(&["192.0.2.1 5 configured 2".parse().unwrap()], at(20));
    history.observe(heard(Source::Options, 30, None), 5, details("options", "", 0));
    assert_eq!(
        spans(&history, 5),
        [
            shown(10, Some(20), "snmp", "by snmp", 3),
            shown(20, Some(30), "configured", "by snmp", 2),
            shown(30, None, "options", "by snmp", 2)
        ]
    );
    // The same again changes nothing, and neither does less.
    let changes = history.changes();
    history.observe(heard(Source::Snmp, 40, None), 5, details("snmp", "by snmp", 3));
    history.observe(heard(Source::Options, 40, None), 5, details("options", "", 0));
    assert_eq!((spans(&history, 5).len(), history.changes()), (3, changes));
}

#[test]
fn what_was_unknown_before_is_added_to_what_is_valid() {
    let mut history = History::default();
    history.observe(heard(Source::Options, 10, None), 5, details("ge-0/0/1", "", 0));
    history.observe(heard(Source::Snmp, 300, None), 5, details("ge-0/0/1", "uplink", 1_000));
    assert_eq!(spans(&history, 5), [shown(10, None, "ge-0/0/1", "uplink", 1_000)]);
    history.observe(heard(Source::Snmp, 600, None), 5, details("ge-0/0/1", "", 0));
    assert_eq!(spans(&history, 5), [shown(10, None, "ge-0/0/1", "uplink", 1_000)]);
    history.observe(heard(Source::Snmp, 900, None), 5, details("ge-0/0/1", "customer", 0));
    assert_eq!(
        spans(&history, 5),
        [shown(10, Some(900), "ge-0/0/1", "uplink", 1_000), shown(900, None, "ge-0/0/1", "customer", 0)]
    );
}

#[test]
fn an_index_that_is_renumbered_at_a_reboot_is_another_interface_from_the_reboot_on() {
    let mut history = History::default();
    history.observe(heard(Source::Options, 100, Some(50)), 5, details("ge-0/0/1", "", 0));
    history.observe(heard(Source::Snmp, 200, Some(50)), 5, details("ge-0/0/1", "uplink", 10_000));
    history.confirm(ROUTER, Source::Options, at(900));
    // It started at 1000, and options data came at 1060.
    history.observe(heard(Source::Options, 1060, Some(1000)), 5, details("xe-1/0/0", "", 0));
    // The agent is asked later: until then nothing of the old interface is mixed in.
    assert_eq!(
        spans(&history, 5),
        [shown(50, Some(1000), "ge-0/0/1", "uplink", 10_000), shown(1000, None, "xe-1/0/0", "", 0)]
    );
    history.observe(heard(Source::Snmp, 1200, Some(1000)), 5, details("xe-1/0/0", "customer", 40_000));
    assert_eq!(spans(&history, 5)[1], shown(1000, None, "xe-1/0/0", "customer", 40_000));
}

#[test]
fn a_change_without_a_reboot_begins_when_it_is_heard() {
    let mut history = History::default();
    history.observe(heard(Source::Snmp, 100, Some(50)), 5, details("a", "", 0));
    history.confirm(ROUTER, Source::Snmp, at(400));
    history.observe(heard(Source::Snmp, 700, Some(50)), 5, details("b", "", 0));
    // A router whose clock is wrong has started in the future.
    history.observe(heard(Source::Snmp, 800, Some(9000)), 5, details("c", "", 0));
    assert_eq!(
        spans(&history, 5),
        [shown(50, Some(700), "a", "", 0), shown(700, Some(800), "b", "", 0), shown(800, None, "c", "", 0)]
    );
}

#[test]
fn what_the_operator_says_is_valid_for_all_time_until_it_is_removed() {
    let mut history = History::default();
    history.configure(&["192.0.2.1 5 wan 1G".parse().unwrap(), "192.0.2.1 6 lan".parse().unwrap()], at(100));
    history.configure(&["192.0.2.1 6 lan".parse().unwrap()], at(200));
    assert_eq!(spans(&history, 5), [shown(0, Some(200), "wan", "", 1_000_000_000)]);
    assert_eq!(spans(&history, 6), [shown(0, None, "lan", "", 0)]);
    history.observe(heard(Source::Snmp, 300, None), 5, details("eth1", "", 0));
    assert_eq!(spans(&history, 5)[1], shown(300, None, "eth1", "", 0));
}

#[test]
fn a_hostile_router_takes_bounded_room() {
    let mut history = History::default();
    for index in 0..20_000 {
        history.observe(heard(Source::Options, 1, None), index, details("a", "", 0));
    }
    for second in 0..1000 {
        history.observe(heard(Source::Options, second, None), 5, details(&format!("{second}"), "", 0));
    }
    assert_eq!((history.len(), spans(&history, 5).len()), (MOST_INTERFACES, MOST_SPANS));
    for router in 0..10_000_u32 {
        let of = Observation { router: IpAddr::V4(router.into()), ..heard(Source::Options, 1, None) };
        history.observe(of, 1, details("a", "", 0));
    }
    assert!(history.routers.len() <= MOST_ROUTERS);
}

proptest! {
    #[test]
    fn spans_are_in_order_and_never_overlap(
        heards in prop::collection::vec((0..3_usize, 0..1000_u64, prop::option::of(0..1200_u64), 0..3_u32, "[abc]?", "[xy]?", 0..3_u64), 0..60)
    ) {
        let mut history = History::default();
        for (source, seconds, booted, index, name, description, speed) in heards {
            let details = Details { name: Some(name), description: Some(description), speed: Some(speed) };
            history.observe(heard(Source::ALL[source], seconds, booted), index, details);
        }
        for index in 0..3 {
            let spans = spans(&history, index);
            for pair in spans.windows(2) {
                prop_assert_eq!(pair[0].1, Some(pair[1].0));
                prop_assert!(pair[0].0 < pair[1].0, "{:?}", spans);
            }
            prop_assert!(spans.last().is_none_or(|last| last.1.is_none()));
        }
        prop_assert_eq!(crate::file::read(crate::file::write(&history).as_bytes()).0.routers, history.routers);
    }
}
