use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::block::Tables;
use crate::field::{Field, FieldSet, Name};
use crate::samples::{crowded_flow, crowded_prefix};

mod minutes;

const FIRST: FlushNumber = FlushNumber { epoch: 1, sequence: 1 };
const WRITER: WriterId = WriterId(1);

fn monitored(prefixes: &[Prefix]) -> Monitored {
    let prefixes: Vec<_> = prefixes.iter().copied().zip((0..).map(GroupId)).collect();
    Monitored::new("192.0.2.1".parse().unwrap(), &prefixes)
}

fn flow(source: &str, destination: &str, bytes: u64) -> FlowRecord {
    FlowRecord {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        forward: Counters { bytes, packets: 1, flows: 1 },
        ..FlowRecord::empty(flow::Timestamp::EPOCH)
    }
}

/// The content of the blocks of a tally, by interval and prefix.
fn content(blocks: &[Block]) -> BTreeMap<(Minute, Prefix), Tables> {
    let mut all: BTreeMap<_, Tables> = BTreeMap::new();
    for block in blocks {
        let tables = all.entry((block.key.interval.start, block.key.prefix)).or_default();
        tables.merge(block, TableSet::ALL).unwrap();
    }
    all
}

/// In every direction, the values and `other` of each counted field add up to `all`.
fn conserved(tables: &Tables) -> bool {
    let counted = |(direction, field): &(Direction, Field)| tables.about_all(*direction).complete.contains(*field);
    TableSet::ALL.iter().filter(counted).all(|(direction, field)| {
        let mut sum = tables.other(direction, field);
        tables.rows_of(field).filter(|row| row.0 == direction).for_each(|row| sum.add(row.2));
        sum == tables.get(direction, Name::ALL).unwrap_or_default()
    })
}

/// The literal rules of accounting, over plain maps.
fn naive(prefixes: &[Prefix], flows: &[(FlowRecord, u32)], scale: bool) -> BTreeMap<(Minute, Prefix), Tables> {
    naive_of(FieldSet::DEFAULT, prefixes, flows, scale)
}

fn naive_of(
    fields: FieldSet,
    prefixes: &[Prefix],
    flows: &[(FlowRecord, u32)],
    scale: bool,
) -> BTreeMap<(Minute, Prefix), Tables> {
    let mut all: BTreeMap<_, Tables> = BTreeMap::new();
    let mut book = |flow: &FlowRecord, sampled: Counters, sampling: Sampling, minute: u32| {
        let counters = sampled.scaled(sampling).unwrap();
        let about =
            AboutAll { variance: SamplingVariance::of(sampled, sampling), complete: fields, ..AboutAll::NOTHING };
        let is_own = |address| prefixes.iter().any(|prefix| !prefix.is_default_route() && prefix.contains(address));
        let local = is_own(flow.source) && is_own(flow.destination);
        for prefix in prefixes {
            let ends = [
                (flow.source, Direction::Out, Direction::OutLocal),
                (flow.destination, Direction::In, Direction::InLocal),
            ];
            for (_, foreign, within) in ends.into_iter().filter(|(end, ..)| prefix.contains(*end)) {
                let tables = all.entry((Minute::new(minute), *prefix)).or_default();
                let direction = if local { within } else { foreign };
                tables.note(direction, about);
                for field in fields.iter() {
                    tables.add(direction, Name { field, value: field.value_of(flow) }, counters);
                }
            }
        }
    };
    for (flow, minute) in flows {
        let sampling = if scale { flow.sampling } else { Sampling::NONE };
        for (flow, counters) in [(*flow, flow.forward), (flow.reversed(), flow.reverse)] {
            if !counters.is_zero() {
                book(&flow, counters, sampling, *minute);
            }
        }
    }
    all
}

