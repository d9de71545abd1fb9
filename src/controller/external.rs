//! Triggers that a KEDA asks about as its external scaler. They are in no object here: each comes by being asked for, is read as the one trigger
//! of a ScaledObject would be, and goes when nobody has asked for a while.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kube::api::ObjectMeta;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};

use super::objects::{Change, ExternalReading, ObjectKey};
use crate::resources::{AuthenticationRef, ScaledObject, ScaledObjectSpec, Trigger};

/// Triggers at once.
const MOST: usize = 4096;
/// A trigger that nobody has asked about for this long is read no more. KEDA asks once per pollingInterval, 30 s as a rule.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Metadata that is about the way to lagscale, not to Kafka.
const NOT_KAFKA: [&str; 5] = [
    "authenticationKind",
    "authenticationRef",
    "enableTLS",
    "scalerAddress",
    "unsafeSsl",
];
/// KEDA sends what such a field names in the environment of the workload under the field's own name.
const FROM_ENVIRONMENT: &str = "FromEnv";

/// A trigger as KEDA sends it, `ScaledObjectRef` of KEDA's `externalscaler.proto`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalTrigger {
    /// The namespace of the object.
    pub namespace: String,
    /// The name of its ScaledObject or ScaledJob.
    pub object: String,
    /// The trigger's metadata.
    pub metadata: BTreeMap<String, String>,
}

/// Why a trigger is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Its namespace is somebody else's.
    #[error("namespace {0} is not watched by this lagscale (WATCH_NAMESPACE)")]
    Elsewhere(String),
    /// There are too many.
    #[error("{MOST} triggers are read already")]
    Full,
}

/// The reading of a trigger, as it comes; `None` before there is one. An error says what is wrong with the trigger as it is written.
pub type Readings = watch::Receiver<Option<Result<ExternalReading, Arc<str>>>>;

/// All triggers that were asked about lately.
#[derive(Clone, Debug)]
pub struct ExternalTriggers {
    known: Arc<Mutex<BTreeMap<ObjectKey, Known>>>,
    /// Empty: all.
    namespaces: Arc<[String]>,
    changes: mpsc::UnboundedSender<Change>,
}

#[derive(Debug)]
struct Known {
    object: Arc<ScaledObject>,
    readings: watch::Sender<Option<Result<ExternalReading, Arc<str>>>>,
    asked: Instant,
}

impl ExternalTriggers {
    /// None yet; the engine is told of each by `changes`.
    pub(super) fn new(namespaces: &[String], changes: mpsc::UnboundedSender<Change>) -> Self {
        Self {
            known: Arc::default(),
            namespaces: namespaces.into(),
            changes,
        }
    }

    /// Begins to read a trigger, or goes on; whoever holds the readings keeps it.
    ///
    /// # Errors
    /// Why it is not read.
    pub fn ask(&self, trigger: &ExternalTrigger, now: Instant) -> Result<Readings, NotTaken> {
        let namespace = &trigger.namespace;
        if !self.namespaces.is_empty() && !self.namespaces.contains(namespace) {
            return Err(NotTaken::Elsewhere(namespace.clone()));
        }
        let key = key(trigger);
        let mut known = self.lock();
        if let Some(known) = known.get_mut(&key) {
            known.asked = now;
            return Ok(known.readings.subscribe());
        }
        if known.len() >= MOST {
            return Err(NotTaken::Full);
        }
        let new = Known {
            object: as_object(trigger).into(),
            readings: watch::Sender::new(None),
            asked: now,
        };
        let readings = new.readings.subscribe();
        known.insert(key.clone(), new);
        // The engine is gone when nobody listens.
        let _ = self.changes.send(Change::Object(key));
        Ok(readings)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Lets go of those that nobody has asked about for long enough; returns their keys.
    pub(super) fn forget(&self, now: Instant) -> Vec<ObjectKey> {
        let mut known = self.lock();
        let old = known.iter().filter(|(_, known)| {
            let age = now.saturating_duration_since(known.asked);
            age >= FORGOTTEN && known.readings.receiver_count() == 0
        });
        let old: Vec<_> = old.map(|(key, _)| key.clone()).collect();
        for key in &old {
            known.remove(key);
        }
        old
    }

    pub(super) fn keys(&self) -> Vec<ObjectKey> {
        self.lock().keys().cloned().collect()
    }

    pub(super) fn object(&self, key: &ObjectKey) -> Option<Arc<ScaledObject>> {
        self.lock().get(key).map(|known| known.object.clone())
    }

    /// Tells those who have asked.
    pub(super) fn tell(&self, key: &ObjectKey, reading: Result<ExternalReading, Arc<str>>) {
        if let Some(known) = self.lock().get(key) {
            known.readings.send_if_modified(|before| {
                let is_news = before.as_ref() != Some(&reading);
                if is_news {
                    *before = Some(reading);
                }
                is_news
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One object may have several triggers: each has the fingerprint of its metadata in its name.
fn key(trigger: &ExternalTrigger) -> ObjectKey {
    let mut hash = Sha256::new();
    for text in trigger.metadata.iter().flat_map(|(k, v)| [k, v]) {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    let name = format!("{}/{:x}", trigger.object, hash.finalize());
    ObjectKey::external(&trigger.namespace, &name)
}

/// A ScaledObject with that trigger, as a `kafka` trigger, and no target.
fn as_object(asked: &ExternalTrigger) -> ScaledObject {
    let mut metadata: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &asked.metadata {
        if let Some(name) = name.strip_suffix(FROM_ENVIRONMENT) {
            metadata
                .entry(name.to_owned())
                .or_insert_with(|| value.clone());
        } else if !NOT_KAFKA.contains(&name.as_str()) {
            metadata.insert(name.clone(), value.clone());
        }
    }
    let given = |name: &str| asked.metadata.get(name).filter(|v| !v.is_empty()).cloned();
    let authentication_ref = given("authenticationRef").map(|name| AuthenticationRef {
        name,
        kind: given("authenticationKind"),
    });
    ScaledObject {
        metadata: ObjectMeta {
            name: Some(asked.object.clone()),
            namespace: Some(asked.namespace.clone()),
            ..ObjectMeta::default()
        },
        spec: ScaledObjectSpec {
            triggers: vec![Trigger {
                kind: "kafka".into(),
                metadata,
                authentication_ref,
                ..Trigger::default()
            }],
            ..ScaledObjectSpec::default()
        },
        status: None,
    }
}

#[cfg(test)]
impl ExternalTriggers {
    /// With an engine that comes to this for each trigger; nothing where it has no reading.
    pub(crate) fn with_engine(
        reading: impl Fn(&ScaledObject) -> Option<Result<ExternalReading, Arc<str>>> + Send + 'static,
    ) -> Self {
        let (sender, mut changes) = mpsc::unbounded_channel();
        let triggers = Self::new(&["shop".into()], sender);
        let told = triggers.clone();
        tokio::spawn(async move {
            while let Some(Change::Object(key)) = changes.recv().await {
                let object = told.object(&key).unwrap();
                if let Some(reading) = reading(&object) {
                    told.tell(&key, reading);
                }
            }
        });
        triggers
    }
}
