//! What values are called: `https` beside 443, a network of the operator beside an address, for questions with `names=1`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use ::names::AsNames;
use archive::scan::Key;
use columns::{Id, Value as Stored};
use flow::{Country, Networks, Prefix};

/// The names of values under the column or key that has the value. Values without a name are left out.
pub type Names = BTreeMap<Cow<'static, str>, Cow<'static, str>>;

/// Who knows the names of values; `None` for an answer without names.
pub(crate) type Namer = Option<Arc<dyn AsNames>>;

/// The names of the values of a group. Ports have those of its protocol, if it has one.
pub(crate) fn of_group(namer: &Namer, keys: &[Key], values: &[Stored], networks: &Networks) -> Names {
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
        (Key::Column(_), Stored::Country(country)) => Some((key, of_country(*country)?)),
        (Key::Column(_), Stored::Address(address)) => Some((key, Cow::Owned(networks.label(*address)?))),
        (Key::Prefix(_, v4, v6), Stored::Address(address)) => {
            let prefix = Prefix::around(*address, if address.is_ipv4() { *v4 } else { *v6 })?;
            Some((key, Cow::Owned(networks.around_prefix(prefix)?.label()?)))
        }
        _ => None,
    });
    named.map(|(key, name)| (Cow::Owned(key.to_string()), name)).collect()
}

/// The names of the values of these columns of a flow.
pub(crate) fn of_row(namer: &Namer, columns: &[Id], value: impl Fn(Id) -> Stored, networks: &Networks) -> Names {
    let Some(of_as) = namer else { return Names::new() };
    let number_of = |id: Id| if let Stored::Number(number) = value(id) { Some(number) } else { None };
    let named = |id: &Id| match value(*id) {
        Stored::Number(number) => name(*id, number, number_of, &**of_as),
        Stored::Country(country) => of_country(country),
        Stored::Address(address) => networks.label(address).map(Cow::Owned),
        _ => None,
    };
    columns.iter().filter_map(|id| Some((Cow::Borrowed(id.column().name), named(id)?))).collect()
}

fn of_country(country: Option<Country>) -> Option<Cow<'static, str>> {
    ::names::country(country?.as_str()).map(Cow::Borrowed)
}

fn name(id: Id, number: u64, number_of: impl Fn(Id) -> Option<u64>, of_as: &dyn AsNames) -> Option<Cow<'static, str>> {
    if id.is_as() {
        return Some(Cow::Owned(of_as.of_as(u32::try_from(number).ok()?)?.to_owned()));
    }
    id.name_of(number, id.protocol_of_port().and_then(number_of)).map(Cow::Borrowed)
}
