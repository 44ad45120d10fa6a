//! `GET /billing/<sender>`: the usage of a prefix in a month: totals, averages, and the 95th percentiles of 5-minute rates,
//! in and out, with the part of the month that these cover; and the share of the sender's data that was lost on the way.

use accounting::block::{TableSet, Tables};
use accounting::direction::Direction;
use accounting::field::{Field, Name};
use accounting::period::{Interval, Minute, Period};
use accounting::query::parse_interval;
use accounting::range::Range;
use axum::extract::State;
use axum::response::Response;
use flow::Counters;
use serde::Serialize;
use storage::{Answers, Totals};
use view::{Arrivals, Losses};

use super::{CountersView, SenderAddress, damage_noted};
use crate::Api;
use crate::error::Error;
use crate::parameters::documentation::{OfPrefix, OfSender};
use crate::parameters::{Parameters, now, problem};
use crate::party::Party;

/// The usage of a prefix in a month.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Billing {
    sender: String,
    prefix: String,
    month: String,
    /// Whether the month is over.
    complete: bool,
    /// Whether local traffic, between own networks, is in the usage: `include` or `exclude`.
    local: &'static str,
    r#in: Usage,
    out: Usage,
    samples: SamplesView,
    /// Losses between the sender and this collector; null when they are unknown for this month.
    lost: Option<LostView>,
    /// How it was computed.
    method: String,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Usage {
    #[serde(flatten)]
    total: CountersView,
    /// Over the month so far.
    average_bits_per_second: u64,
    /// Null without samples.
    percentile95_bits_per_second: Option<u64>,
}

/// The 5-minute samples of the percentile.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct SamplesView {
    seconds: u32,
    from: String,
    to: String,
    /// The number of samples.
    count: usize,
    /// Samples without counters; they count as 0.
    empty: usize,
    /// The number of samples in the month so far.
    expected: u32,
}

/// Losses by the sequence numbers of the sender's datagrams.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct LostView {
    /// When this collector began to follow them; earlier losses are unknown.
    since: String,
    /// One for each unit that the sender's protocols use.
    shares: Vec<ShareView>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShareView {
    /// What the sequence numbers count: `datagrams`, or `records` (NetFlow v5 to v8, IPFIX).
    unit: &'static str,
    received: u64,
    lost: u64,
    /// Lost units over sent units, 0 to 1; null when none is known to have been sent.
    share: Option<f64>,
}

impl From<Losses> for LostView {
    fn from(losses: Losses) -> Self {
        let share = |&Arrivals { unit, received, lost, .. }: &Arrivals| ShareView {
            unit,
            received,
            lost,
            share: share(lost, received),
        };
        Self { since: losses.since.to_string(), shares: losses.arrivals.iter().map(share).collect() }
    }
}

/// To a millionth.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
fn share(lost: u64, received: u64) -> Option<f64> {
    let sent = lost.saturating_add(received);
    (sent > 0).then(|| (lost as f64 / sent as f64 * 1e6).round() / 1e6)
}

/// The length of a sample.
const SAMPLE_MINUTES: u32 = 5;
/// The number of samples asked for together: a day.
const SAMPLES_AT_ONCE: usize = 288;
/// Whether traffic between own networks is billed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Local {
    Include,
    Exclude,
}