#[test]
fn a_flow_is_counted_by_the_eight_default_fields_for_its_prefix() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap()]);
    let mut tally = Tally::new(TallySettings::default());
    let record = FlowRecord { protocol: 6, source_port: 443, ..flow("192.0.2.7", "10.1.2.3", 1500) };
    assert_eq!(tally.book(&monitored, &record, FlowTime::at(Minute::new(5)), true), FlowFate::Matched);
    let blocks = tally.blocks(WRITER, FlushNumber { epoch: 2, sequence: 3 });
    assert_eq!(blocks.len(), 1);
    let key = blocks[0].key;
    assert_eq!(
        (key.sender, key.origin, key.part),
        (monitored.sender(), FlushNumber { epoch: 2, sequence: 3 }.into(), 0)
    );
    let tables = content(&blocks).into_values().next().unwrap();
    let rows: Vec<String> = tables.rows().map(|(d, name, c)| format!("{} {name} {}", d.name(), c.bytes)).collect();
    assert_eq!(
        rows,
        [
            "in all 1500",
            "in proto:6 1500",
            "in srcip:192.0.2.7 1500",
            "in srcport:443 1500",
            "in srcas:0 1500",
            "in dstip:10.1.2.3 1500",
            "in dstport:0 1500",
            "in dstas:0 1500"
        ]
    );
}

#[test]
fn every_flow_has_a_fate_and_an_unmatched_flow_leaves_no_trace() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap()]);
    let mut tally = Tally::new(TallySettings::default());
    let mut book = |flow: FlowRecord, scale| tally.book(&monitored, &flow, FlowTime::at(Minute::new(5)), scale);
    let huge = FlowRecord {
        sampling: flow::Sampling::of_packets(3, flow::SamplingSource::Header),
        reverse: Counters { bytes: flow::FLOW_LIMIT / 2, packets: 1, flows: 1 },
        ..flow("10.0.0.1", "192.0.2.7", 1)
    };
    assert_eq!(book(flow("192.0.2.7", "192.0.2.8", 1), true), FlowFate::Unmatched);
    assert_eq!(book(FlowRecord { forward: Counters::ZERO, ..flow("10.0.0.1", "10.0.0.2", 1) }, true), FlowFate::Event);
    assert_eq!(book(huge, true), FlowFate::Implausible);
    let aggregate = Counters { flows: flow::FLOW_LIMIT, ..huge.forward };
    assert_eq!(book(FlowRecord { forward: aggregate, ..huge }, false), FlowFate::Implausible);
    assert!(tally.is_empty());
    assert_eq!(tally.names(), 0);
    assert_eq!(tally.blocks(WRITER, FIRST), []);
    assert_eq!(tally.book(&monitored, &huge, FlowTime::at(Minute::new(5)), false), FlowFate::Matched);
}

#[test]
fn flows_booked_before_a_prefix_was_added_do_not_count_for_it() {
    let [outer, middle, inner] = ["10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24"].map(|text| text.parse().unwrap());
    let sender = "192.0.2.1".parse().unwrap();
    let before = Monitored::new(sender, &[(outer, GroupId(0)), (inner, GroupId(1))]);
    let after = Monitored::new(sender, &[(outer, GroupId(0)), (inner, GroupId(1)), (middle, GroupId(2))]);
    let mut tally = Tally::new(TallySettings::default());
    for _ in 0..3 {
        tally.book(&before, &flow("192.0.2.7", "10.1.1.1", 1), FlowTime::at(Minute::new(5)), true);
        tally.book(&after, &flow("192.0.2.7", "10.1.1.1", 100), FlowTime::at(Minute::new(5)), true);
    }
    let counted = content(&tally.blocks(WRITER, FIRST));
    let bytes = |prefix| counted[&(Minute::new(5), prefix)].get(Direction::In, Name::ALL).unwrap().bytes;
    assert_eq!([bytes(outer), bytes(middle), bytes(inner)], [303, 300, 303]);
    assert!(counted.values().all(conserved));
}

