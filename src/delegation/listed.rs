//! The metrics that backends list in their discovery, such as prometheus-adapter's, looked at now and then: kube-apiserver asks for our own discovery to
//! see whether we are available, so no answer of it may wait for anybody.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval};

use super::{Delegate, Delegation, Passed};

const EVERY: Duration = Duration::from_secs(60);
/// Names of one backend.
const MOST: usize = 1000;
const LONGEST: usize = 253;
/// The one resource of servers that don't list their metrics, as KEDA's and this one.
const PLACEHOLDER: &str = "externalmetrics";

#[derive(Deserialize)]
struct ResourceList {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
}

impl Delegation {
    /// The metrics that backends listed when they were looked at last, without the placeholder that stands for any.
    #[must_use]
    pub fn listed(&self) -> Arc<BTreeSet<String>> {
        self.listed.load_full()
    }

    /// Looks at the discovery of every backend at this path, again and again for as long as the process runs.
    pub async fn list(self: Arc<Self>, path: &'static str) {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.look(path).await;
        }
    }

    /// Looks once. A backend that does not answer lists nothing.
    pub async fn look(&self, path: &str) {
        let predecessor = self.predecessor.load_full();
        let all = self.named.iter().chain(&predecessor);
        let names = futures::future::join_all(all.map(|d| self.names_of(d, path))).await;
        let names: BTreeSet<String> = names.into_iter().flatten().collect();
        if names != *self.listed() {
            self.listed.store(names.into());
        }
    }

    async fn names_of(&self, delegate: &Delegate, path: &str) -> Vec<String> {
        let passed = Passed {
            target: path,
            headers: &HeaderMap::new(),
        };
        let answer = self.ask(delegate, passed).await.ok();
        let answer = answer.filter(|answer| answer.code == StatusCode::OK);
        let list = answer.and_then(|a| serde_json::from_slice::<ResourceList>(&a.body).ok());
        let names = list.into_iter().flat_map(|list| list.resources);
        let names = names.map(|resource| resource.name);
        let sound = |name: &String| {
            let plain = name.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
            plain && !name.is_empty() && name.len() <= LONGEST && name != PLACEHOLDER
        };
        names.filter(sound).take(MOST).collect()
    }
}
