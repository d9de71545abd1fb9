//! Traffic with brokers, counted for the whole process: requests by API and outcome, connections, and the
//! silence that quotas asked for.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use kafka_protocol::messages::ApiKey;

/// More than there are APIs.
const APIS: usize = 128;

static ANSWERED: [AtomicU64; APIS] = [const { AtomicU64::new(0) }; APIS];
static FAILED: [AtomicU64; APIS] = [const { AtomicU64::new(0) }; APIS];
static TOOK_US: [AtomicU64; APIS] = [const { AtomicU64::new(0) }; APIS];
static DIALLED: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);
static OPEN: AtomicI64 = AtomicI64::new(0);
static THROTTLED_MS: AtomicU64 = AtomicU64::new(0);

/// A connection that is open for as long as this lives.
pub(super) struct Open(());

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Relaxed);
    }
}

/// Notes how a dial ended.
pub(super) fn dialled(well: bool) {
    let count = if well { &DIALLED } else { &REFUSED };
    count.fetch_add(1, Relaxed);
}

/// Counts one more connection until it is dropped.
pub(super) fn open() -> Open {
    OPEN.fetch_add(1, Relaxed);
    Open(())
}

/// Notes how a request of this API ended, and how long that took.
pub(super) fn asked(api: i16, well: bool, took: Duration) {
    let counts = if well { &ANSWERED } else { &FAILED };
    let Some(api) = usize::try_from(api).ok().filter(|api| *api < APIS) else {
        return;
    };
    counts[api].fetch_add(1, Relaxed);
    let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    TOOK_US[api].fetch_add(microseconds, Relaxed);
}

/// Requests of one API.
#[derive(Clone, Debug, PartialEq)]
pub struct Requests {
    /// Its name.
    pub api: String,
    /// Those that were answered. An error code inside an answer is an answer.
    pub answered: u64,
    /// Those that failed: closed, late or malformed.
    pub failed: u64,
    /// How long they took together, in seconds.
    pub seconds: f64,
}

/// Notes for how long a broker wanted to hear nothing, in milliseconds.
pub(super) fn throttled(milliseconds: u64) {
    THROTTLED_MS.fetch_add(milliseconds, Relaxed);
}

/// Everything counted since the process began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// By API.
    pub requests: Vec<Requests>,
    /// Dials that ended in a connection, and those that did not.
    pub dials: (u64, u64),
    /// Connections that are open.
    pub connections: i64,
    /// Silence that quotas asked for, in seconds.
    pub throttled: f64,
}

impl Traffic {
    /// As it is now.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of many years")]
    pub fn now() -> Self {
        let requests = (0..APIS).filter_map(|api| {
            let (well, badly) = (ANSWERED[api].load(Relaxed), FAILED[api].load(Relaxed));
            let name = ApiKey::try_from(i16::try_from(api).ok()?).ok()?;
            (well + badly > 0).then(|| Requests {
                api: format!("{name:?}"),
                answered: well,
                failed: badly,
                seconds: TOOK_US[api].load(Relaxed) as f64 / 1e6,
            })
        });
        Self {
            requests: requests.collect(),
            dials: (DIALLED.load(Relaxed), REFUSED.load(Relaxed)),
            connections: OPEN.load(Relaxed),
            throttled: THROTTLED_MS.load(Relaxed) as f64 / 1000.0,
        }
    }
}
