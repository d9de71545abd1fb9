//! Questions of a person at a terminal: the lag of a group, the record it is stuck on, why an object has its replicas, and what
//! stands in the way of a switch.

use std::path::{Path, PathBuf};

use bed::{Kafka, wait};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial(
            "lag takes Kafka's own client properties and needs no Kubernetes",
            lag,
        ),
        shared.trial(
            "peek shows the record that a group is stuck on, and its value only where asked",
            peek,
        ),
        shared.trial(
            "explain tells readings, bounds and the HPA's arithmetic",
            explain,
        ),
        shared.trial(
            "check names what would not be served here, and what is missing of an installation",
            check,
        ),
    ]
}

/// Exit code, standard output and standard error.
pub async fn ask(kubeconfig: &Path, args: &[&str]) -> (i32, String, String) {
    let done = tokio::process::Command::new(env!("CARGO_BIN_EXE_lagscale"))
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        done.status.code().unwrap(),
        text(done.stdout),
        text(done.stderr),
    )
}

/// The output of `kubectl lagscale ...`: the binary under the name that kubectl looks for.
async fn as_plugin(world: &World, args: &[&str]) -> String {
    let plane = &world.bed.control_plane;
    let folder = world.bed.dir().join("plugins");
    std::fs::create_dir(&folder).unwrap();
    let binary = env!("CARGO_BIN_EXE_lagscale");
    std::os::unix::fs::symlink(binary, folder.join("kubectl-lagscale")).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let done = tokio::process::Command::new(plane.kubectl_path())
        .arg("lagscale")
        .args(args)
        .env("KUBECONFIG", plane.kubeconfig())
        .env("PATH", path)
        .output();
    let done = done.await.unwrap();
    String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
}

/// The standard output, as JSON.
pub fn read(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|e| panic!("{e}: {said}"))
}

/// A properties file for Kafka's tools.
fn properties(scene: &Scene<'_>, password: &str) -> PathBuf {
    let ca = scene.bed.kafka.ca.pem.replace('\n', "\\n");
    let text = format!(
        "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required \\\n  username=\"{}\" password=\"{password}\";\n\
         ssl.truststore.type=PEM\nssl.truststore.certificates={ca}\n",
        Kafka::USER
    );
    let path = scene
        .bed
        .dir()
        .join(format!("{}-{password}.properties", scene.namespace));
    std::fs::write(&path, text).unwrap();
    path
}

/// Two groups on a topic of three partitions: one is four behind in each, one is done.
async fn two_groups(scene: &Scene<'_>, [stuck, done]: [&str; 2]) -> String {
    let topic = scene.filled_topic("t", 3, 10).await;
    scene.commit_lag(stuck, &topic, 3, 10, 12).await;
    let end = [(0, 10), (1, 10), (2, 10)];
    scene.bed.kafka.commit(done, &topic, &end).await;
    topic
}

/// A command that asks Kafka alone, with the properties in this file.
async fn ask_kafka(
    scene: &Scene<'_>,
    command: &str,
    config: &Path,
    more: &[&str],
) -> (i32, String, String) {
    let (bootstrap, config) = (scene.bed.kafka.bootstrap(), config.display().to_string());
    let way = [
        command,
        "--bootstrap-server",
        &bootstrap,
        "--command-config",
        &config,
    ];
    ask(Path::new("/nowhere"), &[&way[..], more].concat()).await
}

