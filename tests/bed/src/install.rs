//! lagscale on a bed as a user installs it: CRDs and RBAC from the manifests, and the registration of its API.

use std::path::Path;

use lagscale::server::API_SERVICE;

use crate::Bed;

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
        self.register(API_SERVICE, "lagscale", port).await;
    }

    async fn must(&self, args: &[&str]) {
        if let Err(error) = self.control_plane.kubectl(args).await {
            panic!("kubectl {}: {error}", args.join(" "));
        }
    }
}
