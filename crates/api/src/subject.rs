//! The counters that an answer is about: prefixes of senders, which are added up.
//!
//! A prefix counts what the prefixes in it count, so of several prefixes of a sender only those are added up that are in no
//! other of them. What a flow between two of these counts for each of them is in different directions.

use std::collections::BTreeSet;
use std::net::IpAddr;

use accounting::block::TableSet;
use accounting::range::Range;
use flow::{Networks, Prefix, PrefixSelection, PrefixWord};
use storage::{Question, Sender};

use crate::error::Error;
use crate::json::{Quoted, nearest};
use crate::parameters::problem;
use crate::selected::{Parts, Selected, most_of_several};

/// The prefixes that a question selects.
pub(crate) enum Prefixes {
    /// Whether it is monitored or was.
    One(Prefix),
    /// Of each sender those of these that it monitors.
    Several { text: String, listed: Option<BTreeSet<Prefix>> },
}

/// Selected senders with the prefixes that are asked of each.
pub(crate) struct Subject {
    selected: Selected,
    prefixes: Prefixes,
    asked: Vec<(IpAddr, Prefix)>,
}

impl Prefixes {
    /// Resolves the words of networks.
    pub(crate) fn of(selection: PrefixSelection, networks: &Networks) -> Result<Self, Error> {
        if let Some(prefix) = selection.single() {
            return Ok(Self::One(prefix));
        }
        let (text, mut listed) = (selection.to_string(), Some(BTreeSet::new()));
        for word in selection.words() {
            match word {
                PrefixWord::All => listed = None,
                PrefixWord::Prefix(prefix) => listed.iter_mut().for_each(|listed| listed.extend([*prefix])),
                PrefixWord::Network(word) => {
                    let mut called = networks.called(word.as_str()).peekable();
                    if called.peek().is_none() {
                        return Err(unknown_network(word.as_str(), networks));
                    }
                    listed.iter_mut().for_each(|listed| listed.extend(called.by_ref()));
                }
            }
        }
        Ok(Self::Several { text, listed })
    }

    /// The only one, if nothing is added up.
    pub(crate) fn single(&self) -> Option<Prefix> {
        match self {
            Self::One(prefix) => Some(*prefix),
            Self::Several { .. } => None,
        }
    }

    fn of_sender(&self, sender: &Sender) -> Vec<Prefix> {
        match self {
            Self::One(prefix) => vec![*prefix],
            Self::Several { listed, .. } => {
                let is_listed = |prefix: &Prefix| listed.as_ref().is_none_or(|listed| listed.contains(prefix));
                outermost(sender.prefixes.iter().copied().filter(is_listed)).collect()
            }
        }
    }
}

fn unknown_network(word: &str, networks: &Networks) -> Error {
    let words = networks.all().iter().flat_map(|network| network.words().map(|word| word.as_str()));
    let hint = match nearest(word, words.chain(["all"])) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => "use a prefix such as 172.16.1.0/24, or all".to_owned(),
    };
    problem("prefix", format_args!("no network has the word {}: {hint}", Quoted(word)))
}

/// Of sorted prefixes those that are in no other: their counters include those of the prefixes in them.
pub(crate) fn outermost(prefixes: impl Iterator<Item = Prefix>) -> impl Iterator<Item = Prefix> {
    let mut around: Option<Prefix> = None;
    prefixes.filter(move |prefix| {
        // A prefix is before those in it, and everything between is in it, too.
        let is_inside = around.is_some_and(|around| around.contains(prefix.address()));
        if !is_inside {
            around = Some(*prefix);
        }
        !is_inside
    })
}

impl Subject {
    /// Fails when none of the senders monitors any of several prefixes.
    pub(crate) fn of(selected: Selected, prefixes: Prefixes) -> Result<Self, Error> {
        // Its prefixes are not known any more.
        if prefixes.single().is_none() {
            selected.registered()?;
        }
        let of_sender = |sender: &Sender| {
            let address = sender.address;
            prefixes.of_sender(sender).into_iter().map(move |prefix| (address, prefix))
        };
        let asked: Vec<_> = selected.senders().iter().flat_map(of_sender).collect();
        match &prefixes {
            Prefixes::Several { text, .. } if asked.is_empty() => Err(Error::NotFound(format!(
                "none of the selected senders ({}) monitors any of these prefixes: {text}",
                selected.text()
            ))),
            _ => Ok(Self { selected, prefixes, asked }),
        }
    }

    pub(crate) fn selected(&self) -> &Selected {
        &self.selected
    }

    /// The only prefix, if nothing but senders is added up.
    pub(crate) fn single_prefix(&self) -> Option<Prefix> {
        self.prefixes.single()
    }

    /// The prefixes as the question selects them.
    pub(crate) fn text(&self) -> String {
        match &self.prefixes {
            Prefixes::One(prefix) => prefix.to_string(),
            Prefixes::Several { text, .. } => text.clone(),
        }
    }

    /// Of several prefixes, those that are added up; for the answer.
    pub(crate) fn view(&self) -> Option<Vec<String>> {
        let listed = || self.asked.iter().map(|(_, prefix)| *prefix).collect::<BTreeSet<_>>();
        let is_single = self.single_prefix().is_some();
        (!is_single).then(|| listed().iter().map(ToString::to_string).collect())
    }

    /// How many counters are added up; at least one.
    pub(crate) fn len(&self) -> usize {
        self.asked.len()
    }

    /// What to ask for a sum of a range.
    pub(crate) fn questions(&self, range: Range, tables: TableSet) -> impl Iterator<Item = Question> + use<'_> {
        self.asked.iter().map(move |(sender, prefix)| Question { range, sender: *sender, prefix: *prefix, tables })
    }

    /// Refuses a question that reads this many parts of each counter, if that is too much. `most` is what one of a single
    /// counter may read.
    pub(crate) fn limit(&self, parts: usize, of: &str, most: usize) -> Result<(), Error> {
        if self.single_prefix().is_some() {
            return self.selected.limit(parts, of, most);
        }
        let (all, most) = (parts.saturating_mul(self.len()), most_of_several(most));
        if self.len() == 1 || all <= most {
            return Ok(());
        }
        Err(Error::TooMuch(format!(
            "{parts} {of} of {} prefixes of senders are {all} to read, more than {most}: request fewer {of}, or of fewer prefixes \
             or senders",
            self.len()
        )))
    }

    /// Those that take part in an answer.
    pub(crate) fn parts(&self, counted: BTreeSet<IpAddr>) -> Parts {
        if let Some(prefix) = self.single_prefix() {
            return self.selected.parts(prefix, counted);
        }
        let senders: BTreeSet<IpAddr> = self.asked.iter().map(|(sender, _)| *sender).collect();
        Parts {
            is_group: self.selected.is_group(),
            senders: senders.into_iter().collect(),
            prefixes: self.asked.clone(),
            counted,
        }
    }

    /// Fails when the only prefix is not monitored: for answers without counters.
    pub(crate) fn monitor(&self) -> Result<(), Error> {
        self.single_prefix().map_or(Ok(()), |prefix| self.selected.monitor(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_in_others_are_not_counted_twice() {
        let prefixes: Vec<Prefix> = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "::/0", "2001:db8::/32"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        assert!(prefixes.is_sorted(), "as those of senders are");
        let found: Vec<_> = outermost(prefixes.into_iter()).map(|prefix| prefix.to_string()).collect();
        assert_eq!(found, ["10.0.0.0/8", "192.0.2.0/24", "::/0"]);
    }
}
