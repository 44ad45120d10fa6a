//! Names beside the numbers of an answer, if a request asks for them: `names=1`. They are an object, in which each name is
//! under the field that it is a value of, so that fields of any kind can have names.

use std::collections::BTreeMap;

use accounting::field::Name;
use utoipa::IntoParams;
use utoipa::openapi::schema::Object;

use crate::error::Error;
use crate::parameters::Parameters;
use crate::parameters::documentation::one_of;

/// What values are called, by their fields; left out of an answer if there is nothing in it.
pub(crate) type NamesView = BTreeMap<&'static str, &'static str>;

/// Whether an answer has names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    Numbers,
    Both,
}

const WORDS: [(&str, Naming); 2] = [("0", Naming::Numbers), ("1", Naming::Both)];

/// The parameter.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is derived of it is all that is used")]
pub(crate) struct OfNaming {
    /// 1 for the names of protocols and ports beside their numbers; default: 0
    #[param(schema_with = words)]
    names: Option<String>,
}

fn words() -> Object {
    one_of(WORDS.map(|(word, _)| word))
}

impl Naming {
    /// What a query asks for.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self, Error> {
        Ok(parameters.one_of("names", &WORDS)?.unwrap_or(Self::Numbers))
    }

    /// What the value of a counter is called.
    pub(crate) fn of(self, name: Name) -> NamesView {
        let named = name.value_name().filter(|_| self == Self::Both);
        named.map(|value| (name.field.name(), value)).into_iter().collect()
    }
}
