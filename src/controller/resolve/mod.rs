//! From a ScaledObject and what it names to a plan. Pure: what is missing is an error in the plan.

mod authentication;
mod environment;
mod expand;
mod guard;
mod hosts;
mod template;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::credentials::{CredentialRules, Found, Reference};
use crate::{
    resources::{
        ClusterTriggerAuthentication, ScaleTarget, ScaledObject, Trigger as Written,
        TriggerAuthentication,
    },
    scaling::{Plan, PlannedTrigger, Source, limits},
    text::shown,
    triggers::{self, Parameters, Sources, Trigger},
};
use authentication::Authenticated;
use environment::Looked;
pub(super) use template::Template;

/// Characters of what is wrong with a trigger: it goes into a condition.
const LONGEST_ERROR: usize = 4_000;

/// A resolved object.
pub(super) struct Resolved {
    pub(super) plan: Plan,
    /// The references it names, whether those exist or not.
    pub(super) references: BTreeSet<Reference>,
    /// Something is being read for the first time: nothing can be said yet.
    pub(super) waiting: bool,
}

/// Looks up what a plan needs.
pub(super) trait Lookup {
    /// A TriggerAuthentication by namespace and name.
    fn authentication(&self, namespace: &str, name: &str) -> Option<Arc<TriggerAuthentication>>;
    /// A ClusterTriggerAuthentication by name.
    fn cluster_authentication(&self, name: &str) -> Option<Arc<ClusterTriggerAuthentication>>;
    /// The state of something that is named.
    fn find(&self, reference: &Reference) -> Found<'_>;
    /// Where credentials may come from.
    fn rules(&self) -> &CredentialRules;
}

/// Resolves and parses every trigger of `object`.
pub(super) fn resolve(object: Arc<ScaledObject>, lookup: &impl Lookup) -> Resolved {
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let mut references = BTreeSet::new();
    let mut waiting = false;
    let mut environments = BTreeMap::new();
    let spec = &object.spec;
    let triggers = limits::readable(&object)
        .iter()
        .enumerate()
        .map(|(index, trigger)| {
            let mut gather = Gather {
                namespace: &namespace,
                target: &spec.scale_target_ref,
                lookup,
                environments: &mut environments,
                references: &mut references,
                waiting: &mut waiting,
                notes: Vec::new(),
                notices: Vec::new(),
            };
            let source = gather.source(index, trigger);
            let notice = (!gather.notices.is_empty()).then(|| gather.notices.join("; ").into());
            PlannedTrigger {
                notice,
                ..PlannedTrigger::new(trigger, source)
            }
        });
    let triggers = triggers.collect();
    Resolved {
        plan: Plan::new(object, triggers),
        references,
        waiting,
    }
}

/// An environment that was looked up, and what a trigger lacks there.
type Variables = (Option<Looked>, Option<String>);

/// The state of resolving one trigger.
struct Gather<'a, L> {
    namespace: &'a str,
    target: &'a ScaleTarget,
    lookup: &'a L,
    /// By container, empty for the first: those that were looked up for the object.
    environments: &'a mut BTreeMap<String, Looked>,
    references: &'a mut BTreeSet<Reference>,
    waiting: &'a mut bool,
    /// The missing parts: appended to the validation's error, which alone would mislead.
    notes: Vec<String>,
    /// Parameters that are missing and may be: the trigger connects without them and says so.
    notices: Vec<String>,
}

impl<'a, L: Lookup> Gather<'a, L> {
    fn source(&mut self, index: usize, trigger: &Written) -> Result<Source, Arc<str>> {
        let reference = trigger.authentication_ref.as_ref();
        let Authenticated {
            parameters,
            secret,
            guard,
        } = reference
            .map(|reference| self.authentication(reference))
            .unwrap_or_default();
        let (environment, unmet) = self.variables(trigger)?;
        let none = Parameters::new();
        let environment = environment.as_deref().map(|found| found.as_ref());
        let environment = environment.and_then(|found| found.ok()?.as_ref());
        let mut metadata = Cow::Borrowed(&trigger.metadata);
        let own = guard::ITS_OWN
            .iter()
            .filter(|key| parameters.contains_key(**key));
        // KEDA's own apache-kafka refuses what is set in both.
        if guard.is_some() && trigger.kind == "kafka" {
            for key in own.filter(|key| trigger.metadata.contains_key(**key)) {
                metadata.to_mut().remove(*key);
            }
        }
        let sources = Sources {
            metadata: &metadata,
            environment: environment.map_or(&none, |e| &e.values),
            parameters: &parameters,
        };
        let metric_type = trigger.metric_type.as_deref().unwrap_or_default();
        let parsed = match (triggers::parse(&trigger.kind, sources, metric_type), unmet) {
            // It would mean something else: every topic instead of one.
            (Ok(_), Some(unmet)) => Err(unmet),
            (Err(error), Some(unmet)) => Err(format!("{error}; {unmet}")),
            (parsed, None) => parsed.map_err(|error| error.to_string()),
        };
        match parsed {
            Ok(Trigger::Kafka(mut kafka, metric_type)) => {
                if let Some(guard) = guard {
                    self.notes.extend(guard.refuses(&kafka));
                }
                // Without what is missing it would be asked as somebody else.
                let missing = (!self.notes.is_empty()).then(|| self.notes.join("; "));
                kafka.withheld = missing.or(kafka.withheld);
                Ok(Source::new(index, Trigger::Kafka(kafka, metric_type)))
            }
            Ok(trigger) => Ok(Source::new(index, trigger)),
            Err(error) => {
                let text = std::iter::once(error).chain(std::mem::take(&mut self.notes));
                let text = text.collect::<Vec<_>>().join("; ");
                let text = triggers::without(text, &parameters, &secret);
                Err(shown(&text, LONGEST_ERROR).into())
            }
        }
    }

    /// The environment that fields of the trigger are read from, and what is wrong with it; `None` where no field is. An error
    /// stands for a value of a Secret that would be shown.
    fn variables(&mut self, trigger: &Written) -> Result<Variables, String> {
        let fields = triggers::environment_fields(&trigger.kind, &trigger.metadata);
        if fields.is_empty() {
            return Ok((None, None));
        }
        let container = self.target.env_source_container_name.as_deref();
        let looked = self.environment(container);
        let unmet = match &*looked {
            Ok(None) => None,
            Err(error) => Some(error.clone()),
            Ok(Some(environment)) => {
                if let Some(hidden) = fields.iter().find_map(|f| environment.hides(f)) {
                    return Err(hidden);
                }
                let unmet: Vec<_> = fields.iter().filter_map(|f| environment.lacks(f)).collect();
                (!unmet.is_empty()).then(|| unmet.join("; "))
            }
        };
        Ok((Some(looked), unmet))
    }

    /// The state of something, which is followed from now on.
    fn look(&mut self, reference: &Reference) -> Found<'a> {
        self.references.insert(reference.clone());
        let found = self.lookup.find(reference);
        *self.waiting |= matches!(found, Found::Waiting);
        found
    }

    fn may_read_secrets_of(&self, namespace: &str) -> bool {
        let rules = self.lookup.rules();
        !rules.restricted || rules.cluster_namespace == namespace
    }
}
