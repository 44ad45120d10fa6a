//! The bill, as an answer has it.

use std::net::IpAddr;

use accounting::five_minutes;
use accounting::period::Minute;
use accounting::zone::Zone;
use flow::Counters;
use serde::Serialize;

use super::super::CountersView;
use super::super::remarks::RemarkView;
use super::lost::LostView;
use super::summed::{Absent, Gap, Summed};

/// The usage of a prefix in a month.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Billing {
    pub(super) sender: String,
    /// In a bill of several senders: those whose counters are added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) senders: Option<Vec<String>>,
    pub(super) prefix: String,
    /// What the network around the prefix is called; with `names=1` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network: Option<String>,
    pub(super) month: String,
    /// The time zone of the month.
    pub(super) tz: String,
    /// Whether the month is over.
    pub(super) complete: bool,
    /// Whether local traffic, between own networks, is in the usage: `include` or `exclude`.
    pub(super) local: &'static str,
    pub(super) r#in: Usage,
    pub(super) out: Usage,
    pub(super) samples: SamplesView,
    /// Losses between the sender and the collectors; null when nothing is known to have arrived.
    pub(super) lost: Option<LostView>,
    /// In a bill of several senders: what each of them has in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by_sender: Option<Vec<SenderUsage>>,
    /// How it was computed.
    pub(super) method: String,
    /// When in this month the meaning of the counters changed.
    pub(super) remarks: Vec<RemarkView>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    #[serde(flatten)]
    pub(super) total: CountersView,
    /// Over the month so far.
    pub(super) average_bits_per_second: u64,
    /// Null without samples.
    pub(super) percentile95_bits_per_second: Option<u64>,
}

/// The 5-minute samples of the percentile.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SamplesView {
    seconds: u32,
    from: String,
    to: String,
    /// The number of samples in the month so far: the known and the missing ones.
    expected: u32,
    /// The number of known samples, which the percentile is of. Of several senders, a sample is known if it is of any of them.
    count: usize,
    /// Of several senders: known samples that are sums without some of the senders, whose own ones are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<usize>,
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
    /// Of several senders: the times of the partial samples, with the senders that are missing in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<Vec<AbsentView>>,
}

/// Consecutive samples that are without the same senders.
#[derive(Serialize, utoipa::ToSchema)]
struct AbsentView {
    from: String,
    to: String,
    /// At most ten.
    senders: Vec<String>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What a bill of several senders has of one of them: the same as its own bill.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SenderUsage {
    sender: String,
    r#in: Usage,
    out: Usage,
    samples: CountsView,
    lost: Option<LostView>,
}

/// Its known and missing samples.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct CountsView {
    count: usize,
    collector_not_running: u32,
    exporter_silent: u32,
    not_kept: u32,
}

/// Consecutive missing samples.
#[derive(Serialize, utoipa::ToSchema)]
struct GapView {
    from: String,
    to: String,
    /// `collectorNotRunning`, `exporterSilent` or `notKept`.
    reason: &'static str,
}

impl SamplesView {
    pub(super) fn of(summed: &Summed, zone: &Zone, is_group: bool) -> Self {
        let gaps = summed.gaps();
        let [collector_not_running, exporter_silent, not_kept] = summed.missing();
        let time = |minute: Minute| zone.display(minute);
        let view =
            |gap: &Gap| GapView { from: time(gap.range.from), to: time(gap.range.to), reason: gap.missing.name() };
        let absent = |Absent { range, senders, more }: &Absent| AbsentView {
            from: time(range.from),
            to: time(range.to),
            senders: senders.iter().map(ToString::to_string).collect(),
            more: *more,
        };
        Self {
            seconds: five_minutes::MINUTES * 60,
            from: time(summed.from),
            to: time(summed.to),
            expected: summed.expected(),
            count: summed.known().count(),
            partial: is_group.then(|| summed.partial()),
            empty: summed.known().filter(|directions| directions.iter().all(Counters::is_zero)).count(),
            collector_not_running,
            exporter_silent,
            not_kept,
            missing: gaps.iter().map(view).collect(),
            absent: is_group.then(|| summed.absent().iter().map(absent).collect()),
        }
    }
}

impl SenderUsage {
    pub(super) fn of(sender: IpAddr, [r#in, out]: [Usage; 2], summed: &Summed, zone: &Zone) -> Self {
        let [collector_not_running, exporter_silent, not_kept] = summed.missing();
        let count = summed.known().count();
        let samples = CountsView { count, collector_not_running, exporter_silent, not_kept };
        Self { sender: sender.to_string(), r#in, out, samples, lost: LostView::of(summed.losses(), zone) }
    }
}
