//! Programs of others, built from their Go modules; only for what asks for them.

use std::{fs, path::PathBuf, process::Command};

use super::{cached, digest, require, run};

/// The Kubernetes that `helm template` renders for: the bed's.
const MINOR: &str = "36";

/// helm, which installs the chart; the first build takes two minutes.
pub fn helm() -> PathBuf {
    let version = "-X helm.sh/helm/v3/pkg/chartutil.k8sVersion";
    built(
        "helm",
        include_str!("../../helm/go.mod"),
        include_str!("../../helm/go.sum"),
        &format!("{version}Major=1 {version}Minor={MINOR}"),
    )
}

/// promtool, which tries alerts; the first build takes a few minutes.
pub fn promtool() -> PathBuf {
    built(
        "promtool",
        include_str!("../../promtool/go.mod"),
        include_str!("../../promtool/go.sum"),
        "",
    )
}

fn built(name: &str, go_mod: &str, go_sum: &str, flags: &str) -> PathBuf {
    let folder = format!("{name}-{}", digest(&[go_mod, go_sum, flags]));
    let dir = cached(&folder, |dir| {
        require("go", &["version"], "Go 1.26 or newer");
        fs::write(dir.join("go.mod"), go_mod).expect("go.mod");
        fs::write(dir.join("go.sum"), go_sum).expect("go.sum");
        run(
            &format!("building {name} from source (once; minutes)"),
            Command::new("go")
                .args(["build", "-trimpath", "-mod=mod", "-ldflags"])
                .arg(format!("-s -w {flags}"))
                .args(["-o", "./", "tool"])
                .env("CGO_ENABLED", "0")
                .current_dir(dir),
        );
    });
    dir.join(name)
}