impl Local {
    const WORDS: [(&'static str, Self); 2] = [("include", Self::Include), ("exclude", Self::Exclude)];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, local)| *local == self).map_or("", |(word, _)| word)
    }

    /// What came in and what went out.
    fn both(self, tables: &Tables) -> [Counters; 2] {
        let of = |direction| tables.get(direction, Name::ALL).unwrap_or_default();
        let local = |direction| if self == Self::Include { of(direction) } else { Counters::ZERO };
        let mut both = [of(Direction::In), of(Direction::Out)];
        for (sum, local) in both.iter_mut().zip([local(Direction::InLocal), local(Direction::OutLocal)]) {
            sum.add(local);
        }
        both
    }
}

/// Usage of a prefix in a month, with the 95th percentile.
#[utoipa::path(
    get,
    path = "/billing/{sender}",
    operation_id = "billing",
    params(
        OfSender,
        OfPrefix,
        ("month" = Option<String>, Query, description = "A month such as 2026-11; default: the current one"),
        ("local" = Option<String>, Query, description = "include (default) or exclude traffic between own networks")
    ),
    responses((status = 200, description = "Usage of the prefix", body = Billing))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    party: Party,
    SenderAddress(sender): SenderAddress,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.only(&["prefix", "month", "local"])?;
    let local = parameters.one_of("local", &Local::WORDS)?.unwrap_or(Local::Include);
    let prefix = parameters.prefix()?;
    let now = now();
    let month = match parameters.text("month") {
        Some(text) => parse_interval(Period::Month, text).map_err(|error| problem("month", error))?,
        None => Interval::containing(Period::Month, now),
    };
    if month.start > now {
        return Err(problem("month", format_args!("{month} has not begun")));
    }
    let known = api.registered(sender).await?;
    let ask = |range| storage::Question { range, sender, prefix, tables: TableSet::of_field(Field::All) };
    let mut damaged = Vec::new();
    let mut answers = Answers::to(vec![ask(month.into())]);
    let mut total = Totals::default();
    while let Some(part) = api.read(party, &mut answers).await? {
        total = part.into_iter().next().unwrap_or(total);
    }
    damaged.append(&mut total.damaged);
    if total.tables.is_empty() {
        known.monitors(prefix)?;
    }

    let passed = Range { from: month.start, to: month.end().min(now) };
    let sampled = sampled(passed, api.kept_since(Period::Minute, now));
    let mut samples = Samples::default();
    let starts: Vec<u32> = (sampled.from.number()..sampled.to.number()).step_by(SAMPLE_MINUTES as usize).collect();
    for starts in starts.chunks(SAMPLES_AT_ONCE) {
        let sample = |start: Minute| Range { from: start, to: start.saturating_add(SAMPLE_MINUTES) };
        answers = answers.then(starts.iter().map(|start| ask(sample(Minute::new(*start)))).collect());
        while let Some(part) = api.read(party, &mut answers).await? {
            for mut sample in part {
                samples.add(local.both(&sample.tables), sample.tables.is_empty());
                damaged.append(&mut sample.damaged);
            }
        }
    }