async fn lag(world: &World) {
    let scene = Scene::new(&world.bed, "ask-lag").await;
    let topic = two_groups(&scene, ["stuck", "done"]).await;
    let good = properties(&scene, Kafka::PASSWORD);
    let (code, said, error) = ask_kafka(
        &scene,
        "lag",
        &good,
        &["--group", "stuck", "--group", "done"],
    )
    .await;
    assert_eq!((code, error.as_str()), (0, ""), "{said}");
    let lines: Vec<Vec<&str>> = said
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    let header = [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
    ];
    assert_eq!(lines[0], header);
    assert_eq!(lines[1], ["stuck", &topic, "0", "6", "10", "4"]);
    assert_eq!(lines[4], ["done", &topic, "0", "10", "10", "0"]);
    assert!(said.contains("stuck: lag 12 in 3 partitions\n"), "{said}");
    let (code, said, _) = ask_kafka(
        &scene,
        "lag",
        &good,
        &["--group", "stuck", "--topic", &topic, "-o", "json"],
    )
    .await;
    let found = read(&said);
    assert_eq!(
        (code, &found[0]["lag"], &found[0]["complete"]),
        (0, &json!(12), &json!(true))
    );
    assert_eq!(found[0]["partitions"][2]["logEndOffset"], 10);

    let bad = properties(&scene, "not-the-password");
    let (code, said, error) = ask_kafka(&scene, "lag", &bad, &["--group", "stuck"]).await;
    assert_eq!(code, 1, "{error}");
    assert!(
        said.contains("login refused") && !said.contains("not-the-password"),
        "{said}"
    );
    let (code, _, error) = ask_kafka(&scene, "lag", &good, &[]).await;
    assert_eq!(code, 2);
    assert!(error.contains("--group"), "{error}");
}

async fn peek(world: &World) {
    let scene = Scene::new(&world.bed, "ask-peek").await;
    let topic = two_groups(&scene, ["blocked", "through"]).await;
    let good = properties(&scene, Kafka::PASSWORD);
    let place = [
        "--group",
        "blocked",
        "--topic",
        topic.as_str(),
        "--partition",
        "1",
    ];
    let (code, said, error) = ask_kafka(
        &scene,
        "peek",
        &good,
        &[&place[..], &["-o", "json"]].concat(),
    )
    .await;
    assert_eq!(code, 0, "{said}{error}");
    let record = read(&said);
    assert_eq!(
        (&record["offset"], &record["committedOffset"]),
        (&json!(6), &json!(6))
    );
    assert!(record["ageSeconds"].as_i64().unwrap() < 600, "{record}");
    assert!(
        record.get("value").is_none() && record["valueSize"].is_i64(),
        "{record}"
    );
    let (_, said, _) = ask_kafka(&scene, "peek", &good, &[&place[..], &["--value"]].concat()).await;
    assert!(said.lines().any(|l| l.starts_with("value: ")), "{said}");
    let end = ["--group", "through", "--topic", &topic, "--partition", "1"];
    let (code, said, _) = ask_kafka(&scene, "peek", &good, &end).await;
    assert_eq!(code, 1);
    assert!(said.contains("stands at the log end"), "{said}");
}

