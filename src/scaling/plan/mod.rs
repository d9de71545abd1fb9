//! A ScaledObject as the rest of the program sees it: bounds as numbers, triggers parsed, defaults filled in.

pub mod checks;
pub(super) mod defaults;
pub mod lag_metric;
pub mod limits;
pub(super) mod modifiers;
pub(super) mod pause;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    resources::{self, ScaledObject},
    scaling::{
        Modifiers, Pause,
        plan::defaults::MAX_REPLICAS,
        table::{Entry, Owner},
    },
    snapshot::ClusterKey,
    triggers::{Cron, Kafka, MetricType, Resource, Trigger},
};

/// Shortest sample interval; a smaller pollingInterval reads no faster.
pub const SHORTEST_SAMPLE: Duration = Duration::from_secs(5);

/// One object, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The object itself.
    pub object: Arc<ScaledObject>,
    /// `minReplicaCount`, 0 or more.
    pub min: i32,
    /// `maxReplicaCount`, 1 or more.
    pub max: i32,
    /// `idleReplicaCount`: the replicas without work, less than the minimum.
    pub idle: Option<i32>,
    /// `pollingInterval`.
    pub polling: Duration,
    /// `cooldownPeriod`.
    pub cooldown: Duration,
    /// `initialCooldownPeriod`.
    pub initial_cooldown: Duration,
    /// When the object was made.
    pub created: Option<Timestamp>,
    /// The HPA's name.
    pub hpa_name: String,
    /// In the order they are written.
    pub triggers: Vec<PlannedTrigger>,
    /// A formula over them, served instead of them.
    pub modifiers: Option<Modifiers>,
    /// The fault of the object as a whole, as KEDA's check stages say it.
    pub problem: Option<String>,
    /// The directions that its annotations hold back.
    pub pause: Pause,
    /// Whether an annotation says that there is work, whatever the triggers say.
    pub forced: bool,
}

/// One trigger of a plan.
#[derive(Clone, Debug)]
pub struct PlannedTrigger {
    /// `kafka`, `cpu`, ...
    pub kind: String,
    /// Its name in a formula; empty without one.
    pub name: Arc<str>,
    /// `useCachedMetrics`: its value changes once per polling interval only.
    pub cached: bool,
    /// The source it resolved to, or why it did not.
    pub source: Result<Source, Arc<str>>,
    /// Something of its authentication that is missing and may be.
    pub notice: Option<Arc<str>>,
}

impl PlannedTrigger {
    /// A trigger as it is written, with what it came to.
    #[must_use]
    pub fn new(trigger: &resources::Trigger, source: Result<Source, Arc<str>>) -> Self {
        Self {
            kind: trigger.kind.clone(),
            name: trigger.name.as_deref().unwrap_or_default().into(),
            cached: trigger.use_cached_metrics == Some(true),
            source,
            notice: None,
        }
    }
}

/// Where a trigger's number comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Lag.
    Kafka(KafkaSource),
    /// A time of the day.
    Cron {
        /// The trigger.
        cron: Arc<Cron>,
        /// How the HPA compares it.
        metric_type: MetricType,
        /// The name it is served under.
        metric: Arc<str>,
    },
    /// The HPA reads it by itself.
    Resource(Resource),
}

/// Lag that is read from Kafka.
#[derive(Clone, Debug)]
pub struct KafkaSource {
    /// The trigger.
    pub kafka: Arc<Kafka>,
    /// How the HPA compares it.
    pub metric_type: MetricType,
    /// Whose brokers, with whose credential.
    pub cluster: ClusterKey,
    /// Cluster key of the previous credential value, until the current one has completed a reading.
    pub former: Option<ClusterKey>,
    /// The name it is served under.
    pub metric: Arc<str>,
}

/// The metric that an HPA asks of a source.
#[derive(Clone, Copy, Debug)]
pub struct External<'a> {
    /// The name it is served under.
    pub metric: &'a Arc<str>,
    /// The target: what one replica is for, in thousandths, above 0.
    pub target_milli: i64,
    /// How the HPA compares it.
    pub metric_type: MetricType,
}

impl Source {
    /// The source that the trigger at `index` reads.
    #[must_use]
    pub fn new(index: usize, trigger: Trigger) -> Self {
        match trigger {
            Trigger::Kafka(kafka, metric_type) => Self::Kafka(KafkaSource {
                cluster: ClusterKey {
                    bootstrap: kafka.bootstrap.clone(),
                    fingerprint: kafka.security.fingerprint(),
                },
                former: None,
                metric: kafka.metric_name(index).into(),
                kafka: (*kafka).into(),
                metric_type,
            }),
            Trigger::Cron(cron, metric_type) => Self::Cron {
                metric: cron.metric_name(index).into(),
                cron: cron.into(),
                metric_type,
            },
            Trigger::Resource(resource) => Self::Resource(resource),
        }
    }

    /// The CPU or memory that the HPA reads by itself, if it is that.
    #[must_use]
    pub fn resource(&self) -> Option<&Resource> {
        match self {
            Self::Resource(resource) => Some(resource),
            _ => None,
        }
    }