#[test]
fn large_batches_follow_the_literal_rules() {
    let prefixes: Vec<Prefix> = ["10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "2001:db8::/32", "192.0.2.0/24"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let monitored = monitored(&prefixes);
    let ends = ["10.1.1.1", "10.1.2.1", "10.9.0.1", "192.0.2.9", "198.51.100.1", "2001:db8::1", "2001:db9::1"];
    let mut flows = Vec::new();
    for number in 0..40_000_u32 {
        let end = |step: u32| ends[(number / step) as usize % ends.len()];
        let bytes = if number % 6000 == 0 { flow::FLOW_LIMIT - 1 } else { u64::from(number) };
        let source_port = (number % 5000) as u16;
        let record = FlowRecord { source_port, source_as: number / 30, ..flow(end(1), end(7), bytes) };
        flows.push((record, number / 16_000));
    }
    let mut tally = Tally::new(TallySettings::default());
    for (flow, minute) in &flows {
        tally.book(&monitored, flow, FlowTime::at(Minute::new(*minute)), true);
    }
    let pending = tally.blocks(WRITER, FIRST);
    tally.merge_pending();
    assert!(tally.blocks(WRITER, FIRST) == pending);
    assert!(content(&pending) == naive(&prefixes, &flows, true));
}

#[test]
fn a_cleared_tally_counts_from_zero() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()]);
    let mut tally = Tally::new(TallySettings::default());
    for round in 0..4 {
        // The inner prefix is booked for every other time, so that its memory is kept, freed and allocated again.
        let destination = if round % 2 == 0 { "10.1.0.1" } else { "10.2.0.1" };
        for minute in 0..4 {
            tally.book(&monitored, &flow("192.0.2.7", destination, 1), FlowTime::at(Minute::new(round + minute)), true);
        }
        let mut fresh = Tally::new(TallySettings::default());
        for minute in 0..4 {
            fresh.book(&monitored, &flow("192.0.2.7", destination, 1), FlowTime::at(Minute::new(round + minute)), true);
        }
        assert_eq!(tally.blocks(WRITER, FIRST), fresh.blocks(WRITER, FIRST));
        assert_eq!(tally.names(), fresh.names());
        tally.clear();
        assert!(tally.is_empty());
        assert_eq!(tally.blocks(WRITER, FIRST), []);
    }
}

#[test]
fn a_table_keeps_its_largest_names_and_all_bytes() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap()]);
    let limits = TallySettings { names_per_table: 100, ..TallySettings::default() };
    let mut tally = Tally::new(limits);
    for round in 0..50u32 {
        for number in 0..100u32 {
            let source = std::net::Ipv4Addr::from_bits(0xc000_0000 + round * 1000 + number);
            tally.book(&monitored, &flow(&source.to_string(), "10.0.0.1", 10), FlowTime::at(Minute::new(5)), true);
        }
        for heavy in 1..=10 {
            tally.book(
                &monitored,
                &flow(&format!("203.0.113.{heavy}"), "10.0.0.1", 1000),
                FlowTime::at(Minute::new(5)),
                true,
            );
        }
        tally.merge_pending();
        assert!(tally.names() <= 400 + 6);
    }
    assert!(tally.folded() > 4000);
    let tables = content(&tally.blocks(WRITER, FIRST)).into_values().next().unwrap();
    assert!(tables.truncated(Direction::In, Field::SourceAddress));
    assert!(!tables.truncated(Direction::In, Field::DestinationAddress));
    assert_eq!(tables.rows_of(Field::SourceAddress).count(), 100);
    for heavy in 1..=10 {
        let name = format!("srcip:203.0.113.{heavy}").parse().unwrap();
        assert_eq!(tables.get(Direction::In, name).unwrap().bytes, 50_000);
    }
    assert!(conserved(&tables));
    tally.clear();
    assert_eq!(tally.folded(), 0, "the flusher adds up what each flush has folded");
}

