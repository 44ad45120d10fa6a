//! Which routers lose data on the way, by their sequence numbers, in one stretch of time after the other: one lost datagram is
//! no state of a router.

use std::time::Duration;

use view::Arrivals;

use super::changes::{Change, Named};

/// The share of its data, in percent, from which on a router is lossy.
const LOSSY_PERCENT: f64 = 1.0;
/// Below it, it no longer is: then `netflow doctor` finds nothing in it either.
const COMPLETE_PERCENT: f64 = 0.1;
/// So few lost datagrams or records make no router lossy, however few it sends.
const FEW: u64 = 5;

/// The losses of one router.
pub(super) struct Losses {
    /// When the present stretch began, and what had arrived before.
    began: Duration,
    before: Vec<Arrivals>,
    lossy_since: Option<Duration>,
}

impl Losses {
    /// Of a router of which this much has arrived.
    pub(super) fn new(arrivals: &[Arrivals], now: Duration) -> Self {
        Self { began: now, before: arrivals.to_vec(), lossy_since: None }
    }

    /// Compares a stretch of this length with what had arrived before, when it has ended.
    pub(super) fn look(
        &mut self,
        arrivals: &[Arrivals],
        (now, length): (Duration, Duration),
        named: &Named,
    ) -> Option<Change> {
        if now.saturating_sub(self.began) < length {
            return None;
        }
        let before = std::mem::replace(&mut self.before, arrivals.to_vec());
        let began = std::mem::replace(&mut self.began, now);
        let worst = arrivals.iter().filter_map(|after| share(&before, after)).max_by(|a, b| a.0.total_cmp(&b.0));
        let (percent, lost, unit) = worst?;
        match self.lossy_since {
            None if percent >= LOSSY_PERCENT && lost >= FEW => {
                self.lossy_since = Some(began);
                Some(Change::Loses { router: named.clone(), percent, lost, unit })
            }
            Some(since) if percent < COMPLETE_PERCENT => {
                self.lossy_since = None;
                Some(Change::LosesNothing { router: named.clone(), lossy: began.saturating_sub(since) })
            }
            Some(_) | None => None,
        }
    }
}

/// What was lost since then, in percent of what was sent and as a number; `None` if nothing was sent. Late datagrams are not
/// lost.
pub(super) fn share(before: &[Arrivals], after: &Arrivals) -> Option<(f64, u64, &'static str)> {
    let then = before.iter().find(|before| before.unit == after.unit);
    let since = |of: fn(&Arrivals) -> u64| of(after).saturating_sub(then.map_or(0, of));
    let (lost, received) = (since(|arrivals| arrivals.lost), since(|arrivals| arrivals.received));
    let sent = lost.saturating_add(received);
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    let percent = lost as f64 / sent as f64 * 100.0;
    (sent > 0).then_some((percent, lost, after.unit))
}
