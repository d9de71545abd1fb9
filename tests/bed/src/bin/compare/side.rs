//! The two sides: KEDA's three processes and lagscale's one.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use bed::{Bed, Child, Keda, KedaOptions, Lagscale, root};
use serde_json::{Value, json};

/// A side, and how it is started.
#[derive(Clone, Debug)]
pub enum Kind {
    /// KEDA.
    Keda(KedaOptions),
    /// lagscale's binary.
    Lagscale(PathBuf),
}

impl Kind {
    /// The keys that tell its lines apart.
    pub fn keys(&self) -> Value {
        match self {
            Self::Keda(options) => json!({
                "side": "keda",
                "version": options.release.version,
                "kube_api_qps": options.kube_api_qps.unwrap_or(20),
            }),
            Self::Lagscale(_) => json!({"side": "lagscale", "version": env!("CARGO_PKG_VERSION")}),
        }
    }
}

/// A side that runs.
pub enum Side {
    /// KEDA.
    Keda(Box<Keda>),
    /// lagscale.
    Lagscale { process: Lagscale, binary: PathBuf },
}

impl Side {
    /// Installs it on the bed, and returns when it serves.
    pub async fn start(kind: &Kind, bed: &Bed) -> Self {
        match kind {
            Kind::Keda(options) => Self::Keda(Box::new(bed.keda(*options).await)),
            Kind::Lagscale(binary) => {
                let start = |bed: &Bed| bed.lagscale(binary, &[], &BTreeMap::new());
                let process = bed.installed(&root().join("manifests"), start).await;
                let binary = binary.clone();
                Self::Lagscale { process, binary }
            }
        }
    }

    /// Kills what runs and starts it again; it may not serve yet.
    pub fn restart(&mut self, bed: &Bed) {
        match self {
            Self::Keda(keda) => keda.restart(),
            Self::Lagscale { process, binary } => {
                process.child.kill();
                *process = bed.lagscale(binary, &[], &BTreeMap::new());
            }
        }
    }

    /// Its processes.
    pub fn pids(&self) -> Vec<u32> {
        match self {
            Self::Keda(keda) => keda.processes.iter().map(Child::id).collect(),
            Self::Lagscale { process, .. } => vec![process.child.id()],
        }
    }

    /// HTTPS of its metrics API.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Keda(keda) => keda.address(),
            Self::Lagscale { process, .. } => process.address,
        }
    }

    /// How long its HPAs are waited for before it is said that they did not come.
    pub const PATIENCE: Duration = Duration::from_secs(300);
}
