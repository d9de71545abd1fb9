//! What scenarios share: a bed with lagscale installed and registered as a user would, and how to ask for an installed one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use bed::{Bed, BedOptions, Lagscale};
use lagscale::server::API_SERVICE;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A bed with lagscale on it.
pub struct World {
    pub bed: Bed,
    pub lagscale: Lagscale,
}

impl World {
    /// Starts the parts, applies the manifests, starts the binary, and waits until its API is available.
    pub async fn start(options: BedOptions, args: &[&str]) -> Self {
        let bed = Bed::start(&options).await;
        bed.install(&root().join("manifests")).await;
        let mut lagscale = run(&bed, args);
        lagscale.ready().await;
        bed.available(API_SERVICE).await;
        Self { bed, lagscale }
    }
}

/// One more process of lagscale.
pub fn run(bed: &Bed, args: &[&str]) -> Lagscale {
    let binary = Path::new(env!("CARGO_BIN_EXE_lagscale"));
    let env = BTreeMap::from([("LAGSCALE_LOG".to_owned(), "info,lagscale=debug".to_owned())]);
    bed.lagscale(binary, args, &env)
}

/// The checkout.
pub fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// A built example.
pub fn example(name: &str) -> PathBuf {
    bed::example(Path::new(env!("CARGO_BIN_EXE_lagscale")), name)
}
