//! The line of rates: what was received, counted and lost a second since the last such line.

use std::time::Duration;

use collector::status::Status;
use flow::{DatagramFate, FlowFate};
use view::{Arrivals, Exporter};

use super::lines::rounded;
use super::losses::share;

/// What was counted from the start until a time.
pub(super) struct Totals {
    pub(super) at: Duration,
    counts: [u64; COUNTS],
    /// Bytes of counted traffic that are stored.
    bytes: u64,
    arrivals: Vec<Arrivals>,
    routers: usize,
}

/// Datagrams, flows, and those of them that are not counted.
const COUNTS: usize = 6;

/// What was counted in a stretch of time.
#[derive(Debug, PartialEq)]
pub(super) struct Rates {
    seconds: f64,
    counts: [u64; COUNTS],
    bytes: u64,
    lost_percent: f64,
    routers: usize,
}

impl Totals {
    pub(super) fn of(exporters: &[Exporter], status: &Status, at: Duration) -> Self {
        let counts = status.counts();
        let mut arrivals: Vec<Arrivals> = Vec::new();
        for of in exporters.iter().flat_map(|exporter| &exporter.arrivals) {
            match arrivals.iter_mut().find(|sum| sum.unit == of.unit) {
                Some(sum) => (sum.received, sum.lost) = (sum.received + of.received, sum.lost + of.lost),
                None => arrivals.push(*of),
            }
        }
        Self {
            at,
            counts: [
                counts.datagrams.total(),
                counts.flows.total(),
                counts.datagrams[DatagramFate::Unregistered],
                counts.flows[FlowFate::Unmatched],
                counts.decode_errors,
                counts.kernel_drops,
            ],
            bytes: status.flushes().balance.all.bytes,
            arrivals,
            routers: exporters.len(),
        }
    }

    /// What was counted since then.
    pub(super) fn since(&self, before: &Self) -> Rates {
        let mut counts = self.counts;
        counts.iter_mut().zip(before.counts).for_each(|(count, before)| *count = count.saturating_sub(before));
        let shares = self.arrivals.iter().filter_map(|after| share(&before.arrivals, after));
        Rates {
            seconds: self.at.saturating_sub(before.at).as_secs_f64(),
            counts,
            bytes: self.bytes.saturating_sub(before.bytes),
            lost_percent: shares.map(|(percent, ..)| percent).fold(0.0, f64::max),
            routers: self.routers,
        }
    }
}

impl Rates {
    pub(super) fn log(&self) {
        let [datagrams, flows, unregistered, unmatched, decode_errors, kernel_drops] = self.counts;
        tracing::info!(
            seconds = self.seconds.round(),
            datagrams_per_second = self.a_second(datagrams),
            flows_per_second = self.a_second(flows),
            bits_per_second = self.a_second(self.bytes.saturating_mul(8)).round(),
            lost_percent = rounded(self.lost_percent),
            routers = self.routers,
            datagrams,
            flows,
            unregistered,
            unmatched,
            decode_errors,
            kernel_drops,
            "rates since the last such line"
        );
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
    fn a_second(&self, count: u64) -> f64 {
        rounded(count as f64 / self.seconds.max(f64::MIN_POSITIVE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(at: u64, counts: [u64; COUNTS], (received, lost): (u64, u64), bytes: u64) -> Totals {
        let arrivals = Arrivals { unit: "datagrams", received, lost, filled: 0, duplicates: 0, late: 0, restarts: 0 };
        Totals { at: Duration::from_secs(at), counts, bytes, arrivals: vec![arrivals], routers: 2 }
    }

    #[test]
    fn rates_are_of_the_time_since_the_last_line_only() {
        let before = totals(3600, [1000, 30_000, 5, 4, 3, 2], (1000, 500), 1_000_000);
        let after = totals(7200, [4600, 138_000, 5, 5, 3, 2], (4564, 536), 451_000_000);
        let rates = after.since(&before);
        let expected = Rates {
            seconds: 3600.0,
            counts: [3600, 108_000, 0, 1, 0, 0],
            bytes: 450_000_000,
            lost_percent: 1.0,
            routers: 2,
        };
        assert_eq!(rates, expected);
        assert!((rates.a_second(3600) - 1.0).abs() < 1e-9 && (rates.a_second(450_000_000 * 8) - 1e6).abs() < 1e-6);
    }
}
