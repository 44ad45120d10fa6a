//! Tells the service manager that the collector does not hang, and what it has done. It says nothing more when a thread that
//! receives or flushes has stopped to turn: then the service manager starts the collector again.

use std::time::Duration;

use collector::pulse::Pulse;
use collector::status::Status;

use crate::service_manager::{self, State};

/// How often the service manager is told what was done.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Goes on for as long as it is let; ends at once where nobody is to be told.
pub(super) async fn keep_telling(pulses: Vec<Pulse>, status: Status) {
    if !service_manager::is_there() {
        return;
    }
    let patience = service_manager::watchdog();
    let interval = patience.map_or(STATUS_INTERVAL, |patience| STATUS_INTERVAL.min(patience / 3));
    let mut ticks = tokio::time::interval(interval);
    let mut hung = false;
    loop {
        ticks.tick().await;
        service_manager::tell(&State::Status(status.counts().to_string()));
        let Some(patience) = patience else { continue };
        match pulses.iter().find(|pulse| pulse.age() > patience) {
            None => {
                hung = false;
                service_manager::tell(&State::Alive);
            }
            Some(pulse) if !hung => {
                hung = true;
                let seconds = pulse.age().as_secs();
                tracing::error!(
                    thread = pulse.name(),
                    seconds,
                    "a thread hangs: the service manager is not told that all is well"
                );
            }
            Some(_) => {}
        }
    }
}
