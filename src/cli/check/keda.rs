//! Settings of the KEDA that is installed: those that lagscale needs too, and those that it does not have.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Container};
use kube::{Client, ResourceExt, api::ListParams};

use super::{Finding, full_name, list};
use crate::text::shown;

/// Characters of a value that are repeated.
const ECHO: usize = 200;

/// The label that KEDA's chart and its manifests give the operator's Deployment.
const OPERATOR: &str = "app=keda-operator";

/// A setting that is a variable, and what it takes to have it here.
struct Variable {
    name: &'static str,
    /// Values that change nothing.
    usual: &'static [&'static str],
    fix: &'static str,
    /// lagscale can't do it.
    missing: bool,
}

const SAME: &str = "give lagscale's Deployment the same variable";
const VARIABLES: [Variable; 10] = [
    Variable {
        name: "WATCH_LABEL_SELECTOR",
        usual: &["", "\"\""],
        fix: "not before all of its objects can be lagscale's: it reads every ScaledObject, also those of another KEDA",
        missing: true,
    },
    Variable {
        name: "WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH",
        usual: &["", "\"\""],
        fix: "lagscale reads every authentication: take the variable away once no KEDA needs it",
        missing: true,
    },
    Variable {
        name: "WATCH_NAMESPACE",
        usual: &["", "\"\""],
        fix: "one namespace: give lagscale's Deployment the same variable, and its API then serves that one; several are not supported",
        missing: false,
    },
    Variable {
        name: "KEDA_SERVICE_ACCOUNT_TOKEN_AUDIENCES",
        usual: &[""],
        fix: SAME,
        missing: false,
    },
    Variable {
        name: "KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY",
        usual: &["", "1h"],
        fix: SAME,
        missing: false,
    },
    Variable {
        name: "KEDA_CLUSTER_OBJECT_NAMESPACE",
        usual: &[""],
        fix: SAME,
        missing: false,
    },
    Variable {
        name: "KEDA_RESTRICT_SECRET_ACCESS",
        usual: &["", "false"],
        fix: "give lagscale's Deployment the same variable, or use manifests/overlays/restricted",
        missing: false,
    },
    Variable {
        name: "KEDA_HTTP_MIN_TLS_VERSION",
        usual: &["", "TLS12"],
        fix: "it is not read: brokers are spoken to by TLS 1.2 or 1.3",
        missing: false,
    },
    Variable {
        name: "HTTPS_PROXY",
        usual: &[""],
        fix: "no proxy is used: a token endpoint must be reachable without",
        missing: false,
    },
    Variable {
        name: "HTTP_PROXY",
        usual: &[""],
        fix: "no proxy is used: a token endpoint must be reachable without",
        missing: false,
    },
];

/// A flag as it is written, and what it takes to have it here.
const FLAGS: [(&str, &str); 3] = [
    (
        "--service-account-token-mode=legacy",
        "give lagscale the same flag, or map the audiences of its accounts",
    ),
    (
        "--ca-dir=",
        "it is not read: a private CA goes into the parameter `ca` of each authentication",
    ),
    (
        "--filepath-auth-root-path=",
        "give lagscale the same flag and mount the same folder",
    ),
];

pub(super) async fn look(client: &Client) -> Vec<Finding> {
    let params = ListParams::default().labels(OPERATOR);
    match list::<Deployment>(client, "settings of KEDA", &params).await {
        Ok(operators) => operators.iter().flat_map(settings).collect(),
        Err(unseen) => unseen,
    }
}

fn settings(operator: &Deployment) -> Vec<Finding> {
    let template = operator
        .spec
        .as_ref()
        .and_then(|s| s.template.spec.as_ref());
    let containers = template
        .map(|t| t.containers.as_slice())
        .unwrap_or_default();
    let what = format!("settings of KEDA in {}", full_name(operator));
    let mut findings: Vec<Finding> = containers
        .iter()
        .flat_map(|container| variables(container).chain(flags(container)))
        .map(|(found, fix, missing)| {
            let told = if missing {
                Finding::fail
            } else {
                Finding::warn
            };
            told(what.clone(), found, fix)
        })
        .collect();
    let namespace = operator.namespace().unwrap_or_default();
    if !containers.iter().any(names_a_namespace) {
        findings.push(Finding::warn(
            what.clone(),
            format!("what ClusterTriggerAuthentications name is looked for in its own namespace, {namespace}"),
            format!("start lagscale with KEDA_CLUSTER_OBJECT_NAMESPACE={namespace}, or move those Secrets to lagscale's"),
        ));
    }
    findings
}

fn names_a_namespace(container: &Container) -> bool {
    let mut variables = container.env.iter().flatten();
    variables.any(|v| {
        v.name == "KEDA_CLUSTER_OBJECT_NAMESPACE" && v.value.as_ref().is_some_and(|v| !v.is_empty())
    })
}

fn variables(container: &Container) -> impl Iterator<Item = (String, &'static str, bool)> {
    let written = container.env.iter().flatten();
    written.filter_map(|variable| {
        let known = VARIABLES.iter().find(|known| known.name == variable.name)?;
        let Some(value) = &variable.value else {
            // From a field, a Secret or a ConfigMap, which is nobody's business here.
            let from = variable.value_from.as_ref()?;
            from.field_ref.is_none().then_some(())?;
            return Some((
                format!("{} comes from elsewhere", known.name),
                known.fix,
                known.missing,
            ));
        };
        if known.usual.contains(&value.trim()) {
            return None;
        }
        // A proxy's address may hold a password.
        let found = if known.name.ends_with("_PROXY") {
            format!("{} is set", known.name)
        } else {
            format!("{}={}", known.name, shown(value, ECHO))
        };
        Some((found, known.fix, known.missing))
    })
}

fn flags(container: &Container) -> impl Iterator<Item = (String, &'static str, bool)> {
    let written = container.args.iter().chain(&container.command).flatten();
    written.filter_map(|flag| {
        let (_, fix) = FLAGS.iter().find(|(start, _)| flag.starts_with(start))?;
        Some((shown(flag, ECHO), *fix, false))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::check::Level;

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
        for variable in &VARIABLES {
            let with = |value: &str| json!([named, {"name": variable.name, "value": value}]);
            let told = said(&with("something"), &json!([]));
            let level = if variable.missing {
                Level::Fail
            } else {
                Level::Warn
            };
            let found = if variable.name.ends_with("_PROXY") {
                format!("{} is set", variable.name)
            } else {
                format!("{}=something", variable.name)
            };
            assert!(told.contains(&(level, found)), "{told:?}");
            for usual in variable.usual {
                let told = said(&with(usual), &json!([]));
                let again = format!("{}={usual}", variable.name);
                assert!(told.iter().all(|(_, told)| *told != again), "{told:?}");
            }
        }
        for (flag, _) in FLAGS {
            assert!(
                said(&json!([named]), &json!([flag])).contains(&(Level::Warn, flag.to_owned()))
            );
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
