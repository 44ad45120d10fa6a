//! Names beside the numbers of an answer, if a request asks for them: `names=1`. They are an object, in which each name is
//! under the field that it is a value of, so that fields of any kind can have names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use accounting::field::{Field, Name, Value};
use accounting::range::Range;
use flow::{Networks, Prefix};
use names::{AsNames, NoAsNames};
use utoipa::IntoParams;
use utoipa::openapi::schema::Object;

use crate::Api;
use crate::error::Error;
use crate::interface_names::InterfaceNames;
use crate::parameters::Parameters;
use crate::parameters::documentation::one_of;
use crate::selected::Selected;

/// What values are called, by their fields; left out of an answer if there is nothing in it.
pub(crate) type NamesView = BTreeMap<&'static str, Cow<'static, str>>;

/// Whether an answer has names, and those of networks.
#[derive(Clone, Debug)]
pub(crate) struct Naming(Option<Arc<Networks>>);

const WORDS: [(&str, bool); 2] = [("0", false), ("1", true)];

/// The parameter.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is derived of it is all that is used")]
pub(crate) struct OfNaming {
    /// 1 for the names of protocols, ports, AS, countries and interfaces beside their numbers, and of networks beside addresses; default: 0
    #[param(schema_with = words)]
    names: Option<String>,
}

fn words() -> Object {
    one_of(WORDS.map(|(word, _)| word))
}

impl Naming {
    /// Without names.
    pub(crate) const NONE: Self = Self(None);

    /// What a query asks for.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self, Error> {
        let is_wanted = parameters.one_of("names", &WORDS)?.unwrap_or_default();
        Ok(Self(is_wanted.then(|| Arc::clone(parameters.networks()))))
    }

    /// Whether the answer has names.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// What the value of a counter is called.
    fn of(&self, name: Name, of_as: &dyn AsNames) -> NamesView {
        let Some(networks) = &self.0 else { return NamesView::new() };
        let known = name.value_name().map(Cow::Borrowed);
        let named = known.or_else(|| match (name.field, name.value) {
            (Field::SourceAs | Field::DestinationAs, Value::Number(asn)) => {
                Some(Cow::Owned(of_as.of_as(asn)?.to_owned()))
            }
            (_, Value::Address(address)) => networks.label(address).map(Cow::Owned),
            (_, Value::Number(_)) => None,
        });
        named.map(|value| (name.field.name(), value)).into_iter().collect()
    }

    /// What the innermost network around a prefix is called.
    pub(crate) fn of_prefix(&self, prefix: Prefix) -> Option<String> {
        self.0.as_ref()?.around_prefix(prefix)?.label()
    }
}

/// What the values in an answer are called.
#[derive(Clone, Debug)]
pub(crate) struct ValueNames {
    naming: Naming,
    of_as: Arc<dyn AsNames>,
    pub(crate) interfaces: InterfaceNames,
}

impl ValueNames {
    /// What the value of a counter was called in a range of time.
    pub(crate) fn of(&self, name: Name, range: Range) -> NamesView {
        let mut names = self.naming.of(name, &*self.of_as);
        self.interfaces.add(name, range, &mut names);
        names
    }
}

impl Api {
    /// What values of these fields are called, in an answer about these senders.
    pub(crate) fn value_names(
        &self,
        naming: &Naming,
        selected: &Selected,
        fields: impl Iterator<Item = Field>,
    ) -> ValueNames {
        let interfaces = self.interface_names(naming, selected, fields);
        ValueNames { naming: naming.clone(), of_as: self.as_names(), interfaces }
    }

    /// What AS are called at present.
    pub(crate) fn as_names(&self) -> Arc<dyn AsNames> {
        self.collector.as_ref().map_or_else(|| Arc::new(NoAsNames) as Arc<dyn AsNames>, |(view, _)| view.as_names())
    }
}
