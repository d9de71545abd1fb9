//! The meaning of a Kafka error code for a topic, a partition or a group, in words for a condition.

use crate::{kafka::error::code_name, snapshot::Trouble};
use kafka_protocol::ResponseError;

/// As KEDA begins what it says of a topic, and of a group's commits.
const DESCRIBING: &str = "error describing topics";
/// For brokers that do not tell every topic of a group, as Event Hubs.
pub(super) const NAME_A_TOPIC: &str =
    "; where the broker does not tell all topics of a group, name them in `topic` or `topics`";
const LISTING: &str = "error listing consumer group offsets";

pub(super) fn topic_trouble(name: &str, code: ResponseError) -> Trouble {
    match code {
        ResponseError::UnknownTopicOrPartition => {
            Trouble::missing(format!("{DESCRIBING}: topic {name} does not exist"))
        }
        ResponseError::TopicAuthorizationFailed => Trouble::configuration(format!(
            "{DESCRIBING}: topic {name}: not authorized (or it does not exist); the user needs Describe on it"
        )),
        ResponseError::InvalidTopicException => Trouble::configuration(format!(
            "{DESCRIBING}: topic {name}: not a valid topic name"
        )),
        code => Trouble::passing(format!("{DESCRIBING}: topic {name}: {}", code_name(code))),
    }
}

pub(super) fn partition_trouble(name: &str, id: i32, code: ResponseError) -> Trouble {
    match code {
        ResponseError::TopicAuthorizationFailed => topic_trouble(name, code),
        code => Trouble::passing(format!("topic {name} partition {id}: {}", code_name(code))),
    }
}

pub(super) fn group_trouble(name: &str, code: ResponseError) -> Trouble {
    match code {
        ResponseError::GroupAuthorizationFailed => Trouble::configuration(format!(
            "{LISTING}: group {name}: not authorized; the user needs Describe on the group"
        )),
        ResponseError::TopicAuthorizationFailed => Trouble::configuration(format!(
            "{LISTING}: group {name}: it is there without members, so it has commits, but none on a topic that the user may describe; the user needs Describe on its topics (just after its last commits were deleted this passes by itself)"
        )),
        ResponseError::UnsupportedVersion => Trouble::configuration(format!(
            "{LISTING}: group {name}: {}{NAME_A_TOPIC}",
            code_name(code)
        )),
        ResponseError::InvalidGroupId => {
            Trouble::configuration(format!("{LISTING}: group {name}: not a valid group id"))
        }
        code => Trouble::passing(format!("{LISTING}: group {name}: {}", code_name(code))),
    }
}
