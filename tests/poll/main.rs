//! The tick against a cluster that misbehaves on command: what is asked, in which order, and what is known afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

mod all_topics;
mod bench;
mod cost;
mod faults;
mod hostile;
mod levels;
mod lives;
mod patterns;
mod rotation;
mod scope;
mod tick;
mod versions;
mod ways_in;
