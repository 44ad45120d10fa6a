//! What the log reports while the collector runs: what has changed, when it changes, and the rates since the last such line.
//! It is all read from the view of the collector: nothing is counted for it, and no receiving thread takes part.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `status_log/changes.rs` | what has changed since the last look |
//! | `status_log/losses.rs` | which routers lose data on the way |
//! | `status_log/budget.rs` | how many lines of a kind are logged in a minute |
//! | `status_log/lines.rs` | a change as a line |
//! | `status_log/rates.rs` | the line of rates |

mod budget;
mod changes;
mod lines;
mod losses;
mod rates;

use std::sync::Arc;
use std::time::{Duration, Instant};

use collector::status::Status;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use view::View;

use self::budget::Budget;
use self::changes::{Changes, Seen, Times};
use self::rates::Totals;
use crate::log;

/// How often changes are looked for, unless rates are logged more often.
const LOOKS: Duration = Duration::from_secs(10);

/// The task that writes these lines.
pub(super) struct StatusLog {
    interval: watch::Sender<Option<Duration>>,
    task: JoinHandle<()>,
}

impl StatusLog {
    /// Logs rates at this interval from now on, if at any, and what changes.
    pub(super) fn start(view: Arc<dyn View>, status: Status, interval: Option<Duration>) -> Self {
        let (sender, intervals) = watch::channel(interval);
        Self { interval: sender, task: tokio::spawn(run(view, status, intervals)) }
    }

    /// Logs rates at this interval from now on. What is known of routers stays.
    pub(super) fn set(&self, interval: Option<Duration>) {
        self.interval.send_if_modified(|before| std::mem::replace(before, interval) != interval);
    }

    pub(super) fn end(&self) {
        self.task.abort();
    }
}

/// Never ends by itself.
async fn run(view: Arc<dyn View>, status: Status, mut intervals: watch::Receiver<Option<Duration>>) {
    let start = Instant::now();
    let (mut changes, mut budget) = (Changes::default(), Budget::default());
    let mut last = Totals::of(&view.exporters(), &status, Duration::ZERO);
    loop {
        let interval = *intervals.borrow_and_update();
        let pause = interval.map_or(LOOKS, |interval| interval.min(LOOKS));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = intervals.changed() => if changed.is_err() { return } else { continue },
        }
        log::report_lost_lines();
        let (exporters, now) = (view.exporters(), start.elapsed());
        let seen = Seen::of(&exporters, view.unknown(), &view.status());
        let found = changes.look(&seen, now, &Times::looking_every(pause));
        budget.spend(found, now).iter().for_each(lines::log);
        // A pause may end a little early or late.
        if interval.is_some_and(|interval| now + pause / 2 >= last.at + interval) {
            let totals = Totals::of(&exporters, &status, now);
            totals.since(&last).log();
            last = totals;
        }
    }
}
