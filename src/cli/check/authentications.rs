//! Authentications before KEDA is replaced: what of them would keep a trigger from being served here.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client, ResourceExt, api::ListParams};

use crate::{
    controller::TokenPolicy,
    resources::{
        ClusterTriggerAuthentication, Trigger, TriggerAuthentication, TriggerAuthenticationSpec,
        names::{ALLOW_PLAIN, ALLOW_UNSAFE_SSL},
    },
};

/// The authentications of a cluster, and whose tokens the KEDA beside them may ask for.
#[derive(Default)]
pub(super) struct Authentications {
    /// Why each can't be used as it is, by namespace, empty for the cluster's kind, and name.
    faults: BTreeMap<(String, String), Vec<String>>,
    /// The ClusterTriggerAuthentications by name.
    cluster: BTreeMap<String, ClusterTriggerAuthentication>,
    minting: Option<Minting>,
}

/// KEDA's policy about tokens of service accounts, as lagscale would have it with KEDA's settings.
pub(super) struct Minting {
    policy: TokenPolicy,
    /// Namespace of the accounts that a ClusterTriggerAuthentication names.
    cluster_namespace: String,
}

impl Minting {
    /// The policy that the Deployment of a KEDA sets; 2.21's default where it sets none, since that is lagscale's. `None` for another Deployment, and
    /// where its settings come from elsewhere.
    fn of(deployment: &Deployment) -> Option<Self> {
        let settings = super::keda::Tokens::of(deployment)?;
        Some(Self {
            policy: TokenPolicy::new(settings.mode, settings.audiences).ok()?,
            cluster_namespace: settings.cluster_namespace,
        })
    }
}

impl Authentications {
    pub(super) async fn list(client: &Client) -> Self {
        let params = ListParams::default();
        let deployments: Api<Deployment> = Api::all(client.clone());
        let deployments = deployments.list(&params).await;
        let mut known = Self {
            minting: deployments
                .into_iter()
                .flatten()
                .find_map(|d| Minting::of(&d)),
            ..Self::default()
        };
        let own: Api<TriggerAuthentication> = Api::all(client.clone());
        for found in own.list(&params).await.into_iter().flatten() {
            let namespace = found.namespace().unwrap_or_default();
            known.add(&namespace, &found.name_any(), &found.spec);
        }
        let cluster: Api<ClusterTriggerAuthentication> = Api::all(client.clone());
        for found in cluster.list(&params).await.into_iter().flatten() {
            known.add_cluster(&found);
        }
        known
    }

    pub(super) fn add(&mut self, namespace: &str, name: &str, spec: &TriggerAuthenticationSpec) {
        let unsupported = spec.unsupported().into_iter();
        let mut faults: Vec<String> = unsupported
            .map(|source| format!("{source} of {name} is not supported"))
            .collect();
        if let Some(minting) = &self.minting {
            let of = Some(namespace).filter(|n| !n.is_empty());
            let of = of.unwrap_or(&minting.cluster_namespace);
            let accounts = spec.bound_service_account_token.iter();
            let accounts =
                accounts.map(|token| (of.to_owned(), token.service_account_name.clone()));
            let refused = accounts.filter_map(|account| minting.policy.audience(&account).err());
            faults.extend(refused.map(|why| {
                format!("boundServiceAccountToken of {name}: {why}; name it there for lagscale, or start it with --service-account-token-mode=legacy")
            }));
        }
        self.faults
            .insert((namespace.to_owned(), name.to_owned()), faults);
    }

    pub(super) fn add_cluster(&mut self, found: &ClusterTriggerAuthentication) {
        self.add("", &found.name_any(), &found.spec.0);
        self.cluster.insert(found.name_any(), found.clone());
    }

    /// Why a trigger of this namespace would not be served with the authentication it names.
    pub(super) fn why_not(&self, trigger: &Trigger, namespace: &str) -> Vec<String> {
        let Some(reference) = &trigger.authentication_ref else {
            return Vec::new();
        };
        let namespace = Some(namespace).filter(|_| !reference.is_cluster_wide());
        let key = (
            namespace.unwrap_or_default().to_owned(),
            reference.name.clone(),
        );
        let of_the_cluster = self.cluster.get(&reference.name);
        let of_the_cluster = of_the_cluster.filter(|_| reference.is_cluster_wide());
        let weakened = of_the_cluster.and_then(|found| weakened(trigger, found));
        let faults = self.faults.get(&key).into_iter().flatten().cloned();
        faults.chain(weakened).collect()
    }
}

