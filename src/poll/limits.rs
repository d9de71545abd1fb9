//! Bounds of what a cluster may be and of what it is asked for at once.

/// A cluster that names more brokers is not one: each is a connection and a task.
pub(super) const MOST_BROKERS: usize = 512;
/// The largest clusters have some hundred thousand partitions in all.
pub(super) const MOST_PARTITIONS: usize = 50_000;
/// Topics in one Metadata request.
pub(super) const TOPICS: usize = 1_000;
