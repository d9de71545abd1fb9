//! Settings of the KEDA that is installed: those that lagscale needs too, and those that it does not have.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::EnvVar};
use kube::{Client, ResourceExt, api::ListParams};

use super::{Finding, Level, full_name, list};
use crate::{
    controller::{flag, keda_operator, variable},
    text::shown,
};

/// Characters of a value that are repeated.
const ECHO: usize = 200;

/// A setting by name, the values of it that change nothing, what it takes to have it here, and `Fail` where that can't be done.
type Setting = (&'static str, &'static [&'static str], &'static str, Level);

const SAME: &str = "give lagscale's Deployment the same variable";
const NO_PROXY: &str = "no proxy is used: a token endpoint must be reachable without";

const VARIABLES: [Setting; 10] = [
    (
        "WATCH_LABEL_SELECTOR",
        &["", "\"\""],
        "give lagscale's Deployment the same variable, once this KEDA has gone; beside it, a selector that excludes this one",
        Level::Warn,
    ),
    (
        "WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH",
        &["", "\"\""],
        SAME,
        Level::Warn,
    ),
    (
        "WATCH_NAMESPACE",
        &["", "\"\""],
        "give lagscale's Deployment the same variable",
        Level::Warn,
    ),
    (AUDIENCES, &[""], SAME, Level::Warn),
    (
        "KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY",
        &["", "1h"],
        SAME,
        Level::Warn,
    ),
    (CLUSTER_OBJECTS, &[""], SAME, Level::Warn),
    (
        "KEDA_RESTRICT_SECRET_ACCESS",
        &["", "false"],
        "give lagscale's Deployment the same variable, or use manifests/overlays/restricted",
        Level::Warn,
    ),
    (
        "KEDA_HTTP_MIN_TLS_VERSION",
        &["", "TLS12"],
        "it is not read: brokers are spoken to by TLS 1.2 or 1.3",
        Level::Warn,
    ),
    ("HTTPS_PROXY", &[""], NO_PROXY, Level::Warn),
    ("HTTP_PROXY", &[""], NO_PROXY, Level::Warn),
];
const FLAGS: [Setting; 3] = [
    (
        TOKEN_MODE,
        &["enforce-audience"],
        "give lagscale the same flag, or map the audiences of its accounts",
        Level::Warn,
    ),
    (
        "ca-dir",
        &[],
        "it is not read: a private CA goes into the parameter `ca` of each authentication",
        Level::Warn,
    ),
    (
        "filepath-auth-root-path",
        &[],
        "give lagscale the same flag and mount the same folder",
        Level::Warn,
    ),
];
/// Where it is not set, KEDA takes its own namespace.
const CLUSTER_OBJECTS: &str = "KEDA_CLUSTER_OBJECT_NAMESPACE";
const AUDIENCES: &str = "KEDA_SERVICE_ACCOUNT_TOKEN_AUDIENCES";
const TOKEN_MODE: &str = "service-account-token-mode";

/// Settings of a KEDA about tokens of service accounts.
pub(super) struct Tokens<'a> {
    /// Its flag, empty where it is not set.
    pub mode: &'a str,
    /// The list of audiences as it is written.
    pub audiences: &'a str,
    /// Namespace of the accounts that a ClusterTriggerAuthentication names.
    pub cluster_namespace: String,
}

impl<'a> Tokens<'a> {
    /// The settings of this Deployment; `None` where it is no KEDA or its audiences come from elsewhere.
    pub(super) fn of(deployment: &'a Deployment) -> Option<Self> {
        let operator = keda_operator(deployment)?;
        let audiences = match variable(operator, AUDIENCES) {
            None => "",
            Some(variable) if variable.value_from.is_some() => return None,
            Some(variable) => variable.value.as_deref().unwrap_or_default(),
        };
        let namespace = variable(operator, CLUSTER_OBJECTS).and_then(|v| v.value.clone());
        let namespace = namespace.filter(|n| !n.is_empty());
        Some(Self {
            mode: flag(operator, TOKEN_MODE).unwrap_or_default(),
            audiences,
            cluster_namespace: namespace
                .or_else(|| deployment.namespace())
                .unwrap_or_default(),
        })
    }
}

pub(super) async fn look(client: &Client) -> Vec<Finding> {
    match list::<Deployment>(client, "settings of KEDA", &ListParams::default()).await {
        Ok(deployments) => deployments.iter().flat_map(settings).collect(),
        Err(unseen) => unseen,
    }
}

