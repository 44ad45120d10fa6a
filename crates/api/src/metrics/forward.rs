//! What becomes of the copies of datagrams for other collectors, as metrics.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use view::ForwardTarget;

use super::{Series, each_series};

/// Writes them. There is a series for each of at most 16 targets, and for each reason.
pub(super) fn encode(targets: &[ForwardTarget], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    if targets.is_empty() {
        return Ok(());
    }
    let refusals = "Answers of a target that nothing receives there";
    let series: [Series<ForwardTarget>; 5] = [
        ("forward_received", "Datagrams received for a target", MetricType::Counter, |it| it.received),
        ("forward_sent", "Datagrams forwarded to a target", MetricType::Counter, |it| it.sent),
        ("forward_refusals", refusals, MetricType::Counter, |it| it.refusals),
        ("forward_waiting_bytes", "Memory of the queue of a target", MetricType::Gauge, |it| it.waiting_bytes),
        ("forward_waiting_bytes_limit", "Limit", MetricType::Gauge, |it| it.waiting_bytes_limit),
    ];
    each_series(encoder, &series, targets, |target| [("target", target.address.to_string())])?;
    let drops = targets.iter().flat_map(|target| {
        let dropped = &target.dropped;
        let reasons =
            [("queueFull", dropped.queue_full), ("failed", dropped.failed), ("otherFamily", dropped.other_family)];
        reasons.map(|(reason, datagrams)| (target, reason, datagrams))
    });
    let drops: Vec<(&ForwardTarget, &str, u64)> = drops.collect();
    let help = "Datagrams for a target that were dropped";
    let series: [Series<(&ForwardTarget, &str, u64)>; 1] =
        [("forward_drops", help, MetricType::Counter, |(.., datagrams)| *datagrams)];
    each_series(encoder, &series, &drops, |(target, reason, _)| {
        [("target", target.address.to_string()), ("reason", (*reason).to_owned())]
    })
}
