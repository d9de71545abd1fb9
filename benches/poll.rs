//! Cost of a steady tick: `cargo bench --bench poll`. One JSON line per case; the fake cluster runs in a process of its
//! own, and so does each case, so that its memory is its own. `-- 3000` runs the cases whose name contains that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a program for developers"
)]

#[path = "poll/case.rs"]
mod case;
#[path = "poll/fake.rs"]
mod fake;
#[path = "poll/real.rs"]
mod real;

use std::process::Command;

use case::Case;

const CASES: [Case; 3] = [
    Case {
        name: "10000-groups",
        groups: 10_000,
        credentials: 1,
    },
    Case {
        name: "3000-groups",
        groups: 3_000,
        credentials: 1,
    },
    Case {
        name: "100-credentials",
        groups: 10_000,
        credentials: 100,
    },
];
const REAL: &str = "1000-groups-on-real-brokers";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["fake", groups, logins] => fake::run(groups.parse().unwrap(), *logins == "logins"),
        ["case", name] => match CASES.iter().find(|c| c.name == *name) {
            Some(case) => case.run(),
            None => real::run(),
        },
        others => {
            let wanted = |name: &str| {
                let mut filters = others.iter().filter(|a| !a.starts_with('-')).peekable();
                filters.peek().is_none() || filters.any(|f| name.contains(*f))
            };
            let names = CASES.iter().map(|c| c.name).chain([REAL]);
            for name in names.filter(|n| wanted(n)) {
                let status = itself().args(["case", name]).status().unwrap();
                assert!(status.success(), "{name}: {status}");
            }
        }
    }
}

/// This program once more.
fn itself() -> Command {
    Command::new(std::env::current_exe().unwrap())
}
