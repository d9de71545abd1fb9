//! Registration: the CA that the APIService trusts, which the leader makes where there is none, and the webhooks. An APIService that
//! leads to somebody else is named, and taken over only where that was asked for.

use std::time::{Duration, Instant};

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::ValidatingWebhookConfiguration,
    kube_aggregator::pkg::apis::apiregistration::v1::{
        APIService, APIServiceSpec, ServiceReference,
    },
};
use kube::{Api, Client, ResourceExt, api::PostParams};

use super::Kept;
use crate::{
    delegation::{certificates, predecessor},
    scaling::FIELD_MANAGER,
    server::{API_SERVICE, GROUP, OWN_API_SERVICE, OWN_GROUP, VERSION, webhooks::Hook},
    text::api_error,
};

/// Between two writes into an APIService that somebody else writes into too.
const BETWEEN_CLAIMS: Duration = Duration::from_secs(60);

/// Under which Helm notes who installed something.
pub const RELEASE: &str = "meta.helm.sh/release-name";

/// Everything that leads to this Service, and from where.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The Service's namespace.
    pub namespace: String,
    /// Its name.
    pub service: String,
    /// Its port.
    pub port: i32,
    /// The ValidatingWebhookConfiguration.
    pub webhooks: String,
    /// Take over an APIService that leads elsewhere.
    pub take: bool,
    /// Make the webhooks and the APIService of lagscale's own group where they are not there: nobody applied them.
    pub makes: bool,
}

/// Whom the APIService leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// There is none.
    Nobody,
    /// Us.
    Us,
    /// Somebody else, in words.
    Other(String),
}

impl Registration {
    /// Whom this APIService leads to.
    #[must_use]
    pub fn owner(&self, found: Option<&APIService>) -> Owner {
        let Some(found) = found else {
            return Owner::Nobody;
        };
        let service = found.spec.as_ref().and_then(|spec| spec.service.as_ref());
        let namespace = service.and_then(|s| s.namespace.as_deref());
        let name = service.and_then(|s| s.name.as_deref());
        if namespace == Some(&self.namespace) && name == Some(&self.service) {
            return Owner::Us;
        }
        let place = match namespace.zip(name) {
            Some((namespace, name)) => format!("Service {namespace}/{name}"),
            None => "kube-apiserver itself".to_owned(),
        };
        let release = found.annotations().get(RELEASE);
        let release = release.map(|release| format!(" of Helm release {release}"));
        Owner::Other(format!("{place}{}", release.unwrap_or_default()))
    }