#[test]
fn a_lost_name_unbalances_its_table() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()]);
    let mut tally = Tally::new(TallySettings::default());
    for source in 1..=20 {
        tally.book(
            &monitored,
            &flow(&format!("192.0.2.{source}"), "10.1.0.1", 100),
            FlowTime::at(Minute::new(5)),
            true,
        );
    }
    tally.merge_pending();
    // Each flow counts for both prefixes, and once for its sender.
    let all = Counters { bytes: 4000, packets: 40, flows: 40 };
    assert_eq!(tally.balance(), Balance { tables: 7, balanced: 7, all });
    let once = Counters { bytes: 2000, packets: 20, flows: 20 };
    assert_eq!(tally.by_sender().collect::<Vec<_>>(), [("192.0.2.1".parse().unwrap(), Direction::In, once)]);
    for table in tally.all_tables().filter(|table| table.len() == 20) {
        table.short().retain(&mut Vec::new(), |source, _| source != u32::from_be_bytes([192, 0, 2, 7]));
    }
    assert_eq!(tally.balance(), Balance { tables: 7, balanced: 6, all });
}

#[test]
fn lost_sparse_flows_unbalance_all_tables() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap()]);
    let mut tally = Tally::new(TallySettings::default());
    tally.book(&monitored, &flow("192.0.2.7", "10.1.0.1", 100), FlowTime::at(Minute::new(5)), true);
    tally.merge_pending();
    let all = Counters { bytes: 100, packets: 1, flows: 1 };
    assert_eq!(tally.balance(), Balance { tables: 7, balanced: 7, all });
    tally.sparse.clear();
    assert_eq!(tally.balance(), Balance { tables: 7, balanced: 0, all });
}

#[test]
fn sparse_flows_and_tables_make_the_same_blocks() {
    let prefixes: Vec<Prefix> = ["10.0.0.0/8", "10.1.0.0/16"].map(|text| text.parse().unwrap()).to_vec();
    let monitored = monitored(&prefixes);
    // Around the number of flows that become tables, in one family and in two, some that fit no slot when they are
    // added up.
    for count in 0..40_u32 {
        let flows: Vec<(FlowRecord, u32)> = (0..3 * count)
            .map(|number| {
                let number = number % count;
                let end = if number % 3 == 0 { "10.1.0.1" } else { "10.2.0.1" };
                let source = format!("192.0.2.{}", number / 2);
                let bytes = if number == 5 { (1 << 45) + 1 } else { u64::from(number) };
                (FlowRecord { source_port: number as u16, ..flow(&source, end, bytes) }, 1)
            })
            .collect();
        let mut tally = Tally::new(TallySettings::default());
        flows.iter().for_each(|(flow, minute)| {
            tally.book(&monitored, flow, FlowTime::at(Minute::new(*minute)), true);
        });
        let pending = tally.blocks(WRITER, FIRST);
        for (flow, _) in &flows {
            tally.merge_pending();
            tally.book(&monitored, flow, FlowTime::at(Minute::new(2)), true);
        }
        let counted = content(&pending);
        assert!(counted == naive(&prefixes, &flows, true), "{count} flows");
        let one_by_one = content(&tally.blocks(WRITER, FIRST));
        for prefix in prefixes.iter().filter(|_| count > 0) {
            assert_eq!(
                one_by_one.get(&(Minute::new(2), *prefix)),
                counted.get(&(Minute::new(1), *prefix)),
                "{count} flows"
            );
        }
    }
}

#[test]
fn when_names_run_out_the_largest_tables_shrink_and_the_small_ones_keep_theirs() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap(), "172.16.0.0/12".parse().unwrap()]);
    let limits = TallySettings { names: 1000, ..TallySettings::default() };
    let mut tally = Tally::new(limits);
    tally.book(&monitored, &flow("192.0.2.7", "172.16.0.1", 1), FlowTime::at(Minute::new(5)), true);
    for number in 0..5000u32 {
        let source = std::net::Ipv4Addr::from_bits(0xc000_0000 + number);
        tally.book(&monitored, &flow(&source.to_string(), "10.0.0.1", 10), FlowTime::at(Minute::new(5)), true);
        if number % 500 == 0 {
            tally.merge_pending();
        }
        assert!(tally.names() <= 1000);
    }
    let all = content(&tally.blocks(WRITER, FIRST));
    assert!(all.values().all(conserved));
    let quiet = &all[&(Minute::new(5), "172.16.0.0/12".parse().unwrap())];
    assert!(TableSet::ALL.iter().all(|(direction, field)| !quiet.truncated(direction, field)));
}

