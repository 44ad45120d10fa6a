//! The options data of an exporter: the newest record of each scope, for queries. Interface names, samplers, VRFs,
//! applications and statistics of the exporting process (RFC 7011, section 4; RFC 7270; vendors' own) are in them. They are
//! not interpreted here, but in `sampling` and `type_information`.
//!
//! **Invariant:** a record of a known scope allocates nothing while its length stays the same, except one of a table of
//! interfaces whose scope is the exporter. No more is stored than
//! [`RECORDS_KEPT`] and [`OCTETS_KEPT`] allow.

use flow::Timestamp;
use hashbrown::HashMap;

use crate::datagram::Message;
use crate::interfaces;
use crate::template::Template;
use crate::template_store::TemplateKey;

/// How many records of one exporter address are stored.
pub(crate) const RECORDS_KEPT: usize = 2048;
/// How many octets they may have in total, without scopes.
const OCTETS_KEPT: usize = 256 * 1024;

/// The newest record of a scope.
#[derive(Clone, Debug)]
pub(crate) struct OptionsRecord {
    /// The message that it came in.
    pub(crate) message: Message,
    pub(crate) octets: Box<[u8]>,
}

/// The options data of one exporter address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// By template, then by the content of the scope fields.
    templates: HashMap<TemplateKey, HashMap<Box<[u8]>, OptionsRecord>>,
    records: usize,
    octets: usize,
    refused: u64,
    /// How often a record was added or differed from the one before.
    changes: u64,
    /// When the last record was received.
    last: Timestamp,
}

impl Options {
    /// Stores a record of an options template.
    pub(crate) fn note(&mut self, message: &Message, template: &Template, record: &[u8]) {
        let (key, scope) = (TemplateKey::of(message, template.id()), template.scope(record));
        self.last = self.last.max(message.received);
        // The scope of a table of interfaces may be the whole exporter.
        let extended = interfaces::index_beside_scope(template, record).map(|index| [scope, index].concat());
        let scope = extended.as_deref().unwrap_or(scope);
        if let Some(kept) = self.templates.get_mut(&key).and_then(|records| records.get_mut(scope)) {
            kept.message = *message;
            self.changes += u64::from(*kept.octets != *record);
            if kept.octets.len() == record.len() {
                kept.octets.copy_from_slice(record);
            } else if self.octets - kept.octets.len() + record.len() <= OCTETS_KEPT {
                self.octets = self.octets - kept.octets.len() + record.len();
                kept.octets = record.into();
            } else {
                self.refused += 1;
            }
            return;
        }
        if self.records >= RECORDS_KEPT || self.octets + record.len() > OCTETS_KEPT {
            self.refused += 1;
            return;
        }
        self.records += 1;
        self.changes += 1;
        self.octets += record.len();
        let kept = OptionsRecord { message: *message, octets: record.into() };
        self.templates.entry(key).or_default().insert(scope.into(), kept);
    }

    /// Removes the records of a template, whose id now describes others.
    pub(crate) fn forget(&mut self, key: &TemplateKey) {
        let records = self.templates.remove(key).unwrap_or_default();
        self.records -= records.len();
        self.octets -= records.values().map(|kept| kept.octets.len()).sum::<usize>();
    }

    /// All records with the ids of their templates, by template and scope.
    pub(crate) fn sorted(&self) -> Vec<(u16, &OptionsRecord)> {
        let records = self.templates.iter().flat_map(|(key, records)| records.iter().map(move |it| (key, it)));
        let mut sorted: Vec<_> = records.collect();
        sorted.sort_unstable_by_key(|(key, (scope, _))| (key.protocol, key.domain, key.id, *scope));
        sorted.into_iter().map(|(key, (_, kept))| (key.id, kept)).collect()
    }

    /// How often a record was added or differed from the one before, and when the last one was received.
    pub(crate) const fn state(&self) -> (u64, Timestamp) {
        (self.changes, self.last)
    }

    /// Records for which there was no room.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use flow::{Exporter, Protocol, Timestamp};

    use super::*;
    use crate::field_specifier::{FieldSpecifier, Numbering, TemplateKind};

    fn message() -> Message {
        let at = Timestamp::from_seconds(1);
        Message {
            protocol: Protocol::Ipfix,
            exporter: Exporter::udp(std::net::Ipv4Addr::LOCALHOST.into(), 1),
            received: at,
            exported: at,
            domain: 0,
            sequence: 0,
            uptime: None,
        }
    }

    /// Scope of four octets, then a number of two.
    fn template() -> Template {
        let fields = [FieldSpecifier::iana(10, 4), FieldSpecifier::iana(48, 2)];
        Template::compile(256, TemplateKind::Options { scope_fields: 1 }, Numbering::Ipfix, &fields).unwrap()
    }

    fn record(scope: u32, number: u16) -> Vec<u8> {
        [scope.to_be_bytes().as_slice(), &number.to_be_bytes()].concat()
    }

    #[test]
    fn the_newest_record_of_a_scope_replaces_the_others() {
        let mut options = Options::default();
        for (scope, number) in [(2, 20), (1, 10), (2, 21)] {
            options.note(&message(), &template(), &record(scope, number));
        }
        let kept: Vec<_> = options.sorted().into_iter().map(|(id, kept)| (id, kept.octets.to_vec())).collect();
        assert_eq!(kept, [(256, record(1, 10)), (256, record(2, 21))]);
        options.forget(&TemplateKey::of(&message(), 256));
        assert_eq!((options.sorted().len(), options.records, options.octets), (0, 0, 0));
    }

    #[test]
    fn no_more_records_are_stored_than_the_limit_and_known_ones_are_still_updated() {
        let mut options = Options::default();
        for scope in 0..3000 {
            options.note(&message(), &template(), &record(scope, 1));
        }
        options.note(&message(), &template(), &record(7, 2));
        assert_eq!((options.sorted().len(), options.refused()), (RECORDS_KEPT, 3000 - RECORDS_KEPT as u64));
        assert!(options.sorted().iter().any(|(_, kept)| *kept.octets == *record(7, 2)));
    }
}
