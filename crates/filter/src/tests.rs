//! A filter selects the same rows of a batch as one by one, and what it concludes from bounds is true: for random rows and
//! random filters of all words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use columns::{Batch, Id, Kind, Row};
use flow::Networks;
use names::Names;
use proptest::prelude::*;
use proptest::sample::select;

use crate::quantity::Form;
use crate::words::{CONDITIONS, names_of, phrases};
use crate::{Bounds, Filter, Known};

/// Few addresses, so that rows and filters meet.
fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = [0, 1, 0x0a00_0001, 0x0a00_00ff, 0x0aff_0000, 0xc000_0201, u32::MAX].map(Ipv4Addr::from_bits);
    let v6 = [0, 1, 0x2001_0db8 << 96, (0x2001_0db8 << 96) + 1, u128::MAX].map(Ipv6Addr::from_bits);
    let addresses: Vec<IpAddr> = v4.map(IpAddr::from).into_iter().chain(v6.map(IpAddr::from)).collect();
    select(addresses)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        10 => select(vec![0_u64, 1, 2, 3, 6, 17, 18, 24, 53, 63, 80, 255, 1000, 1500, 65_535, 1_795_960_800_000, u64::MAX]),
        1 => any::<u64>(),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let cell = (select(Id::ALL.to_vec()), number(), address());
    proptest::collection::vec(cell, 0..40).prop_map(|cells| {
        let mut row = Row::new();
        for (id, number, address) in cells {
            match id.column().kind {
                Kind::Address => row.set_address(id, address),
                Kind::AsPath => row.set_text(id, ["", "1", "1 2", "2 {1,3}"][number as usize % 4].into()),
                _ => row.set(id, number),
            }
        }
        row
    })
}

/// A value as it is written; it may be too large for its column.
fn value(form: Form, named: Option<&'static Names>) -> BoxedStrategy<String> {
    match form {
        Form::Address => prop_oneof![
            address().prop_map(|address| address.to_string()),
            select(vec!["10/8", "10.0.0.0/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "10.0.0.1-192.0.2.1", "::-::1"])
                .prop_map(str::to_owned),
        ]
        .boxed(),
        Form::AsPath => select(vec!["0", "1", "2", "1_2", "2_1_3", "1_"]).prop_map(str::to_owned).boxed(),
        Form::Country => select(vec!["CH", "de", "0", "17224", "ZZ"]).prop_map(str::to_owned).boxed(),
        Form::Mac => number().prop_map(|number| (number & 0xffff_ffff_ffff).to_string()).boxed(),
        Form::Flags => select(vec!["S", "SA", "X", "afrpu", "0x12", "3"]).prop_map(str::to_owned).boxed(),
        Form::Milliseconds => select(vec!["0", "1", "500ms", "1.5s", "2h"]).prop_map(str::to_owned).boxed(),
        Form::Time => select(vec!["0", "2026-11-29T14:00", "2026-11-29", "1"]).prop_map(str::to_owned).boxed(),
        Form::Number => {
            let small = select(vec![0_u64, 1, 2, 3, 6, 17, 53, 63, 80, 255, 1000]);
            let range = (small.clone(), number()).prop_map(|(first, last)| format!("{first}-{last}"));
            let written = prop_oneof![4 => small.prop_map(|number| number.to_string()), 1 => range];
            match named {
                None => written.boxed(),
                Some(names) => {
                    let name = select(names.all().to_vec()).prop_map(|(name, _)| name.to_owned());
                    prop_oneof![written, name].boxed()
                }
            }
        }
    }
}

fn test() -> impl Strategy<Value = String> {
    let all: Vec<_> = phrases().collect();
    let comparison = select(all.clone()).prop_flat_map(|(phrase, subject)| {
        let quantity = subject.quantity();
        let value = || value(quantity.form(), names_of(quantity));
        let sign = select(vec!["", "=", "!=", ">", "<", ">=", "<=", "eq", "ge"]);
        prop_oneof![
            4 => (sign, value()).prop_map(move |(sign, value)| format!("{phrase} {sign} {value}")),
            2 => proptest::collection::vec(value(), 0..4)
                .prop_map(move |values| format!("{phrase} in [{}]", values.join(", "))),
        ]
    });
    let signs = select(vec!["=", "!=", ">", "<", ">=", "<="]);
    let pair = (select(all.clone()), signs, select(all))
        .prop_map(|((left, _), sign, (right, _))| format!("{left} {sign} {right}"));
    let conditions: Vec<_> = CONDITIONS.iter().flat_map(|(names, _)| names.iter().copied()).collect();
    prop_oneof![
        8 => comparison,
        2 => pair,
        1 => select(conditions).prop_map(str::to_owned),
        1 => Just("tcp dst port 80".to_owned()),
    ]
}

/// Filters of which some tests are not valid: these are replaced.
fn filter() -> impl Strategy<Value = Filter> {
    let valid = test().prop_map(|text| if text.parse::<Filter>().is_ok() { text } else { "any".to_owned() });
    let text = valid.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}||{b}")),
            inner.clone().prop_map(|a| format!("not {a}")),
            inner.prop_map(|a| format!("({a})")),
        ]
    });
    text.prop_map(|text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}")))
}