#[test]
fn tallies_that_share_a_budget_stay_within_it_and_lose_no_byte() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap()]);
    let budget = NameBudget::new(2000);
    let mut tallies = [(); 3].map(|()| Tally::within(TallySettings::default(), &budget));
    for number in 0..30_000u32 {
        let source = std::net::Ipv4Addr::from_bits(0xc000_0000 + number).to_string();
        // The first is full before the second begins; the third has everything that the others leave.
        tallies[number as usize / 10_000].book(
            &monitored,
            &flow(&source, "10.0.0.1", 10),
            FlowTime::at(Minute::new(5)),
            true,
        );
        if number % 500 == 0 {
            tallies[number as usize / 10_000].merge_pending();
        }
        // A claim on an exhausted budget still gets a sixteenth, twice here.
        assert!(budget.used() <= 2000 + 2 * 2000 / 16, "{}", budget.used());
    }
    tallies.iter_mut().for_each(Tally::merge_pending);
    assert_eq!(budget.used(), tallies.iter().map(Tally::names).sum::<usize>());
    for tally in &tallies {
        assert!(tally.names() > 0 && tally.folded() > 0);
        let all = content(&tally.blocks(WRITER, FIRST));
        assert!(all.values().all(conserved));
        let bytes = |tables: &Tables| tables.get(Direction::In, Name::ALL).unwrap().bytes;
        assert_eq!(all.values().map(bytes).sum::<u64>(), 100_000);
    }
    drop(tallies);
    assert_eq!(budget.used(), 0);
}

#[test]
fn sampled_flows_add_their_variance_and_others_nothing() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()]);
    let sampled = |rate, record| FlowRecord {
        sampling: flow::Sampling::of_packets(rate, flow::SamplingSource::Header),
        ..record
    };
    let mut tally = Tally::new(TallySettings::default());
    tally.book(&monitored, &sampled(100, flow("192.0.2.7", "10.1.0.1", 1500)), FlowTime::at(Minute::new(5)), true);
    tally.book(&monitored, &sampled(100, flow("2001:db8::1", "10.2.0.1", 100)), FlowTime::at(Minute::new(5)), true);
    tally.book(&monitored, &sampled(100, flow("10.1.0.1", "192.0.2.7", 1500)), FlowTime::at(Minute::new(5)), false);
    let counted = content(&tally.blocks(WRITER, FIRST));
    let variance =
        |prefix: &str, direction| counted[&(Minute::new(5), prefix.parse().unwrap())].about_all(direction).variance;
    let expected = |packets: u128, bytes: u128| SamplingVariance { packets: 9900 * packets, bytes: 9900 * bytes };
    assert_eq!(variance("10.0.0.0/8", Direction::In), expected(2, 1500 * 1500 + 100 * 100));
    assert_eq!(variance("10.1.0.0/16", Direction::In), expected(1, 1500 * 1500));
    assert_eq!(variance("10.0.0.0/8", Direction::Out), SamplingVariance::ZERO);
    tally.clear();
    tally.book(&monitored, &flow("192.0.2.7", "10.1.0.1", 1500), FlowTime::at(Minute::new(6)), true);
    let counted = content(&tally.blocks(WRITER, FIRST));
    assert_eq!(counted.into_values().next().unwrap().about_all(Direction::In).variance, SamplingVariance::ZERO);
}

