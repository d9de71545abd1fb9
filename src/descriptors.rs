//! Files and sockets that the process may have open. Container runtimes begin with as few as 1 024 and leave it to programs to
//! ask for more.

use rustix::process::{Resource, getrlimit, setrlimit};

/// The limit of a process where nobody sets one.
const UNLIMITED: u64 = 1 << 20;

/// Raises the soft limit to the hard one; returns how many may be open from now on.
#[must_use]
pub fn raise() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays where it is");
        limit.current = before;
    }
    let open = limit.current.unwrap_or(UNLIMITED).min(UNLIMITED);
    tracing::info!(
        open,
        before = before.unwrap_or(UNLIMITED),
        "files and sockets at once"
    );
    usize::try_from(open).unwrap_or(usize::MAX)
}
