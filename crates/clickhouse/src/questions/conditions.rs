//! Filters as conditions of SQL.

use std::net::{Ipv4Addr, Ipv6Addr};

use columns::Id;
use filter::{AddressSet, AsPaths, Comparison, Expression, Filter, Test};

use super::expressions::{as_path, mapped, quantity};
use super::parameters::Parameters;

/// The first and the last IPv6 address that maps one of IPv4. Rows have these as addresses of IPv4.
const MAPPED: (u128, u128) = (0xffff_0000_0000, 0xffff_ffff_ffff);

/// What a flow has to be.
pub(super) fn of_filter(filter: &Filter, parameters: &mut Parameters) -> String {
    filter.expression().map_or_else(|| "1".to_owned(), |expression| of_expression(expression, parameters))
}

fn of_expression(expression: &Expression, parameters: &mut Parameters) -> String {
    match expression {
        Expression::Test(test) => of_test(test, parameters),
        Expression::Not(inner) => format!("(NOT {})", of_expression(inner, parameters)),
        Expression::All(parts) => joined(parts, " AND ", "1", parameters),
        Expression::Any(parts) => joined(parts, " OR ", "0", parameters),
    }
}

fn joined(parts: &[Expression], word: &str, of_none: &str, parameters: &mut Parameters) -> String {
    let parts: Vec<_> = parts.iter().map(|part| of_expression(part, parameters)).collect();
    if parts.is_empty() { of_none.to_owned() } else { format!("({})", parts.join(word)) }
}

fn of_test(test: &Test, parameters: &mut Parameters) -> String {
    match test {
        Test::Number(of, numbers) => {
            let ranges = numbers.as_slice().iter().map(|(first, last)| (first.to_string(), last.to_string()));
            in_ranges(&quantity(*of), &NUMBERS, ranges, parameters)
        }
        Test::Address(id, addresses) => of_addresses(*id, addresses, parameters),
        Test::AsPath(id, paths) => of_as_paths(*id, paths, parameters),
        Test::AllBits(of, bits) => {
            let bits = parameters.bind("UInt64", bits);
            format!("(bitAnd({}, {bits}) = {bits})", quantity(*of))
        }
        Test::NoBits(of, bits) => format!("(bitAnd({}, {}) = 0)", quantity(*of), parameters.bind("UInt64", bits)),
        Test::Order(left, comparison, right) => {
            format!("({} {} {})", quantity(*left), sign(*comparison), quantity(*right))
        }
        Test::SameAddress(left, right) => format!("({} = {})", left.column().clickhouse, right.column().clickhouse),
    }
}

const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::More => ">",
        Comparison::Less => "<",
        Comparison::AtLeast => ">=",
        Comparison::AtMost => "<=",
        Comparison::Equal => "=",
    }
}

fn of_addresses(id: Id, addresses: &AddressSet, parameters: &mut Parameters) -> String {
    let text = |number: u128| Ipv6Addr::from_bits(number).to_string();
    let v4 = addresses.v4().as_slice().iter().map(|(first, last)| {
        let text = |number: u32| mapped(Ipv4Addr::from_bits(number).into());
        (text(*first), text(*last))
    });
    let v6 = addresses.v6().as_slice().iter().flat_map(|(first, last)| without_mapped(*first, *last));
    let ranges = v4.chain(v6.map(|(first, last)| (text(first), text(last))));
    in_ranges(id.column().clickhouse, &ADDRESSES, ranges, parameters)
}

/// A range of IPv6 addresses without those that map addresses of IPv4.
fn without_mapped(first: u128, last: u128) -> impl Iterator<Item = (u128, u128)> {
    let (first_mapped, last_mapped) = MAPPED;
    let before = (first < first_mapped).then(|| (first, last.min(first_mapped - 1)));
    let after = (last > last_mapped).then(|| (first.max(last_mapped + 1), last));
    before.into_iter().chain(after)
}

/// Values of a kind, as they are bound.
struct Bound {
    one: &'static str,
    several: &'static str,
    ranges: &'static str,
    quote: &'static str,
}