/// How a trigger weakens what a ClusterTriggerAuthentication guards, without its consent.
fn weakened(trigger: &Trigger, found: &ClusterTriggerAuthentication) -> Option<String> {
    let name = found.name_any();
    let consents = |to: &str| found.annotations().get(to).is_some_and(|v| v == "true");
    let says = |field: &str, value: &str| {
        let written = trigger.metadata.get(field);
        written.is_some_and(|written| written.trim() == value)
    };
    if says("unsafeSsl", "true") && !consents(ALLOW_UNSAFE_SSL) {
        return Some(format!(
            "unsafeSsl is true: set the annotation {ALLOW_UNSAFE_SSL} of ClusterTriggerAuthentication {name} to \"true\" if it is meant"
        ));
    }
    let spec = &found.spec.0;
    let targets = spec
        .secret_target_ref
        .iter()
        .chain(&spec.config_map_target_ref);
    let mut own = targets.filter(|t| matches!(t.parameter.as_str(), "tls" | "sasl"));
    let clear = says("sasl", "plaintext") && !says("tls", "enable");
    (clear && own.next().is_none() && !consents(ALLOW_PLAIN)).then(|| {
        format!("sasl is plaintext without tls: set the annotation {ALLOW_PLAIN} of ClusterTriggerAuthentication {name} to \"true\" if it is meant")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn keda(env: &Value, args: &Value) -> Deployment {
        let container = json!({"name": "keda-operator", "env": env, "args": args});
        let deployment = json!({
            "metadata": {"name": "keda-operator", "namespace": "keda"},
            "spec": {"selector": {}, "template": {"spec": {"containers": [container]}}},
        });
        serde_json::from_value(deployment).unwrap()
    }

    #[test]
    fn an_account_that_no_audience_is_named_for_is_told_before_the_switch() {
        let mapped = |namespace: &str| {
            let entry = json!([{"audience": "kafka", "namespace": namespace, "serviceAccountName": "consumer"}]);
            json!([{"name": "KEDA_SERVICE_ACCOUNT_TOKEN_AUDIENCES", "value": entry.to_string()}])
        };
        let elsewhere = json!([{
            "name": "KEDA_SERVICE_ACCOUNT_TOKEN_AUDIENCES",
            "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}},
        }]);
        let legacy = json!(["--service-account-token-mode=legacy"]);
        let none = json!([]);
        let spec = json!({"boundServiceAccountToken": [{"parameter": "password", "serviceAccountName": "consumer"}]});
        for (env, args, own_is_told, the_cluster_s_is_told) in [
            (&none, &none, true, true),
            (&mapped("shop"), &none, false, true),
            (&mapped("keda"), &none, true, false),
            (&none, &legacy, false, false),
            (&elsewhere, &none, false, false),
        ] {
            let mut known = Authentications {
                minting: Minting::of(&keda(env, args)),
                ..Authentications::default()
            };
            known.add("shop", "a", &serde_json::from_value(spec.clone()).unwrap());
            let cluster = json!({"metadata": {"name": "a"}, "spec": spec});
            known.add_cluster(&serde_json::from_value(cluster).unwrap());
            for (kind, namespace, told) in [
                ("TriggerAuthentication", "shop", own_is_told),
                (
                    "ClusterTriggerAuthentication",
                    "keda",
                    the_cluster_s_is_told,
                ),
            ] {
                let reference = json!({"name": "a", "kind": kind});
                let trigger =
                    json!({"type": "kafka", "metadata": {}, "authenticationRef": reference});
                let why = known
                    .why_not(&serde_json::from_value(trigger).unwrap(), "shop")
                    .join("; ");
                let account = format!(
                    "no configured token audience for service account {namespace}/consumer"
                );
                assert_eq!(why.contains(&account), told, "{env} {args} {kind}: {why}");
            }
        }
    }

    #[test]
    fn a_trigger_that_weakens_a_cluster_s_authentication_is_told_with_what_consents() {
        let trigger = |fields: serde_json::Value| -> Trigger {
            let reference = json!({"name": "c", "kind": "ClusterTriggerAuthentication"});
            serde_json::from_value(
                json!({"type": "kafka", "metadata": fields, "authenticationRef": reference}),
            )
            .unwrap()
        };
        let found = |annotations: serde_json::Value,
                     parameters: &[&str]|
         -> ClusterTriggerAuthentication {
            let targets: Vec<_> = parameters
                .iter()
                .map(|p| json!({"parameter": p, "name": "s", "key": p}))
                .collect();
            serde_json::from_value(json!({
                "metadata": {"name": "c", "annotations": annotations}, "spec": {"secretTargetRef": targets},
            }))
            .unwrap()
        };
        let clear = || trigger(json!({"sasl": "plaintext"}));
        let anyone = || trigger(json!({"tls": "enable", "unsafeSsl": "true"}));
        let bare = json!({});
        for (trigger, found, told) in [
            (clear(), found(bare.clone(), &["username"]), true),
            (clear(), found(bare.clone(), &["username", "tls"]), false),
            (clear(), found(json!({ALLOW_PLAIN: "true"}), &[]), false),
            (
                trigger(json!({"sasl": "plaintext", "tls": "enable"})),
                found(bare.clone(), &[]),
                false,
            ),
            (anyone(), found(bare.clone(), &["tls"]), true),
            (
                anyone(),
                found(json!({ALLOW_UNSAFE_SSL: "true"}), &[]),
                false,
            ),
        ] {
            let mut known = Authentications::default();
            known.add_cluster(&found);
            let why = known.why_not(&trigger, "shop").join("; ");
            assert_eq!(why.contains("annotation lagscale.io/allow-"), told, "{why}");
        }
    }
}
