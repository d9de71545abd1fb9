//! Whether a credential has another value behind the same reference, or is another one: only the former goes on with what the
//! value before it reads.

use std::{collections::BTreeSet, sync::Arc};

use super::{engine::Controller, keys::ObjectKey, origins::Origins};
use crate::scaling::{Plan, Source, follow};

impl Controller {
    /// Forgets which values the object's credentials had: it references other Secrets now, and an old credential is no previous value
    /// of a new one.
    pub(super) fn forget_origins(&mut self, key: &ObjectKey) {
        if let Some(object) = self.objects.get_mut(key) {
            object.origins = None;
        }
    }

    /// Lets a plan made anew go on with what is read by the values that its credentials had before.
    pub(super) fn follow(&self, key: &ObjectKey, plan: &mut Plan, origins: &Origins) {
        let known = self.objects.get(key);
        if let Some((object, before)) = known.and_then(|o| Some((o, o.origins.as_ref()?))) {
            let same = |index| before.get(index) == origins.get(index);
            follow(plan, &object.plan, &self.pictures, same);
        }
    }

    /// What the former values of these triggers' credentials read is not needed any more.
    pub(super) fn renew(&mut self, key: &ObjectKey, triggers: &BTreeSet<usize>) {
        let Some(object) = self.objects.get_mut(key).filter(|_| !triggers.is_empty()) else {
            return;
        };
        let plan = Arc::make_mut(&mut object.plan);
        for index in triggers {
            if let Some(trigger) = plan.triggers.get_mut(*index)
                && let Ok(Source::Kafka { former, .. }) = &mut trigger.source
            {
                *former = None;
            }
        }
        let (plan, pictures) = (object.plan.clone(), &self.pictures);
        self.asked
            .set(key, Some(&plan), pictures, &mut self.manager);
        self.forget_pictures();
    }
}
