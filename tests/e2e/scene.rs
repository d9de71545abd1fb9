//! One scenario's own corner of a bed: a namespace with Kafka's credentials, topics, groups, workloads, ScaledObjects.

use std::{fmt::Debug, time::Duration};

use bed::{Bed, Kafka, Observer, wait};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use lagscale::resources::ScaledObject;
use serde_json::{Value, json};

use crate::world::{PATIENCE, example};

/// A namespace of a bed.
pub struct Scene<'a> {
    pub bed: &'a Bed,
    pub namespace: String,
}

impl<'a> Scene<'a> {
    /// A new namespace with a Secret `kafka` and a TriggerAuthentication `kafka` for the bed's Kafka.
    pub async fn new(bed: &'a Bed, prefix: &str) -> Self {
        Self::within(bed, bed.namespace(prefix).await).await
    }

    /// A scene in a namespace of this name, of which there is one.
    pub async fn named(bed: &'a Bed, name: &str) -> Self {
        bed.create_namespace(name).await;
        Self::within(bed, name.to_owned()).await
    }

    /// A scene where no webhook refuses what is applied.
    pub async fn unchecked(bed: &'a Bed, prefix: &str) -> Self {
        Self::within(bed, bed.unchecked_namespace(prefix).await).await
    }

    async fn within(bed: &'a Bed, namespace: String) -> Self {
        let scene = Self { bed, namespace };
        scene
            .credentials("kafka", &bed.kafka, Kafka::PASSWORD)
            .await;
        scene
    }

    /// A Secret and a TriggerAuthentication of this name.
    pub async fn credentials(&self, name: &str, kafka: &Kafka, password: &str) {
        self.secret(name, &kafka.ca.pem, password).await;
        let keys = ["sasl", "tls", "ca", "username", "password"];
        let targets = keys.map(|k| json!({"parameter": k, "name": name, "key": k}));
        self.authentication(name, &targets).await;
    }

