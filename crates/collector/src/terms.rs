//! The terms by which datagrams are counted, as the journal keeps them: the monitored prefixes and settings of the sender,
//! and the settings that a reload can change. A start counts each datagram of an earlier run by the terms of its time, whatever
//! is registered now.
//!
//! The datagrams of a relay are counted by its own terms and those of the exporters that they name. An exporter without terms
//! was not registered.
//!
//! They are lines of text: a keyword, and its values.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use accounting::tally::{GroupId, Monitored, OwnNetworks};
use flow::{Prefix, SenderSettings};
use pipeline::{Registered, Registration, Rules, Snapshot};

const SCALE_SAMPLES: &str = "calculateSamples";
const CLOCK_LIMIT: &str = "clockLimitNanoseconds";
const SENDER: &str = "sender";
const OWN: &str = "own";
const PREFIXES: &str = "prefixes";

/// The terms of an exporter that relays name and that is no longer registered.
const UNREGISTERED: &[u8] = b"unregistered";

/// The terms for the journal.
pub(crate) fn encode(registration: Option<&Registration>, rules: &Rules) -> Vec<u8> {
    let Some(Registration { monitored, settings }) = registration else { return UNREGISTERED.to_vec() };
    let (scale_samples, clock_limit) = (rules.scale_samples, rules.clock_limit.as_nanos());
    let mut text = format!("{SCALE_SAMPLES} {scale_samples}\n{CLOCK_LIMIT} {clock_limit}\n");
    // Writing to a string cannot fail.
    if *settings != SenderSettings::default() {
        let _ = writeln!(text, "{SENDER} {settings}");
    }
    if let Some(own) = monitored.own().prefixes() {
        text.push_str(OWN);
        put_prefixes(&mut text, own);
        text.push('\n');
    }
    text.push_str(PREFIXES);
    put_prefixes(&mut text, monitored.prefixes().iter().map(|(prefix, _)| prefix));
    text.into_bytes()
}

fn put_prefixes<'p>(text: &mut String, prefixes: impl IntoIterator<Item = &'p Prefix>) {
    for prefix in prefixes {
        let _ = write!(text, " {prefix}");
    }
}

fn read_prefixes(text: &str) -> Option<Vec<Prefix>> {
    text.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()
}

/// Terms as the journal states them.
pub(crate) struct StatedTerms {
    pub(crate) prefixes: Vec<Prefix>,
    pub(crate) own: OwnNetworks,
    pub(crate) settings: SenderSettings,
    pub(crate) rules: Rules,
}

/// `None` if [`encode`] has not written this.
pub(crate) fn decode(octets: &[u8], mut rules: Rules) -> Option<StatedTerms> {
    let (mut prefixes, mut own, mut settings) = (None, OwnNetworks::default(), SenderSettings::default());
    for line in std::str::from_utf8(octets).ok()?.lines() {
        match line.split_once(' ').unwrap_or((line, "")) {
            (SCALE_SAMPLES, value) => rules.scale_samples = value.parse().ok()?,
            (CLOCK_LIMIT, value) => rules.clock_limit = Duration::from_nanos(value.parse().ok()?),
            (SENDER, values) => settings = values.parse().ok()?,
            (OWN, values) => own = OwnNetworks::stated(&read_prefixes(values)?),
            (PREFIXES, values) => prefixes = Some(read_prefixes(values)?),
            _ => return None,
        }
    }
    Some(StatedTerms { prefixes: prefixes?, own, settings, rules })
}

/// Terms that were found in the journal.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) registration: Arc<Registration>,
    pub(crate) rules: Rules,
}

/// The octets of terms, and their meaning; `None` if they cannot be read.
type Known = (Box<[u8]>, Option<Terms>);

/// All terms found in the journal so far, each made once.
pub(crate) struct FoundTerms {
    registered: Arc<Snapshot>,
    rules: Rules,
    next: GroupId,
    known: HashMap<IpAddr, Vec<Known>>,
}

impl FoundTerms {
    /// Nothing found yet. Senders and rules are those of the start.
    pub(crate) fn new(registered: Arc<Snapshot>, rules: Rules) -> Self {
        let ids = registered.values().flat_map(|sender| sender.monitored.prefixes()).map(|(_, GroupId(id))| id + 1);
        Self { next: GroupId(ids.max().unwrap_or(0)), registered, rules, known: HashMap::new() }
    }

    /// The terms of a datagram of this sender; `None` if they cannot be read: then those of the start have to do.
    pub(crate) fn get(&mut self, sender: IpAddr, octets: &[u8]) -> Option<&Terms> {
        let known = self.known.entry(sender).or_default();
        let position = known.iter().position(|(of, _)| **of == *octets).unwrap_or(known.len());
        if position == known.len() {
            let found = decode(octets, self.rules).map(|StatedTerms { prefixes, own, settings, rules }| {
                let stated = Registered { address: sender, prefixes: &prefixes, settings };
                let now = self
                    .registered
                    .get(&sender)
                    .filter(|now| now.is(&stated) && *now.monitored.own() == own)
                    .map(Arc::clone);
                let registration = now.unwrap_or_else(|| {
                    let groups: Vec<_> = prefixes.iter().copied().zip((self.next.0..).map(GroupId)).collect();
                    self.next.0 += groups.len() as u32;
                    let monitored = Monitored::new(sender, &groups).with_own(own);
                    Arc::new(Registration { monitored, settings })
                });
                Terms { registration, rules }
            });
            known.push((octets.into(), found));
        }
        known.get(position)?.1.as_ref()
    }

    /// The registration of an exporter for which a datagram counts: its sender, with the terms of the datagram, or one that
    /// the datagram names, with the octets of its own terms.
    pub(crate) fn registered_then(
        &mut self,
        exporter: IpAddr,
        sender: IpAddr,
        stated: Option<&Terms>,
        named: Option<&[u8]>,
    ) -> Option<Arc<Registration>> {
        match stated {
            Some(stated) if exporter == sender => Some(Arc::clone(&stated.registration)),
            Some(_) => self.of_named(exporter, named),
            None => self.registered.get(&exporter).map(Arc::clone),
        }
    }

    /// Forgets the terms of an exporter.
    pub(crate) fn forget(&mut self, exporter: IpAddr) {
        self.known.remove(&exporter);
    }

    /// Forgets all but the newest two terms of each exporter: while they change, shards may have either.
    pub(crate) fn forget_old(&mut self) {
        for known in self.known.values_mut() {
            known.drain(..known.len().saturating_sub(2));
        }
    }

    /// The registration of an exporter that a relay's datagram names, by its terms; `None` if it was not registered.
    fn of_named(&mut self, exporter: IpAddr, octets: Option<&[u8]>) -> Option<Arc<Registration>> {
        let octets = octets.filter(|octets| *octets != UNREGISTERED)?;
        let stated = self.get(exporter, octets).map(|terms| &terms.registration);
        stated.map(Arc::clone).or_else(|| self.registered.get(&exporter).map(Arc::clone))
    }
}
