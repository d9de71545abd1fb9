//! From a ScaledObject, its authentications and their Secrets to a plan. Pure: what is missing is an error in the plan.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    poll::ClusterKey,
    resources::{ScaledObject, TriggerAuthentication},
    scaling::{Plan, PlannedTrigger, Source},
    triggers::{self, Parameters, Sources, Trigger},
};

use super::credentials::{SecretName, Values};

/// What an object's authentication came to.
pub(super) struct Resolved {
    pub(super) plan: Plan,
    /// Secrets it names, whether they exist or not.
    pub(super) secrets: BTreeSet<SecretName>,
    /// A Secret that exists is still being read: nothing can be said yet.
    pub(super) waiting: bool,
}

/// Looks up what a plan needs.
pub(super) trait Lookup {
    /// A TriggerAuthentication by namespace and name.
    fn authentication(&self, namespace: &str, name: &str) -> Option<Arc<TriggerAuthentication>>;
    /// The values of a Secret.
    fn secret(&self, name: &SecretName) -> Option<&Values>;
    /// Whether the Secret exists.
    fn exists(&self, name: &SecretName) -> bool;

    /// Why the last fetch of a Secret failed, if it did.
    fn failure(&self, name: &SecretName) -> Option<&str>;
}

/// Resolves and parses every trigger of `object`.
pub(super) fn resolve(object: Arc<ScaledObject>, lookup: &impl Lookup) -> Resolved {
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let mut secrets = BTreeSet::new();
    let mut waiting = false;
    let triggers = object
        .spec
        .triggers
        .iter()
        .enumerate()
        .map(|(index, trigger)| {
            let mut notes = Vec::new();
            let parameters = match &trigger.authentication_ref {
                None => Parameters::new(),
                Some(reference) => {
                    let kind = reference.kind.as_deref().unwrap_or_default();
                    let mut gather = Gather {
                        namespace: &namespace,
                        lookup,
                        secrets: &mut secrets,
                        waiting: &mut waiting,
                        notes: &mut notes,
                    };
                    gather.parameters(kind, &reference.name)
                }
            };
            let metric_type = trigger.metric_type.as_deref().unwrap_or_default();
            let sources = Sources {
                metadata: &trigger.metadata,
                environment: &Parameters::new(),
                parameters: &parameters,
            };
            if triggers::reads_environment(&trigger.kind, &trigger.metadata) {
                notes.push("the environment of the scale target is not read yet".into());
            }
            let parsed = triggers::parse(&trigger.kind, sources, metric_type);
            let source = match parsed {
                Ok(Trigger::Resource(resource)) => Ok(Source::Resource(resource)),
                Ok(Trigger::Kafka(mut kafka, metric_type)) => Ok(Source::Kafka {
                    cluster: ClusterKey {
                        bootstrap: kafka.bootstrap.clone(),
                        fingerprint: kafka.security.fingerprint(),
                    },
                    metric: kafka.metric_name(index).into(),
                    kafka: {
                        // Without what is missing it would be asked as somebody else.
                        kafka.withheld = kafka.withheld.or_else(|| joined(&notes));
                        (*kafka).into()
                    },
                    metric_type,
                }),
                Err(error) => {
                    let text = std::iter::once(error.to_string()).chain(notes);
                    Err(text.collect::<Vec<_>>().join("; ").into())
                }
            };
            PlannedTrigger {
                kind: trigger.kind.clone(),
                source,
            }
        });
    let triggers = triggers.collect();
    Resolved {
        plan: Plan::new(object, triggers),
        secrets,
        waiting,
    }
}

/// `podIdentity` with the provider `none` is what leaving it out is.
fn says_nothing(source: &str, value: &serde_json::Value) -> bool {
    source == "podIdentity" && value["provider"] == "none"
}

fn joined(notes: &[String]) -> Option<String> {
    (!notes.is_empty()).then(|| notes.join("; "))
}

struct Gather<'a, L> {
    namespace: &'a str,
    lookup: &'a L,
    secrets: &'a mut BTreeSet<SecretName>,
    waiting: &'a mut bool,
    /// Why a parameter is missing: appended to the validation's error, which alone would mislead.
    notes: &'a mut Vec<String>,
}

impl<L: Lookup> Gather<'_, L> {
    fn parameters(&mut self, kind: &str, name: &str) -> Parameters {
        let namespace = self.namespace;
        if !matches!(kind, "" | "TriggerAuthentication") {
            self.notes.push(format!(
                "authenticationRef.kind {kind} is not supported yet"
            ));
            return Parameters::new();
        }
        let Some(authentication) = self.lookup.authentication(namespace, name) else {
            self.notes.push(format!(
                "TriggerAuthentication {namespace}/{name} does not exist"
            ));
            return Parameters::new();
        };
        let unread = authentication.spec.other.iter();
        for (source, _) in unread.filter(|(source, value)| !says_nothing(source, value)) {
            self.notes.push(format!(
                "TriggerAuthentication {namespace}/{name}: source {source} is not read yet, only secretTargetRef is"
            ));
        }
        let mut parameters = Parameters::new();
        for reference in &authentication.spec.secret_target_ref {
            let secret = (namespace.to_owned(), reference.name.clone());
            self.secrets.insert(secret.clone());
            match self.lookup.secret(&secret) {
                Some(values) => match values.keys.get(&reference.key) {
                    Some(value) => {
                        parameters.insert(reference.parameter.clone(), value.clone());
                    }
                    None => self.notes.push(format!(
                        "Secret {namespace}/{} has no key {} (for parameter {})",
                        reference.name, reference.key, reference.parameter
                    )),
                },
                None if self.lookup.exists(&secret) => match self.lookup.failure(&secret) {
                    None => *self.waiting = true,
                    Some(error) => self.notes.push(format!(
                        "Secret {namespace}/{} could not be read (for parameter {}): {error}",
                        reference.name, reference.parameter
                    )),
                },
                None => self.notes.push(format!(
                    "Secret {namespace}/{} does not exist (for parameter {})",
                    reference.name, reference.parameter
                )),
            }
        }
        parameters
    }
}
