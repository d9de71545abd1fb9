//! A KEDA that keeps the APIService asks lagscale as its external scaler: by polling, by a stream, and for a ScaledJob. lagscale itself writes
//! nothing, and reads the credential that the triggers name.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use bed::{Bed, Ca, Kafka, free_port, wait};
use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job};
use kube::{Api, api::ListParams};
use serde_json::{Value, json};

use crate::ground::{PATIENCE, value_of, workload};

const NAMESPACE: &str = "managed";
const TOPIC: &str = "parcels";

pub async fn keda_asks_it_as_its_external_scaler(bed: &Bed) {
    bed.create_namespace(NAMESPACE).await;
    bed.kafka.create_topic(TOPIC, 3).await;
    for partition in 0..3 {
        bed.kafka.produce(TOPIC, partition, 10).await;
    }
    let read = |to: i64| (0..3).map(|p| (p, to)).collect::<Vec<(i32, i64)>>();
    bed.kafka.commit("g", TOPIC, &read(10)).await;
    let clients = Ca::new("KEDA's clients");
    let file = bed.dir().join("external-scaler-clients.crt");
    std::fs::write(&file, &clients.pem).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let binary = Path::new(env!("CARGO_BIN_EXE_lagscale"));
    let args = [
        "--shadow",
        "--watch-label-selector=lagscale.io/owner=nobody",
        "--pod-namespace=lagscale",
        &format!("--external-scaler-listen={address}"),
        &format!("--external-scaler-client-ca-file={}", file.display()),
    ];
    let mut lagscale = bed.another_lagscale(binary, &args, &BTreeMap::new());
    lagscale.ready().await;
    bed.apply(&authentications(bed, &clients)).await;
    let polled = json!({"type": "external", "metadata": metadata(bed, address)});
    let pushed = json!({"type": "external-push", "metadata": metadata(bed, address)});
    for (name, trigger, polling) in [("polled", &polled, 2), ("pushed", &pushed, 3600)] {
        bed.apply(&objects(name, trigger, polling)).await;
    }
    bed.apply(&[scaled_job(&polled)]).await;
    // Nothing to do: all sleep.
    for name in ["polled", "pushed"] {
        replicas(bed, name, |n| n == 0).await;
    }
    bed.kafka.commit("g", TOPIC, &read(5)).await;
    // KEDA polls one every hour: it is woken by the stream.
    for name in ["polled", "pushed"] {
        replicas(bed, name, |n| n > 0).await;
        let path = format!(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/s0-kafka-{TOPIC}?labelSelector=scaledobject.keda.sh%2Fname%3D{name}"
        );
        wait::until(&path, PATIENCE, async || match value_of(bed, &path).await {
            Ok(value) if value == "15" => Ok(()),
            other => Err(other),
        })
        .await;
        replicas(bed, name, |n| n == 3).await;
    }
    let jobs: Api<Job> = Api::namespaced(bed.client(), NAMESPACE);
    wait::until("three jobs", PATIENCE, async || {
        let found = jobs.list(&ListParams::default()).await.unwrap().items.len();
        (found == 3).then_some(()).ok_or(found)
    })
    .await;
    lagscale.child.terminate(Duration::from_secs(30));
    let log = lagscale.child.output();
    assert!(!log.contains("forbidden"), "{log}");
    bed.control_plane
        .kubectl(&[
            "delete",
            "scaledobjects,scaledjobs,jobs",
            "--all",
            "-n",
            NAMESPACE,
        ])
        .await
        .unwrap();
}

/// The trigger of a Kafka that asks for a password.
fn metadata(bed: &Bed, address: SocketAddr) -> Value {
    json!({
        "scalerAddress": format!("localhost:{}", address.port()), "enableTLS": "true",
        "bootstrapServers": bed.kafka.bootstrap(), "consumerGroup": "g", "topic": TOPIC, "lagThreshold": "5",
        "authenticationRef": "kafka",
    })
}

/// KEDA's way to lagscale, and lagscale's to Kafka.
fn authentications(bed: &Bed, clients: &Ca) -> [Value; 4] {
    let keda = clients.sign("keda-operator", None, &[]);
    let secret = |name: &str, data: Value| {
        let metadata = json!({"name": name, "namespace": NAMESPACE});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
    };
    let authentication = |name: &str, keys: &[&str]| {
        let targets: Vec<_> = keys
            .iter()
            .map(|k| json!({"parameter": k, "name": name, "key": k}))
            .collect();
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"secretTargetRef": targets},
        })
    };
    let way = json!({
        "caCert": bed.control_plane.serving_ca.pem, "tlsClientCert": keda.cert, "tlsClientKey": keda.key,
    });
    let kafka = json!({
        "sasl": "scram_sha512", "tls": "enable", "ca": bed.kafka.ca.pem, "username": Kafka::USER,
        "password": Kafka::PASSWORD,
    });
    [
        secret("to-lagscale", way),
        authentication("to-lagscale", &["caCert", "tlsClientCert", "tlsClientKey"]),
        secret("kafka", kafka),
        authentication("kafka", &["sasl", "tls", "ca", "username", "password"]),
    ]
}

fn objects(name: &str, trigger: &Value, polling: u32) -> [Value; 2] {
    let mut trigger = trigger.clone();
    trigger["authenticationRef"] = json!({"name": "to-lagscale"});
    let mut workload = workload(name);
    workload["metadata"]["namespace"] = NAMESPACE.into();
    workload["spec"]["replicas"] = 0.into();
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"name": name}, "minReplicaCount": 0, "maxReplicaCount": 5,
            "pollingInterval": polling, "triggers": [trigger],
        },
    });
    [workload, object]
}

fn scaled_job(trigger: &Value) -> Value {
    let mut trigger = trigger.clone();
    trigger["authenticationRef"] = json!({"name": "to-lagscale"});
    let container = json!({"name": "main", "image": "idle"});
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob",
        "metadata": {"name": "jobs", "namespace": NAMESPACE},
        "spec": {
            "jobTargetRef": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
            "pollingInterval": 2, "maxReplicaCount": 10, "triggers": [trigger],
        },
    })
}

async fn replicas(bed: &Bed, name: &str, wanted: impl Fn(i32) -> bool) {
    let api: Api<Deployment> = Api::namespaced(bed.client(), NAMESPACE);
    wait::until(&format!("the replicas of {name}"), PATIENCE, async || {
        let found = api.get(name).await.unwrap().spec.unwrap().replicas;
        found.filter(|n| wanted(*n)).ok_or(found)
    })
    .await;
}