/// What is known of a column: of addresses as a file states it, where a row without an address of a family is 0 there.
fn bounds(rows: &[Row], id: Id) -> Bounds {
    if id.column().kind == Kind::AsPath && rows.iter().any(|row| row.text(id).is_some()) {
        return Bounds::Unknown;
    }
    if id.column().kind != Kind::Address {
        let numbers = || rows.iter().map(|row| row.number(id));
        return Bounds::Numbers(numbers().min().unwrap_or_default(), numbers().max().unwrap_or_default());
    }
    let v4 = || {
        rows.iter().map(|row| match row.address(id) {
            IpAddr::V4(address) => address.to_bits(),
            IpAddr::V6(_) => 0,
        })
    };
    let v6 = || {
        rows.iter().filter_map(|row| match row.address(id) {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address.octets()),
        })
    };
    Bounds::Addresses { v4: v4().min().zip(v4().max()), v6: v6().min().zip(v6().max()) }
}

/// What is known of rows: of these columns everything, of the others nothing.
struct KnownOf<'r> {
    rows: &'r [Row],
    columns: u128,
}

impl Known for KnownOf<'_> {
    fn bounds(&self, id: Id) -> Bounds {
        if self.columns >> id as u32 & 1 != 0 { bounds(self.rows, id) } else { Bounds::Unknown }
    }

    fn may_contain(&self, id: Id, address: IpAddr) -> bool {
        self.columns >> id as u32 & 1 == 0 || self.rows.iter().any(|row| row.address(id) == address)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_batch_is_selected_from_as_its_rows_one_by_one(
        filter in filter(), rows in proptest::collection::vec(row(), 0..150), known in any::<u128>()
    ) {
        let mut batch = Batch::new();
        rows.iter().for_each(|row| batch.push(row));
        batch.fill();
        let selected: Vec<_> = filter.select(&batch).iter().collect();
        let passing: Vec<_> =
            rows.iter().enumerate().filter(|(_, row)| filter.passes(row)).map(|(index, _)| index).collect();
        prop_assert_eq!(&selected, &passing, "{}", filter);
        for columns in [u128::MAX, known] {
            let left = filter.given(&KnownOf { rows: &rows, columns });
            let passing_left: Vec<_> = match &left {
                None => Vec::new(),
                Some(left) => left.select(&batch).iter().collect(),
            };
            prop_assert_eq!(&passing_left, &passing, "{} is {:?} of {}", columns, left, filter);
        }
    }

    #[test]
    fn what_is_known_of_a_single_row_of_numbers_decides(row in row(), number in number()) {
        let filter: Filter = format!("bytes >= {number} and not (domain 3 or flags S)").parse().unwrap();
        let expected = filter.passes(&row).then(Filter::default);
        prop_assert_eq!(filter.given(&KnownOf { rows: std::slice::from_ref(&row), columns: u128::MAX }), expected);
    }

    #[test]
    fn an_address_that_a_column_does_not_have_needs_no_test(row in row(), address in address(), other in address()) {
        let known = KnownOf { rows: std::slice::from_ref(&row), columns: u128::MAX };
        let filter: Filter = format!("src host {address} or src ip in [{address}, {other}] and proto 17").parse().unwrap();
        let source = row.address(Id::SrcIp);
        // A row of IPv6 has 0.0.0.0 as IPv4 address in a file, which rules out less.
        prop_assume!(source.is_ipv4() || !(address.is_ipv4() && address.is_unspecified() || other.is_ipv4() && other.is_unspecified()));
        let left = filter.given(&known);
        prop_assert_eq!(left.is_none(), !filter.passes(&row));
        prop_assert!(source == address || source == other || left.is_none());
    }

    #[test]
    fn printing_a_filter_reads_as_the_same(filter in filter()) {
        prop_assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter);
    }

    #[test]
    fn two_filters_together_match_what_both_match(one in filter(), other in filter(), row in row()) {
        let both = one.clone().and(other.clone());
        prop_assert_eq!(both.passes(&row), one.passes(&row) && other.passes(&row));
        prop_assert_eq!(both.to_string().parse::<Filter>().unwrap().passes(&row), both.passes(&row));
        prop_assert_eq!(&Filter::default().and(one.clone()), &one);
        prop_assert_eq!(one.clone().and(Filter::default()), one);
    }

    #[test]
    fn only_columns_that_it_names_make_a_difference(filter in filter(), full in row()) {
        let mut part = Row::new();
        for id in filter.columns().iter() {
            match id.column().kind {
                Kind::Address => part.set_address(id, full.address(id)),
                Kind::AsPath => full.text(id).into_iter().for_each(|text| part.set_text(id, text.clone())),
                _ => part.set(id, full.number(id)),
            }
        }
        prop_assert_eq!(filter.passes(&part), filter.passes(&full));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", words in proptest::collection::vec(
        prop_oneof![
            select(phrases().map(|(phrase, _)| phrase).collect::<Vec<_>>()),
            select(vec!["(", ")", "not", "and", "or", ">", "!=", "in", "[", "]", ",", "udp", "53", "10/8", "::1", "\u{2003}"]),
        ], 0..60)) {
        for text in [text, words.join(" ")] {
            match text.parse::<Filter>() {
                Ok(filter) => prop_assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter),
                Err(error) => {
                    let pointer = error.pointer(&text);
                    prop_assert!(pointer.ends_with('^') && pointer.lines().count() == 2, "{}", pointer);
                }
            }
        }
    }
}

