//! What a bill reports of losses between the sender and the collectors.

use accounting::period::Minute;
use accounting::zone::Zone;
use flow::Counters;
use serde::Serialize;

use super::samples::Losses;

/// Losses by the sequence numbers of the sender's datagrams.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LostView {
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
pub(super) struct ShareView {
    /// What the sequence numbers count: `datagrams`, or `records` (NetFlow v5 to v8, IPFIX).
    unit: &'static str,
    received: u64,
    lost: u64,
    /// Lost units over sent units, 0 to 1; null when none is known to have been sent.
    share: Option<f64>,
}

impl LostView {
    /// `None` when nothing arrived.
    pub(super) fn of(losses: impl Iterator<Item = Losses>, zone: &Zone) -> Option<Self> {
        let (mut arrived, mut lost) = (Counters::ZERO, Counters::ZERO);
        let mut worst: Option<(f64, Minute)> = None;
        let mut with_losses = 0;
        for of_sample in losses {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_was_lost_is_of_what_was_sent() {
        assert_eq!(share(0, 0), None);
        assert_eq!(share(0, 7), Some(0.0));
        assert_eq!(share(1, 2), Some(0.333_333));
        assert_eq!(share(u64::MAX, 1), Some(1.0));
    }
}
