//! The tick: demand in, snapshot out. One task per cluster and credential, so that clusters never wait for one another.

mod absorb;
mod backoff;
mod batch;
mod brokers;
mod claims;
mod cluster;
mod describe;
mod groups;
mod known;
mod limits;
mod listing;
mod manager;
mod markers;
mod node;
mod own;
mod pairing;
mod publisher;
mod seed;
mod tick;
mod timing;
mod topics;
mod waiting;
mod wake;
mod words;

pub use manager::Manager;
pub use timing::Timing;
