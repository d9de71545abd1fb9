//! Why an object has the replicas it has.

use super::{scaled_object::ScaledObjectRecord, world::World};
use crate::{
    scaling::{Account, Explanation, Settings, evaluate, explain, next_move},
    snapshot::Snapshots,
};

/// The explanation of one ScaledObject. Its memory is copied: a question changes nothing.
pub(super) fn explanation(
    object: &ScaledObjectRecord,
    snapshots: &Snapshots,
    settings: Settings,
    world: World<'_>,
) -> Explanation {
    let (plan, now) = (&*object.planned.plan, world.now);
    let hpa = world.stores.hpa(&plan.namespace, &plan.hpa_name);
    let around = object.surroundings(hpa.as_deref());
    let mut memory = object.planned.memory.clone();
    let evaluation = evaluate(plan, snapshots, &around, &mut memory, settings, now);
    let (activity, _) = memory.activity(plan, &evaluation, now);
    let replicas = around.replicas.unwrap_or(0);
    let step = next_move(plan, &activity, replicas, object.last_active, now.wall);
    let account = Account {
        plan,
        evaluation: &evaluation,
        around: &around,
        hpa: hpa.as_deref(),
        memory: &memory,
        activity: &activity,
        step: &step,
        tolerance_milli: settings.tolerance_milli,
    };
    let shadow = object.shadow.as_ref();
    Explanation {
        shadow: shadow.map_or_else(Vec::new, |shadow| shadow.compared(now.at)),
        ..explain(&account, now)
    }
}