    let usage = |total: Counters, rates: &mut Vec<u64>| Usage {
        total: total.into(),
        average_bits_per_second: bits_per_second(total.bytes, passed.minutes().max(1)),
        percentile95_bits_per_second: percentile_95(rates),
    };
    let [r#in, out] = local.both(&total.tables);
    let [incoming, outgoing] = &mut samples.rates;
    let losses = api.collector.as_ref().and_then(|(view, _)| view.losses(sender, month.start.timestamp()));
    let billing = Billing {
        sender: sender.to_string(),
        prefix: prefix.to_string(),
        month: month.to_string(),
        complete: month.end() <= now,
        local: local.word(),
        r#in: usage(r#in, incoming),
        out: usage(out, outgoing),
        samples: SamplesView {
            seconds: SAMPLE_MINUTES * 60,
            from: sampled.from.timestamp().to_string(),
            to: sampled.to.timestamp().to_string(),
            count: starts.len(),
            empty: samples.empty,
            expected: passed.minutes() / SAMPLE_MINUTES,
        },
        method: method(local, passed, sampled, losses.as_ref()),
        lost: losses.map(LostView::from),
    };
    Ok(damage_noted(billing, damaged))
}

/// The range of whole samples whose minutes are all kept.
fn sampled(passed: Range, kept_since: Minute) -> Range {
    let from = passed.from.max(kept_since).number().next_multiple_of(SAMPLE_MINUTES);
    let to = passed.to.number() / SAMPLE_MINUTES * SAMPLE_MINUTES;
    Range { from: Minute::new(from.min(to)), to: Minute::new(to) }
}

/// The rates of samples, in and out.
#[derive(Default)]
struct Samples {
    rates: [Vec<u64>; 2],
    empty: usize,
}

impl Samples {
    fn add(&mut self, sample: [Counters; 2], is_empty: bool) {
        self.empty += usize::from(is_empty);
        for (counters, rates) in sample.into_iter().zip(&mut self.rates) {
            rates.push(bits_per_second(counters.bytes, SAMPLE_MINUTES));
        }
    }
}

/// Rounded down.
fn bits_per_second(bytes: u64, minutes: u32) -> u64 {
    let rate = u128::from(bytes) * 8 / (u128::from(minutes) * 60);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// The smallest rate that at least 95 of 100 rates do not exceed (nearest rank).
fn percentile_95(rates: &mut [u64]) -> Option<u64> {
    let rank = (rates.len() * 95).div_ceil(100);
    let index = rank.checked_sub(1)?;
    let (_, rate, _) = rates.select_nth_unstable(index);
    Some(*rate)
}

fn method(local: Local, passed: Range, sampled: Range, losses: Option<&Losses>) -> String {
    let traffic = match local {
        Local::Include => "all traffic to and from the prefix",
        Local::Exclude => "traffic between the prefix and other networks than own ones",
    };
    let mut method = format!(
        "{traffic}; average: total divided by the time elapsed; 95th percentile: nearest rank of the mean rates of \
         5-minute samples, where a sample without data counts as 0"
    );
    if sampled.from >= passed.from.saturating_add(SAMPLE_MINUTES) {
        method.push_str("; only samples whose minutes are still kept (retention.minutes) are included");
    }
    match losses {
        Some(losses) => method.push_str(&format!(
            "; lost: gaps in the sequence numbers of the sender's datagrams that this collector received since {}",
            losses.since
        )),
        None => {
            method.push_str("; lost: unknown, because this collector received nothing from the sender in that month")
        }
    }
    method
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_leaves_out_the_largest_twentieth() {
        assert_eq!(percentile_95(&mut []), None);
        assert_eq!(percentile_95(&mut [7]), Some(7));
        let mut hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(percentile_95(&mut hundred), Some(95));
        let mut twenty: Vec<u64> = (1..=20).collect();
        assert_eq!(percentile_95(&mut twenty), Some(19));
        let mut nineteen: Vec<u64> = (1..=19).collect();
        assert_eq!(percentile_95(&mut nineteen), Some(19));
    }

    #[test]
    fn rates_do_not_overflow() {
        assert_eq!(bits_per_second(u64::MAX, 1), 2_459_565_876_494_606_882);
        assert_eq!(bits_per_second(75, 10), 1);
        assert_eq!(bits_per_second(74, 10), 0);
    }

    #[test]
    fn samples_are_whole_and_kept() {
        let range = |from, to| Range { from: Minute::new(from), to: Minute::new(to) };
        assert_eq!(sampled(range(100, 204), Minute::EPOCH), range(100, 200));
        assert_eq!(sampled(range(100, 204), Minute::new(161)), range(165, 200));
        assert_eq!(sampled(range(100, 204), Minute::new(1000)).minutes(), 0);
        assert!(!method(Local::Include, range(100, 204), range(100, 200), None).contains("still kept"));
        assert!(method(Local::Exclude, range(100, 204), range(165, 200), None).contains("still kept"));
    }

    #[test]
    fn the_share_that_was_lost_is_of_what_was_sent() {
        assert_eq!(share(0, 0), None);
        assert_eq!(share(0, 7), Some(0.0));
        assert_eq!(share(1, 2), Some(0.333_333));
        assert_eq!(share(u64::MAX, 1), Some(1.0));
    }
}
