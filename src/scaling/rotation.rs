//! A credential's value changes behind the same reference: until the new one has read everything, what the
//! former one reads is served, and what is wrong with the new one is told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Plan, Readout, Source, known};
use crate::{
    lag::Moment,
    poll::{ClusterKey, Picture},
};

/// Lets each trigger of `plan` go on with the readings of the value that its credential had in `before`, as far as there are
/// some. `same` says of which triggers the reference is the same as it was.
pub fn follow(
    plan: &mut Plan,
    before: &Plan,
    pictures: &BTreeMap<ClusterKey, Arc<Picture>>,
    same: impl Fn(usize) -> bool,
) {
    let (now, then) = (&plan.object.spec, &before.object.spec);
    if now.scale_target_ref != then.scale_target_ref {
        return;
    }
    let written = now.triggers.iter().zip(&then.triggers);
    let triggers = plan.triggers.iter_mut().zip(&before.triggers);
    for (index, ((trigger, old), (a, b))) in triggers.zip(written).enumerate() {
        let (
            Ok(Source::Kafka {
                kafka,
                cluster,
                former,
                ..
            }),
            Ok(Source::Kafka {
                kafka: kafka_before,
                cluster: cluster_before,
                former: former_before,
                ..
            }),
        ) = (&mut trigger.source, &old.source)
        else {
            continue;
        };
        let withheld = kafka.withheld.is_some() || kafka_before.withheld.is_some();
        let place = (&kafka.group, &cluster.bootstrap);
        if withheld
            || a != b
            || place != (&kafka_before.group, &cluster_before.bootstrap)
            || !same(index)
        {
            continue;
        }
        let has_read = |key: &&ClusterKey| {
            let group = known(pictures, key, &kafka.group);
            group.is_some_and(|g| g.read.is_some())
        };
        // Whichever of the values before has read last.
        let before = former_before.iter().chain([cluster_before]);
        let before = before.filter(|key| *key != &*cluster).filter(has_read);
        let at =
            |key: &&ClusterKey| known(pictures, key, &kafka.group).and_then(|g| Some(g.read?.at));
        *former = before.max_by_key(at).cloned();
    }
}

impl Readout {
    /// What counts while `self`, read by the new value, may be less than what the former one reads.
    pub(super) fn or_former(self, former: Self, max_age: Duration, now: Moment) -> Self {
        if self.complete {
            return self;
        }
        if former.fresh(max_age, now).is_none() {
            let trouble = self.trouble.or(former.trouble);
            return Self { trouble, ..self };
        }
        // What may pass is being tried again, and nothing is missing meanwhile.
        let refused = self.trouble.filter(|t| t.configuration);
        Self {
            trouble: refused.or(former.trouble),
            ..former
        }
    }

    /// What a condition is to say of it: why it is not whole, or that the credential's new value is refused.
    pub(super) fn partial(&self) -> Option<crate::poll::Trouble> {
        if self.complete {
            self.trouble.clone().filter(|t| t.configuration)
        } else {
            Some(self.why())
        }
    }
}