    /// The external metric of it; `None` where the HPA reads it by itself.
    #[must_use]
    pub fn external(&self) -> Option<External<'_>> {
        let (metric, target, metric_type) = match self {
            Self::Kafka(source) => (&source.metric, source.kafka.threshold, source.metric_type),
            Self::Cron {
                metric,
                metric_type,
                ..
            } => (metric, 1, *metric_type),
            Self::Resource(_) => return None,
        };
        Some(External {
            metric,
            target_milli: target.saturating_mul(1000),
            metric_type,
        })
    }
}

impl PlannedTrigger {
    /// Its Kafka source, if it has one.
    #[must_use]
    pub fn kafka(&self) -> Option<&KafkaSource> {
        match &self.source {
            Ok(Source::Kafka(source)) => Some(source),
            _ => None,
        }
    }

    /// Its Kafka source, to be changed, if it has one.
    pub fn kafka_mut(&mut self) -> Option<&mut KafkaSource> {
        match &mut self.source {
            Ok(Source::Kafka(source)) => Some(source),
            _ => None,
        }
    }
}

impl Plan {
    /// Everything that is read from Kafka.
    pub fn kafka_sources(&self) -> impl Iterator<Item = &KafkaSource> {
        self.triggers.iter().filter_map(PlannedTrigger::kafka)
    }

    /// Bounds and times of `object`; triggers are parsed by whoever can resolve their authentication.
    #[must_use]
    pub fn new(object: Arc<ScaledObject>, triggers: Vec<PlannedTrigger>) -> Self {
        let spec = &object.spec;
        let seconds = |value: Option<i32>, default: u64| {
            Duration::from_secs(value.map_or(default, |v| u64::try_from(v).unwrap_or(default)))
        };
        let min = spec.min_replica_count.unwrap_or(0).max(0);
        let max = spec.max_replica_count.unwrap_or(MAX_REPLICAS).max(1);
        let (pause, unpausable) = match Pause::of(object.annotations()) {
            Ok(pause) => (pause, None),
            Err(error) => (Pause::default(), Some(error)),
        };
        Self {
            namespace: object.namespace().unwrap_or_default().into(),
            name: object.name_any().into(),
            min,
            max,
            idle: spec.idle_replica_count,
            polling: seconds(spec.polling_interval, 30).max(Duration::from_secs(1)),
            cooldown: seconds(spec.cooldown_period, 300),
            initial_cooldown: seconds(spec.initial_cooldown_period, 0),
            created: object.metadata.creation_timestamp.as_ref().map(|t| t.0),
            hpa_name: hpa_name(&object),
            triggers,
            problem: unpausable.or_else(|| checks::problem(spec)),
            // Triggers that can't be read are told as the problem.
            modifiers: Modifiers::of(spec).unwrap_or_default(),
            pause,
            forced: pause::is_forced(object.annotations()),
            object,
        }
    }

    /// Whether it goes below what an HPA keeps: its last step is then ours, after a cool-down.
    #[must_use]
    pub fn sleeps(&self) -> bool {
        self.min == 0 || self.idle.is_some()
    }

    /// The fallback that is asked for, where one can come.
    #[must_use]
    pub fn fallback(&self) -> Option<&resources::Fallback> {
        let possible = self.modifiers.as_ref().is_none_or(Modifiers::can_fall_back);
        self.object.spec.fallback.as_ref().filter(|_| possible)
    }

    /// Whether a fallback of it would be a total, to be divided by the pods that are ready.
    #[must_use]
    pub fn divides_by_pods(&self) -> bool {
        let total = |t: MetricType| t == MetricType::Value;
        let trigger = |t: &PlannedTrigger| {
            let source = t.source.as_ref().ok();
            let external = source.and_then(Source::external);
            external.is_some_and(|e| total(e.metric_type))
        };
        self.fallback().is_some()
            && match &self.modifiers {
                Some(modifiers) => total(modifiers.metric_type),
                None => self.triggers.iter().any(trigger),
            }
    }

    /// Whether replicas go back on deletion to what they were (`restoreToOriginalReplicaCount`).
    #[must_use]
    pub fn restores(&self) -> bool {
        let advanced = self.object.spec.advanced.as_ref();
        advanced.and_then(|a| a.restore_to_original_replica_count) == Some(true)
    }

    /// How often its lag is read.
    #[must_use]
    pub fn sample_interval(&self) -> Duration {
        self.polling.min(SHORTEST_SAMPLE)
    }

    /// An entry of the API's table for a metric of this object.
    #[must_use]
    pub fn entry(&self, metric: &Arc<str>, outcome: crate::scaling::table::Outcome) -> Entry {
        Entry {
            metric: metric.clone(),
            owner: Owner::ScaledObject(self.name.clone()),
            outcome,
        }
    }
}

/// The name of the HPA of `object`: `advanced.horizontalPodAutoscalerConfig.name`, else `keda-hpa-<name>`.
#[must_use]
pub fn hpa_name(object: &ScaledObject) -> String {
    let advanced = object.spec.advanced.as_ref();
    let config = advanced.and_then(|a| a.horizontal_pod_autoscaler_config.as_ref());
    config
        .and_then(|c| c.name.clone())
        .filter(|n| !n.is_empty())
        .unwrap_or_else(|| format!("keda-hpa-{}", object.name_any()))
}
