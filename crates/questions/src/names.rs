//! What values are called: `https` beside 443, for questions with `names=1`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use ::names::AsNames;
use archive::scan::Key;
use columns::{Id, Value as Stored};

/// The names of values under the column or key that has the value. Values without a name are left out.
pub type Names = BTreeMap<Cow<'static, str>, Cow<'static, str>>;

/// Who knows the names of values; `None` for an answer without names.
pub(crate) type Namer = Option<Arc<dyn AsNames>>;

/// The names of the values of a group. Ports have those of its protocol, if it has one.
pub(crate) fn of_group(namer: &Namer, keys: &[Key], values: &[Stored]) -> Names {
    let Some(of_as) = namer else { return Names::new() };
    let values = || keys.iter().zip(values);
    let number_of = |wanted: Id| {
        values().find_map(|(key, value)| match (key, value) {
            (Key::Column(id), Stored::Number(number)) if *id == wanted => Some(*number),
            _ => None,
        })
    };
    let named = values().filter_map(|(key, value)| match (key, value) {
        (Key::Column(id), Stored::Number(number)) => Some((key, name(*id, *number, number_of, &**of_as)?)),
        _ => None,
    });
    named.map(|(key, name)| (Cow::Owned(key.to_string()), name)).collect()
}

/// The names of the values of these columns of a flow.
pub(crate) fn of_row(namer: &Namer, columns: &[Id], value: impl Fn(Id) -> Stored) -> Names {
    let Some(of_as) = namer else { return Names::new() };
    let number_of = |id: Id| if let Stored::Number(number) = value(id) { Some(number) } else { None };
    let named = |id: &Id| Some((id.column().name, name(*id, number_of(*id)?, number_of, &**of_as)?));
    columns.iter().filter_map(named).map(|(column, name)| (Cow::Borrowed(column), name)).collect()
}

fn name(id: Id, number: u64, number_of: impl Fn(Id) -> Option<u64>, of_as: &dyn AsNames) -> Option<Cow<'static, str>> {
    if id.is_as() {
        return Some(Cow::Owned(of_as.of_as(u32::try_from(number).ok()?)?.to_owned()));
    }
    id.name_of(number, id.protocol_of_port().and_then(number_of)).map(Cow::Borrowed)
}
