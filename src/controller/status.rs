//! The status of an object: what it is to say, and when it is worth a write.

use std::time::Duration;

use jiff::Timestamp;

use super::object::{ECHO, Object};
use crate::{
    lag::Moment,
    resources::{Condition, GroupVersionKindResource, Health, ScaledObjectStatus},
    scaling::{Evaluation, Source},
};

/// In an outage the cause changes its words from try to try; they are written this often.
const WORDS: Duration = Duration::from_secs(10);

impl Object {
    pub(super) fn status(
        &mut self,
        evaluation: &Evaluation,
        conditions: Vec<Condition>,
        has_hpa: bool,
        active: bool,
        now: Moment,
    ) -> Option<ScaledObjectStatus> {
        let plan = &self.plan;
        let live = plan.object.status.clone().unwrap_or_default();
        let known = match &self.status_written {
            Some((written, at))
                if at.elapsed() < ECHO || self.status_stored.as_ref() == Some(&live) =>
            {
                written.clone()
            }
            _ => live,
        };
        let mut next = known.clone();
        next.conditions = conditions;
        if let Some(Ok(target)) = &self.target {
            let GroupVersionKindResource {
                group,
                version,
                kind,
                ..
            } = &target.gvkr;
            next.scale_target_kind = Some(format!("{group}/{version}.{kind}"));
            next.scale_target_gvkr = Some(target.gvkr.clone());
            next.original_replica_count = next.original_replica_count.or(Some(target.replicas));
        }
        next.paused_replica_count = plan.pause.replicas;
        next.hpa_name = has_hpa.then(|| plan.hpa_name.clone()).or(next.hpa_name);
        let sources = || plan.triggers.iter().filter_map(|t| t.source.as_ref().ok());
        let external = |s: &Source| match s {
            Source::Kafka { metric, .. } => Some(metric.to_string()),
            Source::Resource(_) => None,
        };
        next.external_metric_names = sources().filter_map(external).collect();
        for metric in &evaluation.metrics {
            if let Some(number_of_failures) = metric.failures {
                let status = if number_of_failures == 0 {
                    "Happy"
                } else {
                    "Failing"
                };
                let health = Health {
                    number_of_failures,
                    status: status.into(),
                };
                next.health.insert(metric.name.to_string(), health);
            }
        }
        next.health
            .retain(|name, _| next.external_metric_names.contains(name));
        let resource = |s: &Source| match s {
            Source::Resource(resource) => Some(resource.kind.to_owned()),
            Source::Kafka { .. } => None,
        };
        next.resource_metric_names = sources().filter_map(resource).collect();
        next.triggers_types = Some(listed(plan.triggers.iter().map(|t| t.kind.as_str())));
        let references = plan.object.spec.triggers.iter();
        let references = references.filter_map(|t| t.authentication_ref.as_ref());
        next.authentications_types =
            Some(listed(references.map(|r| r.name.as_str()))).filter(|l| !l.is_empty());
        self.last_active_time(&mut next, active, now.wall);
        if next == known || self.only_says_it_otherwise(&next, &known) {
            return None;
        }
        self.status_written = Some((next.clone(), now.at));
        Some(next)
    }

    /// Written where a cool-down needs it: when activity ends, and now and then while it lasts.
    fn last_active_time(&self, next: &mut ScaledObjectStatus, active: bool, now: Timestamp) {
        let Some(last) = self.last_active.filter(|_| self.plan.sleeps()) else {
            return;
        };
        let written = next
            .last_active_time
            .as_ref()
            .and_then(|t| t.parse::<Timestamp>().ok());
        let often = (self.plan.cooldown / 3).max(self.plan.polling);
        let old = written.is_none_or(|w| w.checked_add(often).is_ok_and(|due| due <= now));
        let ended = self.active_before && !active;
        if active && old || ended {
            let seconds = Timestamp::from_second(last.as_second()).unwrap_or(last);
            next.last_active_time = Some(seconds.to_string());
        }
    }

    /// Whether nothing but the words of conditions changed since a write not long ago.
    fn only_says_it_otherwise(
        &self,
        next: &ScaledObjectStatus,
        known: &ScaledObjectStatus,
    ) -> bool {
        let wordless = |status: &ScaledObjectStatus| {
            let mut status = status.clone();
            for condition in &mut status.conditions {
                condition.message.clear();
            }
            status
        };
        let written = self.status_written.as_ref();
        written.is_some_and(|(_, at)| at.elapsed() < WORDS) && wordless(next) == wordless(known)
    }
}

/// Sorted, each once, with commas: KEDA's column texts.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.join(",")
}
