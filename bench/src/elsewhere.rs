//! Load of clients on other machines.

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};

/// Leaves the processors to all other threads, as if this thread were on another machine. A low priority does not do: such
/// a thread keeps its processor until its slice ends.
pub(crate) fn give_way() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // Without it, the collector has less of the processors, and the figures are worse.
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
}
