//! What has changed since the last look: routers that begin to send, fall silent and send again; unregistered addresses; drops
//! by the kernel; the spool. Times are arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use view::{Exporter, SenderTransport, Status, Unknown};

use super::losses::Losses;

/// The unregistered addresses that are remembered, so that each is logged once.
const REMEMBERED: usize = 4096;
/// The shares of its limit, in percent, at which a growing spool is logged.
const SPOOL_LEVELS: [u64; 5] = [10, 25, 50, 75, 90];

/// What a look finds.
pub(super) struct Seen<'v> {
    pub(super) exporters: &'v [Exporter],
    pub(super) unknown: Vec<Unknown>,
    /// Datagrams dropped by the kernel since the start.
    pub(super) kernel_drops: u64,
    /// The bytes in the spool, and its limit; `None` without a spool.
    pub(super) spool: Option<(u64, u64)>,
}

/// How long something lasts until it is logged.
pub(super) struct Times {
    /// A router that has sent nothing for this long is silent: as long as for `netflow doctor`.
    pub(super) silent: Duration,
    /// Losses are those of this time.
    pub(super) losses: Duration,
    /// Without a drop for this long, the kernel no longer drops datagrams.
    pub(super) without_drops: Duration,
}

impl Times {
    /// 10, 5 and 1 minutes for looks every 10 seconds.
    pub(super) fn looking_every(pause: Duration) -> Self {
        Self { silent: pause * 60, losses: pause * 30, without_drops: pause * 6 }
    }
}

/// A router, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) address: IpAddr,
    pub(super) name: Option<String>,
}

/// Something that has changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// A registered router sends its first datagrams since the start.
    Sends { router: Named, protocols: String },
    /// An unregistered address does.
    Unregistered { sender: Named, relay: Option<IpAddr>, protocol: Option<&'static str>, transport: SenderTransport },
    /// As many have that no further one is logged.
    TooManyUnregistered,
    /// A router has sent nothing for this long.
    Silent { router: Named, silent: Duration },
    /// It sends again, after this time.
    SendsAgain { router: Named, silent: Duration },
    /// More than a hundredth of its data was lost on the way.
    Loses { router: Named, percent: f64, lost: u64, unit: &'static str },
    /// Next to nothing was, after this time of losses.
    LosesNothing { router: Named, lossy: Duration },
    /// The kernel drops datagrams.
    Drops { dropped: u64 },
    /// It no longer does, after this time.
    DropsNothing { dropped: u64, dropping: Duration },
    /// The spool has grown.
    SpoolGrows { bytes: u64, limit: u64, percent: u64 },
    /// It is empty again.
    SpoolIsEmpty,
    /// Changes of a kind that were left out of the log within a minute.
    More { kind: &'static str, changes: u64 },
}

/// What is known from the looks so far.
#[derive(Default)]
pub(super) struct Changes {
    routers: BTreeMap<IpAddr, Router>,
    unregistered: BTreeSet<IpAddr>,
    drops: Drops,
    /// The number of levels that the spool has reached.
    spool: usize,
}

struct Router {
    datagrams: u64,
    /// When datagrams were last found.
    heard: Duration,
    is_silent: bool,
    losses: Losses,
}

#[derive(Default)]
struct Drops {
    known: u64,
    /// When they began, how many they were before, and when the last were found.
    present: Option<(Duration, u64, Duration)>,
}

impl<'v> Seen<'v> {
    pub(super) fn of(exporters: &'v [Exporter], unknown: Vec<Unknown>, status: &Status) -> Self {
        let drops = status.counters.iter().find(|counter| counter.name == "kernel_drops");
        let kernel_drops = drops.into_iter().flat_map(|counter| &counter.values).map(|(_, value)| *value).sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "these are sizes of a disk")]
        let spool = status.gauge("spool_bytes").and_then(|gauge| Some((gauge.value as u64, gauge.limit? as u64)));
        Self { exporters, unknown, kernel_drops, spool }
    }
}

