//! `GET /billing/<sender>`: the usage of a prefix in a month: totals, averages, and the 95th percentiles of 5-minute rates,
//! in and out, with the samples that are missing and why; and the share of the sender's data that was lost on the way. Of
//! several senders, samples are added up before the percentile is taken.

mod lost;
mod samples;
mod summed;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use accounting::block::TableSet;
use accounting::direction::Direction;
use accounting::field::{Field, Name};
use accounting::five_minutes;
use accounting::period::{Interval, Minute, Period};
use accounting::range::Range;
use accounting::zone::Zone;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use flow::{Counters, Prefix};
use storage::{Answers, Totals};

use self::lost::LostView;
use self::samples::Samples;
use self::summed::Summed;
pub(crate) use self::views::Billing;
use self::views::{SamplesView, SenderUsage, Usage};
use super::remarks::LocalTraffic;
use super::{SenderAddress, damage_noted};
use crate::Api;
use crate::auth::KeySenders;
use crate::error::Error;
use crate::kept::Kept;
use crate::naming::{Naming, OfNaming};
use crate::parameters::documentation::{OfPrefix, OfSender, OfSenders, OfZone};
use crate::parameters::{Parameters, now, problem};
use crate::queues::Asker;
use crate::selected::Selected;

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

/// The known parameters.
const PARAMETERS: [&str; 5] = ["prefix", "month", "tz", "local", "names"];

/// The parsed query.
struct Question {
    prefix: Prefix,
    local: Local,
    zone: Zone,
    month: Range,
    /// The month, as it is written.
    date: String,
    naming: Naming,
    now: Minute,
}

impl Question {
    fn read(parameters: &Parameters) -> Result<Self, Error> {
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
        Ok(Self { prefix, local, zone, month, date, naming: Naming::read(parameters)?, now })
    }

    /// The minutes of the month that have passed.
    fn passed(&self) -> u32 {
        Range { to: self.month.to.min(self.now), ..self.month }.minutes().max(1)
    }

    /// The same with the present minute: it has losses, but is in no sample yet.
    fn begun(&self) -> Range {
        Range { to: self.month.to.min(self.now.saturating_add(1)), ..self.month }
    }

