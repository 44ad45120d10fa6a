//! Remarks in answers about a time range: at which times in it the counters began to mean something else, because own
//! networks or settings of the sender changed (`storage::remarks`); and whether several senders may have counted the same flow.

use std::collections::BTreeSet;
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
use crate::selected::Parts;

/// At that time the meaning of the counters changed; or several senders may have counted the same flow.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RemarkView {
    /// In an answer about several senders: the one whose counters changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    /// When counting in the new way began, RFC 3339; absent in `sameFlows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    /// `ownNetworks`, or the name of a setting, such as `samplingRate`; `sameFlows` when several senders counted traffic.
    kind: String,
    /// The value before; of own networks, those that are none any more. Absent in `sameFlows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<String>,
    /// The value since; of own networks, those that were none before. Absent in `sameFlows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    is: Option<String>,
    /// Whether the counters of this answer have another meaning before that time than after it, or may include flows twice.
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

/// The kind of the remark that several senders may have counted the same flow.
const SAME_FLOWS: &str = "sameFlows";
/// How many of these senders a remark lists.
const LISTED: usize = 10;

impl RemarkView {
    fn of(Remark { time, kind, was, is }: Remark, sender: Option<IpAddr>, zone: &Zone, local: LocalTraffic) -> Self {
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
        let of = sender.map(|sender| format!("{sender}: ")).unwrap_or_default();
        let text = format!("{of}{what}: {change}; {effect}");
        let (sender, time) = (sender.map(|sender| sender.to_string()), Some(zone.display_second(time)));
        Self { sender, time, kind, was: Some(was), is: Some(is), affected, text }
    }

    /// `None` unless several senders counted something.
    pub(crate) fn same_flows(parts: &Parts) -> Option<Self> {
        let counted = with_common_addresses(parts);
        let mut listed: Vec<String> = counted.iter().take(LISTED).map(ToString::to_string).collect();
        let last = match counted.len() {
            0 | 1 => return None,
            many if many > LISTED => format!("{} more", many - LISTED),
            _ => listed.pop().unwrap_or_default(),
        };
        let (mut prefixes, first) = (parts.prefixes.iter().map(|(_, prefix)| prefix), parts.prefixes.first());
        let is_one = first.is_some_and(|(_, first)| prefixes.all(|prefix| prefix == first));
        let text = format!(
            "{} and {last} counted traffic of {}: a flow that passed several of them was counted by each",
            listed.join(", "),
            if is_one { "this prefix" } else { "the same addresses" }
        );
        Some(Self { sender: None, time: None, kind: SAME_FLOWS.to_owned(), was: None, is: None, affected: true, text })
    }
}

/// Of the senders that counted something those whose prefixes have addresses in common with those of others.
fn with_common_addresses(parts: &Parts) -> BTreeSet<IpAddr> {
    let counted = parts.prefixes.iter().filter(|(sender, _)| parts.counted.contains(sender));
    let mut sorted: Vec<(Prefix, IpAddr)> = counted.map(|(sender, prefix)| (*prefix, *sender)).collect();
    sorted.sort_unstable();
    // Those around the next prefix, the outermost first: a prefix is before those in it.
    let mut around: Vec<(Prefix, IpAddr)> = Vec::new();
    let mut common = BTreeSet::new();
    for (prefix, sender) in sorted {
        while around.pop_if(|(outer, _)| !outer.contains(prefix.address())).is_some() {}
        let others = around.iter().map(|(_, outer)| *outer).filter(|outer| *outer != sender);
        for other in others {
            common.extend([other, sender]);
        }
        around.push((prefix, sender));
    }
    common
}

impl Api {
    /// The remarks about counters in a range of time, the oldest first. About a group, the first one is that
    /// several senders may have counted the same flow.
    pub(crate) async fn remarks(
        &self,
        asker: &Asker,
        parts: &Parts,
        range: Range,
        zone: &Zone,
        local: LocalTraffic,
    ) -> Result<Vec<RemarkView>, Error> {
        let mut remarks = Vec::new();
        for sender in &parts.senders {
            let own = parts.prefixes.iter().filter(|(of, _)| of == sender).map(|(_, prefix)| *prefix);
            let of_sender = self.remarks_about(asker, *sender, &own.collect::<Vec<_>>(), range, zone).await?;
            remarks.extend(of_sender.into_iter().map(|remark| (*sender, remark)));
        }
        // Stable: those of one sender stay in their order.
        remarks.sort_by_key(|(_, remark)| remark.time);
        let view = |(sender, remark)| RemarkView::of(remark, parts.is_group.then_some(sender), zone, local);
        let same_flows = parts.is_group.then(|| RemarkView::same_flows(parts)).flatten();
        Ok(same_flows.into_iter().chain(remarks.into_iter().map(view)).collect())
    }

    /// Those about one sender. There are none before the first counters in the range.
    async fn remarks_about(
        &self,
        asker: &Asker,
        sender: IpAddr,
        prefixes: &[Prefix],
        range: Range,
        zone: &Zone,
    ) -> Result<Vec<Remark>, Error> {
        let mut remarks = self.store.remarks(sender).await?;
        let (from, to) = (range.from.timestamp(), range.to.timestamp());
        remarks.retain(|remark| {
            from < remark.time && remark.time < to && prefixes.iter().any(|prefix| remark.concerns(*prefix))
        });
        if remarks.is_empty() {
            return Ok(Vec::new());
        }
        // What was counted before the first remark, in its minute too, or whatever is kept of that time; then up to the next one.
        let kept = self.kept(zone).await?;
        let mut from = range.from;
        let mut before = Vec::new();
        for remark in &remarks {
            let minute = Minute::of(remark.time);
            let mut around = Period::ALL.into_iter().map(|period| Interval::containing(period, minute));
            let left = around.find(|part| part.start >= kept.since(part.period));
            let to = left.map_or(range.to, |left| left.end()).max(from).min(range.to);
            let tables = TableSet::of_field(Field::All);
            let range = Range { from, to };
            before.extend(prefixes.iter().map(|prefix| storage::Question { range, sender, prefix: *prefix, tables }));
            from = to;
        }
        let is_counted = |_, totals: Totals| !totals.tables.is_empty();
        let counted = self.answers(asker, &mut Answers::to_sums(before, prefixes.len()), is_counted).await?;
        let first = counted.iter().position(|is_counted| *is_counted).unwrap_or(remarks.len());
        Ok(remarks.into_iter().skip(first).collect())
    }
}