fn settings(deployment: &Deployment) -> Vec<Finding> {
    let Some(operator) = keda_operator(deployment) else {
        return Vec::new();
    };
    let what = format!("settings of KEDA in {}", full_name(deployment));
    let variables = VARIABLES.iter().filter_map(|setting| {
        let variable = variable(operator, setting.0)?;
        Some((value_of(variable, setting.1)?, setting))
    });
    let flags = FLAGS.iter().filter_map(|setting| {
        let value = flag(operator, setting.0).filter(|value| !setting.1.contains(value))?;
        Some((format!("--{}={}", setting.0, shown(value, ECHO)), setting))
    });
    let told = variables
        .chain(flags)
        .map(|(found, (_, _, fix, level))| Finding {
            level: *level,
            ..Finding::warn(what.clone(), found, *fix)
        });
    let mut findings: Vec<Finding> = told.collect();
    let chosen = variable(operator, CLUSTER_OBJECTS).and_then(|v| v.value.as_ref());
    if chosen.is_none_or(String::is_empty) {
        let namespace = deployment.namespace().unwrap_or_default();
        findings.push(Finding::warn(
            what,
            format!("what ClusterTriggerAuthentications name is looked for in its own namespace, {namespace}"),
            format!("start lagscale with {CLUSTER_OBJECTS}={namespace}, or move those Secrets to lagscale's"),
        ));
    }
    findings
}

/// The variable as it is told, unless its value is a usual one.
fn value_of(variable: &EnvVar, usual: &[&str]) -> Option<String> {
    let EnvVar {
        name,
        value,
        value_from,
    } = variable;
    let Some(value) = value else {
        // A Secret or a ConfigMap is nobody's business here; a field is what a manifest of KEDA has.
        let from = value_from.as_ref().filter(|from| from.field_ref.is_none());
        return from.map(|_| format!("{name} comes from elsewhere"));
    };
    if usual.contains(&value.trim()) {
        return None;
    }
    // A proxy's address may hold a password.
    let hidden = name.ends_with("_PROXY");
    Some(if hidden {
        format!("{name} is set")
    } else {
        format!("{name}={}", shown(value, ECHO))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(env: &Value, args: &Value) -> Vec<(Level, String)> {
        let container = json!({"name": "keda-operator", "env": env, "args": args});
        let operator = serde_json::from_value(json!({
            "metadata": {"name": "keda-operator", "namespace": "keda"},
            "spec": {"selector": {}, "template": {"spec": {"containers": [container]}}},
        }));
        let findings = settings(&operator.unwrap()).into_iter();
        findings.map(|f| (f.level, f.found)).collect()
    }

    #[test]
    fn a_setting_that_lagscale_needs_too_or_does_not_have_is_told() {
        let named = json!({"name": "KEDA_CLUSTER_OBJECT_NAMESPACE", "value": "keda"});
        for (name, usual, _, level) in VARIABLES {
            let with = |value: &str| json!([named, {"name": name, "value": value}]);
            let told = said(&with("something"), &json!([]));
            let found = if name.ends_with("_PROXY") {
                format!("{name} is set")
            } else {
                format!("{name}=something")
            };
            assert!(told.contains(&(level, found)), "{told:?}");
            for usual in usual {
                let told = said(&with(usual), &json!([]));
                let again = format!("{name}={usual}");
                assert!(told.iter().all(|(_, told)| *told != again), "{told:?}");
            }
        }
        for (flag, usual, _, level) in FLAGS {
            let with = |value: &str| said(&json!([named]), &json!([format!("--{flag}={value}")]));
            assert!(with("legacy").contains(&(level, format!("--{flag}=legacy"))));
            assert!(usual.iter().all(|usual| with(usual).len() == 1), "{flag}");
        }
        let from = json!({"fieldRef": {"fieldPath": "metadata.namespace"}});
        let field = json!([named, {"name": "WATCH_NAMESPACE", "valueFrom": from}]);
        assert_eq!(said(&field, &json!(["--zap-log-level=info"])).len(), 1);
    }

    #[test]
    fn the_namespace_of_what_cluster_authentications_name_is_told_where_it_is_nobody_s_choice() {
        let told = said(&json!([]), &json!([]));
        assert!(told[0].1.ends_with("its own namespace, keda"), "{told:?}");
    }
}
