//! The record of one object of any kind.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    keys::{Kind, NamespacedName},
    lag_metric::LagMetricRecord,
    planned::Planned,
    scaled_object::ScaledObjectRecord,
};
use crate::{lag::Moment, resources::LagMetric, scaling::Plan};

/// One object.
pub(super) enum Record {
    ScaledObject(Box<ScaledObjectRecord>),
    LagMetric(Box<LagMetricRecord>),
    External(Box<Planned>),
}

impl Record {
    /// A new object; `metric` where it is a LagMetric.
    pub(super) fn new(
        kind: Kind,
        plan: Arc<Plan>,
        metric: Option<Arc<LagMetric>>,
        now: Moment,
    ) -> Self {
        let planned = Planned::new(plan, now.at);
        match metric {
            None if kind == Kind::External => Self::External(Box::new(planned)),
            None => Self::ScaledObject(Box::new(ScaledObjectRecord::new(planned, now.wall))),
            Some(metric) => Self::LagMetric(Box::new(LagMetricRecord::new(metric, planned))),
        }
    }

    pub(super) fn planned(&self) -> &Planned {
        match self {
            Self::ScaledObject(object) => &object.planned,
            Self::LagMetric(metric) => &metric.planned,
            Self::External(planned) => planned,
        }
    }

    pub(super) fn planned_mut(&mut self) -> &mut Planned {
        match self {
            Self::ScaledObject(object) => &mut object.planned,
            Self::LagMetric(metric) => &mut metric.planned,
            Self::External(planned) => planned,
        }
    }

    /// Goes on with a plan made anew, of a newer version of the object.
    pub(super) fn adopt(&mut self, plan: Arc<Plan>, metric: Option<Arc<LagMetric>>) {
        match self {
            Self::ScaledObject(object) => object.adopt(plan),
            Self::External(planned) => planned.plan = plan,
            Self::LagMetric(record) => {
                record.planned.plan = plan;
                if let Some(metric) = metric {
                    record.adopt(metric);
                }
            }
        }
    }

    /// Begins to write: whoever did so before has told in the status what matters, and knows nothing of what is under way here.
    pub(super) fn take_over(&mut self, now: Moment) {
        let planned = self.planned_mut();
        planned.memory = std::mem::take(&mut planned.memory).taken_over(&planned.plan);
        planned.since = now.at;
        match self {
            Self::ScaledObject(object) => object.take_over(now.wall),
            Self::LagMetric(metric) => metric.take_over(),
            Self::External(_) => {}
        }
    }

    /// The HPAs whose changes are about this object.
    pub(super) fn hpas(&self) -> BTreeSet<NamespacedName> {
        let Self::ScaledObject(object) = self else {
            return BTreeSet::new();
        };
        let plan = &object.planned.plan;
        let names = [plan.hpa_name.as_str()].into_iter();
        let names = names.chain(object.former_hpas.names(&object.planned.plan));
        let namespace = plan.namespace.to_string();
        names
            .map(|name| (namespace.clone(), name.to_owned()))
            .collect()
    }
}
