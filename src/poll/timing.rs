//! The timing of polls.

use std::time::Duration;

use crate::kafka::connection::Deadlines;

/// How long things may take and how often they are done.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Hard limits of a dial and a call.
    pub deadlines: Deadlines,
    /// How long prompt brokers are waited for before the others go on without them. One that took longer is not waited for
    /// again until it is prompt.
    pub patience: Duration,
    /// Age at which metadata is asked for again though nothing seems wrong: new partitions show up within it.
    pub layout_every: Duration,
    /// Age at which log start offsets are asked for again.
    pub starts_every: Duration,
    /// First and second try after a trouble that may pass, such as a moved leader; then the usual interval.
    pub retries: [Duration; 2],
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            patience: Duration::from_millis(250),
            layout_every: Duration::from_secs(30),
            starts_every: Duration::from_secs(30),
            retries: [Duration::from_millis(300), Duration::from_secs(1)],
        }
    }
}
