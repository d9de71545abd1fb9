//! The work: workloads with a group each, all a little behind and none enough to be scaled up.

use std::{fmt::Debug, time::Duration};

use bed::Bed;
use futures::{StreamExt, stream};
use k8s_openapi::api::{apps::v1::StatefulSet, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use lagscale::resources::ScaledObject;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Objects are made by so many at once.
const AT_ONCE: usize = 16;
/// Groups share so many topics.
const TOPICS: usize = 20;
const PARTITIONS: i32 = 3;
const RECORDS: usize = 10;
/// The commit of each group in each partition, two below the end.
const COMMITTED: i64 = 8;

/// The object and its workload.
pub fn name(n: usize) -> String {
    format!("app-{n:05}")
}

/// The topic that object `n` reads.
pub fn topic(n: usize) -> String {
    format!("t{}", n % TOPICS)
}

/// Makes the topics with their records.
pub async fn topics(bed: &Bed) {
    for n in 0..TOPICS {
        bed.kafka.create_topic(&topic(n), PARTITIONS).await;
        for partition in 0..PARTITIONS {
            bed.kafka.produce(&topic(n), partition, RECORDS).await;
        }
    }
}

/// Topics that nobody reads, of 100 partitions each.
pub async fn other_topics(bed: &Bed, partitions: usize) {
    for n in 0..partitions / 100 {
        bed.kafka.create_topic(&format!("other-{n}"), 100).await;
    }
}

/// The groups of these objects commit.
pub async fn commits(bed: &Bed, objects: std::ops::Range<usize>) {
    let commit = |n: usize| async move {
        let offsets: Vec<_> = (0..PARTITIONS).map(|id| (id, COMMITTED)).collect();
        let group = format!("group-{n:05}");
        bed.kafka.commit(&group, &topic(n), &offsets).await;
    };
    let all = stream::iter(objects.map(commit)).buffer_unordered(AT_ONCE);
    all.collect::<Vec<()>>().await;
}

/// Workloads that nothing runs, made before anything is measured.
pub async fn workloads(bed: &Bed, namespace: &str, objects: std::ops::Range<usize>) {
    let api: Api<StatefulSet> = Api::namespaced(bed.client(), namespace);
    create(&api, objects.map(workload)).await;
}

/// ScaledObjects for them.
pub async fn objects(bed: &Bed, namespace: &str, objects: std::ops::Range<usize>) {
    let api: Api<ScaledObject> = Api::namespaced(bed.client(), namespace);
    let bootstrap = bed.kafka.plaintext_bootstrap();
    create(&api, objects.map(|n| object(n, &bootstrap))).await;
}

/// Creates objects, a few at once.
async fn create<K>(api: &Api<K>, objects: impl Iterator<Item = Value>)
where
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    let create = |object: Value| async move {
        let object = serde_json::from_value(object).expect("an object of its kind");
        let made = api.create(&PostParams::default(), &object).await;
        made.expect("made");
    };
    let all = stream::iter(objects.map(create)).buffer_unordered(AT_ONCE);
    all.collect::<Vec<()>>().await;
}

/// HPAs of the namespace.
pub async fn hpas(bed: &Bed, namespace: &str) -> usize {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(bed.client(), namespace);
    let page = ListParams::default().limit(1);
    let Ok(list) = api.list_metadata(&page).await else {
        return 0;
    };
    let rest = list.metadata.remaining_item_count.unwrap_or(0);
    list.items.len() + usize::try_from(rest).unwrap_or(0)
}

/// Waits for so many HPAs; `false` if they have not come in time.
pub async fn all_hpas(bed: &Bed, namespace: &str, count: usize, patience: Duration) -> bool {
    let all = async {
        while hpas(bed, namespace).await < count {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(patience, all).await.is_ok()
}

fn workload(n: usize) -> Value {
    let labels = json!({"app": name(n)});
    json!({
        "metadata": {"name": name(n)},
        "spec": {
            "serviceName": "none", "replicas": 1, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "none"}]},
            },
        },
    })
}

fn object(n: usize, bootstrap: &str) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": name(n)},
        "spec": {
            "scaleTargetRef": {"kind": "StatefulSet", "name": name(n)},
            "minReplicaCount": 1,
            "triggers": [{"type": "kafka", "metadata": {
                "bootstrapServers": bootstrap, "consumerGroup": format!("group-{n:05}"),
                "topic": topic(n), "lagThreshold": "10",
            }}],
        },
    })
}
