//! When an object's workload is looked at, and when what failed is tried again.

use std::time::{Duration, Instant};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::{metadata::Tidied, object::Object, work::Outcome};
use crate::lag::Moment;

/// A missing workload is looked for this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// One that was found may have gone.
const LOOK_SELDOM: Duration = Duration::from_secs(60);

impl Object {
    /// When what failed is tried again; what was not tried stays as it is.
    pub(super) fn settle(&mut self, outcome: &Outcome) {
        if let Some(version) = &outcome.version {
            self.written.version = version.parse().ok();
        }
        self.written.confirmed |= outcome.status.is_some();
        let soon = Some(Instant::now() + Duration::from_secs(1));
        let unwritten = matches!(outcome.hpa, Some(Err(_)));
        if unwritten || outcome.conflict {
            self.hpa_before = None;
        }
        if let Some(tried) = &outcome.hpa {
            self.write_error = tried.clone().err();
        }
        if outcome.conflict {
            self.status_written = None;
        }
        if outcome.failed {
            self.status_written = None;
            self.tidied = Tidied::default();
        }
        if let Some(tried) = &outcome.step {
            self.step_error = tried.clone().err();
            self.step_retry_at = None;
            let failures = self.step_failures;
            self.step_failures = self.step_error.as_ref().map_or(0, |_| failures + 1);
            if self.step_error.is_some() {
                self.step_retry_at = Some(Instant::now() + backoff(failures));
            }
        }
        if outcome.conflict {
            // Our copy is older than the server's: the watch brings the new one.
            self.retry_at = soon;
        } else if outcome.failed || unwritten {
            self.retry_at = Some(Instant::now() + backoff(self.failures));
            self.failures = self.failures.saturating_add(1);
        } else if outcome.wrote {
            self.failures = 0;
            self.retry_at = None;
        }
    }

    pub(super) fn should_look(
        &mut self,
        hpa: Option<&HorizontalPodAutoscaler>,
        now: Moment,
    ) -> bool {
        let age = self.looked.map(|at| now.at.saturating_duration_since(at));
        let current = hpa.and_then(|h| h.status.as_ref()?.current_replicas);
        let look = match (&self.target, age) {
            (_, None) | (None, _) => true,
            (Some(Err(_)), Some(age)) => age >= LOOK_AGAIN,
            (Some(Ok(target)), Some(age)) => {
                let short = current.is_some_and(|c| c < self.plan.min.max(1));
                let often =
                    self.plan.sleeps() || short || self.plan.pause.whole || self.counts_pods;
                let least = if often { Duration::ZERO } else { LOOK_SELDOM };
                let uncounted = self.counts_pods && target.ready.is_none();
                uncounted && age >= LOOK_AGAIN || age >= self.plan.polling.max(least)
            }
        };
        if look {
            self.looked = Some(now.at);
        }
        look
    }
}

/// From a second to a minute.
fn backoff(failures: u32) -> Duration {
    let delay = Duration::from_secs(1).saturating_mul(1 << failures.min(6));
    delay.min(LONGEST_BACKOFF)
}
