//! How long a metric GET takes, asked by one client after the other answer has come.

use std::time::{Duration, Instant};

use kube::Client;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{costs::request, work};

/// GETs of a series.
const ASKED: usize = 500;
/// GETs while the broker is frozen, at once.
const FROZEN: usize = 5;
/// kube-apiserver gives an aggregated request a minute.
const PATIENCE: Duration = Duration::from_secs(70);

/// The metric of object `n`.
fn path(namespace: &str, n: usize) -> String {
    let (object, topic) = (work::name(n), work::topic(n));
    format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/s0-kafka-{topic}?labelSelector=scaledobject.keda.sh%2Fname%3D{object}"
    )
}

/// Asks for the metric of object `n`.
pub async fn served(client: &Client, namespace: &str, n: usize) -> Result<(), String> {
    let asked = client.request_text(request(&path(namespace, n))).await;
    asked.map(drop).map_err(|e| e.to_string())
}

/// Median and 99th percentile of a series over these objects, in milliseconds.
pub async fn series(client: &Client, namespace: &str, objects: std::ops::Range<usize>) -> Value {
    let mut took = Vec::new();
    let mut failed = 0;
    for asked in 0..ASKED {
        let begin = Instant::now();
        // 7919 is prime: objects are met in an order that no cache likes.
        let n = objects.start + asked * 7919 % objects.len();
        let answer = served(client, namespace, n).await;
        if let Err(error) = answer {
            failed += 1;
            eprintln!("{}: {error}", path(namespace, n));
        }
        took.push(begin.elapsed());
    }
    quantiles(took, failed)
}

/// As [`series`], a few at once, with a deadline.
pub async fn at_once(client: &Client, namespace: &str) -> Value {
    let asked = (0..FROZEN).map(|n| async move {
        let begin = Instant::now();
        let answer = timeout(PATIENCE, served(client, namespace, n)).await;
        (begin.elapsed(), matches!(answer, Ok(Ok(()))))
    });
    let answers = futures::future::join_all(asked).await;
    let failed = answers.iter().filter(|(_, served)| !served).count();
    quantiles(answers.into_iter().map(|(took, _)| took).collect(), failed)
}

fn quantiles(mut took: Vec<Duration>, failed: usize) -> Value {
    took.sort_unstable();
    let at = |percent: usize| {
        let place = (took.len() * percent).div_ceil(100).saturating_sub(1);
        (took[place].as_secs_f64() * 100_000.0).round() / 100.0
    };
    json!({"p50_ms": at(50), "p99_ms": at(99), "failed": failed})
}
