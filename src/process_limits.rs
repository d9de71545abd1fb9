//! Limits that the kernel holds the process to: how many files and sockets it may have open (container runtimes begin with as few
//! as 1 024 and leave it to programs to ask for more), and how much memory its container has.

use std::fs;

use rustix::process::{Resource, getrlimit, setrlimit};

/// The limit of a process where nobody sets one.
const UNLIMITED: u64 = 1 << 20;

/// Where the limit of the container's memory is told: cgroup v2, and v1.
const MEMORY: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
/// A limit that is not one: v1 tells the largest number of pages where nobody sets it.
const MORE_THAN_ANY_HAS: u64 = 1 << 50;

/// The memory that the container may have, in bytes; `None` where nobody limits it, or no cgroup is mounted.
#[must_use]
pub fn memory() -> Option<u64> {
    let mut told = MEMORY
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    let limit = told.find_map(|text| limit_of(&text));
    tracing::info!(?limit, "bytes of memory");
    limit
}

fn limit_of(told: &str) -> Option<u64> {
    let limit = told.trim().parse().ok();
    limit.filter(|bytes| *bytes < MORE_THAN_ANY_HAS)
}

/// Raises the soft limit of open files to the hard one; returns how many may be open from now on.
#[must_use]
pub fn raise_open_files() -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_memory_is_read_as_either_cgroup_tells_it_and_none_is_none() {
        let limits = ["268435456\n", "max\n", "9223372036854771712\n", "", "many"].map(limit_of);
        assert_eq!(limits, [Some(256 << 20), None, None, None, None]);
    }
}