const NUMBERS: Bound =
    Bound { one: "UInt64", several: "Array(UInt64)", ranges: "Array(Tuple(UInt64, UInt64))", quote: "" };
const ADDRESSES: Bound = Bound { one: "IPv6", several: "Array(IPv6)", ranges: "Array(Tuple(IPv6, IPv6))", quote: "'" };

/// Whether a value is in one of these ranges. One range is compared as it is, so that indices can be used. Single values of many
/// are looked up.
fn in_ranges(
    value: &str,
    bound: &Bound,
    ranges: impl IntoIterator<Item = (String, String)>,
    parameters: &mut Parameters,
) -> String {
    let Bound { one, several, ranges: wide, quote } = bound;
    let all: Vec<_> = ranges.into_iter().collect();
    let compared = |(first, last): &(String, String), parameters: &mut Parameters| {
        let first_bound = parameters.bind(one, first);
        if first == last {
            return format!("({value} = {first_bound})");
        }
        format!("({value} BETWEEN {first_bound} AND {})", parameters.bind(one, last))
    };
    match all.as_slice() {
        [] => return "0".to_owned(),
        [range] => return compared(range, parameters),
        _ => {}
    }
    let (single, ranges): (Vec<_>, Vec<_>) = all.into_iter().partition(|(first, last)| first == last);
    let mut conditions = Vec::new();
    if !single.is_empty() {
        let values = single.iter().map(|(value, _)| format!("{quote}{value}{quote}"));
        conditions.push(format!("{value} IN {}", parameters.bind_all(several, values)));
    }
    match ranges.as_slice() {
        [] => {}
        [range] => conditions.push(compared(range, parameters)),
        ranges => {
            let texts = ranges.iter().map(|(first, last)| format!("({quote}{first}{quote},{quote}{last}{quote})"));
            let ranges = parameters.bind_all(wide, texts);
            conditions.push(format!("arrayExists(it -> {value} BETWEEN it.1 AND it.2, {ranges})"));
        }
    }
    format!("({})", conditions.join(" OR "))
}

fn of_as_paths(id: Id, paths: &AsPaths, parameters: &mut Parameters) -> String {
    let text = |sequence: &Vec<u32>| {
        let ases: Vec<_> = sequence.iter().map(u32::to_string).collect();
        format!("'_{}_'", ases.join("_"))
    };
    let texts = parameters.bind_all("Array(String)", paths.sequences().iter().map(text));
    let path = as_path(id);
    if paths.is_whole() {
        return format!("has({texts}, {path})");
    }
    format!("arrayExists(it -> position({path}, it) > 0, {texts})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(filter: &str) -> (String, Vec<(String, String)>) {
        let mut parameters = Parameters::default();
        let condition = of_filter(&filter.parse().unwrap(), &mut parameters);
        let bound = parameters.all().unwrap().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        (condition, bound.collect())
    }

    #[test]
    fn no_value_is_a_part_of_the_statement() {
        let (sql, bound) = condition("src net 192.0.2.0/24 and port in [53, 4242-4250, 9999] and aspath 64999_65001");
        for value in ["192", "53", "4242", "9999", "64999"] {
            assert!(!sql.contains(value), "{sql}");
            assert!(bound.iter().any(|(_, bound)| bound.contains(value)), "{value}: {bound:?}");
        }
    }

    #[test]
    fn ranges_of_ipv6_leave_out_the_addresses_of_ipv4() {
        assert_eq!(
            condition("src ip ::/0").1,
            [(
                "p0".to_owned(),
                "[('::','::fffe:ffff:ffff'),('::1:0:0:0','ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')]".to_owned()
            )]
        );
        assert_eq!(condition("src ip ::1:0:0:0").0, "(SrcAddr = {p0:IPv6})");
    }

    #[test]
    fn a_filter_without_tests_is_a_condition_too() {
        assert_eq!(condition("").0, "1");
        assert_eq!(condition("not any").0, "(NOT 1)");
    }
}
