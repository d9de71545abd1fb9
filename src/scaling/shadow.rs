//! The values that lagscale would tell an HPA, held against those that its controller was told by another server. Pure: for `--shadow`,
//! which writes nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::autoscaling::v2::{
    ExternalMetricStatus, HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus,
};
use serde::{Deserialize, Serialize};

use super::table::{Entry, Outcome};
use crate::quantity::{format_milli, parse_milli};

/// The HPA's value may be as old as two of these: its controller asks every 15 s, or less often where there are many HPAs.
const SPAN: Duration = Duration::from_secs(60);

/// The metrics of one object, each with what would have been told of late.
#[derive(Clone, Debug, Default)]
pub struct Shadow(Vec<Held>);

/// One metric of it.
#[derive(Clone, Debug)]
struct Held {
    metric: Arc<str>,
    /// The lowest and the highest value of the present span and of the one before, in thousandths.
    spans: [Option<(i64, i64)>; 2],
    begun: Instant,
    hpa: Theirs,
    /// The last value, or why it is withheld.
    own: Result<i64, Arc<str>>,
    differs: Option<Instant>,
}

/// The knowledge of an HPA's controller.
#[derive(Clone, Debug, PartialEq)]
enum Theirs {
    /// It has not asked yet, or does not ask, as at no replicas.
    Unasked,
    /// It has no value, and says so.
    Nothing(String),
    /// A value in thousandths, and how far rounding may have moved it.
    Value { milli: i64, rounding: i64 },
}

/// A metric as the HPA's controller and lagscale have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Compared {
    /// The metric's name.
    pub metric: String,
    /// The HPA's last value, over all pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hpa: Option<String>,
    /// The value that lagscale would tell now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// For how long the HPA has had another value than lagscale would have told in the two minutes before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differs_seconds: Option<u64>,
    /// The reason where one side has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl Shadow {
    /// Takes note of what would be told now, and of what the HPA says.
    pub fn note(&mut self, entries: &[Entry], hpa: Option<&HorizontalPodAutoscaler>, now: Instant) {
        let status = hpa.and_then(|hpa| hpa.status.as_ref());
        self.0
            .retain(|held| entries.iter().any(|e| e.metric == held.metric));
        for entry in entries {
            let known = self.0.iter().position(|held| held.metric == entry.metric);
            let at = known.unwrap_or_else(|| {
                self.0.push(Held::new(entry.metric.clone(), now));
                self.0.len() - 1
            });
            self.0[at].note(&entry.outcome, status, now);
        }
    }

    /// The HPA's value of a metric in records, if it has one, and whether it differs.
    #[must_use]
    pub fn of(&self, metric: &str) -> Option<(Option<i64>, bool)> {
        let held = self.0.iter().find(|held| *held.metric == *metric)?;
        Some((held.hpa.milli(), held.differs.is_some()))
    }

    /// Every metric as both have it.
    #[must_use]
    pub fn compared(&self, now: Instant) -> Vec<Compared> {
        self.0.iter().map(|held| held.compared(now)).collect()
    }
}

impl Theirs {
    fn of(status: Option<&HorizontalPodAutoscalerStatus>, metric: &str) -> Self {
        let Some(status) = status else {
            return Self::Unasked;
        };
        let mut conditions = status.conditions.iter().flatten();
        let scaling = conditions.find(|c| c.type_ == "ScalingActive");
        if let Some(halted) = scaling.filter(|c| c.status == "False") {
            return match halted.reason.as_deref() {
                Some("ScalingDisabled") => Self::Unasked,
                _ => Self::Nothing(halted.message.clone().unwrap_or_default()),
            };
        }
        let metrics = status.current_metrics.iter().flatten();
        let mut external = metrics.filter_map(|m| m.external.as_ref());
        let found = external.find(|e| e.metric.name.eq_ignore_ascii_case(metric));
        let replicas = i64::from(status.current_replicas.unwrap_or(0));
        found
            .and_then(|external| Self::value(external, replicas))
            .unwrap_or(Self::Unasked)
    }

