//! The senders that an answer is about: one, or a group whose counters are added up.
//!
//! A group is what the parameter `sender` selects of the registered senders, as far as the key is valid for them. Those that
//! neither monitor the prefix nor have counters of it in the time asked about take no part in the answer.

use std::collections::BTreeSet;
use std::net::IpAddr;

use flow::{Prefix, SenderSelection, SenderWord};
use storage::{InForce, Sender};

use crate::Api;
use crate::auth::KeySenders;
use crate::error::Error;
use crate::parameters::{Parameters, problem};
use crate::routes::unknown_sender;

/// How much more of the store a question about a group may read than one about a single sender.
const MOST_TIMES: usize = 8;

/// Registered senders; or one that is not, of which counters may be stored.
pub(crate) struct Selected {
    /// As the question selects them.
    text: String,
    is_group: bool,
    is_registered: bool,
    /// By address.
    senders: Vec<Sender>,
}

/// Those of them that take part in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) is_group: bool,
    /// By address.
    pub(crate) senders: Vec<IpAddr>,
    /// The prefixes of theirs whose counters are in the answer; those of each are sorted.
    pub(crate) prefixes: Vec<(IpAddr, Prefix)>,
    /// Those that counted something in the time of the question.
    pub(crate) counted: BTreeSet<IpAddr>,
}

impl Api {
    /// The sender. One that was removed keeps its counters, so that an answer decides whether it is known.
    pub(crate) async fn one(&self, address: IpAddr) -> Result<Selected, Error> {
        let registered = self.sender(address).await?;
        let is_registered = registered.is_some();
        let sender = registered.unwrap_or_else(|| Sender::new(address, None));
        Ok(Selected { text: address.to_string(), is_group: false, is_registered, senders: vec![sender] })
    }

    /// The senders that the parameter `sender` selects, for a key with these limits.
    pub(crate) async fn selected(
        &self,
        parameters: &Parameters,
        limits: Option<&KeySenders>,
    ) -> Result<Selected, Error> {
        let selection: SenderSelection = parameters.read("sender")?.ok_or_else(|| {
            problem("sender", "is missing: add sender=all, sender=tag:edge or sender=192.0.2.1,192.0.2.2 to the query")
        })?;
        for word in selection.words() {
            if let (SenderWord::Address(address), Some(limits)) = (word, limits) {
                limits.permit(*address)?;
            }
        }
        if let Some(address) = selection.single() {
            return self.one(address).await;
        }
        let InForce { mut senders, .. } = self.in_force().await?;
        senders.retain(|sender| limits.is_none_or(|limits| limits.include(sender.address)));
        for word in selection.words() {
            if !senders.iter().any(|sender| word.selects(sender.address, &sender.tags)) {
                return Err(nothing_selected(word));
            }
        }
        let is_selected =
            |sender: &Sender| selection.words().iter().any(|word| word.selects(sender.address, &sender.tags));
        senders.retain(is_selected);
        Ok(Selected { text: selection.to_string(), is_group: true, is_registered: true, senders })
    }
}

fn nothing_selected(word: &SenderWord) -> Error {
    match word {
        SenderWord::Address(address) => unknown_sender(*address),
        SenderWord::Tagged(tag) => Error::NotFound(format!(
            "no sender that this key is valid for has the tag {tag}: PUT /senders/<address> with \"tags\" sets tags"
        )),
        SenderWord::All => Error::NotFound(
            "no sender that this key is valid for is registered: PUT /senders/<address> registers one".into(),
        ),
    }
}

impl Selected {
    /// As the question selects them.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_group(&self) -> bool {
        self.is_group
    }

    /// How many they are; at least one.
    pub(crate) fn len(&self) -> usize {
        self.senders.len()
    }

    /// The senders with their prefixes.
    pub(crate) fn senders(&self) -> &[Sender] {
        &self.senders
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'_> {
        self.senders.iter().map(|sender| sender.address)
    }

    /// Refuses a question that reads this many parts of each sender, if that is too much for a group. `most` is what one of a
    /// single sender may read.
    pub(crate) fn limit(&self, parts: usize, of: &str, most: usize) -> Result<(), Error> {
        let (all, most) = (parts.saturating_mul(self.len()), most_of_several(most));
        if self.len() == 1 || all <= most {
            return Ok(());
        }
        Err(Error::TooMuch(format!(
            "{parts} {of} of each of {} senders are {all} to read, more than {most}: request fewer {of}, or of fewer senders",
            self.len()
        )))
    }

    /// Those that take part in an answer about a prefix.
    pub(crate) fn parts(&self, prefix: Prefix, counted: BTreeSet<IpAddr>) -> Parts {
        let takes_part =
            |sender: &&Sender| !self.is_group || sender.prefixes.contains(&prefix) || counted.contains(&sender.address);
        let senders: Vec<_> = self.senders.iter().filter(takes_part).map(|sender| sender.address).collect();
        let prefixes = senders.iter().map(|sender| (*sender, prefix)).collect();
        Parts { is_group: self.is_group, senders, prefixes, counted }
    }

    /// Fails when the only one is not registered: for answers without counters.
    pub(crate) fn registered(&self) -> Result<(), Error> {
        match self.senders.as_slice() {
            [sender] if !self.is_registered => Err(unknown_sender(sender.address)),
            _ => Ok(()),
        }
    }

    /// Fails when none of them monitors the prefix: for answers without counters, which are right for a monitored prefix.
    pub(crate) fn monitor(&self, prefix: Prefix) -> Result<(), Error> {
        const LISTED: usize = 10;
        self.registered()?;
        if self.senders.iter().any(|sender| sender.prefixes.contains(&prefix)) {
            return Ok(());
        }
        let prefixes: BTreeSet<Prefix> = self.senders.iter().flat_map(|sender| &sender.prefixes).copied().collect();
        let mut listed: Vec<_> = prefixes.iter().take(LISTED).map(ToString::to_string).collect();
        if prefixes.len() > LISTED {
            listed.push(format!("and {} more", prefixes.len() - LISTED));
        }
        let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
        let (of, their) = match self.is_group {
            false => (self.text.clone(), "its"),
            true => (format!("any of these senders ({})", self.text), "their"),
        };
        Err(Error::NotFound(format!(
            "{prefix} is not a monitored prefix of {of} and has no counters for that time; {their} prefixes are: {listed}"
        )))
    }
}

/// How much of the store a question about several counters may read, if one about a single one may read `most`.
pub(crate) const fn most_of_several(most: usize) -> usize {
    most.saturating_mul(MOST_TIMES)
}

impl Parts {
    /// For the answer about a group.
    pub(crate) fn view(&self) -> Option<Vec<String>> {
        self.is_group.then(|| self.senders.iter().map(ToString::to_string).collect())
    }
}
