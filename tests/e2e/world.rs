//! The world that scenarios share: a bed with lagscale installed and registered as a user would, and how to ask for an installed one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bed::{Bed, BedOptions, Gate, Lagscale, wait};
use serde_json::json;
use tokio::sync::Mutex;

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
        let start = |bed: &Bed| run(bed, args);
        let lagscale = bed.installed(&root().join("manifests"), start).await;
        Self { bed, lagscale }
    }
}

/// A bed for processes of lagscale that see one namespace each, through a gate.
pub struct Yard {
    pub bed: Bed,
    /// The holder's process is behind the balancer: one that sees one namespace can't answer for another.
    pub balancer: Mutex<()>,
}

impl Yard {
    /// Starts the parts and applies the manifests.
    pub async fn start() -> Self {
        let bed = Bed::start(&BedOptions::default()).await;
        bed.install(&root().join("manifests")).await;
        // Each namespace elects its own, which no cluster of a user has.
        let name = "yard-leases";
        bed.apply(&[
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
                "rules": [{
                    "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
                    "verbs": ["create", "get", "update"],
                }],
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": "lagscale", "namespace": "lagscale"}],
            }),
        ])
        .await;
        let balancer = Mutex::default();
        Self { bed, balancer }
    }
}

/// The series of a family in `/metrics`: labels and value of each.
pub async fn series(lagscale: &Lagscale, family: &str) -> BTreeMap<String, f64> {
    let (_, text) = bed::get(&lagscale.plain.to_string(), "/metrics").await;
    let lines = text.lines().filter_map(|l| l.strip_prefix(family));
    let series = lines.filter_map(|l| l.strip_prefix('{')?.rsplit_once("} "));
    let series =
        series.filter_map(|(labels, value)| Some((labels.to_owned(), value.parse().ok()?)));
    series.collect()
}

/// Waits until `/metrics` has this line.
pub async fn says(lagscale: &Lagscale, line: &str) {
    wait::until(line, PATIENCE, async || {
        let (_, text) = bed::get(&lagscale.plain.to_string(), "/metrics").await;
        let said = text.lines().any(|l| l == line);
        if said { Ok(()) } else { Err("another thing") }
    })
    .await;
}

/// Waits until it is this one that writes.
pub async fn leads(lagscale: &Lagscale) {
    says(lagscale, "lagscale_leader 1").await;
}

/// Ages are told once a second at most, and a reading that stands grows older by that.
const TOLD_LATE: f64 = 0.3;

/// Waits until the readings behind all values were replaced by newer ones this often.
pub async fn ticks(lagscale: &Lagscale, count: usize) {
    let mut last: BTreeMap<String, (f64, Instant)> = BTreeMap::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    wait::until("new readings", PATIENCE, async || {
        let ages = series(lagscale, "lagscale_sample_age_seconds").await;
        for (labels, age) in &ages {
            let seen = seen.entry(labels.clone()).or_default();
            let known = last.get(labels).copied();
            if known.is_some_and(|(known, _)| (known - age).abs() < f64::EPSILON) {
                continue;
            }
            let stands = known.map(|(known, at)| known + at.elapsed().as_secs_f64());
            *seen += usize::from(stands.is_some_and(|stands| *age < stands - TOLD_LATE));
            last.insert(labels.clone(), (*age, Instant::now()));
        }
        let done = !ages.is_empty() && ages.keys().all(|labels| seen[labels] >= count);
        if done { Ok(()) } else { Err(seen.clone()) }
    })
    .await;
}

/// One more process of lagscale.
pub fn run(bed: &Bed, args: &[&str]) -> Lagscale {
    run_with(bed, args, BTreeMap::new())
}

/// One that reaches the API server through a gate only.
pub fn run_behind(bed: &Bed, gate: &Gate, args: &[&str]) -> Lagscale {
    let kubeconfig = gate.kubeconfig().display().to_string();
    run_with(bed, args, [("KUBECONFIG".into(), kubeconfig)].into())
}

fn run_with(bed: &Bed, args: &[&str], mut env: BTreeMap<String, String>) -> Lagscale {
    let binary = Path::new(env!("CARGO_BIN_EXE_lagscale"));
    env.insert("LAGSCALE_LOG".into(), "info,lagscale=debug".into());
    let mut args = args.to_vec();
    let namespace = args.iter().find_map(|a| a.strip_prefix("--namespace="));
    let elects = namespace.map(|n| format!("--leader-election-id=lagscale-{n}"));
    if let Some(elects) = &elects {
        // A successor of one that was killed is not waited for that long.
        args.extend([
            elects,
            "--leader-election-lease-duration=4s",
            "--leader-election-renew-deadline=3s",
            "--leader-election-retry-period=500ms",
        ]);
    }
    bed.lagscale(binary, &args, &env)
}

/// The checkout.
pub fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// A built example.
pub fn example(name: &str) -> PathBuf {
    bed::example(Path::new(env!("CARGO_BIN_EXE_lagscale")), name)
}

/// The output of kubectl; it has to work.
pub async fn kubectl(bed: &Bed, args: &[&str]) -> String {
    let done = bed.control_plane.kubectl(args).await;
    done.unwrap_or_else(|e| panic!("kubectl {}: {e}", args.join(" ")))
}

/// Leads lagscale's Service in `namespace` to its processes: a cluster has a network between its nodes, and the bed has none.
pub async fn connect_service(bed: &Bed, namespace: &str) {
    kubectl(bed, &["delete", "service", "-n", namespace, "lagscale"]).await;
    bed.service(namespace, "lagscale").await;
}

/// The logs of all replicas that the stand-in kubelet runs in `namespace`.
pub fn logs(bed: &Bed, namespace: &str) -> String {
    let files = std::fs::read_dir(bed.pod_logs()).unwrap();
    let files = files.map(|f| f.unwrap().path());
    let begins = format!("{namespace}_lagscale-");
    let own = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(&begins)
    };
    let texts = files.filter(own);
    let texts = texts.map(|f| std::fs::read_to_string(f).unwrap());
    texts.collect()
}
