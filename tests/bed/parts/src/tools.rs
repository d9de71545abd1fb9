//! Programs of others, built from their Go modules; only for what asks for them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{cached, digest, require, run};

/// The Kubernetes that `helm template` renders for: the bed's.
const MINOR: &str = "36";

/// helm, which installs the chart; the first build takes two minutes.
pub fn helm() -> PathBuf {
    let version = "-X helm.sh/helm/v3/pkg/chartutil.k8sVersion";
    let flags = format!("{version}Major=1 {version}Minor={MINOR}");
    let module = Module {
        name: "helm",
        what: "helm",
        go_mod: include_str!("../../helm/go.mod"),
        go_sum: include_str!("../../helm/go.sum"),
        main: None,
        key: &flags,
        flags: &flags,
    };
    module.built().join("helm")
}

/// promtool, which tries alerts; the first build takes a few minutes.
pub fn promtool() -> PathBuf {
    tool(
        "promtool",
        include_str!("../../promtool/go.mod"),
        include_str!("../../promtool/go.sum"),
    )
}

/// umoci, which packs images; the first build takes a minute.
pub fn umoci() -> PathBuf {
    tool(
        "umoci",
        include_str!("../../umoci/go.mod"),
        include_str!("../../umoci/go.sum"),
    )
}

/// operator-verify, which looks at bundles for the Operator Lifecycle Manager; the first build takes a minute.
pub fn operator_verify() -> PathBuf {
    tool(
        "operator-verify",
        include_str!("../../olm/go.mod"),
        include_str!("../../olm/go.sum"),
    )
}

/// An adapter of external metrics on the library of most of them; the first build takes two minutes.
pub fn adapter() -> PathBuf {
    let module = Module {
        name: "adapter",
        what: "an adapter of external metrics",
        go_mod: include_str!("../../adapter/go.mod"),
        go_sum: include_str!("../../adapter/go.sum"),
        main: Some(include_str!("../../adapter/main.go")),
        key: "",
        flags: "",
    };
    module.built().join("adapter")
}

/// A program of others that is built with no flags of its own.
fn tool(name: &str, go_mod: &str, go_sum: &str) -> PathBuf {
    let module = Module {
        name,
        what: name,
        go_mod,
        go_sum,
        main: None,
        key: "",
        flags: "",
    };
    module.built().join(name)
}

/// A module of ours: a program, or tools that are programs of others.
pub(super) struct Module<'a> {
    /// The name of its folder in the cache.
    pub name: &'a str,
    /// The programs, in words.
    pub what: &'a str,
    pub go_mod: &'a str,
    pub go_sum: &'a str,
    /// The program's one file; `None`: the module's tools are built.
    pub main: Option<&'a str>,
    /// Anything besides the module that makes another build.
    pub key: &'a str,
    /// The flags for the linker.
    pub flags: &'a str,
}

impl Module<'_> {
    /// The folder with its tools.
    pub fn built(&self) -> PathBuf {
        let of_all = [self.go_mod, self.go_sum, self.key];
        let key = digest(&[&of_all[..], self.main.as_slice()].concat());
        cached(&format!("{}-{key}", self.name), |dir| {
            require("go", &["version"], "Go 1.26 or newer");
            fs::write(dir.join("go.mod"), self.go_mod).expect("go.mod");
            fs::write(dir.join("go.sum"), self.go_sum).expect("go.sum");
            let packages = match self.main {
                Some(main) => {
                    fs::write(dir.join("main.go"), main).expect("main.go");
                    "."
                }
                None => "tool",
            };
            go_build(self.what, dir, self.flags, &[packages.to_owned()]);
        })
    }
}

/// The folder of Go's module cache that holds a version of a module, checked against our checksum.
pub(super) fn module(name: &str, version: &str, sum: &str) -> String {
    let output = Command::new("go")
        .args(["mod", "download", "-json", &format!("{name}@v{version}")])
        .output()
        .expect("go runs");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(
        found["Sum"].as_str(),
        Some(sum),
        "downloading {name} {version}: {}{}",
        found["Error"],
        String::from_utf8_lossy(&output.stderr)
    );
    found["Dir"].as_str().unwrap_or_default().to_owned()
}

/// Builds what `packages` name, by the module in `dir` and into it. The compiler's cache goes with the build: those of all parts together
/// take 16 GB, and what is built is kept itself.
pub(super) fn go_build(what: &str, dir: &Path, flags: &str, packages: &[String]) {
    let compiled = dir.join(".compiled");
    run(
        &format!("building {what} from source (once; minutes)"),
        Command::new("go")
            .args([
                "build",
                "-trimpath",
                "-mod=mod",
                "-gcflags=all=-dwarf=false",
                "-o",
                "./",
            ])
            .args(["-ldflags", &format!("-s -w {flags}")])
            .args(packages)
            .env("CGO_ENABLED", "0")
            .env("GOCACHE", &compiled)
            .current_dir(dir),
    );
    fs::remove_dir_all(compiled).expect("the compiler's folder");
}
