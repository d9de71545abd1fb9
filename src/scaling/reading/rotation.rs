//! A credential's value changes behind the same reference: until the new one has read everything, what the
//! former one reads is served, and what is wrong with the new one is told.

use std::time::Duration;

use crate::{
    lag::Moment,
    scaling::{Plan, Readout},
    snapshot::{ClusterKey, Snapshots},
};

/// Lets each trigger of `plan` go on with the readings of the value that its credential had in `before`, as far as there are
/// some. `same` says of which triggers the reference is the same as it was.
pub fn follow(plan: &mut Plan, before: &Plan, snapshots: &Snapshots, same: impl Fn(usize) -> bool) {
    let (now, then) = (&plan.object.spec, &before.object.spec);
    if now.scale_target_ref != then.scale_target_ref {
        return;
    }
    let written = now.triggers.iter().zip(&then.triggers);
    let triggers = plan.triggers.iter_mut().zip(&before.triggers);
    for (index, ((trigger, old), (a, b))) in triggers.zip(written).enumerate() {
        let Some((source, old)) = trigger.kafka_mut().zip(old.kafka()) else {
            continue;
        };
        let (kafka, cluster) = (&source.kafka, &source.cluster);
        let withheld = kafka.withheld.is_some() || old.kafka.withheld.is_some();
        let place = (&kafka.group, &cluster.bootstrap);
        if withheld || a != b || place != (&old.kafka.group, &old.cluster.bootstrap) || !same(index)
        {
            continue;
        }
        let has_read = |key: &&ClusterKey| {
            let group = snapshots.group(key, &kafka.group);
            group.is_some_and(|g| g.read.is_some())
        };
        // Whichever of the values before has read last.
        let before = old.former.iter().chain([&old.cluster]);
        let before = before.filter(|key| *key != cluster).filter(has_read);
        let at = |key: &&ClusterKey| Some(snapshots.group(key, &kafka.group)?.read?.at);
        source.former = before.max_by_key(at).cloned();
    }
}

impl Readout {
    /// The readout that counts while `self`, read by the new value, may be less than what the former one reads.
    pub(in crate::scaling) fn or_former(
        self,
        former: Self,
        max_age: Duration,
        now: Moment,
    ) -> Self {
        if self.complete {
            return self;
        }
        if former.fresh(max_age, now).is_none() {
            let trouble = self.trouble.or(former.trouble);
            return Self { trouble, ..self };
        }
        // Trouble that may pass is being tried again, and nothing is missing meanwhile.
        let refused = self.trouble.filter(|t| t.configuration);
        Self {
            trouble: refused.or(former.trouble),
            ..former
        }
    }

    /// The condition's text about it: why it is not whole, or that the credential's new value is refused.
    pub(in crate::scaling) fn partial(&self) -> Option<crate::snapshot::Trouble> {
        if self.complete {
            self.trouble.clone().filter(|t| t.configuration)
        } else {
            Some(self.why())
        }
    }
}
