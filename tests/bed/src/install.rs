//! lagscale on a bed as a user installs it: CRDs and RBAC from the manifests, and the registration of its API and
//! webhooks.

use std::path::Path;

use lagscale::server::{API_SERVICE, OWN_API_SERVICE};
use serde_json::{Value, json};

use crate::{Bed, Lagscale, bed::base64};

const UNCHECKED: &str = "bed/unchecked";

impl Bed {
    /// Applies `manifests/base` but for what only a cluster with nodes can run, and registers the API towards the balancer.
    pub async fn install(&self, manifests: &Path) {
        for file in ["crds.yaml", "rbac.yaml"] {
            let path = manifests.join("base").join(file).display().to_string();
            let args = ["apply", "--server-side", "-f", path.as_str()];
            self.must(&args).await;
        }
        let wait = "wait --for=condition=Established crd --all --timeout=60s";
        self.must(&wait.split(' ').collect::<Vec<_>>()).await;
        let port = self.balancer.address().port();
        self.register(API_SERVICE, ("lagscale", "lagscale"), port)
            .await;
        self.register(OWN_API_SERVICE, ("lagscale", "lagscale"), port)
            .await;
        self.webhooks(manifests, port).await;
    }

    /// Installs lagscale and starts one process of it; returns when its API is served.
    pub async fn installed(
        &self,
        manifests: &Path,
        start: impl FnOnce(&Self) -> Lagscale,
    ) -> Lagscale {
        self.install(manifests).await;
        let mut lagscale = start(self);
        lagscale.ready().await;
        self.available(API_SERVICE).await;
        lagscale
    }

    /// The right to a Lease of another name, which no installation of one lagscale needs.
    pub async fn allow_lease(&self, name: &str) {
        let metadata = json!({"name": name, "namespace": "lagscale"});
        let group = "rbac.authorization.k8s.io";
        self.apply(&[
            json!({
                "apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": metadata,
                "rules": [{
                    "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [name],
                    "verbs": ["get", "update"],
                }],
            }),
            json!({
                "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": metadata,
                "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": "lagscale", "namespace": "lagscale"}],
            }),
        ])
        .await;
    }

    /// The webhooks of the manifests, towards `port`; namespaces with the label [`UNCHECKED`] are left out.
    async fn webhooks(&self, manifests: &Path, port: u16) {
        let text = std::fs::read_to_string(manifests.join("base/webhook.yaml"));
        let text = text.expect("the manifest of the webhooks");
        let mut object: Value = serde_saphyr::from_str(&text).expect("YAML");
        let ca = base64(&self.control_plane.serving_ca.pem);
        let selector =
            json!({"matchExpressions": [{"key": UNCHECKED, "operator": "DoesNotExist"}]});
        for webhook in object["webhooks"].as_array_mut().expect("webhooks") {
            webhook["clientConfig"]["caBundle"] = ca.as_str().into();
            webhook["clientConfig"]["service"]["port"] = port.into();
            webhook["namespaceSelector"] = selector.clone();
            // Sixty scenarios share two cores: nobody is let in because a review was late.
            webhook["timeoutSeconds"] = 30.into();
        }
        self.apply(&[object]).await;
    }

    /// A namespace whose objects no webhook looks at, as if they had been stored before there was one.
    pub async fn unchecked_namespace(&self, prefix: &str) -> String {
        let name = self.namespace(prefix).await;
        let label = format!("{UNCHECKED}=true");
        self.must(&["label", "namespace", &name, &label]).await;
        name
    }

    /// From now on they are looked at.
    pub async fn checked(&self, namespace: &str) {
        let label = format!("{UNCHECKED}-");
        self.must(&["label", "namespace", namespace, &label]).await;
    }

    pub(crate) async fn must(&self, args: &[&str]) {
        if let Err(error) = self.control_plane.kubectl(args).await {
            panic!("kubectl {}: {error}", args.join(" "));
        }
    }
}
