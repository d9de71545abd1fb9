//! One object, from its readings to what an HPA sees and a person reads. Time is an argument; there is no broker and no cluster.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

mod decisions;
mod hpa;
mod outside;
mod promises;
mod rotation;
mod several;
mod sleeping;
mod worst;
