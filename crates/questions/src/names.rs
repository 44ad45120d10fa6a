//! What values are called: `https` beside 443, for questions with `names=1`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use archive::scan::Key;
use columns::{Id, Value as Stored};

/// The names of values under the column or key that has the value. Values without a name are left out.
pub type Names = BTreeMap<Cow<'static, str>, Cow<'static, str>>;

/// The names of the values of a group. Ports have those of its protocol, if it has one.
pub(crate) fn of_group(keys: &[Key], values: &[Stored]) -> Names {
    let values = || keys.iter().zip(values);
    let number_of = |wanted: Id| {
        values().find_map(|(key, value)| match (key, value) {
            (Key::Column(id), Stored::Number(number)) if *id == wanted => Some(*number),
            _ => None,
        })
    };
    let named = values().filter_map(|(key, value)| match (key, value) {
        (Key::Column(id), Stored::Number(number)) => Some((key, name(*id, *number, number_of)?)),
        _ => None,
    });
    named.map(|(key, name)| (Cow::Owned(key.to_string()), Cow::Borrowed(name))).collect()
}

/// The names of the values of these columns of a flow.
pub(crate) fn of_row(columns: &[Id], value: impl Fn(Id) -> Stored) -> Names {
    let number_of = |id: Id| if let Stored::Number(number) = value(id) { Some(number) } else { None };
    let named = columns.iter().filter_map(|id| Some((id.column().name, name(*id, number_of(*id)?, number_of)?)));
    named.map(|(column, name)| (Cow::Borrowed(column), Cow::Borrowed(name))).collect()
}

fn name(id: Id, number: u64, number_of: impl Fn(Id) -> Option<u64>) -> Option<&'static str> {
    id.name_of(number, id.protocol_of_port().and_then(number_of))
}