impl Changes {
    /// What has changed since the last look.
    pub(super) fn look(&mut self, seen: &Seen<'_>, now: Duration, times: &Times) -> Vec<Change> {
        let mut found = Vec::new();
        self.look_at_routers(seen.exporters, now, times, &mut found);
        self.look_at_unregistered(&seen.unknown, &mut found);
        found.extend(self.drops.look(seen.kernel_drops, now, times));
        found.extend(seen.spool.and_then(|(bytes, limit)| self.look_at_spool(bytes, limit)));
        found
    }

    fn look_at_routers(&mut self, exporters: &[Exporter], now: Duration, times: &Times, found: &mut Vec<Change>) {
        // Those that are no longer registered are forgotten.
        let mut before = std::mem::take(&mut self.routers);
        for exporter in exporters {
            let datagrams: u64 = exporter.protocols.iter().map(|(_, datagrams)| datagrams).sum();
            let named = Named { address: exporter.address, name: exporter.names.name().map(str::to_owned) };
            let router = match before.remove(&exporter.address) {
                Some(mut router) => {
                    found.extend(router.look(datagrams, exporter, (now, times), &named));
                    router
                }
                None if datagrams == 0 => continue,
                None => {
                    let protocols: Vec<&str> = exporter.protocols.iter().map(|(protocol, _)| *protocol).collect();
                    found.push(Change::Sends { router: named, protocols: protocols.join(",") });
                    Router { datagrams, heard: now, is_silent: false, losses: Losses::new(&exporter.arrivals, now) }
                }
            };
            self.routers.insert(exporter.address, router);
        }
    }

    fn look_at_unregistered(&mut self, unknown: &[Unknown], found: &mut Vec<Change>) {
        for sender in unknown {
            if self.unregistered.len() > REMEMBERED {
                return;
            }
            if !self.unregistered.insert(sender.address) {
                continue;
            }
            found.push(if self.unregistered.len() > REMEMBERED {
                Change::TooManyUnregistered
            } else {
                let named = Named { address: sender.address, name: sender.names.name().map(str::to_owned) };
                let Unknown { relay, protocol, transport, .. } = *sender;
                Change::Unregistered { sender: named, relay, protocol, transport }
            });
        }
    }

    /// The flusher logs when the spool begins to be used.
    fn look_at_spool(&mut self, bytes: u64, limit: u64) -> Option<Change> {
        let percent = u64::try_from(u128::from(bytes) * 100 / u128::from(limit.max(1))).unwrap_or(u64::MAX);
        let reached = SPOOL_LEVELS.iter().filter(|level| percent >= **level).count();
        if bytes == 0 {
            return (std::mem::take(&mut self.spool) > 0).then_some(Change::SpoolIsEmpty);
        }
        let grows = reached > self.spool;
        self.spool = self.spool.max(reached);
        grows.then_some(Change::SpoolGrows { bytes, limit, percent })
    }
}

impl Router {
    fn look(
        &mut self,
        datagrams: u64,
        exporter: &Exporter,
        (now, times): (Duration, &Times),
        named: &Named,
    ) -> impl Iterator<Item = Change> + use<> {
        let silent = now.saturating_sub(self.heard);
        let mut sends = None;
        if datagrams != self.datagrams {
            (self.datagrams, self.heard) = (datagrams, now);
            let was_silent = std::mem::take(&mut self.is_silent);
            sends = was_silent.then(|| Change::SendsAgain { router: named.clone(), silent });
        } else if !self.is_silent && silent >= times.silent {
            self.is_silent = true;
            sends = Some(Change::Silent { router: named.clone(), silent });
        }
        sends.into_iter().chain(self.losses.look(&exporter.arrivals, (now, times.losses), named))
    }
}

impl Drops {
    fn look(&mut self, drops: u64, now: Duration, times: &Times) -> Option<Change> {
        let before = std::mem::replace(&mut self.known, drops);
        match self.present {
            None if drops > before => {
                self.present = Some((now, before, now));
                Some(Change::Drops { dropped: drops - before })
            }
            Some((began, first, _)) if drops > before => {
                self.present = Some((began, first, now));
                None
            }
            Some((began, first, last)) if now.saturating_sub(last) >= times.without_drops => {
                self.present = None;
                Some(Change::DropsNothing {
                    dropped: drops.saturating_sub(first),
                    dropping: last.saturating_sub(began),
                })
            }
            Some(_) | None => None,
        }
    }
}

#[cfg(test)]
mod tests;