    /// A TriggerAuthentication with these `secretTargetRef`s.
    pub async fn authentication(&self, name: &str, targets: &[Value]) {
        let object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": {"secretTargetRef": targets},
        });
        self.bed.apply(&[object]).await;
    }

    /// The Secret behind it.
    pub async fn secret(&self, name: &str, ca: &str, password: &str) {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": self.namespace},
            "stringData": {
                "sasl": "scram_sha512", "tls": "enable", "ca": ca,
                "username": Kafka::USER, "password": password,
            },
        });
        self.bed.apply(&[object]).await;
    }

    /// A topic of this scene's own; returns its name.
    pub async fn topic(&self, name: &str, partitions: i32) -> String {
        let topic = format!("{}-{name}", self.namespace);
        self.bed.kafka.create_topic(&topic, partitions).await;
        topic
    }

    /// A topic with the same number of records in each partition.
    pub async fn filled_topic(&self, name: &str, partitions: i32, each: usize) -> String {
        let topic = self.topic(name, partitions).await;
        for partition in 0..partitions {
            self.bed.kafka.produce(&topic, partition, each).await;
        }
        topic
    }

    /// Commits so that the group lags by `lag` in all, spread as evenly as can be over partitions of `each` records.
    pub async fn commit_lag(&self, group: &str, topic: &str, partitions: i32, each: i64, lag: i64) {
        let count = i64::from(partitions);
        let offsets: Vec<(i32, i64)> = (0..partitions)
            .map(|p| (p, each - (lag + count - 1 - i64::from(p)) / count))
            .collect();
        assert!(offsets.iter().all(|(_, o)| *o >= 0), "not enough records");
        self.bed.kafka.commit(group, topic, &offsets).await;
    }

    /// A Deployment of idle pods.
    pub async fn idle(&self, name: &str, replicas: i32) {
        self.deployment(name, replicas, &json!({"name": "main", "image": "idle"}))
            .await;
    }

    /// A Deployment of true consumers.
    pub async fn consumers(&self, name: &str, topic: &str, group: &str, work_ms: u64) {
        let args = [
            format!("--topic={topic}"),
            format!("--group={group}"),
            format!("--work-ms={work_ms}"),
            "--from=earliest".into(),
        ];
        let container = bed::consumer(&example("consumer"), &self.bed.kafka, "kafka", &args);
        self.deployment(name, 1, &container).await;
    }

    /// A Deployment of one container.
    pub async fn deployment(&self, name: &str, replicas: i32, container: &Value) {
        let labels = json!({"app": name});
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        });
        let api: Api<Deployment> = self.api();
        // Created, not applied: whoever scales owns spec.replicas.
        let object = serde_json::from_value(object).unwrap();
        api.create(&kube::api::PostParams::default(), &object)
            .await
            .unwrap();
        self.replicas_of_status(name, replicas).await;
    }

    /// Waits until the Deployment's status counts this many.
    pub async fn replicas_of_status(&self, name: &str, replicas: i32) {
        let api: Api<Deployment> = self.api();
        wait::until(
            &format!("{name} to count {replicas}"),
            PATIENCE,
            async || {
                let status = api.get(name).await.map_err(|e| e.to_string())?.status;
                let found = status.and_then(|s| s.replicas).unwrap_or(0);
                if found == replicas {
                    Ok(())
                } else {
                    Err(found.to_string())
                }
            },
        )
        .await;
    }

    /// A kafka trigger with threshold 5.
    pub fn trigger(&self, topic: &str, group: &str, more: &Value) -> Value {
        let mut metadata = json!({
            "bootstrapServers": self.bed.kafka.bootstrap(), "consumerGroup": group, "topic": topic,
            "lagThreshold": "5", "offsetResetPolicy": "latest",
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            metadata[key] = value.clone();
        }
        json!({"type": "kafka", "metadata": metadata, "authenticationRef": {"name": "kafka"}})
    }

    /// A ScaledObject for the Deployment of its name; `spec` is laid over the usual one.
    pub async fn scaled_object(&self, name: &str, triggers: &[Value], spec: &Value) {
        let mut object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "scaleTargetRef": {"name": name}, "pollingInterval": 1, "minReplicaCount": 1, "triggers": triggers,
            },
        });
        for (key, value) in spec.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        self.bed.apply(&[object]).await;
    }

    /// A filled topic `t` on which the group `g` lags by `lag`, and for it a Deployment `app` of idle pods, watched before its
    /// ScaledObject is made. `metadata` is laid over the trigger's, `spec` over the object's.
    pub async fn app(
        &self,
        (partitions, each): (i32, i64),
        lag: i64,
        start: i32,
        metadata: &Value,
        spec: &Value,
    ) -> (String, Observer) {
        let records = usize::try_from(each).unwrap();
        let topic = self.filled_topic("t", partitions, records).await;
        self.commit_lag("g", &topic, partitions, each, lag).await;
        self.idle("app", start).await;
        let observer = self.observe("app").await;
        let trigger = self.trigger(&topic, "g", metadata);
        self.scaled_object("app", &[trigger], spec).await;
        (topic, observer)
    }

    /// Watches the HPA and the workload of a ScaledObject from now on.
    pub async fn observe(&self, name: &str) -> Observer {
        Observer::start(
            &self.bed.client(),
            &self.namespace,
            &format!("keda-hpa-{name}"),
            name,
        )
        .await
    }

    /// Waits until the workload has this many replicas.
    pub async fn reaches(&self, observer: &Observer, replicas: i32) {
        wait::until(
            &format!(
                "{} in {} to have {replicas} replicas",
                "the workload", self.namespace
            ),
            PATIENCE,
            async || match observer.replicas() {
                Some(found) if found == replicas => Ok(()),
                _ => Err(observer.history()),
            },
        )
        .await;
    }

    /// The HPA of a ScaledObject.
    pub async fn hpa(&self, name: &str) -> Option<HorizontalPodAutoscaler> {
        let api: Api<HorizontalPodAutoscaler> = self.api();
        api.get_opt(&format!("keda-hpa-{name}")).await.unwrap()
    }

    /// Waits until a condition of the ScaledObject has this status and a message that holds `text`; returns the message.
    pub async fn condition(&self, name: &str, kind: &str, status: &str, text: &str) -> String {
        let api: Api<ScaledObject> = self.api();
        let what = format!("{kind}={status} of {name} with {text:?}");
        wait::until(&what, PATIENCE, async || {
            let object = api.get(name).await.map_err(|e| e.to_string())?;
            let conditions = object.status.unwrap_or_default().conditions;
            let found = conditions.iter().find(|c| c.kind == kind);
            let found = found.ok_or("no such condition")?;
            let message = found.message.clone();
            if found.status == status && message.contains(text) {
                Ok(message)
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await
    }

    /// GETs a metric of a ScaledObject through kube-apiserver: the body, or the message of the error.
    pub async fn metric(&self, object: &str, metric: &str) -> Result<Value, String> {
        let path = format!(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/{metric}?labelSelector=scaledobject.keda.sh%2Fname%3D{object}",
            self.namespace
        );
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        self.bed
            .client()
            .request(request)
            .await
            .map_err(|e| e.to_string())
    }

    /// The value of a metric, as its quantity.
    pub async fn value(&self, object: &str, metric: &str) -> Result<String, String> {
        let list = self.metric(object, metric).await?;
        let value = list["items"][0]["value"].as_str();
        value.map(str::to_owned).ok_or_else(|| list.to_string())
    }

    /// Waits until a metric has this value.
    pub async fn value_is(&self, object: &str, metric: &str, value: &str) {
        wait::until(
            &format!("{metric} to be {value}"),
            PATIENCE,
            async || match self.value(object, metric).await {
                Ok(found) if found == value => Ok(()),
                other => Err(other),
            },
        )
        .await;
    }

    /// Changes an object of the scene.
    pub async fn patch<K>(&self, name: &str, patch: &Value)
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + Debug
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = self.api();
        let params = PatchParams::default();
        api.patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Deletes a ScaledObject.
    pub async fn delete(&self, name: &str) {
        let api: Api<ScaledObject> = self.api();
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// For as long as `span`, the workload keeps its replicas.
    pub async fn keeps(&self, observer: &Observer, replicas: i32, span: Duration) {
        wait::always("the number of replicas", span, async || {
            match observer.replicas() {
                Some(found) if found == replicas => Ok(()),
                _ => Err(observer.history()),
            }
        })
        .await;
    }

    /// Objects of the scene.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.bed.client(), &self.namespace)
    }
}
