//! Why an object has the replicas it has, answered between two turns.

use kube::runtime::reflector::ObjectRef;

use super::{engine::Controller, keys::ObjectKey, questions::Question};
use crate::{
    lag::Moment,
    scaling::{Account, Explanation, evaluate, explain, next_move},
};

impl Controller {
    pub(super) fn answer(&self, question: Question) {
        // The request may have ended, and its receiver with it.
        let _ = question.answer.send(self.account(&question.key));
    }

    fn account(&self, key: &ObjectKey) -> Option<Explanation> {
        let object = self.objects.get(key).filter(|o| o.lag.is_none())?;
        let (plan, now) = (object.plan.clone(), Moment::now());
        let reference = ObjectRef::new(&plan.hpa_name).within(&plan.namespace);
        let hpa = self.watches.hpas.get(&reference);
        let around = object.surroundings(hpa.as_deref());
        // The memory is copied: a question changes nothing.
        let mut memory = object.memory.clone();
        let settings = self.parts.settings;
        let evaluation = evaluate(&plan, &self.pictures, &around, &mut memory, settings, now);
        let (activity, _) = memory.activity(&plan, &evaluation, now);
        let replicas = around.replicas.unwrap_or(0);
        let step = next_move(&plan, &activity, replicas, object.last_active, now.wall);
        let account = Account {
            plan: &plan,
            evaluation: &evaluation,
            around: &around,
            hpa: hpa.as_deref(),
            memory: &memory,
            activity: &activity,
            step: &step,
            tolerance_milli: settings.tolerance_milli,
        };
        Some(explain(&account, now))
    }
}