fn networks() -> Networks {
    let networks =
        ["10.1.0.0/16 name=office customer=customer-a", "2001:db8:1::/48 customer=customer-a", "10.2.0.0/16 tags=lab"];
    networks.iter().map(|text| text.parse::<flow::Network>().unwrap()).collect()
}

#[test]
fn the_words_of_networks_mean_their_addresses() {
    for (text, meaning) in [
        ("src net customer-a", "srcip in [10.1.0.0/16, 2001:db8:1::/48]"),
        ("host office", "srcip = 10.1.0.0/16 or dstip = 10.1.0.0/16"),
        ("dst in [lab, office, 192.0.2.1]", "dstip in [10.1.0.0-10.2.255.255, 192.0.2.1]"),
        ("src ip != lab", "not srcip = 10.2.0.0/16"),
        ("src ip = dst ip", "srcip = dstip"),
        ("next hop office", "nexthop = 10.1.0.0/16"),
    ] {
        assert_eq!(Filter::read(text, &networks()).unwrap().to_string(), meaning, "{text}");
    }
}

#[test]
fn a_word_of_no_network_is_refused_with_the_nearest() {
    let refused = |text: &str| Filter::read(text, &networks()).unwrap_err().to_string();
    assert_eq!(
        refused("tcp and src net customer-b"),
        "column 17: expected an address such as 192.0.2.1 or 2001:db8::1, or a prefix such as 10.0.0.0/8, or a word of a \
         network, not \"customer-b\": did you mean customer-a?"
    );
    assert!(refused("port office").contains("expected a number from 0 to 65535"), "{}", refused("port office"));
    let without = "src net office".parse::<Filter>().unwrap_err().to_string();
    assert!(!without.contains("network"), "{without}");
}
