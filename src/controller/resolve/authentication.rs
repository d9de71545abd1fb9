//! From an authentication to parameters: each source in KEDA's order, a later one over an earlier one.

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::{Gather, Lookup, guard::Guard};
use crate::{
    controller::credentials::{Content, Found, Reference, Values},
    resources::{AuthenticationRef, EnvRef, TargetRef, TriggerAuthenticationSpec, bounded::MOST},
    triggers::{self, Parameters},
};

/// A resolved authentication.
#[derive(Default)]
pub(super) struct Authenticated {
    pub(super) parameters: Parameters,
    /// Those of them that come from a Secret, a token or a file.
    pub(super) secret: BTreeSet<String>,
    /// The uses it allows; a namespace's own may be used for anything there.
    pub(super) guard: Option<Guard>,
}

/// The authentication that is read, and where what it names lies.
struct Of<'a> {
    what: &'a str,
    namespace: &'a str,
}

impl<L: Lookup> Gather<'_, L> {
    pub(super) fn authentication(&mut self, reference: &AuthenticationRef) -> Authenticated {
        let name = &reference.name;
        match reference.kind.as_deref().unwrap_or_default() {
            "" | "TriggerAuthentication" => {
                let namespace = self.namespace;
                let what = format!("TriggerAuthentication {namespace}/{name}");
                let Some(found) = self.lookup.authentication(namespace, name) else {
                    self.notes.push(format!("{what} does not exist"));
                    return Authenticated::default();
                };
                let of = Of {
                    what: &what,
                    namespace,
                };
                if found.spec.file_path.as_ref().is_some_and(|p| !p.is_empty()) {
                    self.notes.push(format!(
                        "{what}: filePath is read of a ClusterTriggerAuthentication only"
                    ));
                }
                let (parameters, secret) = self.sources(&found.spec, &of);
                Authenticated {
                    parameters,
                    secret,
                    guard: None,
                }
            }
            "ClusterTriggerAuthentication" => {
                let what = format!("ClusterTriggerAuthentication {name}");
                let Some(found) = self.lookup.cluster_authentication(name) else {
                    self.notes.push(format!("{what} does not exist"));
                    return Authenticated::default();
                };
                let namespace = self.lookup.rules().cluster_namespace.clone();
                let of = Of {
                    what: &what,
                    namespace: &namespace,
                };
                let spec = &found.spec.0;
                let (parameters, secret) = match spec.file_path.as_ref().filter(|p| !p.is_empty()) {
                    Some(path) => self.file(path, &of),
                    None => self.sources(spec, &of),
                };
                let annotation = |key: &str| found.annotations().get(key).cloned();
                let needs_hosts = self.lookup.rules().cluster_needs_hosts;
                let guard = Guard::new(what, annotation, &parameters, needs_hosts);
                Authenticated {
                    parameters,
                    secret,
                    guard: Some(guard),
                }
            }
            other => {
                self.notes.push(format!(
                    "unknown trigger auth kind {other}, expected TriggerAuthentication or ClusterTriggerAuthentication"
                ));
                Authenticated::default()
            }
        }
    }

    fn sources(
        &mut self,
        spec: &TriggerAuthenticationSpec,
        of: &Of<'_>,
    ) -> (Parameters, BTreeSet<String>) {
        // oauth2 is for triggers that ask over HTTP: KEDA's kafka does not read it either.
        for source in spec.unsupported() {
            self.notes
                .push(format!("{}: {source} is not supported", of.what));
        }
        let mut parameters = Parameters::new();
        let mut secret = BTreeSet::new();
        if let Some(field) = spec.too_many() {
            let note = format!(
                "{}: spec.{field}: Too many: must have at most {MOST} items",
                of.what
            );
            self.notes.push(note);
            return (parameters, secret);
        }
        for variable in &spec.env {
            self.variable(variable, of, &mut parameters, &mut secret);
        }
        for target in &spec.config_map_target_ref {
            let name = (of.namespace.to_owned(), target.name.clone());
            self.key(&Reference::ConfigMap(name), target, &mut parameters);
            secret.remove(&target.parameter);
        }
        for target in &spec.secret_target_ref {
            let name = (of.namespace.to_owned(), target.name.clone());
            if self.may_read_secrets_of(of.namespace) {
                self.key(&Reference::Secret(name), target, &mut parameters);
                secret.insert(target.parameter.clone());
            } else {
                let own = &self.lookup.rules().cluster_namespace;
                self.notes.push(format!(
                    "Secret {}/{} is not read (for parameter {}): --restrict-secret-access allows those of namespace {own} only",
                    of.namespace, target.name, target.parameter
                ));
            }
        }
        for token in &spec.bound_service_account_token {
            let name = (of.namespace.to_owned(), token.service_account_name.clone());
            if let Err(error) = self.lookup.rules().tokens.audience(&name) {
                let parameter = &token.parameter;
                self.notes
                    .push(format!("{error} (for parameter {parameter})"));
                continue;
            }
            let target = TargetRef {
                parameter: token.parameter.clone(),
                name: token.service_account_name.clone(),
                key: "token".into(),
            };
            self.key(&Reference::Token(name), &target, &mut parameters);
            secret.insert(target.parameter);
        }
        (parameters, secret)
    }

    fn file(&mut self, path: &str, of: &Of<'_>) -> (Parameters, BTreeSet<String>) {
        if self.lookup.rules().files.is_none() {
            self.notes.push(format!(
                "{}: filePath {path} needs --filepath-auth-root-path",
                of.what
            ));
            return Default::default();
        }
        let found = self.values(&Reference::File(path.to_owned()), of.what);
        let found = found.map(|values| values.kept.clone()).unwrap_or_default();
        let secret = found.keys().cloned().collect();
        (found, secret)
    }

    /// One key of something, as a parameter.
    fn key(&mut self, reference: &Reference, target: &TargetRef, into: &mut Parameters) {
        let parameter = &target.parameter;
        let Some(values) = self.values(reference, &format!("for parameter {parameter}")) else {
            return;
        };
        if let Some(value) = values.kept.get(&target.key).cloned() {
            into.insert(parameter.clone(), value);
            return;
        }
        let missing = format!(
            "{reference} {} (for parameter {parameter})",
            values.lack(&target.key)
        );
        if triggers::is_optional(parameter) {
            self.notices.push(missing);
        } else {
            self.notes.push(missing);
        }
    }

    fn variable(
        &mut self,
        variable: &EnvRef,
        of: &Of<'_>,
        into: &mut Parameters,
        secret: &mut BTreeSet<String>,
    ) {
        let (parameter, name) = (&variable.parameter, &variable.name);
        let environment = self.environment(variable.container_name.as_deref());
        let environment = match &*environment {
            Ok(None) => return,
            Ok(Some(environment)) => environment,
            Err(error) => {
                let what = of.what;
                let note = format!("{error} (for parameter {parameter} of {what})");
                return self.notes.push(note);
            }
        };
        if let Some(value) = environment.values.get(name) {
            into.insert(parameter.clone(), value.clone());
            if environment.is_secret(name) {
                secret.insert(parameter.clone());
            }
        } else {
            let missing = environment.missing(name);
            let note = format!("{missing} (for parameter {parameter})");
            self.notes.push(note);
        }
    }

    /// All values of something; `None` where there are none yet or ever, with a note in the second case.
    fn values(&mut self, reference: &Reference, why: &str) -> Option<&Values> {
        let note = match (self.look(reference), reference) {
            (Found::Here(Content::Values(values)), _) => return Some(values),
            (Found::Waiting, _) => return None,
            (Found::Failed(error), _) => format!("{reference} could not be read ({why}): {error}"),
            (Found::Missing, Reference::Token((namespace, name))) => format!(
                "failed to get service account {namespace}/{name}: it does not exist ({why})"
            ),
            (Found::Missing | Found::Here(_), _) => format!("{reference} does not exist ({why})"),
        };
        self.notes.push(note);
        None
    }
}
