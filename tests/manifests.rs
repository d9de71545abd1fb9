//! The manifests are what the types generate and what the binary takes.

#![allow(
    clippy::expect_used,
    reason = "a file that is not there is a failed test"
)]

use std::{fs, path::Path};

use clap::Parser;
use lagscale::{args::Cli, resources, server::webhooks::Hook};

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).expect(file)
}

#[test]
fn the_crds_are_what_the_types_generate() {
    let generated = resources::crds().unwrap();
    assert!(
        read("manifests/base/crds.yaml") == generated,
        "manifests/base/crds.yaml differs from the types: run `make crds`"
    );
    assert!(
        read("charts/lagscale/files/crds.yaml") == generated,
        "the chart's CRDs differ from the types: run `make crds`"
    );
}

#[test]
fn the_bundle_for_olm_is_made_of_the_base() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/olm");
    let made = bed::bundle(Path::new(env!("CARGO_MANIFEST_DIR")));
    let mut files = 0;
    for part in ["manifests", "metadata"] {
        files += fs::read_dir(folder.join(part)).unwrap().count();
    }
    assert_eq!(files, made.len(), "run `make bundle`");
    for (path, text) in made {
        let found = read(&format!("manifests/olm/{path}"));
        assert!(
            found == text,
            "{path} differs from the base: run `make bundle`"
        );
    }
}

#[test]
fn the_chart_is_of_this_version() {
    let chart: serde_json::Value =
        serde_saphyr::from_str(&read("charts/lagscale/Chart.yaml")).unwrap();
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn the_alerts_and_dashboards_are_about_series_that_the_docs_list() {
    let docs = read("docs/metrics.md");
    let files = [
        "alerts.yaml",
        "dashboard-overview.json",
        "dashboard-scaledobject.json",
    ];
    for name in files {
        // JSON is YAML.
        let file: serde_json::Value =
            serde_saphyr::from_str(&read(&format!("charts/lagscale/files/{name}"))).unwrap();
        let found = bed::expressions(&file);
        assert!(!found.is_empty());
        for expression in found {
            let words = expression.split(|c: char| !c.is_alphanumeric() && c != '_');
            let ours: Vec<&str> = words.filter(|w| w.starts_with("lagscale_")).collect();
            // A dashboard shows replicas too, which are kube-state-metrics'.
            assert!(!ours.is_empty() || name != "alerts.yaml", "{expression}");
            for series in ours {
                assert!(
                    docs.contains(&format!("`{series}`")),
                    "{series}: {expression}"
                );
            }
        }
    }
}

#[test]
fn the_deployment_s_arguments_are_flags_of_the_binary() {
    let objects: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(&read("manifests/base/deployment.yaml")).unwrap();
    let deployment = &objects[0];
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let args = container["args"].as_array().unwrap();
    let args = args.iter().map(|a| a.as_str().unwrap());
    let cli = Cli::try_parse_from(std::iter::once("lagscale").chain(args)).unwrap();
    let ports = container["ports"].as_array().unwrap();
    assert_eq!(ports[0]["containerPort"], cli.run.listen.port());
    assert_eq!(
        ports[1]["containerPort"],
        cli.run.metrics_listen.0.unwrap().port()
    );
    let image = container["image"].as_str().unwrap();
    assert_eq!(image, concat!("lagscale:", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_webhooks_call_paths_that_are_served() {
    let webhooks: serde_json::Value =
        serde_saphyr::from_str(&read("manifests/base/webhook.yaml")).unwrap();
    let webhooks = webhooks["webhooks"].as_array().unwrap();
    let called: Vec<&str> = webhooks
        .iter()
        .map(|w| w["clientConfig"]["service"]["path"].as_str().unwrap())
        .collect();
    assert_eq!(called, Hook::ALL.map(Hook::path));
    assert!(webhooks.iter().all(|w| w["failurePolicy"] == "Ignore"));
}

#[test]
fn a_lag_metric_takes_each_mechanism_that_can_be_connected_with() {
    let crds = read("manifests/base/crds.yaml");
    let pattern = crds.lines().find(|line| line.contains("scram_sha512|"));
    let pattern = pattern.expect("a pattern of mechanisms");
    for mechanism in lagscale::kafka::sasl::Mechanism::ALL {
        assert!(pattern.contains(mechanism.keda_name()), "{mechanism:?}");
    }
}
