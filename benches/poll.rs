//! Cost of a steady tick: `cargo bench --bench poll`. One JSON line per case; the fake cluster runs in a process of its
//! own, and so does each case, so that its memory is its own. `-- 3000` runs the cases whose name contains that, `-- growth` what
//! doubles with which size.
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
#[path = "poll/growth.rs"]
mod growth;
#[path = "poll/real.rs"]
mod real;

use std::process::Command;

use case::Case;

const CASES: [(&str, Case); 4] = [
    ("10000-groups", sized(10_000, 1)),
    ("3000-groups", sized(3_000, 1)),
    ("100-credentials", sized(10_000, 100)),
    (
        "100000-groups",
        Case {
            brokers: 30,
            ..sized(100_000, 1)
        },
    ),
];
const REAL: &str = "1000-groups-on-real-brokers";
const GROWTH: &str = "growth";

const fn sized(groups: usize, credentials: usize) -> Case {
    Case {
        groups,
        partitions: 10,
        brokers: 12,
        credentials,
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["fake", numbers @ ..] => fake::run(Case::of(numbers)),
        ["case", numbers @ ..] => Case::of(numbers).run(),
        others => {
            let wanted = |name: &str| {
                let mut filters = others.iter().filter(|a| !a.starts_with('-')).peekable();
                filters.peek().is_none() || filters.any(|f| name.contains(*f))
            };
            for (_, case) in CASES.iter().filter(|(name, _)| wanted(name)) {
                println!("{}", case.apart());
            }
            if wanted(REAL) {
                real::run();
            }
            if wanted(GROWTH) {
                growth::run();
            }
        }
    }
}

/// This program once more.
fn itself() -> Command {
    Command::new(std::env::current_exe().unwrap())
}
