//! The tick: demand in, snapshot out. One task per cluster and credential, so that clusters never wait for one another.

mod absorb;
mod backoff;
mod batch;
mod claims;
mod cluster;
mod describe;
mod known;
mod limits;
mod listing;
mod manager;
mod markers;
mod node;
mod own;
mod pairing;
mod seed;
mod tick;
mod wake;
mod words;

pub use cluster::Timing;
pub use manager::Manager;
