//! `GET /billing/<sender>`: the usage of a prefix in a month: totals, averages, and the 95th percentiles of 5-minute rates,
//! in and out, with the samples that are missing and why; and the share of the sender's data that was lost on the way.

mod samples;

use accounting::block::TableSet;
use accounting::direction::Direction;
use accounting::field::{Field, Name};
use accounting::five_minutes;
use accounting::period::{Interval, Minute, Period};
use accounting::range::Range;
use accounting::zone::Zone;
use axum::extract::State;
use axum::response::Response;
use flow::Counters;
use serde::Serialize;
use storage::{Answers, Totals};

use self::samples::{Gap, Missing, Samples};
use super::remarks::{LocalTraffic, RemarkView};
use super::{CountersView, SenderAddress, damage_noted};
use crate::Api;
use crate::error::Error;
use crate::parameters::documentation::{OfPrefix, OfSender, OfZone};
use crate::parameters::{Parameters, now, problem};
use crate::queues::Asker;

/// The usage of a prefix in a month.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Billing {
    sender: String,
    prefix: String,
    month: String,
    /// The time zone of the month.
    tz: String,
    /// Whether the month is over.
    complete: bool,
    /// Whether local traffic, between own networks, is in the usage: `include` or `exclude`.
    local: &'static str,
    r#in: Usage,
    out: Usage,
    samples: SamplesView,
    /// Losses between the sender and the collectors; null when nothing is known to have arrived.
    lost: Option<LostView>,
    /// How it was computed.
    method: String,
    /// When in this month the meaning of the counters changed.
    remarks: Vec<RemarkView>,
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
    /// The number of samples in the month so far: the known and the missing ones.
    expected: u32,
    /// The number of known samples, which the percentile is of.
    count: usize,
    /// Known samples without traffic: a collector ran, the exporter sent datagrams, and nothing was counted.
    empty: usize,
    /// Missing samples: in at least one of their minutes, no collector ran.
    collector_not_running: u32,
    /// Missing samples: a collector ran, and nothing arrived from the sender.
    exporter_silent: u32,
    /// Missing samples that are no longer stored, or from before presence was stored.
    not_kept: u32,
    /// The times of the missing samples.
    missing: Vec<GapView>,
}

/// Consecutive missing samples.
#[derive(Serialize, utoipa::ToSchema)]
struct GapView {
    from: String,
    to: String,
    /// `collectorNotRunning`, `exporterSilent` or `notKept`.
    reason: &'static str,
}

/// Losses by the sequence numbers of the sender's datagrams.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct LostView {
    /// One for each unit that the sender's protocols use.
    shares: Vec<ShareView>,
    /// The number of samples in which something was lost.
    samples: usize,
    /// The start of the sample that lost the largest share; null when nothing was lost.
    worst: Option<String>,
    /// The share that it lost.
    worst_share: Option<f64>,
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

impl LostView {
    /// `None` when nothing arrived.
    fn of(samples: &Samples, zone: &Zone) -> Option<Self> {
        let (mut arrived, mut lost) = (Counters::ZERO, Counters::ZERO);
        let mut worst: Option<(f64, Minute)> = None;
        let mut with_losses = 0;
        for of_sample in samples.losses() {
            arrived.add(of_sample.arrived);
            lost.add(of_sample.lost);
            with_losses += usize::from(!of_sample.lost.is_zero());
            let share =
                shares(of_sample.arrived, of_sample.lost).iter().filter_map(|share| share.share).fold(0.0, f64::max);
            if share > worst.map_or(0.0, |(worst, _)| worst) {
                worst = Some((share, of_sample.sample));
            }
        }
        (!arrived.is_zero()).then(|| Self {
            shares: shares(arrived, lost),
            samples: with_losses,
            worst: worst.map(|(_, sample)| zone.display(sample)),
            worst_share: worst.map(|(share, _)| share),
        })
    }
}

/// Those of the units that are used (`accounting::presence`).
fn shares(arrived: Counters, lost: Counters) -> Vec<ShareView> {
    let units = [("datagrams", arrived.packets, lost.packets), ("records", arrived.flows, lost.flows)];
    let used = units.into_iter().filter(|(_, received, lost)| (*received, *lost) != (0, 0));
    used.map(|(unit, received, lost)| ShareView { unit, received, lost, share: share(lost, received) }).collect()
}

/// To a millionth.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
fn share(lost: u64, received: u64) -> Option<f64> {
    let sent = lost.saturating_add(received);
    (sent > 0).then(|| (lost as f64 / sent as f64 * 1e6).round() / 1e6)
}

