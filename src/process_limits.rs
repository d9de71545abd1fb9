//! Limits that the kernel holds the process to: how many files and sockets it may have open (container runtimes begin with as few
//! as 1 024 and leave it to programs to ask for more), and how much memory its container has.

use std::fs;

use rustix::process::{Resource, getrlimit, setrlimit};

/// The limit of a process where nobody sets one.
const UNLIMITED: u64 = 1 << 20;

/// Where a container sees the limit of its memory: cgroup v2, and v1.
const MEMORY: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
/// A limit that is not one: v1 tells the largest number of pages where nobody sets it.
const MORE_THAN_ANY_HAS: u64 = 1 << 50;

/// The memory that the container may have, in bytes; `None` where nobody limits it, or no cgroup is mounted.
#[must_use]
pub fn memory() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let files = own.lines().filter_map(file_of);
    let files = files.chain(MEMORY.map(str::to_owned));
    let mut told = files.filter_map(|file| fs::read_to_string(file).ok());
    let limit = told.find_map(|text| limit_of(&text));
    tracing::info!(?limit, "bytes of memory");
    limit
}

/// The file of a line of `/proc/self/cgroup`, where that is about memory.
fn file_of(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(':')?;
    let (kinds, path) = rest.split_once(':')?;
    if kinds.is_empty() {
        return Some(format!("/sys/fs/cgroup{path}/memory.max"));
    }
    let memory = kinds.split(',').any(|kind| kind == "memory");
    memory.then(|| format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"))
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
    fn the_process_s_own_cgroup_is_looked_at_whatever_the_version() {
        let files = ["0::/pod/a", "4:cpu,memory:/b", "3:cpu:/c", "x"].map(file_of);
        let text = |t: &str| Some(t.to_owned());
        let wanted = [
            text("/sys/fs/cgroup/pod/a/memory.max"),
            text("/sys/fs/cgroup/memory/b/memory.limit_in_bytes"),
            None,
            None,
        ];
        assert_eq!(files, wanted);
    }

    #[test]
    fn a_limit_of_memory_is_read_as_either_cgroup_tells_it_and_none_is_none() {
        let limits = ["268435456\n", "max\n", "9223372036854771712\n", "", "many"].map(limit_of);
        assert_eq!(limits, [Some(256 << 20), None, None, None, None]);
    }
}