async fn explain(world: &World) {
    let scene = Scene::new(&world.bed, "explain").await;
    let admin = world.bed.control_plane.kubeconfig();
    let (topic, observer) = scene.app((5, 10), 27, 1, &json!({}), &json!({})).await;
    scene.reaches(&observer, 5).await;

    let namespace = scene.namespace.as_str();
    let first = format!("{namespace}/app: Deployment app has 5 replicas");
    // "has at least 27" is as true while a leader is late, so every sentence is waited for.
    let sentences = [
        "HPA keda-hpa-app has 5 and wants 5".to_owned(),
        format!("group g has 27 records to do on topic {topic}: ceil(27 / 5) = 6 replicas"),
        "maxReplicas is 5, not 100: more consumers than partitions would have nothing to do"
            .to_owned(),
        "more replicas: more partitions".to_owned(),
        "fewer replicas: a lag of 20 or less".to_owned(),
    ];
    wait::until("explain to tell the settled state", PATIENCE, async || {
        let (code, said, error) = ask(admin, &["explain", "-n", namespace, "app"]).await;
        assert_eq!(code, 0, "{error}");
        match sentences.iter().find(|sentence| !said.contains(*sentence)) {
            Some(missing) => Err(format!("without \"{missing}\": {said}")),
            None if said.starts_with(&first) => Ok(()),
            None => Err(said),
        }
    })
    .await;
    let (_, said, _) = ask(admin, &["explain", "-n", namespace, "app", "-o", "json"]).await;
    let found = read(&said);
    assert_eq!(
        (&found["triggers"][0]["lag"], &found["replicas"]),
        (&json!(27), &json!(5))
    );
    assert_eq!(
        (
            &found["triggers"][0]["partitions"],
            &found["wantedMaxReplicas"]
        ),
        (&json!(5), &json!(5))
    );
    let (_, plain, _) = ask(admin, &["explain", "-n", namespace, "app"]).await;
    let plugin = as_plugin(world, &["explain", "-n", namespace, "app"]).await;
    assert_eq!(plugin.lines().next(), plain.lines().next(), "{plugin}");
    at_a_glance(admin, namespace).await;
    let (code, _, error) = ask(admin, &["explain", "-n", namespace, "nobody"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("no ScaledObject nobody"), "{error}");
}

/// `top` is a table where nobody looks at a terminal.
async fn at_a_glance(admin: &Path, namespace: &str) {
    let (code, said, error) = ask(admin, &["top", "-n", namespace]).await;
    assert_eq!(code, 0, "{error}");
    let row: Vec<&str> = said.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        row[..7],
        [namespace, "app", "27", "5", "5", "True", "True"],
        "{said}"
    );
    let (_, said, _) = ask(admin, &["top", "-o", "json"]).await;
    let rows = read(&said);
    let mut rows = rows.as_array().unwrap().iter();
    let found = rows.find(|row| row["namespace"] == namespace).unwrap();
    assert_eq!(
        (&found["metrics"][0]["value"], &found["replicas"]),
        (&json!("27"), &json!(5))
    );
}

async fn check(world: &World) {
    let scene = Scene::new(&world.bed, "check").await;
    let (admin, namespace) = (
        world.bed.control_plane.kubeconfig(),
        scene.namespace.as_str(),
    );
    let (_topic, observer) = scene.app((5, 10), 27, 1, &json!({}), &json!({})).await;
    scene.reaches(&observer, 5).await;
    let other = json!([{"type": "prometheus", "metadata": {"serverAddress": "http://p", "query": "q", "threshold": "1"}}]);
    scene
        .scaled_object("other", other.as_array().unwrap(), &json!({}))
        .await;
    let (code, said, error) = ask(admin, &["check", "--before-switch", "-o", "json"]).await;
    assert_eq!(code, 1, "{said}{error}");
    let findings = read(&said);
    let of = |name: &str| {
        let what = format!("ScaledObject {namespace}/{name}");
        let mut all = findings.as_array().unwrap().iter();
        all.find(|f| f["what"] == what).cloned()
    };
    assert_eq!(of("app"), None);
    let other = of("other").unwrap();
    assert_eq!(
        other["found"],
        "trigger 0: type prometheus is not read here"
    );
    let (code, said, _) = ask(admin, &["check"]).await;
    assert_eq!(code, 1);
    let lines: Vec<&str> = said.lines().collect();
    for line in [
        "ok    CRD scaledobjects.keda.sh: established",
        "ok    APIService v1beta1.external.metrics.k8s.io: available",
        "ok    RBAC of lagscale: it may do everything it does, in all namespaces",
        "ok    RBAC of the HPA controller: it may read external metrics",
        // The bed starts processes, not pods.
        "FAIL  Deployment lagscale/lagscale: it is not there -> kubectl apply --server-side -k manifests",
    ] {
        assert!(lines.contains(&line), "{line}: {said}");
    }
    let told = format!("FAIL  ScaledObjects {namespace}/other: ");
    assert!(
        lines.iter().any(|l| l.starts_with(&told)) || said.contains("more are not ready"),
        "{said}"
    );

    let (code, said, _) = ask(admin, &["completions", "bash"]).await;
    assert!(code == 0 && said.contains("explain"), "{said}");
}
