//! The writes of an object's HPA: what is due, and what came of it.

use std::time::Instant;

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec};
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::work::{ECHO, HpaWrite};
use crate::scaling::{Due, Ownership, Plan, difference, ownership, wanted};

/// The last writes of an object's HPA, and what the API server made of them.
#[derive(Default)]
pub(super) struct HpaWrites {
    /// Its resource version before our last write: until it changes, the store is older than the write.
    before: Option<(Option<String>, Instant)>,
    /// The spec we asked for last. What the API server made of it (quantities in another spelling, a field behind a gate left out) is no
    /// reason to write again.
    asked: Option<ShortDigest>,
    /// The spec that is being asked for; it may be refused.
    asking: Option<ShortDigest>,
    stored: Option<ShortDigest>,
    /// The HPA that was sent last, and the one that was refused for what is in it: it is not sent again.
    sent: Option<ShortDigest>,
    refused: Option<ShortDigest>,
    /// Bounds and version of the HPA that was found to be as the plan wants it.
    as_wanted: Option<((i32, i32), Option<String>)>,
}

/// Tells one spec or HPA from another; a spec itself takes a kilobyte.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ShortDigest([u8; 16]);

impl ShortDigest {
    fn new(content: &impl Serialize) -> Self {
        let text = serde_json::to_vec(content).unwrap_or_default();
        let mut short = [0; 16];
        short.copy_from_slice(&digest(&SHA256, &text).as_ref()[..16]);
        Self(short)
    }
}

/// The decision about a live HPA.
#[derive(Debug)]
pub(super) enum Decision {
    /// Nothing can be said yet, or nothing may be done.
    Nothing,
    /// It is as wanted, whatever became of the last write.
    AsWanted,
    Write(HpaWrite),
}

impl HpaWrites {
    /// The deletion of an HPA that is not wanted any more.
    pub(super) fn delete(
        &mut self,
        gone: &HorizontalPodAutoscaler,
        now: Instant,
    ) -> Option<HpaWrite> {
        let version = gone.metadata.resource_version.clone();
        if self.is_older(version.as_ref(), now) {
            return None;
        }
        self.before = Some((version, now));
        self.stored = None;
        Some(HpaWrite::Delete(Box::new(gone.clone())))
    }

    /// The write by which the live HPA gets what `plan` wants, with these bounds.
    pub(super) fn write(
        &mut self,
        plan: &Plan,
        (min, max): (i32, i32),
        live: Option<&HorizontalPodAutoscaler>,
        now: Instant,
    ) -> Decision {
        if plan.problem.is_some() || plan.triggers.iter().any(|t| t.source.is_err()) {
            // A live HPA keeps what it has: leaving a metric out would let the others scale in.
            return Decision::Nothing;
        }
        let whose = live.map(|live| ownership(&plan.object, live));
        if matches!(whose, Some(Ownership::Going | Ownership::Foreign(_))) {
            return Decision::Nothing;
        }
        let version = live.and_then(|l| l.metadata.resource_version.clone());
        if self.is_older(version.as_ref(), now) {
            return Decision::Nothing;
        }
        let found = ((min, max), version.clone());
        if live.is_some() && self.as_wanted.as_ref() == Some(&found) {
            return Decision::AsWanted;
        }
        let Some(mut wanted) = wanted(plan, max) else {
            return Decision::Nothing;
        };
        if let Some(spec) = &mut wanted.spec {
            spec.min_replicas = Some(min);
        }
        let asked = wanted.spec.as_ref().map(ShortDigest::new);
        let stored = live.and_then(|l| l.spec.as_ref()).map(ShortDigest::new);
        if stored.is_some() && self.stored == stored && self.asked == asked {
            wanted.spec = live.and_then(|l| l.spec.clone());
        }
        let next = live.map(|live| difference(live, &wanted));
        if let Some(None) = next {
            (self.asked, self.stored) = (asked, stored);
            self.as_wanted = Some(found);
            return Decision::AsWanted;
        }
        let sent = Some(ShortDigest::new(&wanted));
        if sent == self.refused {
            return Decision::Nothing;
        }
        let write = match next.flatten() {
            None => HpaWrite::Create(Box::new(wanted)),
            Some(next) => HpaWrite::Replace(Box::new(next)),
        };
        self.before = Some((version, now));
        (self.asking, self.sent) = (asked, sent);
        Decision::Write(write)
    }

