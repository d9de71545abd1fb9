//! The reference's behaviour as data (tests/cases/reference.yaml): each row is a test of its id, run through the product's
//! own functions. Where we depart on purpose a rule says so, with what happens instead. `LAGSCALE_CASES` names another
//! file of the same format; a section that is not known is an error, a row in prose that is not known is listed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

mod caps;
mod config;
mod departures;
mod executor;
mod fallback;
mod hpa_object;
mod lag;
mod objects;
mod query_errors;
mod reviews;
mod row;
mod settings;
mod webhook;

use std::{collections::BTreeMap, fs, path::Path};

use caps::{cap, factors, next_factor, topic_partitions};
use config::{client_options, config, limitation, metric_name};
use departures::departure;
use executor::executor;
use fallback::fallback_metric;
use hpa_object::hpa_object;
use lag::{partition_lag, persistent, retained_lag};
use libtest_mimic::{Arguments, Trial};
use objects::{bounds, fallback_validation, hpa_replicas, pause, triggers_validation};
use query_errors::query_error;
use row::Row;
use serde_json::Value;

type Outcome = Result<(), String>;

/// Sections that are no behaviour, and those that need real parts: `cargo test --test reference_e2e`.
const ELSEWHERE: [&str; 4] = ["meta", "scaling_modifiers", "e2e_kafka", "e2e_core"];

/// The runner of a section's rows.
fn code(section: &str) -> Option<fn(&Row) -> Outcome> {
    Some(match section {
        "kafka_config_metadata"
        | "kafka_config_auth"
        | "kafka_config_sasl_tls_in_trigger"
        | "kafka_config_oauth"
        | "apache_config_metadata"
        | "apache_config_auth"
        | "apache_config_sasl_tls_in_trigger" => config,
        "kafka_client_options" => client_options,
        "metric_names" => metric_name,
        "topic_partitions" => topic_partitions,
        "partition_limitation_text" => limitation,
        "partition_lag" => partition_lag,
        "retained_lag" => retained_lag,
        "webhook_warnings" => reviews::warnings,
        "webhook_requests" => reviews::requests,
        "webhook_conflicts" => reviews::conflicts,
        "authentication_webhook" => reviews::authentication,
        "service_account_token" => settings::service_account_token,
        "watch_labels" => settings::watch_labels,
        "polling" | "environment" | "rbac" => |_| Err("no departure is about it".into()),
        "persistent_lag" => |row| persistent(row, &row["expect"].clone()),
        "next_factor" => next_factor,
        "factors" => factors,
        "cap" => cap,
        "scaledobject_bounds" => bounds,
        "hpa_replicas" => hpa_replicas,
        "pause_annotation" => pause,
        "executor" => executor,
        "fallback_metric" => fallback_metric,
        "fallback_validation" => fallback_validation,
        "triggers_validation" => triggers_validation,
        "webhook" => webhook::webhook,
        "hpa_object" => hpa_object,
        "whole_query_errors" => query_error,
        _ => return None,
    })
}

fn main() {
    let args = Arguments::from_args();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let files = match std::env::var_os("LAGSCALE_CASES") {
        Some(file) => vec![file.into()],
        None => vec![
            own.join("reference.yaml"),
            own.join("keda-2.21.yaml"),
            own.join("more.yaml"),
        ],
    };
    let mut sections: Vec<(String, Value)> = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let found: BTreeMap<String, Value> = serde_saphyr::from_str(&text).unwrap();
        sections.extend(found);
    }
    let mut trials = Vec::new();
    for (section, rows) in sections {
        let Some(code) = code(&section) else {
            if !ELSEWHERE.contains(&section.as_str()) {
                eprintln!("unknown section: {section}");
                std::process::exit(1);
            }
            continue;
        };
        for (number, mut row) in rows
            .as_array()
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .enumerate()
        {
            if section.starts_with("apache_") {
                row["scaler"] = "apache-kafka".into();
            }
            let id = row["id"].as_str().map(str::to_owned);
            let id = id.unwrap_or_else(|| format!("{section}#{number}"));
            let look = Row::from(row.clone());
            let bound = match section.as_str() {
                "webhook" => webhook::is_bound(&look),
                "hpa_object" => hpa_object::is_bound(&look),
                "whole_query_errors" => query_errors::is_bound(&look),
                "service_account_token" => settings::is_bound(&look),
                _ => true,
            };
            if !bound {
                eprintln!("no code: {id}");
                continue;
            }
            let departure = departure(&section, &look);
            let named = id.clone();
            trials.push(Trial::test(id, move || {
                let row = Row::from(row);
                if let Some(departure) = departure {
                    eprintln!("{named}: departs: {}", departure.why);
                    let done = (departure.instead)(&row);
                    return done.map_err(|e| format!("{}: {e}", departure.why).into());
                }
                code(&row)?;
                let unread = row.unread();
                if unread.is_empty() {
                    Ok(())
                } else {
                    Err(
                        format!("nobody reads {}: the row proves nothing", unread.join(", "))
                            .into(),
                    )
                }
            }));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}
