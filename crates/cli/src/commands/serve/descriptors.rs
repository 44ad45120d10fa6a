//! The limit of file descriptors. Many systems start programs with a soft limit of 1024, and leave it to them to raise it.

use api::MAX_CONNECTIONS;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than enough; also the limit in `packaging/netflow.service`.
const WANTED: u64 = 16_384;

/// Raises the limit as far as it is allowed and useful; warns when it stays so low that it limits connections.
pub(super) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // None is no limit.
    let (Some(current), highest) = (current, maximum.unwrap_or(WANTED).min(WANTED)) else { return };
    let raised = Rlimit { current: Some(highest), maximum };
    let limit = if highest > current && setrlimit(Resource::Nofile, raised).is_ok() { highest } else { current };
    if limit / 2 < MAX_CONNECTIONS as u64 {
        tracing::warn!(
            "the limit of open files is {limit}: the REST interface accepts {} connections instead of {MAX_CONNECTIONS}; \
             raise it with LimitNOFILE={WANTED} in the service unit, or with ulimit -n",
            limit / 2
        );
    }
}