    /// The HPA keeps an average over the pods it had, rounded up to a thousandth.
    fn value(external: &ExternalMetricStatus, replicas: i64) -> Option<Self> {
        let whole = external.current.value.as_ref();
        let average = external.current.average_value.as_ref();
        let (quantity, pods) = match (average, whole) {
            (Some(average), _) => (average, replicas.max(1)),
            (None, whole) => (whole?, 1),
        };
        let milli = parse_milli(&quantity.0).ok()?;
        Some(Self::Value {
            milli: milli.saturating_mul(pods),
            rounding: pods,
        })
    }

    fn milli(&self) -> Option<i64> {
        match self {
            Self::Value { milli, .. } => Some(*milli),
            Self::Unasked | Self::Nothing(_) => None,
        }
    }
}

impl Held {
    fn new(metric: Arc<str>, now: Instant) -> Self {
        Self {
            metric,
            spans: [None; 2],
            begun: now,
            hpa: Theirs::Unasked,
            own: Err("nothing is known yet".into()),
            differs: None,
        }
    }

    fn note(
        &mut self,
        outcome: &Outcome,
        status: Option<&HorizontalPodAutoscalerStatus>,
        now: Instant,
    ) {
        let gone = now.saturating_duration_since(self.begun);
        if gone >= SPAN {
            let before = self.spans[0].filter(|_| gone < 2 * SPAN);
            (self.spans, self.begun) = ([None, before], now);
        }
        self.own = match outcome {
            Outcome::Value { milli, .. } => Ok(*milli),
            Outcome::Withheld(why) => Err(why.clone()),
        };
        if let Ok(milli) = self.own {
            let (low, high) = self.spans[0].unwrap_or((milli, milli));
            self.spans[0] = Some((low.min(milli), high.max(milli)));
        }
        self.hpa = Theirs::of(status, &self.metric);
        self.differs = if self.agrees() {
            None
        } else {
            self.differs.or(Some(now))
        };
    }

    fn agrees(&self) -> bool {
        let mut known = self.spans.iter().flatten().peekable();
        let own = known.peek().is_some();
        match self.hpa {
            Theirs::Unasked => true,
            Theirs::Nothing(_) => self.own.is_err(),
            Theirs::Value { milli, rounding } => {
                let low = known.clone().map(|(low, _)| *low).min();
                let high = known.map(|(_, high)| *high).max();
                let low = low.is_none_or(|low| low - rounding <= milli);
                let high = high.is_none_or(|high| milli <= high + rounding);
                own && low && high
            }
        }
    }

