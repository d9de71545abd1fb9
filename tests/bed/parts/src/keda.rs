//! KEDA's own programs and manifests, built from the Go module of a release; only for what compares lagscale with it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    cached, require,
    tools::{go_build, module},
};

const MODULE: &str = "github.com/kedacore/keda/v2";
const PROGRAMS: [&str; 3] = ["operator", "adapter", "webhooks"];

/// A release of KEDA that can be built here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its version, without a `v`.
    pub version: &'static str,
    // Checksums of the module and of its go.mod; the module's own go.sum pins everything else.
    module_sum: &'static str,
    mod_sum: &'static str,
}

/// The release that lagscale is compared with.
pub const KEDA: Release = Release {
    version: "2.21.0",
    module_sum: "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
    mod_sum: "h1:djq9CnH0OT9Wis6jwtc02oiUstN081M81Amk8JtkbVo=",
};

/// The release before it.
pub const KEDA_2_20: Release = Release {
    version: "2.20.2",
    module_sum: "h1:SR60v8uIcelbveS8n/1jcl8tLdBBIbHMxmdOHw8tKqA=",
    mod_sum: "h1:wrV1MP6buZQ1S5/J/R7UyBeJr857x92E43LADVoSajs=",
};

/// A release by its version.
pub fn release(version: &str) -> Option<Release> {
    [KEDA, KEDA_2_20].into_iter().find(|r| r.version == version)
}

/// Programs and manifests of a release.
#[derive(Clone, Debug)]
pub struct KedaParts {
    /// The operator.
    pub operator: PathBuf,
    /// The metrics server.
    pub adapter: PathBuf,
    /// The admission webhooks.
    pub webhooks: PathBuf,
    /// KEDA's `config` folder, with CRDs, roles and webhooks.
    pub config: PathBuf,
}

/// Finds or builds a release; the first build takes minutes.
pub fn keda(release: Release) -> KedaParts {
    let dir = cached(&format!("keda-{}", release.version), |dir| {
        require("go", &["version"], "Go 1.26 or newer");
        build(release, dir);
    });
    KedaParts {
        operator: dir.join("operator"),
        adapter: dir.join("adapter"),
        webhooks: dir.join("webhooks"),
        config: dir.join("config"),
    }
}

/// KEDA's own list of the fields of its triggers, from the module; nothing is built for it.
pub fn keda_schema(release: Release) -> PathBuf {
    let dir = cached(&format!("keda-schema-{}", release.version), |dir| {
        require("go", &["version"], "Go 1.26 or newer");
        copy(&PathBuf::from(downloaded(release)).join("schema"), dir);
    });
    dir.join("generated/scalers-schema.json")
}

/// Builds with KEDA's own go.mod, whose replacements count only in the main module.
fn build(release: Release, dir: &Path) {
    let Release { version, .. } = release;
    let sources = PathBuf::from(downloaded(release));
    let go_mod = fs::read_to_string(sources.join("go.mod")).expect("KEDA's go.mod");
    let go_mod = go_mod.replacen(
        &format!("module {MODULE}"),
        "module lagscale.io/bed/keda",
        1,
    );
    let go_mod = format!("{go_mod}\nrequire {MODULE} v{version}\n");
    fs::write(dir.join("go.mod"), go_mod).expect("go.mod");
    let go_sum = fs::read_to_string(sources.join("go.sum")).expect("KEDA's go.sum");
    let own = sums(release);
    fs::write(dir.join("go.sum"), format!("{go_sum}{own}")).expect("go.sum");
    let flags = format!("-X {MODULE}/version.Version={version}");
    let programs = PROGRAMS.map(|program| format!("{MODULE}/cmd/{program}"));
    go_build(&format!("KEDA {version}"), dir, &flags, &programs);
    copy(&sources.join("config"), &dir.join("config"));
}

fn sums(release: Release) -> String {
    let Release {
        version,
        module_sum,
        mod_sum,
    } = release;
    format!("{MODULE} v{version} {module_sum}\n{MODULE} v{version}/go.mod {mod_sum}\n")
}

/// The folder of Go's module cache that holds the release.
fn downloaded(release: Release) -> String {
    module(MODULE, release.version, release.module_sum)
}

/// Copies a folder without the write protection of Go's module cache.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder of KEDA").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            let bytes = fs::read(entry.path()).expect("a file of KEDA");
            fs::write(target, bytes).expect("a copy");
        }
    }
}
