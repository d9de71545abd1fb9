//! Versions of different brokers, as data: the lowest and highest version of each request. Sources: the table of
//! wire-measured brokers (2.8.2, 3.9.1, 4.3.0), Kafka's own history for 2.1, Redpanda's source of 2024-12 and its pull
//! requests 27391 and 27794, and what clients report of Event Hubs, which caps Metadata and little else.

use kafka_protocol::messages::ApiKey::{
    self, ApiVersions, DescribeGroups, FindCoordinator, ListOffsets, Metadata, OffsetFetch,
    SaslAuthenticate, SaslHandshake,
};

/// A kind of broker.
pub struct Profile {
    pub name: &'static str,
    pub speaks: &'static [(ApiKey, i16, i16)],
}

impl Profile {
    /// Lowest and highest version of a request.
    pub fn versions(&self, api: ApiKey) -> Option<(i16, i16)> {
        let found = self.speaks.iter().find(|(key, ..)| *key == api);
        found.map(|(_, min, max)| (*min, *max))
    }
}

pub static KAFKA_2_1: Profile = Profile {
    name: "Kafka 2.1",
    speaks: &[
        (ApiVersions, 0, 2),
        (Metadata, 0, 7),
        (FindCoordinator, 0, 2),
        (OffsetFetch, 0, 5),
        (ListOffsets, 0, 4),
        (DescribeGroups, 0, 2),
        (SaslHandshake, 0, 1),
        (SaslAuthenticate, 0, 0),
    ],
};

pub static KAFKA_2_8: Profile = Profile {
    name: "Kafka 2.8",
    speaks: &[
        (ApiVersions, 0, 3),
        (Metadata, 0, 11),
        (FindCoordinator, 0, 3),
        (OffsetFetch, 0, 7),
        (ListOffsets, 0, 6),
        (DescribeGroups, 0, 5),
        (SaslHandshake, 0, 1),
        (SaslAuthenticate, 0, 2),
    ],
};

pub static KAFKA_3_9: Profile = Profile {
    name: "Kafka 3.9",
    speaks: &[
        (ApiVersions, 0, 4),
        (Metadata, 0, 12),
        (FindCoordinator, 0, 6),
        (OffsetFetch, 0, 9),
        (ListOffsets, 0, 9),
        (DescribeGroups, 0, 5),
        (SaslHandshake, 0, 1),
        (SaslAuthenticate, 0, 2),
    ],
};

pub static KAFKA_4: Profile = Profile {
    name: "Kafka 4.3",
    speaks: &[
        (ApiVersions, 0, 4),
        (Metadata, 0, 13),
        (FindCoordinator, 0, 6),
        (OffsetFetch, 1, 9),
        (ListOffsets, 1, 10),
        (DescribeGroups, 0, 6),
        (SaslHandshake, 0, 1),
        (SaslAuthenticate, 0, 2),
    ],
};

pub static REDPANDA_2024: Profile = Profile {
    name: "Redpanda of 2024",
    speaks: &[
        (ApiVersions, 0, 3),
        (Metadata, 0, 8),
        (FindCoordinator, 0, 3),
        (OffsetFetch, 0, 7),
        (ListOffsets, 0, 4),
        (DescribeGroups, 0, 4),
        (SaslHandshake, 0, 1),
        (SaslAuthenticate, 0, 1),
    ],
};

pub static REDPANDA_2025: Profile = Profile {
    name: "Redpanda of 2025",
    speaks: &[
        (ApiVersions, 0, 3),
        (Metadata, 0, 8),
        (FindCoordinator, 0, 4),
        (OffsetFetch, 0, 8),
        (ListOffsets, 0, 4),
        (DescribeGroups, 0, 4),
        (SaslHandshake, 0, 1),
        (SaslAuthenticate, 0, 1),
    ],
};

pub static EVENT_HUBS: Profile = Profile {
    name: "Event Hubs",
    speaks: &[
        (ApiVersions, 0, 3),
        (Metadata, 0, 7),
        (FindCoordinator, 0, 4),
        (OffsetFetch, 0, 9),
        (ListOffsets, 0, 7),
        (DescribeGroups, 0, 5),
        (SaslHandshake, 0, 1),
        (SaslAuthenticate, 0, 2),
    ],
};