    fn compared(&self, now: Instant) -> Compared {
        let said = |milli: i64| format_milli(milli.max(0));
        let because = match (&self.hpa, &self.own) {
            (_, Err(why)) => Some(format!("lagscale would withhold it: {why}")),
            (Theirs::Nothing(why), Ok(_)) => Some(format!("the HPA has no value: {why}")),
            (Theirs::Unasked | Theirs::Value { .. }, Ok(_)) => None,
        };
        Compared {
            metric: self.metric.to_string(),
            hpa: self.hpa.milli().map(said),
            own: self.own.as_ref().ok().copied().map(said),
            differs_seconds: self
                .differs
                .map(|since| now.saturating_duration_since(since).as_secs()),
            because,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::scaling::table::Owner;

    fn entry(outcome: Outcome) -> Entry {
        Entry {
            metric: "s0-kafka-t".into(),
            owner: Owner::ScaledObject("app".into()),
            outcome,
        }
    }

    fn told(records: i64) -> Entry {
        entry(Outcome::Value {
            milli: records * 1000,
            at: Timestamp::UNIX_EPOCH,
        })
    }

    fn hpa(replicas: i32, current: &Value, active: (&str, &str)) -> HorizontalPodAutoscaler {
        let hpa = json!({"status": {
            "currentReplicas": replicas, "desiredReplicas": replicas,
            "conditions": [{"type": "ScalingActive", "status": active.0, "reason": active.1, "message": "no metric"}],
            "currentMetrics": [{"type": "External", "external": {
                "metric": {"name": "s0-kafka-t"}, "current": current,
            }}],
        }});
        serde_json::from_value(hpa).unwrap()
    }

    fn average(replicas: i32, average: &str) -> HorizontalPodAutoscaler {
        let current = json!({"averageValue": average});
        hpa(replicas, &current, ("True", "ValidMetricFound"))
    }

    /// After these notes, `(seconds, own, HPA)`, the metric as both have it.
    fn after(notes: &[(u64, Entry, HorizontalPodAutoscaler)]) -> Compared {
        let (mut shadow, begin) = (Shadow::default(), Instant::now());
        let mut now = begin;
        for (seconds, entry, hpa) in notes {
            now = begin + Duration::from_secs(*seconds);
            shadow.note(std::slice::from_ref(entry), Some(hpa), now);
        }
        shadow.compared(now).remove(0)
    }

    #[test]
    fn an_average_over_pods_is_the_sum_whatever_its_rounding() {
        for (replicas, text, records) in
            [(1, "7", 7), (3, "3334m", 10), (3, "2", 6), (7, "1429m", 10)]
        {
            let found = after(&[(0, told(records), average(replicas, text))]);
            assert_eq!(found.differs_seconds, None, "{replicas} of {text}");
        }
        let found = after(&[(0, told(11), average(3, "3334m"))]);
        assert_eq!(found.differs_seconds, Some(0));
        let whole = hpa(3, &json!({"value": "10"}), ("True", ""));
        assert_eq!(after(&[(0, told(10), whole)]).differs_seconds, None);
    }

    #[test]
    fn a_value_that_was_told_within_the_last_minute_is_no_difference_and_one_that_never_was_is() {
        let late = average(1, "5");
        let moved = |end| (0..=end).map(|n| (n * 10, told(5 + i64::try_from(n).unwrap())));
        let notes = |end| -> Vec<_> { moved(end).map(|(s, e)| (s, e, late.clone())).collect() };
        assert_eq!(after(&notes(6)).differs_seconds, None);
        assert_eq!(after(&notes(11)).differs_seconds, None);
        assert_eq!(after(&notes(12)).differs_seconds, Some(0));
        assert_eq!(after(&notes(14)).differs_seconds, Some(20));
    }

    #[test]
    fn what_one_side_does_not_have_is_told_with_its_reason() {
        let failed = hpa(1, &json!({}), ("False", "FailedGetExternalMetric"));
        let asleep = hpa(0, &json!({}), ("False", "ScalingDisabled"));
        let withheld = || entry(Outcome::Withheld("broker b is down".into()));
        let because = |found: Compared| (found.differs_seconds.is_some(), found.because);
        let ours = Some("lagscale would withhold it: broker b is down".to_owned());
        let theirs = Some("the HPA has no value: no metric".to_owned());
        for (own, hpa, expected) in [
            (told(1), failed.clone(), (true, theirs)),
            (withheld(), failed, (false, ours.clone())),
            (withheld(), average(1, "1"), (true, ours)),
            (told(1), asleep, (false, None)),
        ] {
            assert_eq!(because(after(&[(0, own, hpa)])), expected);
        }
    }

    #[test]
    fn a_metric_that_goes_is_forgotten() {
        let (mut shadow, now) = (Shadow::default(), Instant::now());
        shadow.note(&[told(1)], None, now);
        assert_eq!(shadow.of("s0-kafka-t"), Some((None, false)));
        shadow.note(&[], None, now);
        assert_eq!(
            (shadow.of("s0-kafka-t"), shadow.compared(now)),
            (None, Vec::new())
        );
    }
}
