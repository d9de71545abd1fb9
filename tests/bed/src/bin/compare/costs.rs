//! The costs of a side so far, by the kernel's, Kafka's and kube-apiserver's own counters.

use std::{fs, path::Path};

use bed::Bed;

use crate::side::Side;

/// Ticks of `/proc/<pid>/stat` in a second.
const TICKS: f64 = 100.0;
/// Verbs that write.
const WRITES: [&str; 6] = [
    "POST",
    "PUT",
    "PATCH",
    "APPLY",
    "DELETE",
    "DELETECOLLECTION",
];

/// Counters since the start.
pub struct Costs {
    /// User and system time of all processes, in seconds.
    pub cpu: f64,
    /// Requests that Kafka answered.
    pub kafka_requests: f64,
    /// Evaluations of an object. KEDA's cost an `OffsetFetch` each, which is how they are counted.
    pub evaluations: f64,
    /// Writes of ScaledObjects and of HPAs' specs; the HPA controller makes none of these.
    pub writes: f64,
    /// Events written, also the HPA controller's.
    pub events: f64,
}

impl Costs {
    /// Reads all counters.
    pub async fn read(bed: &Bed, side: &Side) -> Self {
        let kafka = bed.kafka.requests().await;
        let api = bed.client().request_text(request("/metrics")).await;
        let api = api.expect("kube-apiserver's metrics");
        Self {
            cpu: cpu(side),
            kafka_requests: kafka.values().sum(),
            evaluations: match side {
                Side::Keda(_) => kafka.get("OffsetFetch").copied().unwrap_or(0.0),
                Side::Lagscale { process, .. } => evaluations(&process.plain.to_string()).await,
            },
            writes: written(&api, "scaledobjects", None)
                + written(&api, "horizontalpodautoscalers", Some("")),
            events: written(&api, "events", None),
        }
    }
}

/// lagscale's own count, whatever came of them.
async fn evaluations(address: &str) -> f64 {
    let (_, text) = bed::get(address, "/metrics").await;
    let lines = text.lines();
    let counts = lines.filter(|l| l.starts_with("lagscale_evaluations_total{"));
    let counts = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    counts.sum()
}

/// A GET of kube-apiserver.
pub fn request(path: &str) -> axum::http::Request<Vec<u8>> {
    let request = axum::http::Request::get(path);
    request.body(Vec::new()).expect("a path")
}

/// Writes of a resource, of one subresource where one is named.
fn written(metrics: &str, resource: &str, subresource: Option<&str>) -> f64 {
    let is = |line: &str, label: &str, value: &str| line.contains(&format!("{label}=\"{value}\""));
    let counted = metrics.lines().filter(|line| {
        line.starts_with("apiserver_request_total{")
            && is(line, ",resource", resource)
            && WRITES.iter().any(|verb| is(line, "verb", verb))
            && subresource.is_none_or(|subresource| is(line, "subresource", subresource))
    });
    let counts = counted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    counts.sum()
}

/// User and system time of all processes, in seconds.
pub fn cpu(side: &Side) -> f64 {
    side.pids().into_iter().map(cpu_seconds).sum()
}

/// User and system time of a process so far.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a live process");
    let (_, rest) = stat.rsplit_once(") ").expect("a name");
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = fields[11..13].iter().filter_map(|t| t.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// Megabytes of all processes: resident now, or at their highest.
pub fn memory_mb(side: &Side, name: &str) -> f64 {
    let kib = side.pids().into_iter().map(|pid| status(pid, name));
    kib.sum::<f64>() * 1024.0 / 1e6
}

/// Threads of all processes.
pub fn threads(side: &Side) -> f64 {
    side.pids()
        .into_iter()
        .map(|pid| status(pid, "Threads:"))
        .sum()
}

/// A number of `/proc/<pid>/status`.
fn status(pid: u32, name: &str) -> f64 {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(Path::new(&path)).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(name));
    let number = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
    number.unwrap_or(f64::NAN)
}

/// Connections of all processes to these ports.
pub fn connections(side: &Side, ports: impl IntoIterator<Item = u16>) -> usize {
    let pids = side.pids();
    let to = |port| pids.iter().map(move |pid| bed::connections_to(*pid, port));
    ports.into_iter().flat_map(to).sum()
}
