//! How a broker misbehaves on command.

use std::time::Duration;

use kafka_protocol::{ResponseError, messages::ApiKey};

/// A misbehaviour and where it shows.
#[derive(Clone, Debug)]
pub struct Fault {
    /// `None`: at every request but the version exchange.
    pub api: Option<ApiKey>,
    /// `None`: at every broker.
    pub broker: Option<i32>,
    /// How often; `None`: until it is taken away.
    pub times: Option<usize>,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// The whole answer says so, where it has a place for that.
    Code(ResponseError),
    /// The answer about this group, or about this topic.
    NamedCode(&'static str, ResponseError),
    /// The answer about this partition.
    PartitionCode(&'static str, i32, ResponseError),
    /// The answer lacks this partition.
    LeftOut(&'static str, i32),
    /// The answer lacks this group, or this topic.
    NamedLeftOut(&'static str),
    /// Answered so much later.
    Delay(Duration),
    /// Read, and never answered.
    Silence,
    /// The connection is closed before the request is read.
    HangUpUnread,
    /// The connection is closed after the request was read.
    HangUp,
    /// Every byte of the answer's body is turned over.
    Corrupt,
    /// An answer to another request.
    WrongCorrelation,
    /// An answer of two gigabytes is announced.
    Huge,
    /// The client is told to be silent for so long.
    Throttle(Duration),
}

impl Fault {
    pub fn at(api: ApiKey, broker: i32, what: What) -> Self {
        Self {
            api: Some(api),
            broker: Some(broker),
            times: None,
            what,
        }
    }

    /// At every broker.
    pub fn of(api: ApiKey, what: What) -> Self {
        Self {
            api: Some(api),
            broker: None,
            times: None,
            what,
        }
    }

    /// At every request to a broker.
    pub fn everywhere(broker: i32, what: What) -> Self {
        Self {
            api: None,
            broker: Some(broker),
            times: None,
            what,
        }
    }

    #[must_use]
    pub fn once(self) -> Self {
        Self {
            times: Some(1),
            ..self
        }
    }

    pub(super) fn meets(&self, api: ApiKey, broker: i32) -> bool {
        let api = self.api.map_or(api != ApiKey::ApiVersions, |a| a == api);
        api && self.times != Some(0) && self.broker.is_none_or(|b| b == broker)
    }
}
