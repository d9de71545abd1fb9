//! lagscale's own Deployment, as far as `check` has to know how it is set.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client, Error};

use crate::controller::{KedaRules, Labels, Scope, flag, variable};

/// The Deployment `lagscale` of a namespace, if there is one.
pub(super) struct Own(pub Result<Option<Deployment>, Error>);

impl Own {
    pub async fn read(client: &Client, namespace: &str) -> Self {
        let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        Self(api.get_opt("lagscale").await)
    }

    /// The value of a flag, else of its variable, where it is written in the Deployment.
    pub fn setting(&self, name: &str, variable: &str) -> Option<&str> {
        let spec = self.0.as_ref().ok()?.as_ref()?.spec.as_ref()?;
        let mut containers = spec.template.spec.as_ref()?.containers.iter();
        let container = containers.find(|c| c.name == "lagscale")?;
        flag(container, name).or_else(|| self::variable(container, variable)?.value.as_deref())
    }

    /// Which KEDA it writes nothing beside.
    pub fn keda_rules(&self) -> KedaRules {
        let setting = |name, variable| self.setting(name, variable).unwrap_or_default();
        // A selector that can't be read ends the process, which its replicas tell.
        let objects = Labels::parse(setting("watch-label-selector", "WATCH_LABEL_SELECTOR"));
        KedaRules {
            namespaces: Scope::namespaces(setting("keda-namespace", "LAGSCALE_KEDA_NAMESPACE")),
            lease: Some(setting("keda-lease", "LAGSCALE_KEDA_LEASE"))
                .filter(|lease| !lease.is_empty())
                .map(str::to_owned),
            scope: Scope {
                namespaces: Scope::namespaces(setting("namespace", "WATCH_NAMESPACE")),
                objects: objects.unwrap_or_default(),
                authentications: Labels::default(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn own(args: &[&str], env: &[(&str, &str)]) -> Own {
        let env: Vec<_> = env
            .iter()
            .map(|(n, v)| json!({"name": n, "value": v}))
            .collect();
        let container = json!({"name": "lagscale", "args": args, "env": env});
        let deployment = serde_json::from_value(json!({
            "spec": {"selector": {}, "template": {"spec": {"containers": [container]}}},
        }));
        Own(Ok(Some(deployment.unwrap())))
    }

    #[test]
    fn a_setting_is_the_flag_s_before_the_variable_s() {
        let env = [("OTHER", "a"), ("LAGSCALE_BACKENDS", "b")];
        let setting = |own: &Own| {
            let setting = own.setting("backends", "LAGSCALE_BACKENDS");
            setting.map(str::to_owned)
        };
        assert_eq!(setting(&own(&[], &env)).as_deref(), Some("b"));
        assert_eq!(setting(&own(&["--backends=c"], &env)).as_deref(), Some("c"));
        assert_eq!(setting(&own(&[], &[])), None);
        assert_eq!(setting(&Own(Ok(None))), None);
    }

    #[test]
    fn the_guard_s_rules_are_those_that_lagscale_runs_with() {
        let found = own(
            &["--keda-namespace=team-keda", "--namespace=b,a"],
            &[("WATCH_LABEL_SELECTOR", "lagscale.io/owner")],
        );
        let KedaRules {
            namespaces,
            lease,
            scope,
        } = found.keda_rules();
        assert_eq!((namespaces, lease), (vec!["team-keda".to_owned()], None));
        assert_eq!(scope.namespaces, ["a", "b"]);
        assert!(scope.is_by_label());
        let nothing = own(&[], &[]).keda_rules();
        assert_eq!(nothing.scope, Scope::default());
        assert!(nothing.namespaces.is_empty());
    }
}
