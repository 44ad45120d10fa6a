//! The decoding state of one exporter, for the REST interface. Lists are truncated, because an exporter can fill large
//! tables, and its datagrams wait while they are read.

use view::{
    Ambiguities, AnnouncedRate, AppliedRate, Connections, Detail, ImplausibleRate, LeftOut, OptionsRecord, Pending,
    Sampling, Stream, Template, TemplateField, Unmatched,
};
use wire::{ConnectionCounts, ElementId, FieldSpecifier, KnownTemplate, Record, Scope, Session, TemplateKind};

use crate::exporter_stats::ExporterStats;

/// Maximum length of a list of an exporter's state.
pub const LISTED: usize = 500;

/// The whole detail except the unmatched flows and changes of rates, which are not part of statistics and session.
pub(crate) fn of(stats: &ExporterStats, session: &Session, is_multiplied: bool) -> Detail {
    let mut left_out = LeftOut::default();
    let mut known: Vec<_> = session.templates().collect();
    known.sort_by_key(|known| (known.protocol.name(), known.domain, known.port, known.template.id()));
    let templates = cut(known, &mut left_out.templates).iter().map(template).collect();
    let mut options = Vec::new();
    left_out.options = session.options(LISTED, &mut |record| options.extend(options_record(record)));
    let mut streams: Vec<_> = session.streams().collect();
    streams.sort_by_key(|(key, stream)| (key.protocol.name(), key.agent, key.domain, stream.port));
    let streams = cut(streams, &mut left_out.streams).into_iter().map(|(key, stream)| Stream {
        protocol: key.protocol.name(),
        domain: key.domain,
        agent: key.agent,
        port: stream.port,
        datagrams: stream.datagrams,
        lost: stream.lost,
        duplicates: stream.duplicates,
        late: stream.late,
        restarts: stream.restarts,
        strays: stream.strays,
    });
    let pending = cut(session.waiting_for(), &mut left_out.pending).into_iter().map(|waiting| Pending {
        protocol: waiting.protocol.name(),
        domain: waiting.domain,
        template: waiting.template,
        sets: waiting.sets,
        bytes: waiting.octets,
        since: waiting.since,
    });
    Detail {
        sampling: sampling(stats, session, is_multiplied, &mut left_out),
        templates,
        options,
        interfaces: Vec::new(),
        streams: streams.collect(),
        pending: pending.collect(),
        pending_sets: session.pending(),
        unmatched: Unmatched::default(),
        connections: connections(session),
        ambiguities: ambiguities(session),
        unreadable: stats.unreadable(),
        left_out,
    }
}

fn connections(session: &Session) -> Connections {
    let ConnectionCounts { tracked, most, deferred } = session.connections();
    Connections { tracked, most, deferred }
}

fn ambiguities(session: &Session) -> Ambiguities {
    let wire::Ambiguities { ingress, egress, out_counters_differ, translated, tunnelled, inner_unknown } =
        session.ambiguities();
    Ambiguities { ingress, egress, out_counters_differ, translated, tunnelled, inner_unknown }
}

/// The first entries of a list; sets `left_out` to the number of the others.
fn cut<T>(mut list: Vec<T>, left_out: &mut u64) -> Vec<T> {
    *left_out = list.len().saturating_sub(LISTED) as u64;
    list.truncate(LISTED);
    list
}

fn sampling(stats: &ExporterStats, session: &Session, multiplied: bool, left_out: &mut LeftOut) -> Sampling {
    let announced = cut(session.samplers(), &mut left_out.announced).into_iter().map(|sampler| AnnouncedRate {
        protocol: sampler.protocol.name(),
        domain: sampler.domain,
        port: sampler.port,
        scope: sampler.scope.to_string(),
        sampler: sampler.sampler,
        rate: sampler.rate,
        flows: sampler.flows,
        announced: sampler.announced,
    });
    Sampling {
        multiplied,
        rates: stats.rates(),
        announced: announced.collect(),
        applied: cut(session.applied_rates(), &mut left_out.applied).iter().map(applied).collect(),
        implausible: session.implausible_rates().map(implausible).collect(),
        changes: Vec::new(),
    }
}

fn applied(rate: &wire::AppliedRate) -> AppliedRate {
    AppliedRate {
        protocol: rate.protocol.name(),
        domain: rate.domain,
        port: rate.port,
        template: rate.template,
        sampler: rate.sampler,
        part: rate.part.map(|part| part.to_string()),
        rate: rate.rate,
        flows: rate.flows,
        source: rate.source.name(),
        unknown: rate.is_unknown,
        statement: rate.statement.map(|statement| match statement.subject {
            None => "only rate".to_owned(),
            Some((Scope::Domain, Some(sampler))) => format!("sampler {sampler}"),
            Some((scope, Some(sampler))) => format!("{scope}, sampler {sampler}"),
            Some((scope, None)) => scope.to_string(),
        }),
        announced_by: rate.statement.map(|statement| statement.port),
    }
}

fn implausible(rate: &wire::ImplausibleRate) -> ImplausibleRate {
    ImplausibleRate {
        protocol: rate.protocol.name(),
        domain: rate.domain,
        port: rate.port,
        template: rate.template,
        element: element_name(ElementId { enterprise: 0, id: rate.what.element }),
        value: rate.what.value,
        records: rate.records,
        last: rate.last,
    }
}

fn template(known: &KnownTemplate<'_>) -> Template {
    let (kind, scope_fields) = match known.template.kind() {
        TemplateKind::Data => ("data", 0),
        TemplateKind::Options { scope_fields } => ("options", usize::from(scope_fields)),
    };
    let fields = known.template.fields().iter().enumerate();
    Template {
        protocol: known.protocol.name(),
        domain: known.domain,
        port: known.port,
        id: known.template.id(),
        kind,
        announced: known.announced,
        fields: fields
            .map(|(index, &FieldSpecifier { element, length })| TemplateField {
                name: known.template.field_name(index, element).to_string(),
                enterprise: element.enterprise,
                id: element.id,
                length,
                scope: index < scope_fields,
            })
            .collect(),
    }
}

/// The name of an element in the registry, else its numbers.
fn element_name(element: ElementId) -> String {
    wire::information_element::lookup(element)
        .map_or_else(|| format!("{}.{}", element.enterprise, element.id), |element| element.name.to_owned())
}

fn options_record(record: &Record<'_>) -> Option<OptionsRecord> {
    let object = |scope| {
        let mut text = String::new();
        wire::json::write_fields(record, scope, &mut text);
        serde_json::from_str(&text).ok()
    };
    Some(OptionsRecord {
        protocol: record.message.protocol.name(),
        domain: record.message.domain,
        template: record.format.unwrap_or_default(),
        received: record.message.received,
        scope: object(true)?,
        fields: object(false)?,
    })
}
