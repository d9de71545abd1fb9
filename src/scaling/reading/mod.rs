//! From the snapshot of a cluster to what one trigger reads of it.

mod bound;
pub(super) mod readout;
mod remember;
mod rotation;

pub use bound::Bound;
pub use readout::{Readout, read};
pub use remember::{
    Recalled, complete, forgets, remember, remembered_partitions, remembered_topics,
};
pub use rotation::follow;
