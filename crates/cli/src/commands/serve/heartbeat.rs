//! Watchdog pings and status lines for the service manager. The pings stop while a thread that receives or flushes is
//! stalled, so that the service manager restarts the collector.

use std::time::Duration;

use collector::pulse::Pulse;
use collector::status::Status;

use crate::service_manager::{self, State};

/// How often the service manager gets a status line.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Runs until cancelled; returns at once where there is no service manager.
pub(super) async fn run(pulses: Vec<Pulse>, status: Status) {
    if !service_manager::is_there() {
        return;
    }
    let patience = service_manager::watchdog();
    let interval = patience.map_or(STATUS_INTERVAL, |patience| STATUS_INTERVAL.min(patience / 3));
    let mut ticks = tokio::time::interval(interval);
    let mut hung = false;
    loop {
        ticks.tick().await;
        service_manager::notify(&State::Status(status.counts().to_string()));
        let Some(patience) = patience else { continue };
        match pulses.iter().find(|pulse| pulse.age() > patience) {
            None => {
                hung = false;
                service_manager::notify(&State::Alive);
            }
            Some(pulse) if !hung => {
                hung = true;
                let seconds = pulse.age().as_secs();
                tracing::error!(thread = pulse.name(), seconds, "thread stalled: withholding the watchdog ping");
            }
            Some(_) => {}
        }
    }
}
