//! Registration: the CA that the APIService trusts, which the leader makes where there is none, and the webhooks. An APIService that
//! leads to somebody else is named, and taken over only where that was asked for.

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::ValidatingWebhookConfiguration,
    kube_aggregator::pkg::apis::apiregistration::v1::{
        APIService, APIServiceSpec, ServiceReference,
    },
};
use kube::{Api, Client, ResourceExt, api::PostParams, core::ObjectMeta};

use super::Kept;
use crate::{
    server::{API_SERVICE, GROUP, VERSION, webhooks::Hook},
    text::api_error,
};

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

    /// Brings the APIService to lead here and to trust `kept`; whether it does, or why not.
    pub(super) async fn api_service(&self, client: &Client, kept: &Kept) -> Result<(), String> {
        let api: Api<APIService> = Api::all(client.clone());
        let params = PostParams::default();
        let found = api.get_opt(API_SERVICE).await.map_err(|e| api_error(&e))?;
        let owner = self.owner(found.as_ref());
        let Some(mut found) = found else {
            let made = APIService {
                metadata: ObjectMeta {
                    name: Some(API_SERVICE.into()),
                    labels: Some([("app.kubernetes.io/name".into(), "lagscale".into())].into()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(kept, None)),
                status: None,
            };
            api.create(&params, &made).await.map_err(|error| {
                format!("APIService {API_SERVICE} is not there, so HPAs do not ask here: apply the manifests, which have it ({})", api_error(&error))
            })?;
            tracing::info!("APIService {API_SERVICE} is made");
            return Ok(());
        };
        if let Owner::Other(owner) = &owner {
            if !self.take {
                return Err(format!(
                    "APIService {API_SERVICE} leads to {owner}, so HPAs do not ask here. Uninstall that first, or start with --take-apiservice"
                ));
            }
            tracing::warn!("APIService {API_SERVICE} led to {owner} and is taken over");
        }
        let spec = self.spec(kept, found.spec.as_ref());
        if found.spec.as_ref() != Some(&spec) {
            found.spec = Some(spec);
            api.replace(API_SERVICE, &params, &found)
                .await
                .map_err(|e| api_error(&e))?;
        }
        Ok(())
    }

    fn spec(&self, kept: &Kept, found: Option<&APIServiceSpec>) -> APIServiceSpec {
        APIServiceSpec {
            ca_bundle: Some(ByteString(kept.bundle.clone().into_bytes())),
            group: Some(GROUP.into()),
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
        let Some(mut found) = api
            .get_opt(&self.webhooks)
            .await
            .map_err(|e| api_error(&e))?
        else {
            return Ok(());
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_apiservice_of_somebody_else_is_named_with_who_installed_it() {
        let registration = Registration {
            namespace: "lagscale".into(),
            service: "lagscale".into(),
            port: 443,
            webhooks: "lagscale-admission".into(),
            take: false,
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
