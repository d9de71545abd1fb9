//! An installation by the Operator Lifecycle Manager: its settings are those of a KedaController, as KEDA's operator has it there.
//! They are read when the process begins; what is set otherwise later ends it, for the kubelet to start it anew. The leader says in the
//! status what became of them.

mod settings;

use std::time::{Duration, Instant};

use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::sync::watch;

use crate::{
    controller::Lead,
    resources::KedaController,
    telemetry::Said,
    text::{api_error, shown},
};

pub use settings::Settings;

/// The name of the object that counts.
const NAME: &str = "keda";
/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the API server may keep a process from beginning.
const FIRST: Duration = Duration::from_secs(60);
/// The leader ends so much later than the others, which serve again by then.
const LATER: Duration = Duration::from_secs(30);
/// Characters of a reason.
const LONGEST: usize = 500;

/// Phase and reason, in KEDA's words.
type Judged = (&'static str, String);

/// The settings of this installation; where nobody made the object, those of the flags.
///
/// # Errors
///
/// The API server did not answer for a minute.
pub async fn settings(client: &Client, namespace: &str) -> Result<Settings, String> {
    let begun = Instant::now();
    loop {
        match all(client).await {
            Ok(found) => return Ok(wanted(&found, namespace)),
            Err(error) if begun.elapsed() > FIRST => {
                return Err(format!("KedaController {namespace}/{NAME}: {error}"));
            }
            Err(_) => tokio::time::sleep(EVERY).await,
        }
    }
}

/// Looks at it for as long as the process runs; `anew` is told once it is to begin anew, with other settings than the `begun`.
pub async fn follow(
    client: Client,
    namespace: String,
    begun: Settings,
    lead: Lead,
    anew: watch::Sender<bool>,
) {
    let (mut said, mut others_since) = (Said::default(), None);
    loop {
        match all(&client).await {
            Ok(found) => {
                said.forget();
                let others = wanted(&found, &namespace) != begun;
                let since = *others_since.get_or_insert_with(Instant::now);
                if !others {
                    others_since = None;
                } else if !lead.is_elected() || since.elapsed() >= LATER {
                    tracing::info!(
                        "KedaController {namespace}/{NAME} has other settings than this process began with: it ends, to begin with them"
                    );
                    anew.send_replace(true);
                    return;
                }
                if lead.is_elected() && !lead.is_shadow() && !others {
                    tell(&client, &namespace, &found).await;
                }
            }
            Err(error) if said.is_news(&error) => {
                tracing::warn!(error, "looking at KedaControllers");
            }
            Err(_) => {}
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Every KedaController; none where its CRD is not applied.
async fn all(client: &Client) -> Result<Vec<DynamicObject>, String> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind());
    let params = ListParams::default();
    match tokio::time::timeout(PATIENCE, api.list(&params)).await {
        Ok(Ok(list)) => Ok(list.items),
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Ok(Vec::new()),
        Ok(Err(error)) => Err(api_error(&error)),
        Err(_) => Err("the API server does not answer".to_owned()),
    }
}

fn kind() -> ApiResource {
    ApiResource::erase::<KedaController>(&())
}

/// The settings of the one that counts, as far as they can be taken.
fn wanted(found: &[DynamicObject], namespace: &str) -> Settings {
    let own = found.iter().find(|object| counts(object, namespace));
    own.map_or_else(Settings::default, |own| Settings::of(&own.data).0)
}

fn counts(object: &DynamicObject, namespace: &str) -> bool {
    object.name_any() == NAME && object.namespace().as_deref() == Some(namespace)
}

/// Brings the status of each to say what became of it.
async fn tell(client: &Client, namespace: &str, found: &[DynamicObject]) {
    for object in found {
        let (phase, reason) = judged(object, namespace);
        let next = json!({"phase": phase, "reason": reason, "version": env!("CARGO_PKG_VERSION")});
        let before = &object.data["status"];
        let keys = ["phase", "reason", "version"];
        if keys.iter().all(|key| before[key] == next[key]) {
            continue;
        }
        let place = object.namespace().unwrap_or_default();
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &place, &kind());
        let patch = Patch::Merge(json!({"metadata": {"uid": object.uid()}, "status": next}));
        let (name, params) = (object.name_any(), PatchParams::default());
        let patched = api.patch_status(&name, &params, &patch);
        if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, patched).await {
            let error = api_error(&error);
            tracing::warn!(error, "writing the status of KedaController {place}/{name}");
        }
    }
}

fn judged(object: &DynamicObject, namespace: &str) -> Judged {
    if !counts(object, namespace) {
        let reason = format!("only the KedaController {NAME} of namespace {namespace} is acted on");
        return ("Installation Ignored", reason);
    }
    let (_, troubles) = Settings::of(&object.data);
    if troubles.is_empty() {
        let reason = Settings::without_meaning(&object.data);
        return ("Installation Succeeded", shown(&reason, LONGEST));
    }
    ("Installation Failed", shown(&troubles.join("; "), LONGEST))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn object(namespace: &str, name: &str, spec: &Value) -> DynamicObject {
        let metadata = json!({"namespace": namespace, "name": name});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn one_object_counts_and_every_other_is_ignored_by_name() {
        let seed = json!({"watchNamespace": "shop", "logLevel": "debug", "logEncoder": "json"});
        let found = [
            object("keda", "second", &json!({"watchNamespace": "other"})),
            object("elsewhere", "keda", &json!({"watchNamespace": "other"})),
            object("keda", "keda", &seed),
        ];
        let settings = wanted(&found, "keda");
        assert_eq!(settings.namespaces.as_deref(), Some("shop"));
        let phases = found.each_ref().map(|object| judged(object, "keda"));
        for (phase, reason) in &phases[..2] {
            assert_eq!(*phase, "Installation Ignored");
            assert!(reason.contains("only the KedaController keda of namespace keda"));
        }
        assert_eq!(phases[2], ("Installation Succeeded", String::new()));
        assert_eq!(wanted(&found[..2], "keda"), Settings::default());
    }

    #[test]
    fn a_setting_that_cannot_be_taken_is_a_failed_installation() {
        let found = object("keda", "keda", &json!({"operator": {"logLevel": "loud"}}));
        let (phase, reason) = judged(&found, "keda");
        assert_eq!(phase, "Installation Failed");
        assert!(reason.starts_with("spec.operator.logLevel"), "{reason}");
    }
}
