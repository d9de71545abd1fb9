//! Brokers' answers: what kafka-protocol's encoder writes is what our decoders read, in every version that we speak; and
//! what no broker writes is refused, at the cost of its own bytes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

mod connection;
mod corpora;
mod hostile;
mod log;
mod make;
mod members;
mod round_trip;
mod smallest;
mod tail;
#[path = "../../fuzz/take.rs"]
mod take;
mod words;
