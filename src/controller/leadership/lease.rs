//! The rules of a Lease, as client-go's `leaderelection` has them: nobody's clock but one's own is trusted, so a lease has
//! run out once it was seen unchanged for as long as its holder said it lasts.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};

/// How long a lease lasts, and how often it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For how long nobody else takes a lease that is not renewed.
    pub lease: Duration,
    /// For how long its holder writes without a renewal; shorter than `lease`.
    pub renew: Duration,
    /// Between two tries; shorter than `renew`.
    pub retry: Duration,
}

/// A Lease as it was seen, and since when it is unchanged.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    spec: LeaseSpec,
    since: Instant,
}

impl Observed {
    /// Seen for the first time.
    pub fn new(spec: LeaseSpec, now: Instant) -> Self {
        Self { spec, since: now }
    }

    /// Seen again.
    pub fn see(&mut self, spec: LeaseSpec, now: Instant) {
        if self.spec != spec {
            *self = Self::new(spec, now);
        }
    }

    /// The Lease as known once it was seen now.
    pub fn again(known: Option<Self>, spec: LeaseSpec, now: Instant) -> Self {
        match known {
            Some(mut known) => {
                known.see(spec, now);
                known
            }
            None => Self::new(spec, now),
        }
    }

    /// The holder, as far as that can be told: none once it has run out or was released.
    pub fn holder(&self, now: Instant) -> Option<&str> {
        let holder = self.spec.holder_identity.as_deref();
        let seconds = self.spec.lease_duration_seconds.unwrap_or_default();
        let lasts = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let unchanged = now.saturating_duration_since(self.since);
        holder.filter(|holder| !holder.is_empty() && unchanged < lasts)
    }

    /// The lease as `me` takes or renews it.
    pub fn claimed(spec: Option<&LeaseSpec>, me: &str, terms: Terms, wall: Timestamp) -> LeaseSpec {
        let mine = spec.filter(|s| s.holder_identity.as_deref() == Some(me));
        let transitions = spec.and_then(|s| s.lease_transitions);
        LeaseSpec {
            holder_identity: Some(me.into()),
            lease_duration_seconds: Some(i32::try_from(terms.lease.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: Some(match mine.and_then(|s| s.acquire_time.as_ref()) {
                Some(acquired) => acquired.clone(),
                None => MicroTime(wall),
            }),
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(match (mine, spec) {
                (None, Some(_)) => transitions.unwrap_or(0).saturating_add(1),
                _ => transitions.unwrap_or(0),
            }),
            ..spec.cloned().unwrap_or_default()
        }
    }

    /// The lease as its holder gives it up: the next one waits a second at most, whatever it has seen.
    pub fn released(spec: &LeaseSpec, wall: Timestamp) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(MicroTime(wall)),
            renew_time: Some(MicroTime(wall)),
            ..spec.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        lease: Duration::from_secs(15),
        renew: Duration::from_secs(10),
        retry: Duration::from_secs(2),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_lease_runs_out_by_the_clock_of_who_looks_and_not_by_its_times() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        // Its clock is a day behind ours.
        let first = Observed::claimed(None, "a", TERMS, at(0));
        let mut observed = Observed::new(first.clone(), begin);
        assert_eq!(observed.holder(after(14)), Some("a"));
        observed.see(first.clone(), after(14));
        assert_eq!(observed.holder(after(15)), None, "seen, but not renewed");
        observed.see(
            Observed::claimed(Some(&first), "a", TERMS, at(16)),
            after(16),
        );
        assert_eq!(observed.holder(after(30)), Some("a"));
        observed.see(Observed::released(&first, at(17)), after(17));
        assert_eq!(observed.holder(after(17)), None, "released");
    }

    #[test]
    fn a_renewal_keeps_what_a_takeover_changes() {
        let first = Observed::claimed(None, "a", TERMS, at(1));
        assert_eq!(first.lease_transitions, Some(0));
        let renewed = Observed::claimed(Some(&first), "a", TERMS, at(3));
        assert_eq!(renewed.acquire_time, first.acquire_time);
        assert_eq!(renewed.renew_time, Some(MicroTime(at(3))));
        assert_eq!(renewed.lease_transitions, Some(0));
        let taken = Observed::claimed(Some(&renewed), "b", TERMS, at(20));
        assert_eq!(taken.holder_identity.as_deref(), Some("b"));
        assert_eq!(taken.acquire_time, Some(MicroTime(at(20))));
        assert_eq!(taken.lease_transitions, Some(1));
    }
}