impl SamplesView {
    fn of(samples: &Samples, known: usize, empty: usize, zone: &Zone) -> Self {
        let gaps = samples.gaps();
        let [collector_not_running, exporter_silent, not_kept] = Missing::ALL.map(|missing| {
            let minutes: u32 = gaps.iter().filter(|gap| gap.missing == missing).map(|gap| gap.range.minutes()).sum();
            minutes / five_minutes::MINUTES
        });
        let time = |minute: Minute| zone.display(minute);
        let view =
            |gap: &Gap| GapView { from: time(gap.range.from), to: time(gap.range.to), reason: gap.missing.name() };
        Self {
            seconds: five_minutes::MINUTES * 60,
            from: time(samples.from),
            to: time(samples.to),
            expected: samples.expected(),
            count: known,
            empty,
            collector_not_running,
            exporter_silent,
            not_kept,
            missing: gaps.iter().map(view).collect(),
        }
    }
}

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

    fn traffic(self) -> LocalTraffic {
        if self == Self::Include { LocalTraffic::Included } else { LocalTraffic::Apart }
    }

    /// What came in and what went out, of the counters in each direction.
    fn both(self, [mut r#in, mut out, in_local, out_local]: [Counters; Direction::ALL.len()]) -> [Counters; 2] {
        if self == Self::Include {
            r#in.add(in_local);
            out.add(out_local);
        }
        [r#in, out]
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
        OfZone,
        ("month" = Option<String>, Query, description = "A month such as 2026-11; default: the current one"),
        ("local" = Option<String>, Query, description = "include (default) or exclude traffic between own networks")
    ),
    responses((status = 200, description = "Usage of the prefix", body = Billing))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    asker: Asker,
    SenderAddress(sender): SenderAddress,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.only(&["prefix", "month", "tz", "local"])?;
    let local = parameters.one_of("local", &Local::WORDS)?.unwrap_or(Local::Include);
    let prefix = parameters.prefix()?;
    let now = now();
    let zone = parameters.zone()?;
    let month = match parameters.text("month") {
        Some(text) => zone.date(Period::Month, text).map_err(|error| problem("month", error))?,
        None => zone.containing(Period::Month, now),
    };
    let date = zone.label(Period::Month, month.from);
    if month.from > now {
        return Err(problem("month", format_args!("{date} has not begun")));
    }
    let known = api.registered(sender).await?;
    let kept = api.kept(&zone).await?;
    let ask = |range| storage::Question { range, sender, prefix, tables: TableSet::of_field(Field::All) };
    // A month of UTC is an interval, until it expires; one of another zone is the sum of its 5 minutes.
    let is_interval = zone.is_utc() && month.from >= kept.since(Period::Month);
    let mut answers = Answers::to(is_interval.then(|| ask(month)).into_iter().collect());
    let total: Vec<Totals> = api.answers(&asker, &mut answers, |_, total| total).await?;
    let Totals { tables: total, mut damaged, .. } = total.into_iter().next().unwrap_or_default();

    let passed = Range { from: month.from, to: month.to.min(now) };
    // The present minute has losses, but is in no sample yet.
    let begun = Range { to: month.to.min(now.saturating_add(1)), ..passed };
    let samples = Samples::read(&api, &asker, (sender, prefix), begun, &kept, answers, &mut damaged).await?;
    let total = if is_interval {
        Direction::ALL.map(|direction| total.get(direction, Name::ALL).unwrap_or_default())
    } else {
        let first_day = Interval::containing(Period::Day, month.from).start;
        let not_kept_at = if first_day < kept.since(Period::Day) { Some(month.from) } else { samples.first_not_kept() };
        if let Some(missing) = not_kept_at {
            return Err(not_kept(&date, &zone, missing));
        }
        samples.total(month)
    };
    if total.iter().all(Counters::is_zero) {
        known.monitors(prefix)?;
    }
    let mut rates = [Vec::new(), Vec::new()];
    let (mut known, mut empty) = (0, 0);
    for directions in samples.known() {
        known += 1;
        empty += usize::from(directions.iter().all(Counters::is_zero));
        for (counters, rates) in local.both(directions).into_iter().zip(&mut rates) {
            rates.push(bits_per_second(counters.bytes, five_minutes::MINUTES));
        }
    }

    let usage = |total: Counters, rates: &mut Vec<u64>| Usage {
        total: total.into(),
        average_bits_per_second: bits_per_second(total.bytes, passed.minutes().max(1)),
        percentile95_bits_per_second: percentile_95(rates),
    };
    let [r#in, out] = local.both(total);
    let [incoming, outgoing] = &mut rates;
    let billing = Billing {
        sender: sender.to_string(),
        prefix: prefix.to_string(),
        month: date,
        tz: zone.to_string(),
        complete: month.to <= now,
        local: local.word(),
        r#in: usage(r#in, incoming),
        out: usage(out, outgoing),
        samples: SamplesView::of(&samples, known, empty, &zone),
        lost: LostView::of(&samples, &zone),
        method: method(local, known, samples.expected()),
        remarks: api.remarks(&asker, sender, prefix, begun, &zone, local.traffic()).await?,
    };
    Ok(damage_noted(billing, damaged))
}

/// The refusal of a month that is the sum of its 5 minutes, which are not kept.
fn not_kept(month: &str, zone: &Zone, missing: Minute) -> Error {
    let missing = zone.display(missing);
    Error::TooMuch(if zone.is_utc() {
        format!(
            "{month} has expired, and so have its 5 minutes of {missing}: retention.months and retention.days set how \
             long they are kept"
        )
    } else {
        format!(
            "{month} ({zone}) is the sum of its 5 minutes, and those of {missing} are not kept: request it in UTC, \
             without tz; retention.days sets how long they are kept"
        )
    })
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

fn method(local: Local, known: usize, expected: u32) -> String {
    let traffic = match local {
        Local::Include => "all traffic to and from the prefix",
        Local::Exclude => "traffic between the prefix and other networks than own ones",
    };
    let mut method = format!(
        "{traffic}; average: total divided by the time elapsed; 95th percentile: nearest rank of the mean rates of the \
         known samples of 5 minutes; a sample without traffic is a zero if a collector ran and the sender sent datagrams, \
         and missing otherwise; lost: gaps in the sequence numbers of all datagrams of the sender"
    );
    if known < expected as usize {
        method.push_str(&format!("; INCOMPLETE: {} of {expected} samples are missing", expected as usize - known));
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
    fn the_share_that_was_lost_is_of_what_was_sent() {
        assert_eq!(share(0, 0), None);
        assert_eq!(share(0, 7), Some(0.0));
        assert_eq!(share(1, 2), Some(0.333_333));
        assert_eq!(share(u64::MAX, 1), Some(1.0));
    }
}