    /// Brings the APIService to lead here and to trust `kept`; whether it does, or why not. `claimed` is when it was last taken back from
    /// somebody who goes on to write a CA into it.
    pub(super) async fn api_service(
        &self,
        client: &Client,
        kept: &Kept,
        claimed: &mut Option<Instant>,
    ) -> Result<(), String> {
        let api: Api<APIService> = Api::all(client.clone());
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PostParams::default()
        };
        let found = api.get_opt(API_SERVICE).await.map_err(|e| api_error(&e))?;
        let Some(mut found) = found else {
            let made = self.made_api_service(API_SERVICE, GROUP, kept);
            api.create(&params, &made).await.map_err(|error| {
                format!("APIService {API_SERVICE} is not there, so HPAs do not ask here: apply the manifests, which have it ({})", api_error(&error))
            })?;
            tracing::info!("APIService {API_SERVICE} is made");
            return Ok(());
        };
        let spec = self.spec(GROUP, kept, found.spec.as_ref());
        let state = |found: &APIService| (found.spec.clone(), found.annotations().clone());
        let before = state(&found);
        let contested = match self.owner(Some(&found)) {
            Owner::Other(owner) if !self.take => {
                return Err(format!(
                    "APIService {API_SERVICE} leads to {owner}, so HPAs do not ask here. Uninstall that first, or start with --take-apiservice"
                ));
            }
            Owner::Other(owner) => {
                tracing::warn!("APIService {API_SERVICE} led to {owner} and is taken over");
                take(&mut found);
                None
            }
            Owner::Us | Owner::Nobody => contest(&mut found, &kept.bundle),
        };
        found.spec = Some(spec);
        let changed = before != state(&found);
        let waits = claimed.is_some_and(|at| at.elapsed() < BETWEEN_CLAIMS);
        if changed && !(contested.is_some() && waits) {
            if contested.is_some() {
                *claimed = Some(Instant::now());
            }
            api.replace(API_SERVICE, &params, &found)
                .await
                .map_err(|e| api_error(&e))?;
        }
        contested.map_or(Ok(()), Err)
    }

    /// Brings the APIService of lagscale's own group to trust `kept`; where there is none, nobody asks by it.
    pub(super) async fn own_api_service(&self, client: &Client, kept: &Kept) -> Result<(), String> {
        let api: Api<APIService> = Api::all(client.clone());
        let found = api.get_opt(OWN_API_SERVICE).await;
        let Some(mut found) = found.map_err(|e| api_error(&e))? else {
            if self.makes {
                let made = self.made_api_service(OWN_API_SERVICE, OWN_GROUP, kept);
                let made = api.create(&PostParams::default(), &made).await;
                made.map_err(|e| api_error(&e))?;
            }
            return Ok(());
        };
        let spec = self.spec(OWN_GROUP, kept, found.spec.as_ref());
        if self.owner(Some(&found)) != Owner::Us || found.spec.as_ref() == Some(&spec) {
            return Ok(());
        }
        found.spec = Some(spec);
        let params = PostParams::default();
        let replaced = api.replace(OWN_API_SERVICE, &params, &found).await;
        replaced.map(drop).map_err(|e| api_error(&e))
    }

    pub(super) fn spec(
        &self,
        group: &str,
        kept: &Kept,
        found: Option<&APIServiceSpec>,
    ) -> APIServiceSpec {
        APIServiceSpec {
            ca_bundle: Some(ByteString(kept.bundle.clone().into_bytes())),
            group: Some(group.into()),
            version: Some(VERSION.into()),
            group_priority_minimum: found.map_or(100, |f| f.group_priority_minimum),
            version_priority: found.map_or(100, |f| f.version_priority),
            insecure_skip_tls_verify: None,
            service: Some(ServiceReference {
                namespace: Some(self.namespace.clone()),
                name: Some(self.service.clone()),
                port: Some(self.port),
            }),
        }
    }

    /// Brings the webhooks that lead here to trust `kept`, and to call its secret path; where there are none, nobody calls.
    pub(super) async fn webhooks(&self, client: &Client, kept: &Kept) -> Result<(), String> {
        let api: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
        let found = api.get_opt(&self.webhooks).await;
        let mut found = match found.map_err(|e| api_error(&e))? {
            Some(found) => found,
            None if self.makes => {
                let made = self.made_webhooks()?;
                let made = api.create(&PostParams::default(), &made).await;
                made.map_err(|e| api_error(&e))?
            }
            None => return Ok(()),
        };
        let bundle = ByteString(kept.bundle.clone().into_bytes());
        let mut changed = false;
        for webhook in found.webhooks.iter_mut().flatten() {
            let config = &mut webhook.client_config;
            let ours = config.service.as_mut();
            let ours = ours.filter(|s| s.namespace == self.namespace && s.name == self.service);
            let Some(service) = ours else {
                continue;
            };
            let path = service.path.as_deref().unwrap_or_default();
            if let Some(hook) = Hook::ALL.into_iter().find(|hook| hook.is_at(path)) {
                let path = Some(hook.secret_path(&kept.secret_path));
                changed |= service.path != path;
                service.path = path;
            }
            changed |= config.ca_bundle.as_ref() != Some(&bundle);
            config.ca_bundle = Some(bundle.clone());
        }
        if changed {
            let params = PostParams::default();
            api.replace(&self.webhooks, &params, &found)
                .await
                .map_err(|e| api_error(&e))?;
        }
        Ok(())
    }
}

/// Notes in `found` whom it leads to, so that it can be given back.
fn take(found: &mut APIService) {
    if let Some(note) = predecessor::note(found) {
        let annotations = found.annotations_mut();
        annotations.insert(predecessor::ANNOTATION.into(), note);
        annotations.remove(predecessor::CA_INJECTION);
    }
}

/// Why the APIService, which leads here, does not trust `bundle` but another CA: somebody writes into it. A predecessor writes its own,
/// so that one is noted as the predecessor's. `None` where nobody does.
fn contest(found: &mut APIService, bundle: &str) -> Option<String> {
    found.annotations_mut().remove(predecessor::CA_INJECTION);
    let other = found.spec.as_ref()?.ca_bundle.clone()?;
    let text = String::from_utf8_lossy(&other.0);
    // At each step of a change of ours the bundle has a certificate of the one before.
    let ours = certificates(bundle);
    if text.trim().is_empty() || certificates(&text).iter().any(|c| ours.contains(c)) {
        return None;
    }
    let writer = writer(found).unwrap_or_else(|| "somebody".to_owned());
    if writer == FIELD_MANAGER {
        // Our own, of before the Secret was lost.
        return None;
    }
    if let Some(note) = found.annotations_mut().get_mut(predecessor::ANNOTATION)
        && let Ok(newer) = predecessor::with_ca(note, &other)
    {
        *note = newer;
    }
    Some(format!(
        "{writer} writes another CA into APIService {API_SERVICE}, which leads here, so that HPAs meet certificate errors. KEDA's operator stops with \
         --enable-apiservice-patching=false (since 2.20; Helm: certificates.operator.apiServicePatching.enabled=false), cert-manager without the annotation {}. \
         Until then it is written back once a minute",
        predecessor::CA_INJECTION
    ))
}