    /// What came in and what went out.
    fn usage(&self, total: Total, summed: &Summed) -> [Usage; 2] {
        let mut rates = [Vec::new(), Vec::new()];
        for directions in summed.known() {
            for (counters, rates) in self.local.both(*directions).into_iter().zip(&mut rates) {
                rates.push(bits_per_second(counters.bytes, five_minutes::MINUTES));
            }
        }
        let usage = |total: Counters, mut rates: Vec<u64>| Usage {
            total: total.into(),
            average_bits_per_second: bits_per_second(total.bytes, self.passed()),
            percentile95_bits_per_second: percentile_95(&mut rates),
        };
        let ([r#in, out], [incoming, outgoing]) = (self.local.both(total), rates);
        [usage(r#in, incoming), usage(out, outgoing)]
    }
}

/// Usage of a prefix in a month, with the 95th percentile, of one sender.
#[utoipa::path(
    get,
    path = "/billing/{sender}",
    operation_id = "billing",
    params(
        OfSender,
        OfPrefix,
        OfZone,
        OfBilling,
        OfNaming
    ),
    responses((status = 200, description = "Usage of the prefix", body = Billing))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    asker: Asker,
    SenderAddress(sender): SenderAddress,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.only(&PARAMETERS)?;
    let question = Question::read(&parameters)?;
    let selected = api.one(sender).await?;
    answer(api, asker, selected, question).await
}

/// Usage of a prefix in a month, of several senders together: the 95th percentile is that of their summed samples.
#[utoipa::path(
    get,
    path = "/billing",
    operation_id = "billingOfSenders",
    params(
        OfSenders,
        OfPrefix,
        OfZone,
        OfBilling,
        OfNaming
    ),
    responses((status = 200, description = "Usage of the prefix", body = Billing))
)]
pub(crate) async fn show_sum(
    State(api): State<Api>,
    asker: Asker,
    limits: Option<Extension<KeySenders>>,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.only_of_senders(&PARAMETERS)?;
    let question = Question::read(&parameters)?;
    let selected = api.selected(&parameters, limits.as_deref()).await?;
    answer(api, asker, selected, question).await
}

/// The parameters of this route alone.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is derived of it is all that is used")]
struct OfBilling {
    /// A month such as 2026-11; default: the current one
    month: Option<String>,
    /// include (default) or exclude traffic between own networks
    local: Option<String>,
}

/// Counters in each direction.
type Total = [Counters; Direction::ALL.len()];

async fn answer(api: Api, asker: Asker, selected: Selected, question: Question) -> Result<Response, Error> {
    let Question { prefix, month, zone, .. } = &question;
    let (prefix, begun) = (*prefix, question.begun());
    let kept = api.kept(zone).await?;
    let ask = |range, sender| storage::Question { range, sender, prefix, tables: TableSet::of_field(Field::All) };
    // A month of UTC is an interval, until it expires; one of another zone is the sum of its 5 minutes.
    let is_interval = zone.is_utc() && month.from >= kept.since(Period::Month);
    // Of a group, only those are read that monitor the prefix or have counters of it.
    let first = if is_interval { Some(*month) } else { selected.is_group().then_some(begun) };
    let asked = first.into_iter().flat_map(|range| selected.addresses().map(move |sender| ask(range, sender)));
    let mut answers = Answers::to(asked.collect());
    let total = |_, Totals { tables, senders, damaged }: Totals| {
        (Direction::ALL.map(|direction| tables.get(direction, Name::ALL).unwrap_or_default()), senders, damaged)
    };
    let (mut totals, mut counted, mut damaged) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    let answered = api.answers(&asker, &mut answers, total).await?;
    for (sender, (total, senders, missing)) in selected.addresses().zip(answered) {
        counted.extend(senders);
        if is_interval {
            totals.insert(sender, total);
            damaged.extend(missing);
        }
    }
    let parts = selected.parts(prefix, counted);

    let (mut sum, mut summed, mut by_sender) = (Total::default(), Summed::default(), Vec::new());
    for sender in parts.senders.iter().copied() {
        let samples = Samples::read(&api, &asker, (sender, prefix), begun, &kept, &mut answers, &mut damaged).await?;
        let total = match totals.get(&sender) {
            Some(total) => *total,
            None => question.total(&samples, &kept)?,
        };
        sum.iter_mut().zip(total).for_each(|(sum, of)| sum.add(of));
        summed.add(sender, &samples);
        if parts.is_group {
            let mut alone = Summed::default();
            alone.add(sender, &samples);
            by_sender.push(SenderUsage::of(sender, question.usage(total, &alone), &alone, zone));
        }
    }
    if sum.iter().all(Counters::is_zero) {
        selected.monitor(prefix)?;
    }
    let remarks = api.remarks(&asker, &parts, begun, zone, question.local.traffic()).await?;
    let [r#in, out] = question.usage(sum, &summed);
    let billing = Billing {
        sender: selected.text().to_owned(),
        senders: parts.view(),
        prefix: prefix.to_string(),
        network: question.naming.of_prefix(prefix),
        month: question.date.clone(),
        tz: zone.to_string(),
        complete: month.to <= question.now,
        local: question.local.word(),
        r#in,
        out,
        samples: SamplesView::of(&summed, zone, parts.is_group),
        lost: LostView::of(summed.losses(), zone),
        by_sender: parts.is_group.then_some(by_sender),
        method: method(question.local, &summed, parts.is_group),
        remarks,
    };
    Ok(damage_noted(billing, damaged))
}

impl Question {
    /// What a sender has in the month, which is the sum of its 5 minutes.
    fn total(&self, samples: &Samples, kept: &Kept) -> Result<Total, Error> {
        let first_day = Interval::containing(Period::Day, self.month.from).start;
        let is_day_kept = first_day >= kept.since(Period::Day);
        match if is_day_kept { samples.first_not_kept() } else { Some(self.month.from) } {
            Some(missing) => Err(not_kept(&self.date, &self.zone, missing)),
            None => Ok(samples.total(self.month)),
        }
    }
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

fn method(local: Local, summed: &Summed, is_group: bool) -> String {
    let traffic = match local {
        Local::Include => "all traffic to and from the prefix",
        Local::Exclude => "traffic between the prefix and other networks than own ones",
    };
    let of_group = if is_group { ", added up sample by sample over the senders that have them" } else { "" };
    let the_sender = if is_group { "each sender" } else { "the sender" };
    let mut method = format!(
        "{traffic}; average: total divided by the time elapsed; 95th percentile: nearest rank of the mean rates of the \
         known samples of 5 minutes{of_group}; a sample without traffic is a zero if a collector ran and {the_sender} sent \
         datagrams, and missing otherwise; lost: gaps in the sequence numbers of all datagrams of {the_sender}"
    );
    let (known, expected) = (summed.known().count(), summed.expected());
    if known < expected as usize {
        method.push_str(&format!("; INCOMPLETE: {} of {expected} samples are missing", expected as usize - known));
    }
    let partial = summed.partial();
    if partial > 0 {
        method.push_str(&format!("; PARTIAL: {partial} samples are sums without senders whose own ones are missing"));
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
}
