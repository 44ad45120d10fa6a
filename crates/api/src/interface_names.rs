//! What the interfaces of a router were called in the time of a question, and the share of their speed that counters take. For
//! answers about one sender only: an index means nothing on another router.

use std::borrow::Cow;

use accounting::field::{Field, Name, Value};
use accounting::range::Range;
use flow::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use view::Interface;

use crate::Api;
use crate::naming::{NamesView, Naming};
use crate::parameters::now;
use crate::selected::Selected;

/// The interfaces of one router; none if an answer is to have numbers only, or is about several senders.
#[derive(Clone, Debug, Default)]
pub(crate) struct InterfaceNames(Vec<Interface>);

/// What is known of the interface that a counter is of; nothing of it is shown without `names=1`.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfInterface {
    /// With `names=1` only: what the interface was called in that time; several if that changed. Absent if it is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    interfaces: Vec<Interface>,
    /// With `names=1` only: the mean rate of `bytes` in percent of the speed of the interface. Absent if the speed is not known
    /// for all of that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    percent_of_speed: Option<f64>,
}

/// Whether the values of a field are interfaces.
pub(crate) const fn are_interfaces(field: Field) -> bool {
    matches!(field, Field::InputInterface | Field::OutputInterface)
}

impl Api {
    /// The interfaces of the sender that an answer is about, if it names values of one of these fields.
    pub(crate) fn interface_names(
        &self,
        naming: &Naming,
        selected: &Selected,
        mut fields: impl Iterator<Item = Field>,
    ) -> InterfaceNames {
        let router = selected.addresses().next().filter(|_| selected.len() == 1);
        let is_wanted = naming.is_wanted() && fields.any(are_interfaces);
        match (&self.collector, router) {
            (Some((view, _)), Some(router)) if is_wanted => InterfaceNames(view.interfaces(router)),
            _ => InterfaceNames::default(),
        }
    }
}

impl InterfaceNames {
    /// What the interface of a counter was called in a range of time, the oldest first.
    fn valid(&self, Name { field, value }: Name, range: Range) -> impl Iterator<Item = &Interface> {
        let index = match value {
            Value::Number(number) if are_interfaces(field) => Some(number),
            _ => None,
        };
        let (from, to) = (range.from.timestamp(), range.to.timestamp());
        let overlaps =
            move |interface: &&Interface| interface.since < to && interface.until.is_none_or(|until| until > from);
        self.0.iter().filter(move |interface| Some(interface.index) == index).filter(overlaps)
    }

    /// Adds its name to those of other values: all of them, if it changed.
    pub(crate) fn add(&self, name: Name, range: Range, names: &mut NamesView) {
        let mut listed: Vec<&str> = Vec::new();
        for interface in self.valid(name, range) {
            let text = interface.name.as_ref().or(interface.description.as_ref());
            listed.extend(text.map(String::as_str).filter(|text| listed.last() != Some(text)));
        }
        if !listed.is_empty() {
            names.insert(name.field.name(), Cow::Owned(listed.join(", then ")));
        }
    }

    /// What it was called in a range of time, the oldest first.
    pub(crate) fn listed(&self, name: Name, range: Range) -> Vec<Interface> {
        self.valid(name, range).cloned().collect()
    }

    /// What is known of it, with the share of its speed that these bytes took.
    pub(crate) fn of(&self, name: Name, range: Range, bytes: u64) -> OfInterface {
        OfInterface {
            interfaces: self.listed(name, range),
            percent_of_speed: self.percent_of_speed(name, range, bytes),
        }
    }

    /// The mean rate of these bytes in percent of its speed, if that was the same all the time.
    pub(crate) fn percent_of_speed(&self, name: Name, range: Range, bytes: u64) -> Option<f64> {
        let mut valid = self.valid(name, range).peekable();
        let speed = valid.peek()?.speed?;
        let mut at = Timestamp::default();
        for interface in valid {
            if interface.speed != Some(speed) || (at != Timestamp::default() && interface.since != at) {
                return None;
            }
            at = interface.until.unwrap_or_default();
        }
        // What is not over yet has no bytes.
        let minutes = Range { to: range.to.min(now()), ..range }.minutes().max(1);
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
        let percent = bytes as f64 * 8.0 / (f64::from(minutes) * 60.0) / speed as f64 * 100.0;
        Some((percent * 100.0).round() / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use accounting::period::Minute;

    use super::*;

    fn interface(name: &str, speed: Option<u64>, since: u32, until: Option<u32>) -> Interface {
        Interface {
            index: 5,
            name: Some(name.to_owned()),
            description: None,
            speed,
            source: "snmp",
            since: Minute::new(since).timestamp(),
            until: until.map(|until| Minute::new(until).timestamp()),
        }
    }

    fn range(from: u32, to: u32) -> Range {
        Range { from: Minute::new(from), to: Minute::new(to) }
    }

    #[test]
    fn a_renumbered_index_has_the_name_of_the_time_and_both_where_it_changed() {
        let names = InterfaceNames(vec![interface("a", Some(1), 10, Some(20)), interface("b", Some(1), 20, None)]);
        let called = |range, name: &str| {
            let mut called = NamesView::new();
            names.add(name.parse().unwrap(), range, &mut called);
            called.into_values().next().map(Cow::into_owned)
        };
        for (range, expected) in [
            (range(0, 10), None),
            (range(0, 11), Some("a")),
            (range(19, 20), Some("a")),
            (range(20, 30), Some("b")),
            (range(19, 21), Some("a, then b")),
        ] {
            assert_eq!(called(range, "outif:5").as_deref(), expected, "{range}");
        }
        for other in ["inif:6", "dstport:5", "all", "srcip:0.0.0.5"] {
            assert_eq!(called(range(19, 21), other), None, "{other}");
        }
    }

    #[test]
    fn the_share_of_the_speed_is_known_if_the_speed_is_the_same_all_the_time() {
        let name: Name = "inif:5".parse().unwrap();
        let percent = |interfaces: &[Interface], range| {
            InterfaceNames(interfaces.to_vec()).percent_of_speed(name, range, 60_000_000)
        };
        let one = interface("a", Some(80_000_000), 10, Some(20));
        // 60 MB in a minute are 8 Mbit/s.
        assert_eq!(percent(std::slice::from_ref(&one), range(10, 11)), Some(10.0));
        assert_eq!(percent(std::slice::from_ref(&one), range(10, 20)), Some(1.0));
        let same = interface("b", Some(80_000_000), 20, None);
        assert_eq!(percent(&[one.clone(), same.clone()], range(15, 25)), Some(1.0));
        for (other, why) in [
            (interface("b", Some(90_000_000), 20, None), "another speed"),
            (interface("b", None, 20, None), "no speed"),
            (interface("b", Some(80_000_000), 21, None), "a gap"),
        ] {
            assert_eq!(percent(&[one.clone(), other], range(15, 25)), None, "{why}");
        }
        assert_eq!(percent(&[], range(10, 11)), None);
    }
}
