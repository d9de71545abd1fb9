//! A real Prometheus that scrapes lagscale: every expression of the dashboards and of the alerts finds its series there.

use std::{fmt::Write as _, path::Path, process::Command};

use bed::{Child, parts, wait};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World, root},
};

const FILES: [&str; 3] = [
    "alerts.yaml",
    "dashboard-overview.json",
    "dashboard-scaledobject.json",
];
/// Told only by a lagscale that keeps its own certificate; the one here has files.
const ELSEWHERE: &str = "lagscale_registered";

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.trial(
        "a real Prometheus finds the series of every dashboard and alert",
        finds,
    )]
}

async fn finds(world: &World) {
    let scene = Scene::new(&world.bed, "prometheus").await;
    let (topic, _observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    scene
        .value_is("app", &format!("s0-kafka-{topic}"), "12")
        .await;
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::scraping(&world.lagscale.plain.to_string(), folder.path());
    let object = format!("{{namespace=\"{}\",scaledObject=\"app\"}}", scene.namespace);
    // Rates need two scrapes.
    prometheus
        .has(&format!(
            "count_over_time(lagscale_lag_records{object}[1m]) >= 3"
        ))
        .await;
    let mut looked_at = 0;
    for name in FILES {
        let text =
            std::fs::read_to_string(root().join("charts/lagscale/files").join(name)).unwrap();
        // JSON is YAML.
        let file: Value = serde_saphyr::from_str(&text).unwrap();
        let found = bed::expressions(&file);
        assert!(!found.is_empty(), "{name}");
        for expression in found.iter().filter(|e| !e.contains(ELSEWHERE)) {
            let of_object = expression.replace("$namespace", &scene.namespace);
            let asked = of_object.replace("$scaledObject", "app");
            let answer = prometheus.ask(&asked).await.unwrap();
            let words = asked.split(|c: char| !c.is_alphanumeric() && c != '_');
            let families: Vec<&str> = words.filter(|w| w.starts_with("lagscale_")).collect();
            for family in &families {
                prometheus.has(family).await;
            }
            // An alert finds nothing while all is well, nor does a comparison; replicas are kube-state-metrics'.
            let compares = asked.contains(['<', '>']) || asked.contains("==");
            if name.starts_with("dashboard") && !compares && !families.is_empty() {
                assert!(!answer.is_empty(), "{name}: {asked} finds nothing");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= 15, "{looked_at}");
}

struct Prometheus {
    address: String,
    #[allow(dead_code, reason = "it ends with it")]
    child: Child,
}

impl Prometheus {
    /// One that scrapes `target` every second.
    fn scraping(target: &str, folder: &Path) -> Self {
        let file = folder.join("prometheus.yml");
        let scrape = json!({"scrape_configs": [{
            "job_name": "lagscale", "scrape_interval": "1s", "honor_labels": true,
            "static_configs": [{"targets": [target]}],
        }]});
        std::fs::write(&file, scrape.to_string()).unwrap();
        let address = format!("127.0.0.1:{}", bed::free_port());
        let mut command = Command::new(parts::prometheus());
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"));
        let child = Child::spawn("prometheus", &mut command, &folder.join("prometheus.log"));
        Self { address, child }
    }

    /// The series that an expression finds now.
    async fn ask(&self, expression: &str) -> Result<Vec<Value>, String> {
        let mut encoded = String::new();
        for byte in expression.bytes() {
            write!(encoded, "%{byte:02X}").unwrap();
        }
        let path = format!("/api/v1/query?query={encoded}");
        let (code, body) = bed::get(&self.address, &path).await;
        let answer: Value =
            serde_json::from_str(&body).map_err(|e| format!("{code} {e}: {body}"))?;
        match answer["data"]["result"].as_array() {
            Some(found) if answer["status"] == "success" => Ok(found.clone()),
            _ => Err(format!("{expression}: {answer}")),
        }
    }

    /// Waits until an expression finds something.
    async fn has(&self, expression: &str) {
        wait::until(expression, PATIENCE, async || {
            match self.ask(expression).await {
                Ok(found) if found.is_empty() => Err("nothing".to_owned()),
                other => other.map(drop),
            }
        })
        .await;
    }
}
