//! The TCP connections of a process, as the kernel lists them.

use std::{collections::BTreeSet, fs};

/// Established connections of process `pid` to `port`, on whatever address.
pub fn connections_to(pid: u32, port: u16) -> usize {
    let own = inodes(pid);
    let lists = ["tcp", "tcp6"].map(|list| format!("/proc/{pid}/net/{list}"));
    let lists = lists
        .iter()
        .filter_map(|list| fs::read_to_string(list).ok());
    let is_one = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, _, remote, state, _, _, _, _, _, inode, ..] = words.as_slice() else {
            return false;
        };
        let to = remote.rsplit(':').next();
        let to = to.and_then(|hex| u16::from_str_radix(hex, 16).ok());
        to == Some(port) && *state == "01" && own.contains(*inode)
    };
    lists
        .map(|list| list.lines().filter(|l| is_one(l)).count())
        .sum()
}

/// The sockets that a process holds.
fn inodes(pid: u32) -> BTreeSet<String> {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let links = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let sockets = links.filter_map(|link| {
        let link = link.to_str()?;
        let inode = link.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(inode.to_owned())
    });
    sockets.collect()
}
