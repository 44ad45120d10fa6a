//! What decoding remembers of one exporter, in the words of the REST interface. Lists are cut here: an exporter can make
//! us remember much, and its datagrams wait while it is written down.

use api::watch::{
    AnnouncedRate, Arrivals, Detail, LeftOut, OptionsRecord, Pending, SampledRate, Sampling, Stream, Template,
    TemplateField, Unmatched, UnmatchedNetwork, Unreadable,
};
use pipeline::{Clock, ExporterStatus};
use wire::{FieldSpecifier, KnownTemplate, Record, Session, TemplateKind, Unit};

/// How long a list may be.
const LISTED: usize = 500;
/// How many networks of unmatched flows are shown.
const NETWORKS_LISTED: usize = 16;

/// Everything but the unmatched flows, which the session does not know.
pub(super) fn detail(status: &ExporterStatus, session: &Session, multiplied: bool) -> Detail {
    let mut left_out = LeftOut::default();
    let mut known: Vec<_> = session.templates().collect();
    known.sort_by_key(|known| (known.protocol.name(), known.domain, known.port, known.template.id()));
    let templates = cut(known, &mut left_out.templates).iter().map(template).collect();
    let mut options = Vec::new();
    left_out.options = session.options(LISTED, &mut |record| options.extend(options_record(record)));
    let mut streams: Vec<_> = session.streams().collect();
    streams.sort_by_key(|(key, _)| (key.protocol.name(), key.agent, key.domain));
    let streams = cut(streams, &mut left_out.streams).into_iter().map(|(key, stream)| Stream {
        protocol: key.protocol.name(),
        domain: key.domain,
        agent: key.agent,
        datagrams: stream.datagrams,
        lost: stream.lost,
        duplicates: stream.duplicates,
        late: stream.late,
        restarts: stream.restarts,
    });
    let pending = cut(session.waiting_for(), &mut left_out.pending).into_iter().map(|waiting| Pending {
        protocol: waiting.protocol.name(),
        domain: waiting.domain,
        template: waiting.template,
        sets: waiting.sets,
        bytes: waiting.octets,
        since: waiting.since.to_string(),
    });
    Detail {
        sampling: sampling(status, session, multiplied, &mut left_out.announced),
        templates,
        options,
        streams: streams.collect(),
        pending: pending.collect(),
        pending_sets: session.pending(),
        unmatched: Unmatched::default(),
        unreadable: status.unreadable.map(|it| Unreadable {
            received: it.received.to_string(),
            error: it.error.kind.name(),
            offset: it.error.offset,
            version: it.version,
        }),
        left_out,
    }
}

/// The start of a list, and how much is left out.
fn cut<T>(mut list: Vec<T>, left_out: &mut u64) -> Vec<T> {
    *left_out = list.len().saturating_sub(LISTED) as u64;
    list.truncate(LISTED);
    list
}

fn sampling(status: &ExporterStatus, session: &Session, multiplied: bool, left_out: &mut u64) -> Sampling {
    let rates = status.rates.iter().map(|seen| SampledRate {
        rate: seen.sampling.rate,
        source: seen.sampling.source.name(),
        last: seen.last.to_string(),
    });
    let announced = cut(session.samplers(), left_out).into_iter().map(|sampler| AnnouncedRate {
        protocol: sampler.protocol.name(),
        domain: sampler.domain,
        sampler: sampler.sampler,
        rate: sampler.rate,
    });
    Sampling { multiplied, rates: rates.collect(), announced: announced.collect() }
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
        announced: known.announced.to_string(),
        fields: fields.map(|(index, specifier)| field(specifier, index < scope_fields)).collect(),
    }
}

fn field(&FieldSpecifier { element, length }: &FieldSpecifier, scope: bool) -> TemplateField {
    let name = wire::information_element::lookup(element)
        .map_or_else(|| format!("{}.{}", element.enterprise, element.id), |element| element.name.to_owned());
    TemplateField { name, enterprise: element.enterprise, id: element.id, length, scope }
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
        received: record.message.received.to_string(),
        scope: object(true)?,
        fields: object(false)?,
    })
}

/// Which networks flows are of that match no prefix.
pub(super) fn unmatched((sampled, networks): (u64, Vec<pipeline::UnmatchedNetwork>)) -> Unmatched {
    let network = |it: &pipeline::UnmatchedNetwork| UnmatchedNetwork {
        network: it.network.to_string(),
        from: it.from,
        to: it.to,
    };
    Unmatched { sampled, networks: networks.iter().take(NETWORKS_LISTED).map(network).collect() }
}

/// What sequence numbers of a unit tell.
pub(super) fn arrivals((unit, it): (Unit, wire::Arrivals)) -> Arrivals {
    let wire::Arrivals { received, lost, filled, duplicates, late, restarts } = it;
    Arrivals { unit: unit.name(), received, lost, filled, duplicates, late, restarts }
}

/// To a millisecond; positive when the exporter's clock is ahead.
#[expect(clippy::cast_precision_loss, reason = "milliseconds need no more than 53 bits")]
pub(super) fn offset_seconds(clock: Clock) -> f64 {
    let distance = clock.exported.abs_diff(clock.received).as_millis() as f64 / 1000.0;
    if clock.exported < clock.received { -distance } else { distance }
}