    /// Our last write is stored although the watch has not brought it yet.
    pub(super) fn is_made(&self, now: Instant) -> bool {
        self.stored.is_some() && self.echo(now).is_some()
    }

    /// When a write that the watch has not brought yet is looked at again.
    pub(super) fn due(&self, due: &mut Due) {
        due.at(self.before.as_ref().map(|(_, at)| *at + ECHO));
    }

    /// The last write was refused, or came too late: what is watched is the present.
    pub(super) fn failed(&mut self) {
        self.before = None;
    }

    /// The plan is another one.
    pub(super) fn replanned(&mut self) {
        self.as_wanted = None;
    }

    /// Somebody changed the object: an HPA that was refused is sent once more.
    pub(super) fn begin_anew(&mut self) {
        self.refused = None;
    }

    /// The last write was refused for what was in it.
    pub(super) fn refused(&mut self) {
        self.refused = self.sent;
    }

    /// The last write was stored as `spec`.
    pub(super) fn stored(&mut self, spec: &HorizontalPodAutoscalerSpec) {
        self.stored = Some(ShortDigest::new(spec));
        self.asked = self.asking.take();
    }

    /// The store has not come to our last write yet.
    fn is_older(&self, version: Option<&String>, now: Instant) -> bool {
        self.echo(now)
            .is_some_and(|before| before.as_ref() == version)
    }

    /// The version before our last write, as long as the watch may still have to bring that; `None` in it: there was no HPA.
    fn echo(&self, now: Instant) -> Option<&Option<String>> {
        let (before, at) = self.before.as_ref()?;
        (now.saturating_duration_since(*at) < ECHO).then_some(before)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        scaling::{PlannedTrigger, Source},
        scaling::{foreign, owns},
        triggers::{self, MetricType, Parameters, Sources, Trigger},
    };

    fn plan() -> Plan {
        let object = json!({
            "metadata": {"name": "so", "namespace": "shop", "uid": "u"},
            "spec": {"scaleTargetRef": {"name": "app"}, "triggers": [{"type": "cron", "metadata": {}}]},
        });
        let fields = [
            ("timezone", "UTC"),
            ("start", "0 8 * * *"),
            ("end", "0 9 * * *"),
            ("desiredReplicas", "3"),
        ];
        let metadata = fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let none = Parameters::new();
        let sources = Sources {
            metadata: &metadata,
            environment: &none,
            parameters: &none,
        };
        let Ok(Trigger::Cron(cron, metric_type)) = triggers::parse("cron", sources, "") else {
            panic!("a cron trigger");
        };
        assert_eq!(metric_type, MetricType::AverageValue);
        let metric = "s0-cron".into();
        let trigger = PlannedTrigger {
            kind: "cron".into(),
            name: "".into(),
            cached: false,
            source: Ok(Source::Cron {
                cron: cron.into(),
                metric,
                metric_type,
            }),
            notice: None,
        };
        Plan::new(
            Arc::new(serde_json::from_value(object).unwrap()),
            vec![trigger],
        )
    }

    fn written(due: Decision) -> HorizontalPodAutoscaler {
        match due {
            Decision::Write(HpaWrite::Create(hpa) | HpaWrite::Replace(hpa)) => *hpa,
            other => panic!("{other:?}"),
        }
    }

    /// As the API server has it.
    fn at(mut hpa: HorizontalPodAutoscaler, version: &str) -> HorizontalPodAutoscaler {
        hpa.metadata.resource_version = Some(version.into());
        hpa
    }

    fn after(begin: Instant, seconds: u64) -> Instant {
        begin + std::time::Duration::from_secs(seconds)
    }

    #[test]
    fn a_write_is_not_made_again_until_the_watch_has_come_to_it_or_has_had_its_time() {
        let (plan, begin, mut writes) = (plan(), Instant::now(), HpaWrites::default());
        let created = written(writes.write(&plan, (1, 3), None, begin));
        assert!(matches!(
            writes.write(&plan, (1, 3), None, after(begin, 4)),
            Decision::Nothing
        ));
        let again = writes.write(&plan, (1, 3), None, after(begin, 5));
        assert!(
            matches!(again, Decision::Write(HpaWrite::Create(_))),
            "it never came"
        );
        let live = at(created, "1");
        assert!(matches!(
            writes.write(&plan, (1, 3), Some(&live), after(begin, 6)),
            Decision::AsWanted
        ));
        let raised = written(writes.write(&plan, (1, 5), Some(&live), after(begin, 6)));
        assert_eq!(raised.spec.as_ref().map(|s| s.max_replicas), Some(5));
        assert!(matches!(
            writes.write(&plan, (1, 5), Some(&live), after(begin, 7)),
            Decision::Nothing
        ));
        writes.failed();
        assert!(matches!(
            writes.write(&plan, (1, 5), Some(&live), after(begin, 7)),
            Decision::Write(_)
        ));
    }

