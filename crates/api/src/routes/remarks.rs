//! Remarks in answers about a time range: at which times in it the counters began to mean something else, because own
//! networks or settings of the sender changed (`storage::remarks`).

use std::net::IpAddr;

use accounting::block::TableSet;
use accounting::field::Field;
use accounting::period::{Interval, Minute, Period};
use accounting::range::Range;
use accounting::zone::Zone;
use flow::Prefix;
use serde::Serialize;
use storage::remarks::OWN_NETWORKS;
use storage::{Answers, Remark, Totals};

use crate::Api;
use crate::error::Error;
use crate::queues::Asker;

/// At that time the meaning of the counters changed.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RemarkView {
    /// When counting in the new way began, RFC 3339.
    time: String,
    /// `ownNetworks`, or the name of a setting, such as `samplingRate`.
    kind: String,
    /// The value before; of own networks, those that are none any more.
    was: String,
    /// The value since; of own networks, those that were none before.
    is: String,
    /// Whether the counters of this answer have another meaning before that time than after it.
    affected: bool,
    /// The same in words.
    text: String,
}

/// Whether local traffic is apart from other traffic in the counters of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LocalTraffic {
    Apart,
    Included,
}

impl RemarkView {
    fn of(Remark { time, kind, was, is }: Remark, zone: &Zone, local: LocalTraffic) -> Self {
        let is_own = kind == OWN_NETWORKS;
        let affected = !is_own || local == LocalTraffic::Apart;
        let what = if is_own { "own networks" } else { &kind };
        let change = match (was.as_str(), is.as_str()) {
            ("", added) => format!("{added} added"),
            (removed, "") => format!("{removed} removed"),
            (was, is) => format!("{is} instead of {was}"),
        };
        let effect = match (is_own, affected) {
            (true, true) => "before and after, other traffic counts as local",
            (true, false) => "local traffic is included here, so these amounts are not affected",
            (false, _) => "before and after, flows are counted in different ways",
        };
        let text = format!("{what}: {change}; {effect}");
        Self { time: zone.display_second(time), kind, was, is, affected, text }
    }
}

impl Api {
    /// The remarks about counters of a prefix in a range of time, the oldest first. There are none before the first
    /// counters in that range.
    pub(crate) async fn remarks(
        &self,
        asker: &Asker,
        sender: IpAddr,
        prefix: Prefix,
        range: Range,
        zone: &Zone,
        local: LocalTraffic,
    ) -> Result<Vec<RemarkView>, Error> {
        let mut remarks = self.store.remarks(sender).await?;
        let (from, to) = (range.from.timestamp(), range.to.timestamp());
        remarks.retain(|remark| from < remark.time && remark.time < to && remark.concerns(prefix));
        if remarks.is_empty() {
            return Ok(Vec::new());
        }
        // What was counted before the first remark, in its minute too, or whatever is kept of that time; then up to the next one.
        let kept = self.kept(zone).await?;
        let mut from = range.from;
        let mut before = Vec::with_capacity(remarks.len());
        for remark in &remarks {
            let minute = Minute::of(remark.time);
            let mut around = Period::ALL.into_iter().map(|period| Interval::containing(period, minute));
            let left = around.find(|part| part.start >= kept.since(part.period));
            let to = left.map_or(range.to, |left| left.end()).max(from).min(range.to);
            let tables = TableSet::of_field(Field::All);
            before.push(storage::Question { range: Range { from, to }, sender, prefix, tables });
            from = to;
        }
        let is_counted = |_, totals: Totals| !totals.tables.is_empty();
        let counted = self.answers(asker, &mut Answers::to(before), is_counted).await?;
        let first = counted.iter().position(|is_counted| *is_counted).unwrap_or(remarks.len());
        Ok(remarks.into_iter().skip(first).map(|remark| RemarkView::of(remark, zone, local)).collect())
    }
}
