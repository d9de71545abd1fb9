//! When an object's workload is looked at, and when what failed is tried again.

use std::time::{Duration, Instant};

use super::work::Outcome;
use crate::{backoff::doubled, controller::write::target::Target, scaling::Due};

/// A missing workload is looked for this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// One that was found may have gone.
const LOOK_SELDOM: Duration = Duration::from_secs(60);
/// A look may come so much early, with a reading of the group, so that the object is not evaluated for it alone.
const EARLY: Duration = Duration::from_secs(1);
/// Our copy was older than the server's: the watch brings the new one.
const AFTER_CONFLICT: Duration = Duration::from_secs(1);

/// The pace of one object.
#[derive(Default)]
pub(super) struct Pace {
    looked: Option<Instant>,
    /// Writes of the object itself and of its HPA.
    writes: Tries,
    steps: Tries,
}

/// Tries of something until it works.
#[derive(Default)]
struct Tries {
    error: Option<String>,
    failures: u32,
    again: Option<Instant>,
}

impl Tries {
    fn are_due(&self, now: Instant) -> bool {
        self.again.is_none_or(|at| now >= at)
    }

    fn failed(&mut self, now: Instant) {
        self.again = Some(now + doubled(FIRST_BACKOFF, self.failures, LONGEST_BACKOFF));
        self.failures = self.failures.saturating_add(1);
    }

    fn worked(&mut self) {
        (self.failures, self.again) = (0, None);
    }
}

/// Why a workload is looked at more often than seldom.
pub(super) struct Interest {
    /// Its replicas are not told by a watch.
    pub(super) often: bool,
    /// Its ready pods are counted.
    pub(super) counts_pods: bool,
    /// `pollingInterval`.
    pub(super) polling: Duration,
}

impl Pace {
    /// Whether object and HPA may be written.
    pub(super) fn may_write(&self, now: Instant) -> bool {
        self.writes.are_due(now)
    }

    /// Whether the workload may be scaled.
    pub(super) fn may_step(&self, now: Instant) -> bool {
        self.steps.are_due(now)
    }

    /// Why the last write of the HPA failed.
    pub(super) fn write_error(&self) -> Option<&String> {
        self.writes.error.as_ref()
    }

    /// Why the last step failed.
    pub(super) fn step_error(&self) -> Option<&String> {
        self.steps.error.as_ref()
    }

    /// Another specification: what failed before is tried at once.
    pub(super) fn begin_anew(&mut self) {
        (self.writes, self.steps) = (Tries::default(), Tries::default());
    }

    /// Another workload.
    pub(super) fn look_anew(&mut self) {
        self.looked = None;
    }

    /// The HPA is as wanted, whatever became of the answer to its last write.
    pub(super) fn hpa_is_as_wanted(&mut self) {
        self.writes.error = None;
    }

    /// No step is wanted any more.
    pub(super) fn no_step_is_wanted(&mut self) {
        self.steps.error = None;
    }

    /// Takes what came of the last work; what was not tried stays as it is.
    pub(super) fn settle(&mut self, outcome: &Outcome, now: Instant) {
        if let Some(tried) = &outcome.hpa {
            self.writes.error = tried.clone().err();
        }
        if let Some(tried) = &outcome.step {
            self.steps.error = tried.clone().err();
            match tried {
                Ok(()) => self.steps.worked(),
                Err(_) => self.steps.failed(now),
            }
        }
        if outcome.conflict {
            self.writes.again = Some(now + AFTER_CONFLICT);
        } else if outcome.failed || matches!(outcome.hpa, Some(Err(_))) {
            self.writes.failed(now);
        } else if outcome.hpa.is_some() || outcome.status.is_some() {
            self.writes.worked();
        }
    }

    /// When something is tried again, or the workload is looked at again.
    pub(super) fn due(
        &self,
        target: Option<&Result<Target, String>>,
        interest: &Interest,
        due: &mut Due,
    ) {
        due.at(self.writes.again);
        due.at(self.steps.again);
        // A seldom look waits for the next reading.
        let age = target.map(|target| longest_age(target, interest));
        let age = age.filter(|age| *age < LOOK_SELDOM);
        due.at(self.looked.zip(age).map(|(looked, age)| looked + age));
    }

    /// Whether the workload is to be looked at; it counts as looked at from now on.
    pub(super) fn should_look(
        &mut self,
        target: Option<&Result<Target, String>>,
        interest: &Interest,
        now: Instant,
    ) -> bool {
        let age = self.looked.map(|at| now.saturating_duration_since(at));
        let look = match (target, age) {
            (_, None) | (None, _) => true,
            (Some(target), Some(age)) => age + EARLY >= longest_age(target, interest),
        };
        if look {
            self.looked = Some(now);
        }
        look
    }
}

