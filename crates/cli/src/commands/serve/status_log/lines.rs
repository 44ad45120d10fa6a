//! Changes as lines of the log. A line starts with the event; its fields are what programs read.

use std::fmt::Display;
use std::time::Duration;

use tracing::field::{DisplayValue, display};

use super::changes::{Change, Named};
use crate::table;

/// Logs a change.
pub(super) fn log(change: &Change) {
    match change {
        Change::Sends { router, protocols } => {
            tracing::info!(router = %router.address, name = shown(router), protocols, "a router began to send");
        }
        Change::Unregistered { sender, relay, protocol, transport } => {
            let (address, name, relay) = (sender.address, shown(sender), relay.map(display));
            tracing::warn!(
                %address, name, relay, protocol, %transport,
                "an unregistered address sends, and its flows are not counted: netflow doctor shows what to do"
            );
        }
        Change::TooManyUnregistered => {
            tracing::warn!("too many unregistered addresses send: further ones are not logged until the next start");
        }
        Change::Silent { router, silent } => {
            tracing::warn!(router = %router.address, name = shown(router), seconds = silent.as_secs(), "a router is silent");
        }
        Change::SendsAgain { router, silent } => {
            tracing::info!(
                router = %router.address, name = shown(router), seconds = silent.as_secs(),
                "a router sends again after {}", length(*silent)
            );
        }
        change => log_losses(change),
    }
}

fn log_losses(change: &Change) {
    match change {
        Change::Loses { router, percent, lost, unit } => {
            let percent = rounded(*percent);
            tracing::warn!(
                router = %router.address, name = shown(router), lost_percent = percent, lost, unit,
                "data of a router are lost on the way: netflow doctor shows where to look"
            );
        }
        Change::LosesNothing { router, lossy } => {
            tracing::info!(
                router = %router.address, name = shown(router), seconds = lossy.as_secs(),
                "data of a router are complete again after {}", length(*lossy)
            );
        }
        Change::Drops { dropped } => {
            tracing::warn!(dropped, "the kernel drops datagrams: increase server.receiveBuffer or server.cores");
        }
        Change::DropsNothing { dropped, dropping } => {
            tracing::info!(dropped, seconds = dropping.as_secs(), "the kernel no longer drops datagrams");
        }
        Change::SpoolGrows { bytes, limit, percent } => {
            tracing::warn!(bytes, limit, percent, "the spool grows: the store does not take flushes");
        }
        Change::SpoolIsEmpty => tracing::info!("the spool is empty again"),
        Change::More { kind, changes } => tracing::warn!(changes, "more in the last minute: {kind}"),
        _ => {}
    }
}

/// A router without a name has no such field.
fn shown(named: &Named) -> Option<DisplayValue<&str>> {
    named.name.as_deref().map(display)
}

fn length(duration: Duration) -> impl Display {
    table::duration(duration.as_secs())
}

/// To a hundredth.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