proptest! {
    #[test]
    fn any_choice_of_fields_follows_the_literal_rules(
        fields in prop::sample::subsequence(Field::ALL.to_vec(), 0..=Field::ALL.len()),
        prefixes in prop::collection::btree_set(crowded_prefix(), 0..4),
        flows in prop::collection::vec((crowded_flow(), 0u32..3), 0..60),
    ) {
        let fields = fields.into_iter().collect::<FieldSet>();
        let prefixes: Vec<Prefix> = prefixes.into_iter().collect();
        let monitored = monitored(&prefixes);
        let mut tally = Tally::new(TallySettings { fields, ..TallySettings::default() });
        for (flow, minute) in &flows {
            tally.book(&monitored, flow, FlowTime::at(Minute::new(*minute)), true);
        }
        let blocks = tally.blocks(WRITER, FIRST);
        prop_assert_eq!(content(&blocks), naive_of(fields, &prefixes, &flows, true));
        let tables = blocks.iter().fold(TableSet::EMPTY, |all, block| all.union(block.key.tables));
        prop_assert!(tables.iter().all(|(_, field)| fields.contains(field)));
        tally.merge_pending();
        let balance = tally.balance();
        prop_assert_eq!(balance.balanced, balance.tables);
    }

    #[test]
    fn a_tally_follows_the_literal_rules(
        prefixes in prop::collection::btree_set(crowded_prefix(), 0..6),
        flows in prop::collection::vec((crowded_flow(), 0u32..3), 0..60),
        scale in any::<bool>(),
    ) {
        let prefixes: Vec<Prefix> = prefixes.into_iter().collect();
        let monitored = monitored(&prefixes);
        let mut tally = Tally::new(TallySettings::default());
        for (flow, minute) in &flows {
            tally.book(&monitored, flow, FlowTime::at(Minute::new(*minute)), scale);
        }
        let counted = content(&tally.blocks(WRITER, FIRST));
        prop_assert!(counted.values().all(conserved));
        prop_assert_eq!(counted, naive(&prefixes, &flows, scale));
    }

    #[test]
    fn limits_cost_names_but_never_a_byte(
        prefixes in prop::collection::btree_set(crowded_prefix(), 1..4),
        flows in prop::collection::vec((crowded_flow(), 0u32..2), 0..80),
        names_per_table in 0usize..6,
        names in 0usize..60,
    ) {
        let prefixes: Vec<Prefix> = prefixes.into_iter().collect();
        let monitored = monitored(&prefixes);
        let mut tally = Tally::new(TallySettings { names_per_table, names, ..TallySettings::default() });
        let mut fates = Vec::new();
        for (flow, minute) in &flows {
            fates.push(tally.book(&monitored, flow, FlowTime::at(Minute::new(*minute)), true));
            prop_assert!(tally.names() <= names);
        }
        let blocks = tally.blocks(WRITER, FIRST);
        let counted = content(&blocks);
        prop_assert!(counted.values().all(conserved));
        tally.merge_pending();
        let balance = tally.balance();
        let mut in_blocks = Counters::ZERO;
        counted.values().flat_map(|tables| tables.rows_of(Field::All)).for_each(|(.., counters)| in_blocks.add(counters));
        prop_assert_eq!((balance.balanced, balance.all), (balance.tables, in_blocks));
        let all = |tables: &Tables| Direction::ALL.map(|direction| tables.get(direction, Name::ALL));
        let expected: Vec<_> = naive(&prefixes, &flows, true).values().map(all).collect();
        prop_assert_eq!(counted.values().map(all).collect::<Vec<_>>(), expected);
        // The same bookings make the same blocks, although hash seeds differ.
        let mut again = Tally::new(TallySettings { names_per_table, names, ..TallySettings::default() });
        for (flow, minute) in &flows {
            again.book(&monitored, flow, FlowTime::at(Minute::new(*minute)), true);
        }
        prop_assert_eq!(again.blocks(WRITER, FIRST), blocks);
    }
}
