//! What goes to brokers and comes back, counted for the whole process: requests by API and outcome, connections, and the
//! silence that quotas asked for.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use kafka_protocol::messages::ApiKey;

/// More than there are APIs.
const APIS: usize = 128;

static ANSWERED: [AtomicU64; APIS] = [const { AtomicU64::new(0) }; APIS];
static FAILED: [AtomicU64; APIS] = [const { AtomicU64::new(0) }; APIS];
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

/// Notes how a request of this API ended.
pub(super) fn asked(api: i16, well: bool) {
    let counts = if well { &ANSWERED } else { &FAILED };
    if let Some(count) = usize::try_from(api).ok().and_then(|api| counts.get(api)) {
        count.fetch_add(1, Relaxed);
    }
}

/// Notes for how long a broker wanted to hear nothing, in milliseconds.
pub(super) fn throttled(milliseconds: u64) {
    THROTTLED_MS.fetch_add(milliseconds, Relaxed);
}

/// Everything counted since the process began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Name of the API, requests answered, requests that failed: closed, late or malformed. Errors inside an answer are
    /// answers.
    pub requests: Vec<(String, u64, u64)>,
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
            (well + badly > 0).then(|| (format!("{name:?}"), well, badly))
        });
        Self {
            requests: requests.collect(),
            dials: (DIALLED.load(Relaxed), REFUSED.load(Relaxed)),
            connections: OPEN.load(Relaxed),
            throttled: THROTTLED_MS.load(Relaxed) as f64 / 1000.0,
        }
    }
}
