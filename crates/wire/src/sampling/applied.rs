//! Which rate applies to which records, from which statement: for showing. Counting does not need it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use flow::{Exporter, Protocol, SamplingSource, Timestamp};

use super::{Place, Samplers, Scope, SetSource, Subject, domain_of};
use crate::datagram::Message;
use crate::field_specifier::TemplateKind;
use crate::ports::Ports;
use crate::template::Template;
use crate::template_store::{FoundTemplate, TemplateKey, TemplateStore};

/// How many samplers and parts of a domain are listed for one template.
const LISTED: usize = 64;

/// The rate of some records of a template that has described data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppliedRate {
    /// The protocol: NetFlow v9 or IPFIX.
    pub protocol: Protocol,
    /// The observation domain or source id.
    pub domain: u32,
    /// The UDP port that announced the template.
    pub port: u16,
    /// The template.
    pub template: u16,
    /// Only the records that name this sampler.
    pub sampler: Option<u64>,
    /// Only the records of this part of the domain.
    pub part: Option<Scope>,
    /// One of this many packets is sampled; `None` if each record gives its rate.
    pub rate: Option<u32>,
    /// One of this many flows is reported.
    pub flows: u16,
    /// Where the rate was found.
    pub source: SamplingSource,
    /// Whether the records may be sampled, and options data do not say at which rate: they name a sampler that there is
    /// nothing about, or several rates may be theirs.
    pub is_unknown: bool,
    /// What the rate was announced for, and by which port.
    pub statement: Option<AppliedStatement>,
}

/// A statement that applies to records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppliedStatement {
    /// The part of the domain that it is about, and the sampler; `None` if several statements have the same rate, and the
    /// records do not name what these are about.
    pub subject: Option<(Scope, Option<u64>)>,
    /// The UDP port that it came from.
    pub port: u16,
}

impl Samplers {
    /// The rates of all templates that have described data, by protocol, domain, port and template.
    pub(crate) fn applied(&self, ports: &Ports, templates: &TemplateStore) -> Vec<AppliedRate> {
        let is_data = |described: &FoundTemplate<'_>| described.template.kind() == TemplateKind::Data;
        let mut used: Vec<_> = templates.used().filter(|(_, _, described)| is_data(described)).collect();
        used.sort_unstable_by_key(|(key, _, described)| (key.protocol, key.domain, described.port, key.id));
        let of_template = |(key, used, described)| self.of_template(ports, templates, key, used, described);
        used.into_iter().flat_map(of_template).collect()
    }

    fn of_template(
        &self,
        ports: &Ports,
        templates: &TemplateStore,
        key: &TemplateKey,
        received: Timestamp,
        described: FoundTemplate<'_>,
    ) -> Vec<AppliedRate> {
        // Its data come from the same port, nearly always.
        let message = Message {
            protocol: key.protocol,
            exporter: Exporter::udp(IpAddr::V4(Ipv4Addr::UNSPECIFIED), described.port),
            received,
            exported: received,
            domain: key.domain,
            sequence: 0,
            uptime: None,
        };
        let source = SetSource { ports, templates, message: &message, described };
        let template = described.template;
        let applied = |sampler, part| AppliedRate {
            protocol: key.protocol,
            domain: key.domain,
            port: described.port,
            template: key.id,
            sampler,
            part,
            rate: None,
            flows: 1,
            source: SamplingSource::Record,
            is_unknown: false,
            statement: None,
        };
        let found = |(sampler, part): (Option<u64>, Option<Scope>)| {
            let named = template.names_sampler().then(|| sampler.unwrap_or_default());
            let place = Place::in_part(template, part);
            let found = self.find(&source, named, &place);
            let all = self.domains.get(&domain_of(&message)).into_iter().flatten();
            let mut possible = all.flat_map(|rates| rates.possible(&source, named, &place));
            let is_unknown = found.is_none() && (named.is_some() || possible.next().is_some());
            let statement = found.map(|(announcer, subject, _)| AppliedStatement {
                subject: subject.map(|Subject { scope, sampler }| (scope, sampler)),
                port: announcer.port,
            });
            let (rate, flows, source) = found.map_or((1, 1, SamplingSource::None), |(_, _, rate)| {
                (rate.packets, rate.flows, SamplingSource::Options)
            });
            AppliedRate { rate: Some(rate), flows, source, is_unknown, statement, ..applied(sampler, part) }
        };
        let by_record = Some(applied(None, None)).filter(|_| !template.sampling().is_none());
        by_record.into_iter().chain(self.distinguished(&message, template).into_iter().map(found)).collect()
    }

    /// What distinguishes the records of a template: the samplers and parts of the domain that there are statements
    /// about, and the rest.
    fn distinguished(&self, message: &Message, template: &Template) -> Vec<(Option<u64>, Option<Scope>)> {
        let subjects = || {
            let all = self.domains.get(&domain_of(message)).into_iter().flatten();
            all.flat_map(|rates| rates.parts.keys().copied())
        };
        let samplers: BTreeSet<u64> = subjects()
            .filter_map(|subject| subject.sampler)
            .filter(|_| template.names_sampler())
            .take(LISTED)
            .collect();
        let parts: BTreeSet<Scope> = subjects()
            .map(|subject| subject.scope)
            .filter(|scope| match scope {
                Scope::Exporter(_) => template.plan().names_exporter(),
                scope => scope.is_place() && Place::in_part(template, Some(*scope)).scopes().any(|of| of == *scope),
            })
            .take(LISTED)
            .collect();
        let samplers = || samplers.iter().copied().map(Some).chain(samplers.is_empty().then_some(None));
        let of_parts = parts.iter().copied().map(Some).chain([None]);
        of_parts.flat_map(|part| samplers().map(move |sampler| (sampler, part))).take(LISTED).collect()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain => f.write_str("domain"),
            Self::Exporter(address) => write!(f, "exporter {address}"),
            Self::Other(number) => write!(f, "scope {number}"),
            Self::Template(id) => write!(f, "template {id}"),
            Self::LineCard(number) => write!(f, "line card {number}"),
            Self::ObservationPoint(number) => write!(f, "observation point {number}"),
            Self::OutputInterface(index) => write!(f, "output interface {index}"),
            Self::Interface(index) => write!(f, "interface {index}"),
        }
    }
}
