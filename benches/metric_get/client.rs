//! The client: as many connections as a cluster has API servers, requests on time whether the last ones are back or not.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bed::Ca;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    METRICS, metric, object,
    rig::{Caller, Cluster, NAME, Reply, published},
};

const CONNECTIONS: usize = 3;
const EACH: Duration = Duration::from_millis(1);
const WARM_UP: usize = 3_000;
const REQUESTS: usize = 20_000;
const AT_ONCE: usize = 64;

struct Served {
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Served {
    /// CPU time in microseconds, and peak memory in KiB.
    fn report(&mut self) -> (u64, u64) {
        writeln!(self.input).unwrap();
        let line = self.line();
        let (cpu, memory) = line.split_once(' ').unwrap();
        (cpu.parse().unwrap(), memory.parse().unwrap())
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

pub async fn measure() -> Value {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (serving, proxies, clients) = (Ca::new("serving"), Ca::new("proxies"), Ca::new("clients"));
    let cluster = Cluster::start(Some(published(&proxies, &clients))).await;
    // As the HPA controller's role says.
    cluster.on_wide_access(|_| Reply::Status(json!({"allowed": true})));
    let folder = tempfile::tempdir().unwrap();
    serving
        .sign(NAME, None, &[NAME])
        .write(folder.path(), "tls");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["serve", folder.path().to_str().unwrap(), cluster.uri()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut served = Served {
        input: child.stdin.take().unwrap(),
        output: BufReader::new(child.stdout.take().unwrap()),
        _child: child,
    };
    let address = served.line().parse().unwrap();
    let proxy = proxies.sign("front-proxy-client", None, &[]);
    let mut callers = Vec::new();
    for _ in 0..CONNECTIONS {
        callers.push(Caller::connect(address, &serving.pem, Some(&proxy)).await);
    }
    ask(&callers, WARM_UP).await;
    let (cpu, _) = served.report();
    let asked = || cluster.access_reviews().len() + cluster.wide_reviews().len();
    let reviews = asked();
    let mut times = ask(&callers, REQUESTS).await;
    let (paced, _) = served.report();
    let reviews = asked() - reviews;
    let began = Instant::now();
    flood(&callers, REQUESTS).await;
    let seconds = began.elapsed().as_secs_f64();
    let (flooded, peak) = served.report();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    json!({
        "bench": "metric_get", "metrics": METRICS, "connections": CONNECTIONS,
        "requests_per_second": 1_000, "cpu_us_per_request": each(paced - cpu),
        "p50_ms": ms(at(50)), "p99_ms": ms(at(99)), "rss_mb": peak / 1024,
        "access_reviews_per_request": rounded(as_f64(reviews) / as_f64(REQUESTS)),
        "saturated_requests_per_second": (as_f64(REQUESTS) / seconds).round(),
        "saturated_cpu_us_per_request": each(flooded - paced),
    })
}

/// Microseconds per request.
fn each(total: u64) -> f64 {
    rounded(as_f64(usize::try_from(total).unwrap()) / as_f64(REQUESTS))
}

fn as_f64(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// So many requests, always [`AT_ONCE`] of them under way.
async fn flood(callers: &[Caller], count: usize) {
    let headers = Arc::new(headers());
    let lanes = (0..AT_ONCE).map(|lane| {
        let (caller, headers) = (callers[lane % CONNECTIONS].clone(), headers.clone());
        async move {
            for number in (lane..count).step_by(AT_ONCE) {
                get(&caller, number, &*headers).await;
            }
        }
    });
    lanes.collect::<JoinSet<_>>().join_all().await;
}

async fn get(caller: &Caller, number: usize, headers: &[(&str, &str)]) -> Duration {
    let (metric, object) = (metric(number % METRICS), object(number % METRICS));
    let path = format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/{metric}?labelSelector=scaledobject.keda.sh%2Fname%3D{object}"
    );
    let sent = Instant::now();
    let answer = caller.get(&path, headers).await;
    assert_eq!(answer.code, StatusCode::OK, "{answer:?}");
    sent.elapsed()
}

/// How long each of so many requests took, sent one each [`EACH`].
async fn ask(callers: &[Caller], count: usize) -> Vec<Duration> {
    let headers = Arc::new(headers());
    let mut asked = JoinSet::new();
    let began = Instant::now();
    for number in 0..count {
        tokio::time::sleep_until(began + EACH * u32::try_from(number).unwrap()).await;
        let (caller, headers) = (callers[number % CONNECTIONS].clone(), headers.clone());
        asked.spawn(async move { get(&caller, number, &*headers).await });
    }
    asked.join_all().await
}

/// As the HPA controller's request arrives.
fn headers() -> [(&'static str, &'static str); 11] {
    [
        (
            "x-remote-user",
            "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
        ),
        ("x-remote-group", "system:serviceaccounts"),
        ("x-remote-group", "system:serviceaccounts:kube-system"),
        ("x-remote-group", "system:authenticated"),
        ("x-remote-uid", "6a7f3b1e-5b0e-4d0e-9a53-0c4b5b6d7e8f"),
        (
            "x-remote-extra-authentication.kubernetes.io%2fcredential-id",
            "JTI=3f1c5a0e-8f0e-4f0e-8c53-1c4b5b6d7e8f",
        ),
        ("accept", "application/vnd.kubernetes.protobuf, */*"),
        ("accept-encoding", "gzip"),
        ("audit-id", "0b8a9f6e-4a53-4e4b-9b53-2c4b5b6d7e8f"),
        ("x-forwarded-for", "127.0.0.1"),
        (
            "user-agent",
            "kube-controller-manager/v1.36.2 (linux/amd64) kubernetes/0123456/system:serviceaccount:kube-system:horizontal-pod-autoscaler",
        ),
    ]
}

fn ms(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1_000.0)
}
