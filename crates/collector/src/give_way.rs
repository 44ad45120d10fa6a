//! Work that gives way to the threads that count: what the kernel drops while a receiving thread waits for a processor is lost,
//! and what waits on disk is not.
//!
//! It runs while a processor has nothing else to do (SCHED_IDLE, sched(7)), on a thread for that: a process without privileges
//! cannot leave this policy. A low priority would not do: since Linux 6.6 such a thread keeps its processor until the next tick,
//! up to 4 ms, while others wait, and the kernel does not take that processor for a free one.
//!
//! Beside a program that uses all processors, it would hardly run at all. So work that has not caught up for a while continues
//! on the thread of the caller, with the lowest priority, until it has.

use std::thread;
use std::time::{Duration, Instant};

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};

/// What a step of work has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to do.
    Busy,
    /// It has caught up, or waited.
    Idle,
    /// It is over.
    End,
}

/// Calls `step`, which takes some milliseconds of a processor at most, until it is over. Work that is busy for longer than
/// `patience` no longer waits for a processor that is free.
pub(crate) fn give_way(name: &str, patience: Duration, step: &mut (dyn FnMut() -> Step + Send)) {
    lower_priority();
    loop {
        let mut busy_since = None;
        let mut last = Step::Busy;
        in_free_time(name, &mut || {
            last = step();
            busy_since = (last == Step::Busy).then(|| busy_since.unwrap_or_else(Instant::now));
            last != Step::End && busy_since.is_none_or(|since| since.elapsed() < patience)
        });
        while last == Step::Busy {
            last = step();
        }
        if last == Step::End {
            return;
        }
    }
}

/// Calls `step` while it returns `true`, on a thread that runs while no other does.
fn in_free_time(name: &str, step: &mut (dyn FnMut() -> bool + Send)) {
    thread::scope(|scope| {
        let run = || {
            run_while_no_other_does();
            while step() {}
        };
        match thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run).map(thread::ScopedJoinHandle::join)
        {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => tracing::debug!(%error, name, "no thread for work in free time"),
        }
    });
}

fn run_while_no_other_does() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
        tracing::debug!(?error, "work in free time has the lowest priority only");
    }
}

/// Gives this thread, and those that it starts, the lowest priority.
pub fn lower_priority() {
    // nice(2) adds, from -20 on, and ends at 19.
    const TO_THE_LOWEST: i32 = 39;
    if let Err(error) = rustix::process::nice(TO_THE_LOWEST) {
        tracing::debug!(%error, "work that gives way has the priority of all other threads");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Priority {
        Idle,
        Lowest,
        Other(i32, u32),
    }

    /// The nice value and the policy of the calling thread: the 19th and the 41st field of its stat file (proc(5)).
    fn priority() -> Priority {
        const SCHED_OTHER: u32 = 0;
        const SCHED_IDLE: u32 = 5;
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        let field = |number: usize| after_name.split_whitespace().nth(number - 3).unwrap();
        match (field(19).parse().unwrap(), field(41).parse().unwrap()) {
            (_, SCHED_IDLE) => Priority::Idle,
            (19, SCHED_OTHER) => Priority::Lowest,
            (nice, policy) => Priority::Other(nice, policy),
        }
    }

    fn steps(patience: Duration, found: &'static [Step]) -> Vec<Priority> {
        let run = move || {
            let (mut found, mut priorities) = (found.iter(), Vec::new());
            give_way("test", patience, &mut || {
                priorities.push(priority());
                *found.next().unwrap()
            });
            assert_eq!(found.next(), None);
            priorities
        };
        // Whose priority is lowered.
        thread::spawn(run).join().unwrap()
    }

    #[test]
    fn it_runs_in_free_time() {
        let found = &[Step::Busy, Step::Idle, Step::Busy, Step::Busy, Step::End];
        assert_eq!(steps(Duration::from_secs(3600), found), [const { Priority::Idle }; 5]);
    }

    #[test]
    fn what_does_not_catch_up_gets_a_share() {
        let found = &[Step::Idle, Step::Busy, Step::Busy, Step::Busy, Step::Idle, Step::Idle, Step::Busy, Step::End];
        let (free, share) = (|| Priority::Idle, || Priority::Lowest);
        let expected = [free(), free(), share(), share(), share(), free(), free(), share()];
        assert_eq!(steps(Duration::ZERO, found), expected);
    }

    #[test]
    #[should_panic(expected = "as the step did")]
    fn a_panic_is_passed_on() {
        give_way("test", Duration::ZERO, &mut || panic!("as the step did"));
    }
}
