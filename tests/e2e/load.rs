//! Metrics asked for all the time, as HPAs do.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use bed::wait;
use kube::Client;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{scene::Scene, world::PATIENCE};

/// One GET after the other through kube-apiserver, and what failed of them.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<Mutex<(usize, Vec<String>)>>,
    task: JoinHandle<()>,
}

impl Load {
    /// Asks for this metric of the object `app`, whose lag is 12.
    pub fn begin(scene: &Scene<'_>, metric: &str) -> Self {
        let path = format!(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/{metric}?labelSelector=scaledobject.keda.sh%2Fname%3Dapp",
            scene.namespace
        );
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<Mutex<_>>::default());
        let task = tokio::spawn(get(scene.bed.client(), path, stop.clone(), done.clone()));
        Self { stop, done, task }
    }

    /// Waits for fifty answers more.
    pub async fn goes_on(&self) {
        let answered = || self.done.lock().unwrap().0;
        let begin = answered();
        wait::until("answers", PATIENCE, async || {
            let more = answered() - begin;
            if more >= 50 { Ok(()) } else { Err(more) }
        })
        .await;
    }

    /// The failures.
    pub async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.done.lock().unwrap().1.clone()
    }
}

async fn get(
    client: Client,
    path: String,
    stop: Arc<AtomicBool>,
    done: Arc<Mutex<(usize, Vec<String>)>>,
) {
    while !stop.load(Ordering::Relaxed) {
        let request = http::Request::get(&path).body(Vec::new()).unwrap();
        let answer = client.request::<Value>(request).await;
        let mut done = done.lock().unwrap();
        match answer {
            Ok(list) if list["items"][0]["value"] == "12" => done.0 += 1,
            Ok(list) => done.1.push(list.to_string()),
            Err(error) => done.1.push(error.to_string()),
        }
    }
}
