//! The real parts of the bed: found where the user has them, else built once from checked-in versions and kept outside `target`.
// Test code: a part that can't be built is a failed test, said by the panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]
#![warn(missing_docs)]

mod argo;
mod keda;
mod machine;
mod tools;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

pub use argo::argo_health;
pub use keda::{KEDA, KEDA_2_20, KedaParts, Release, keda, keda_schema, release};
pub use machine::{Browser, browser, prometheus, runc};
use sha2::{Digest, Sha256};
use tools::Module;
pub use tools::{adapter, helm, operator_verify, promtool, umoci};

const POM: &str = include_str!("../../kafka/pom.xml");
const PROGRAMS: &str = include_str!("../../kafka/programs.xml");
/// The control planes that can be built: version, go.mod, go.sum. The first is the usual one.
const KUBERNETES: [(&str, &str, &str); 2] = [
    (
        "1.36.3",
        include_str!("../../control-plane/go.mod"),
        include_str!("../../control-plane/go.sum"),
    ),
    (
        "1.37.0",
        include_str!("../../control-plane-1.37/go.mod"),
        include_str!("../../control-plane-1.37/go.sum"),
    ),
];
/// The Kafka that is used unless another version is named.
pub const KAFKA: &str = "4.3.0";
/// The last line that could still be upgraded from ZooKeeper.
pub const KAFKA_3: &str = "3.9.1";
/// Older still: no batches of groups, topic ids just there.
pub const KAFKA_2: &str = "2.8.2";

/// The programs of a control plane.
#[derive(Clone, Debug)]
pub struct ControlPlaneParts {
    /// etcd.
    pub etcd: PathBuf,
    /// kube-apiserver.
    pub apiserver: PathBuf,
    /// kube-controller-manager.
    pub controller_manager: PathBuf,
    /// kubectl.
    pub kubectl: PathBuf,
}

/// Finds or builds the control plane: `KUBEBUILDER_ASSETS` is taken for what it holds, and of those that are built `KUBERNETES` says
/// which (1.36.3 or 1.37.0).
pub fn control_plane() -> ControlPlaneParts {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let theirs = |name: &str| {
        let path = assets.as_ref()?.join(name);
        path.exists().then_some(path)
    };
    let ours = |name: &str| built_control_plane().join(name);
    let either = |name: &str, built: &str| theirs(name).unwrap_or_else(|| ours(built));
    ControlPlaneParts {
        // Go names a tool after the last part of its path.
        etcd: either("etcd", "server"),
        apiserver: either("kube-apiserver", "kube-apiserver"),
        controller_manager: either("kube-controller-manager", "kube-controller-manager"),
        kubectl: either("kubectl", "kubectl"),
    }
}

/// The class path of a Kafka of this version; `KAFKA_HOME` is taken for the default version.
pub fn kafka(version: &str) -> String {
    if version == KAFKA
        && let Some(home) = std::env::var_os("KAFKA_HOME")
    {
        return PathBuf::from(home).join("libs/*").display().to_string();
    }
    let name = format!("kafka-{version}-{}", digest(&[POM, version]));
    let dir = cached(&name, |dir| {
        require("java", &["-version"], "a JDK, version 17 or newer");
        require("mvn", &["-version"], "Apache Maven");
        let binding = if version.starts_with('2') {
            "slf4j-reload4j"
        } else {
            "log4j-slf4j-impl"
        };
        let binding_group = if version.starts_with('2') {
            "org.slf4j"
        } else {
            "org.apache.logging.log4j"
        };
        let binding_version = if version.starts_with('2') {
            "1.7.36"
        } else {
            "2.25.3"
        };
        let pom = POM
            .replace("@kafka@", version)
            .replace("@binding-group@", binding_group)
            .replace("@binding-version@", binding_version)
            .replace("@binding@", binding);
        fetch(&format!("Apache Kafka {version}"), &pom, dir);
    });
    dir.join("lib/*").display().to_string()
}

/// The class path of [`KAFKA`]'s command-line programs and the examples of Kafka Streams.
pub fn kafka_programs() -> String {
    let broker = kafka(KAFKA);
    if std::env::var_os("KAFKA_HOME").is_some() {
        return broker;
    }
    let name = format!("kafka-programs-{KAFKA}-{}", digest(&[PROGRAMS, KAFKA]));
    let dir = cached(&name, |dir| {
        let pom = PROGRAMS.replace("@kafka@", KAFKA);
        fetch(&format!("the programs of Apache Kafka {KAFKA}"), &pom, dir);
    });
    format!("{broker}:{}", dir.join("lib/*").display())
}

fn fetch(what: &str, pom: &str, dir: &Path) {
    fs::write(dir.join("pom.xml"), pom).expect("a pom");
    run(
        &format!("fetching {what}"),
        Command::new("mvn")
            .args([
                "-q",
                "-B",
                "dependency:copy-dependencies",
                "-DoutputDirectory=lib",
            ])
            .current_dir(dir),
    );
}

fn built_control_plane() -> PathBuf {
    let wanted = std::env::var("KUBERNETES").unwrap_or_else(|_| KUBERNETES[0].0.to_owned());
    let found = KUBERNETES.iter().find(|(version, ..)| *version == wanted);
    let (version, go_mod, go_sum) = found.expect("KUBERNETES is 1.36.3 or 1.37.0");
    let minor = version.split('.').nth(1).expect("a minor version");
    let set = "-X k8s.io/component-base/version.git";
    let module = Module {
        name: "control-plane",
        what: &format!("Kubernetes {version} and etcd"),
        go_mod,
        go_sum,
        main: None,
        key: &format!("v{version}"),
        flags: &format!("{set}Version=v{version} {set}Major=1 {set}Minor={minor}"),
    };
    module.built()
}

/// The cache folder `name`; made by `fill` in a folder that gets its name only when it is whole. One maker at a time.
fn cached(name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    // The programs that make it run in a folder of their own.
    let root = std::path::absolute(cache()).expect("a working folder");
    let dir = root.join(name);
    if dir.exists() {
        return dir;
    }
    fs::create_dir_all(&root).expect("a cache folder");
    let lock = File::create(root.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("a file lock");
    if dir.exists() {
        return dir;
    }
    let making = root.join(format!("{name}.part"));
    let _ = fs::remove_dir_all(&making);
    fs::create_dir_all(&making).expect("a cache folder");
    fill(&making);
    fs::rename(&making, &dir).expect("a finished cache folder");
    dir
}

fn cache() -> PathBuf {
    if let Some(dir) = std::env::var_os("LAGSCALE_BED_CACHE") {
        return dir.into();
    }
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("lagscale-bed")
}

fn digest(texts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text);
    }
    let hex = |b: &u8| format!("{b:02x}");
    digest.finalize()[..6].iter().map(hex).collect()
}

fn require(program: &str, args: &[&str], what: &str) {
    let found = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(
        found.is_ok_and(|s| s.success()),
        "`{program}` was not found: install {what} and put it on the PATH"
    );
}

/// Runs a long step, saying every ten seconds that it goes on.
fn run(what: &str, command: &mut Command) {
    eprintln!("bed: {what} ...");
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .expect("a found program");
    let mut said = 0;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            assert!(status.success(), "{what}: {status}");
            eprintln!("bed: {what}: done in {} s", begin.elapsed().as_secs());
            return;
        }
        let tens = begin.elapsed().as_secs() / 10;
        if tens > said {
            said = tens;
            eprintln!("bed: {what}: {} s", tens * 10);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
