//! Requests to a broker and the meaning of its answers, in whichever version both sides speak. A part that an answer leaves
//! out is not in the result: the caller treats it as unknown, never as zero.

pub mod api_versions;
pub mod describe_groups;
pub mod fetch;
pub mod find_coordinator;
pub mod list_offsets;
pub mod metadata;
pub mod offset_fetch;
pub mod sasl;
pub mod unseen;

use std::{collections::BTreeMap, sync::Arc};

pub use crate::lag::Isolation;
pub use describe_groups::Members;
pub use fetch::{Tail, Tails};
pub use find_coordinator::Coordinators;
pub use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
pub use list_offsets::{LogOffset, Offsets, Position};
pub use metadata::{Layout, PartitionLayout, TopicLayout};
pub use offset_fetch::{CommitsOf, GroupCommits};
pub use unseen::Fetched;

use super::reader::{Malformed, Reader};
pub use super::throttle::Throttled;

/// Topics with partition ids. Names are shared, ids ascend and are unique, which the protocol demands of a request.
pub type Partitions = BTreeMap<Arc<str>, Vec<i32>>;

/// The throttle that an answer begins with from version `since` on; 0 before.
fn throttle(answer: &mut Reader<'_>, since: i16) -> Result<i32, Malformed> {
    if answer.version() >= since {
        answer.i32()
    } else {
        Ok(0)
    }
}

fn text(name: &str) -> StrBytes {
    StrBytes::from_string(name.to_owned())
}