    #[test]
    fn what_the_api_server_makes_of_a_spec_is_no_reason_to_write_it_again() {
        let (plan, begin, mut writes) = (plan(), Instant::now(), HpaWrites::default());
        let created = written(writes.write(&plan, (1, 3), None, begin));
        let mut live = at(created, "1");
        let spec = live.spec.as_mut().unwrap();
        for metric in spec.metrics.iter_mut().flatten() {
            let target = metric.external.as_mut().map(|e| &mut e.target);
            let value = target.and_then(|t| t.average_value.as_mut()).unwrap();
            value.0 = format!("{}000m", value.0);
        }
        writes.stored(spec);
        assert!(matches!(
            writes.write(&plan, (1, 3), Some(&live), after(begin, 9)),
            Decision::AsWanted
        ));
        let min = written(writes.write(&plan, (2, 3), Some(&live), after(begin, 9)));
        assert_eq!(
            min.spec.and_then(|s| s.min_replicas),
            Some(2),
            "another wish is one"
        );
    }

    #[test]
    fn an_hpa_of_somebody_else_is_left_alone_and_a_broken_trigger_writes_nothing() {
        let (mut plan, begin, mut writes) = (plan(), Instant::now(), HpaWrites::default());
        let owner = |kind: &str, name: &str, uid: &str| json!([{"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": true}]);
        let hpa = |owners: Value| -> HorizontalPodAutoscaler {
            let metadata =
                json!({"name": "keda-hpa-so", "resourceVersion": "1", "ownerReferences": owners});
            serde_json::from_value(json!({"metadata": metadata})).unwrap()
        };
        for (owners, told) in [
            (owner("Deployment", "x", "d"), true),
            (owner("ScaledObject", "other", "o"), true),
            (owner("ScaledObject", "so", "former"), false),
        ] {
            let live = hpa(owners.clone());
            assert!(
                matches!(
                    writes.write(&plan, (1, 3), Some(&live), begin),
                    Decision::Nothing
                ),
                "{owners}"
            );
            assert_eq!(foreign(&plan, Some(&live)).is_some(), told, "{owners}");
            assert!(!owns(&plan, &live));
        }
        assert!(owns(&plan, &hpa(owner("ScaledObject", "so", "u"))));
        plan.triggers[0].source = Err("no such field".into());
        assert!(matches!(
            writes.write(&plan, (1, 3), None, begin),
            Decision::Nothing
        ));
    }

    #[test]
    fn an_hpa_that_was_refused_for_good_is_not_sent_again_until_it_is_another() {
        let (plan, begin, mut writes) = (plan(), Instant::now(), HpaWrites::default());
        let created = written(writes.write(&plan, (1, 3), None, begin));
        writes.failed();
        writes.refused();
        for second in 0..600 {
            let again = writes.write(&plan, (1, 3), None, after(begin, second));
            assert!(matches!(again, Decision::Nothing), "{second}");
        }
        let other = writes.write(&plan, (1, 4), None, after(begin, 600));
        assert!(matches!(other, Decision::Write(HpaWrite::Create(_))));
        let by_hand = at(created, "1");
        let found = writes.write(&plan, (1, 3), Some(&by_hand), after(begin, 700));
        assert!(
            matches!(found, Decision::AsWanted),
            "nothing is left to send"
        );
    }

    #[test]
    fn a_deletion_is_made_once_for_what_is_seen() {
        let (begin, mut writes) = (Instant::now(), HpaWrites::default());
        let gone = at(HorizontalPodAutoscaler::default(), "7");
        assert!(writes.delete(&gone, begin).is_some());
        assert!(writes.delete(&gone, after(begin, 1)).is_none());
        assert!(writes.delete(&at(gone, "8"), after(begin, 1)).is_some());
    }
}
