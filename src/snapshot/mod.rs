//! Plain data between polls and evaluations: what is asked of a cluster (`demand`), and what is known of it. Immutable, without a
//! client or a task; `poll` makes it, `scaling` reads it.

mod cluster;
mod clusters;
mod demand;
mod taken;

pub use cluster::{
    Changed, GroupSnapshot, Listed, Looked, PartitionSlots, Slot, Snapshot, TopicSnapshot, Trouble,
};
pub use clusters::Snapshots;
pub use demand::{ClusterDemand, ClusterKey, GroupDemand};
pub use taken::{MOST_PATTERNS, Taken};