/// The field manager that wrote the CA last.
fn writer(found: &APIService) -> Option<String> {
    let managers = found.metadata.managed_fields.iter().flatten();
    let wrote = |fields: &serde_json::Value| !fields["f:spec"]["f:caBundle"].is_null();
    let last = managers
        .filter(|m| m.fields_v1.as_ref().is_some_and(|fields| wrote(&fields.0)))
        .max_by_key(|m| m.time.as_ref().map(|t| t.0))?;
    last.manager.clone()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OURS: &str = "-----BEGIN CERTIFICATE-----\nOURS\n-----END CERTIFICATE-----\n";
    const THEIRS: &str = "-----BEGIN CERTIFICATE-----\nTHEIRS\n-----END CERTIFICATE-----\n";

    fn with_ca(ca: &str, writer: &str, annotations: &serde_json::Value) -> APIService {
        let mut found: APIService = serde_json::from_value(json!({
            "metadata": {"annotations": annotations, "managedFields": [
                {"manager": "kubectl", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:caBundle": {}}}},
                {"manager": writer, "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:spec": {"f:caBundle": {}}}},
                {"manager": "status", "time": "2026-01-03T00:00:00Z", "fieldsV1": {"f:status": {}}},
            ]},
            "spec": {
                "groupPriorityMinimum": 100, "versionPriority": 100,
                "service": {"namespace": "keda", "name": "keda-metrics"},
            },
        }))
        .unwrap();
        let ca = Some(ByteString(ca.as_bytes().to_vec())).filter(|ca| !ca.0.is_empty());
        found.spec.as_mut().unwrap().ca_bundle = ca;
        found
    }

    #[test]
    fn whoever_writes_another_ca_is_named_with_what_ends_it_and_its_ca_is_noted() {
        let mut found = with_ca(THEIRS, "keda", &json!({}));
        take(&mut found);
        let later = THEIRS.replace("THEIRS", "LATER");
        found.spec.as_mut().unwrap().ca_bundle = Some(ByteString(later.clone().into_bytes()));
        let said = contest(&mut found, OURS).unwrap();
        assert!(said.starts_with("keda writes another CA"), "{said}");
        assert!(said.contains("apiServicePatching.enabled=false"), "{said}");
        let noted = predecessor::backend(&found).unwrap().unwrap();
        assert_eq!(noted.trust, crate::delegation::Trust::Bundle(later));
    }

    #[test]
    fn a_ca_of_ours_is_contested_by_nobody() {
        let both = format!("{OURS}{THEIRS}");
        for (ca, writer) in [
            (OURS, "keda"),
            (&both, "keda"),
            ("", "keda"),
            (THEIRS, FIELD_MANAGER),
        ] {
            let mut found = with_ca(ca, writer, &json!({}));
            assert_eq!(contest(&mut found, OURS), None, "{ca} {writer}");
        }
        // cert-manager would write again whenever its own CA changes.
        let injected = json!({predecessor::CA_INJECTION: "keda/tls"});
        let mut found = with_ca(OURS, "keda", &injected);
        contest(&mut found, OURS);
        assert!(found.annotations().is_empty());
    }

    #[test]
    fn an_apiservice_of_somebody_else_is_named_with_who_installed_it() {
        let registration = Registration {
            namespace: "lagscale".into(),
            service: "lagscale".into(),
            port: 443,
            webhooks: "lagscale-admission".into(),
            take: false,
            makes: false,
        };
        let of = |meta: serde_json::Value, spec: serde_json::Value| -> APIService {
            serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap()
        };
        let spec = |namespace: &str, name: &str| {
            json!({
                "groupPriorityMinimum": 100, "versionPriority": 100,
                "service": {"namespace": namespace, "name": name},
            })
        };
        assert_eq!(registration.owner(None), Owner::Nobody);
        let ours = of(json!({}), spec("lagscale", "lagscale"));
        assert_eq!(registration.owner(Some(&ours)), Owner::Us);
        let meta = json!({"annotations": {"meta.helm.sh/release-name": "keda"}});
        let keda = of(meta, spec("keda", "keda-operator-metrics-apiserver"));
        let named = "Service keda/keda-operator-metrics-apiserver of Helm release keda";
        assert_eq!(registration.owner(Some(&keda)), Owner::Other(named.into()));
        let local = of(
            json!({}),
            json!({"groupPriorityMinimum": 1, "versionPriority": 1}),
        );
        let named = "kube-apiserver itself";
        assert_eq!(registration.owner(Some(&local)), Owner::Other(named.into()));
    }
}
