//! The process under siege, as kubelet, kube-apiserver and the kernel see it.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bed::{Bed, Lagscale};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use lagscale::server::API_SERVICE;

/// The limit of the manifests.
const LIMIT: &str = "268435456";
/// Connections to kube-apiserver, whatever happens.
const MOST_CONNECTIONS: usize = 8;
const EVERY: Duration = Duration::from_millis(500);
/// kubelet's own: it restarts what fails so often in a row.
const FAILURES: u32 = 3;

/// One process, in a cgroup of its own where this machine lets us make one.
pub struct Besieged {
    pid: u32,
    cgroup: Option<PathBuf>,
}

impl Besieged {
    /// Starts the shipped binary, which finds itself in the cgroup from its first step: it asks for its limit once.
    pub fn start(bed: &Bed, env: &BTreeMap<String, String>) -> (Self, Lagscale) {
        let name = format!("lagscale-siege-{}", std::process::id());
        let cgroup = cgroup(&name);
        let mut program = bed::shipped();
        if let Some(cgroup) = &cgroup {
            let script = format!(
                "#!/bin/sh\necho $$ > {}/cgroup.procs && exec {} \"$@\"\n",
                cgroup.display(),
                program.display()
            );
            program = bed.dir().join("besieged");
            fs::write(&program, script).unwrap();
            fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        }
        let lagscale = bed.lagscale(&program, &[], env);
        let pid = lagscale.child.id();
        (Self { pid, cgroup }, lagscale)
    }

    /// `true` where it has the limit of the manifests, by which it bounds what it reads.
    pub fn is_limited(&self) -> bool {
        self.cgroup.is_some()
    }

    /// The limit of its memory, in words.
    pub fn limit(&self) -> &'static str {
        if self.is_limited() {
            "in a cgroup of 256 MiB"
        } else {
            "without a cgroup, which this machine does not let us make, and so without the wide cluster"
        }
    }

    /// The most that was ever resident.
    pub fn peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.trim().strip_suffix("kB"));
        kib.map_or(u64::MAX, |kib| kib.trim().parse().unwrap())
    }

    /// Looks at it for so long, as its probes and its clients do; returns what was wrong.
    pub async fn watch(&self, bed: &Bed, lagscale: &mut Lagscale, lasts: Duration) -> Vec<String> {
        let (begin, mut wrong) = (Instant::now(), Vec::new());
        let mut most = 0;
        let mut failures = 0;
        while begin.elapsed() < lasts {
            tokio::time::sleep(EVERY).await;
            let at = begin.elapsed().as_secs();
            if let Some(status) = lagscale.child.ended() {
                wrong.push(format!("after {at} s it ended with {status}"));
                return wrong;
            }
            if let Err(why) = bed.availability(API_SERVICE).await {
                wrong.push(format!(
                    "after {at} s the APIService was not available: {why}"
                ));
            }
            let (code, said) = bed::get(&lagscale.plain.to_string(), "/livez").await;
            most = most.max(bed::connections_to(self.pid, bed.control_plane.port));
            failures = if code == 200 { 0 } else { failures + 1 };
            if failures == FAILURES {
                wrong.push(format!(
                    "after {at} s kubelet would restart it: {code} {said}"
                ));
            }
        }
        if !(1..=MOST_CONNECTIONS).contains(&most) {
            wrong.push(format!(
                "{most} connections to kube-apiserver, at most {MOST_CONNECTIONS} may be"
            ));
        }
        wrong
    }
}

impl Drop for Besieged {
    fn drop(&mut self) {
        if let Some(path) = &self.cgroup {
            // Its process has ended.
            let _ = fs::remove_dir(path);
        }
    }
}

/// A cgroup of this name with the limit, where this machine lets us make one.
fn cgroup(name: &str) -> Option<PathBuf> {
    let hierarchies = [
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ("/sys/fs/cgroup", "memory.max"),
    ];
    hierarchies.into_iter().find_map(|(root, limit)| {
        let path = Path::new(root).join(name);
        fs::create_dir(&path).ok()?;
        let limit = path.join(limit);
        let limited = limit.exists() && fs::write(limit, LIMIT).is_ok();
        if !limited {
            let _ = fs::remove_dir(&path);
        }
        limited.then_some(path)
    })
}

/// The holder of lagscale's Lease, and how often that changed.
pub async fn lease(bed: &Bed) -> (Option<String>, Option<i32>) {
    let api: Api<Lease> = Api::namespaced(bed.client(), "lagscale");
    let spec = api.get("lagscale").await.unwrap().spec.unwrap();
    (spec.holder_identity, spec.lease_transitions)
}