/// The age at which what is known of a workload is read again.
fn longest_age(target: &Result<Target, String>, interest: &Interest) -> Duration {
    let Ok(target) = target else {
        return LOOK_AGAIN;
    };
    let often = interest.often || interest.counts_pods;
    let age = if often {
        interest.polling
    } else {
        interest.polling.max(LOOK_SELDOM)
    };
    if interest.counts_pods && target.ready.is_none() {
        age.min(LOOK_AGAIN)
    } else {
        age
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::GroupVersionKindResource;

    fn refused() -> Result<(), String> {
        Err("refused".into())
    }

    /// In whole seconds after `begin`, the first one in which this is so.
    fn first(begin: Instant, mut is_so: impl FnMut(Instant) -> bool) -> u64 {
        let seconds = 0..1_000;
        let mut seconds = seconds.filter(|s| is_so(begin + Duration::from_secs(*s)));
        seconds.next().unwrap()
    }

    #[test]
    fn what_fails_is_tried_less_and_less_often_and_at_once_after_it_worked() {
        let (begin, mut pace) = (Instant::now(), Pace::default());
        let mut waits = Vec::new();
        for _ in 0..8 {
            pace.settle(
                &Outcome {
                    hpa: Some(refused()),
                    ..Outcome::default()
                },
                begin,
            );
            waits.push(first(begin, |now| pace.may_write(now)));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(pace.may_step(begin), "a step is another thing");
        assert_eq!(pace.write_error().map(String::as_str), Some("refused"));
        pace.settle(
            &Outcome {
                hpa: Some(Ok(())),
                ..Outcome::default()
            },
            begin,
        );
        assert!(pace.may_write(begin));
        assert_eq!(pace.write_error(), None);
        pace.settle(
            &Outcome {
                failed: true,
                ..Outcome::default()
            },
            begin,
        );
        assert_eq!(first(begin, |now| pace.may_write(now)), 1, "it begins anew");
    }

    #[test]
    fn a_conflict_is_no_failure() {
        let (begin, mut pace) = (Instant::now(), Pace::default());
        for _ in 0..5 {
            pace.settle(
                &Outcome {
                    conflict: true,
                    failed: true,
                    ..Outcome::default()
                },
                begin,
            );
            assert_eq!(first(begin, |now| pace.may_write(now)), 1);
        }
    }

    #[test]
    fn what_was_not_tried_stays_as_it_is_and_another_specification_forgets_it() {
        let (begin, mut pace) = (Instant::now(), Pace::default());
        pace.settle(
            &Outcome {
                step: Some(refused()),
                ..Outcome::default()
            },
            begin,
        );
        pace.settle(&Outcome::default(), begin);
        assert!(!pace.may_step(begin) && pace.may_write(begin));
        assert!(pace.step_error().is_some());
        pace.no_step_is_wanted();
        assert_eq!(pace.step_error(), None);
        assert!(!pace.may_step(begin), "it is not tried sooner for that");
        pace.begin_anew();
        assert!(pace.may_step(begin));
    }

    #[test]
    fn an_hpa_that_is_as_wanted_has_no_error_although_its_answer_was_lost() {
        let (begin, mut pace) = (Instant::now(), Pace::default());
        pace.settle(
            &Outcome {
                hpa: Some(refused()),
                ..Outcome::default()
            },
            begin,
        );
        pace.hpa_is_as_wanted();
        assert_eq!(pace.write_error(), None);
    }

    #[test]
    fn a_workload_is_looked_at_as_often_as_somebody_needs_it() {
        let found = |ready: Option<i32>| -> Result<Target, String> {
            Ok(Target {
                gvkr: GroupVersionKindResource::default(),
                replicas: 1,
                ready,
            })
        };
        let interest = |often, counts_pods, polling| Interest {
            often,
            counts_pods,
            polling: Duration::from_secs(polling),
        };
        let missing = || Err("there is none".to_owned());
        for (target, interest, expected) in [
            (Some(missing()), interest(false, false, 30), 5),
            (Some(found(None)), interest(false, false, 30), 60),
            (Some(found(None)), interest(false, false, 300), 300),
            (Some(found(None)), interest(true, false, 30), 30),
            (Some(found(None)), interest(false, true, 30), 5),
            (Some(found(Some(1))), interest(false, true, 30), 30),
            (None, interest(false, false, 30), 0),
        ] {
            let (begin, mut pace) = (Instant::now(), Pace::default());
            assert!(
                pace.should_look(target.as_ref(), &interest, begin),
                "the first time"
            );
            let again = first(begin, |now| {
                pace.should_look(target.as_ref(), &interest, now)
            });
            let early = u64::saturating_sub(expected, EARLY.as_secs());
            assert_eq!(again, early, "{target:?}");
            pace.look_anew();
            assert!(pace.should_look(target.as_ref(), &interest, begin));
        }
    }
}
