//! helm, built from its Go module; only for what installs the chart.

use std::{fs, path::PathBuf, process::Command};

use super::{cached, digest, require, run};

const GO_MOD: &str = include_str!("../../helm/go.mod");
const GO_SUM: &str = include_str!("../../helm/go.sum");
/// The Kubernetes that `helm template` renders for: the bed's.
const MINOR: &str = "36";

/// Finds or builds helm; the first build takes two minutes.
pub fn helm() -> PathBuf {
    let name = format!("helm-{}", digest(&[GO_MOD, GO_SUM, MINOR]));
    let dir = cached(&name, |dir| {
        require("go", &["version"], "Go 1.26 or newer");
        fs::write(dir.join("go.mod"), GO_MOD).expect("go.mod");
        fs::write(dir.join("go.sum"), GO_SUM).expect("go.sum");
        let util = "helm.sh/helm/v3/pkg/chartutil.k8sVersion";
        run(
            "building helm from source (once; two minutes)",
            Command::new("go")
                .args(["build", "-trimpath", "-mod=mod", "-ldflags"])
                .arg(format!("-s -w -X {util}Major=1 -X {util}Minor={MINOR}"))
                .args(["-o", "./", "tool"])
                .env("CGO_ENABLED", "0")
                .current_dir(dir),
        );
    });
    dir.join("helm")
}
