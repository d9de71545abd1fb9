//! The tick: demand in, snapshot out. One task per cluster and credential, so that clusters never wait for one another.

mod absorb;
mod backoff;
mod batch;
mod claims;
mod cluster;
mod demand;
mod describe;
mod known;
mod limits;
mod listing;
mod manager;
mod markers;
mod node;
mod own;
mod pairing;
mod picture;
mod seed;
mod taken;
mod tick;
mod wake;
mod words;

pub use cluster::Timing;
pub use demand::{ClusterDemand, ClusterKey, GroupDemand};
pub use listing::MOST_PATTERNS;
pub use manager::Manager;
pub use picture::{Changed, GroupPicture, Listed, Looked, Picture, Slot, TopicPicture, Trouble};
pub use taken::Taken;
