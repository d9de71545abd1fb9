//! The reference's behaviour as data (tests/cases/reference.yaml): each row is a test of its id, run through the product's
//! own functions. Where we depart on purpose a rule says so, with what happens instead. `LAGSCALE_CASES` names another
//! file of the same format; a section without code is listed, not failed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

#[allow(dead_code, reason = "decisions.rs uses the rest of it")]
#[path = "../bench/mod.rs"]
mod bench;
mod caps;
mod config;
mod fallback;
mod lag;
mod objects;
mod webhook;

use std::{collections::BTreeMap, fs, path::Path};

use caps::{cap, capped, factors, lags, next_factor, topic_partitions, wanted};
use config::{client_options, config, limitation, metric_name, named_topics_only, parse};
use fallback::{fallback_metric, outage, passed_on};
use lag::{counts, partition_lag, persistent};
use lagscale::lag::Policy;
use libtest_mimic::{Arguments, Trial};
use objects::{bounds, executor, fallback_validation, hpa_replicas, pause, triggers_validation};
use serde_json::{Value, json};
use webhook::{is_bound, webhook};

type Outcome = Result<(), String>;

/// What runs a section's rows.
fn code(section: &str) -> Option<fn(&Value) -> Outcome> {
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
        "persistent_lag" => |row| persistent(row, &row["expect"]),
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
        "webhook" => webhook,
        _ => return None,
    })
}

/// A departure: where it holds, what happens instead, and the line of docs/departures.md or the changelog behind it.
struct Departure {
    section: &'static str,
    holds: fn(&Value) -> bool,
    instead: fn(&Value) -> Outcome,
    why: &'static str,
}

const DEPARTURES: [Departure; 10] = [
    Departure {
        section: "kafka_client_options",
        holds: |row| row["expect"]["fetchWholeClusterMetadata"] == true,
        instead: named_topics_only,
        why: "nobody fetches the metadata of a whole cluster (promise 4)",
    },
    Departure {
        section: "partition_lag",
        holds: |row| row["end"] == "absent",
        // There is no pair without an end: a partition left out is unknown.
        instead: |_| Ok(()),
        why: "a partition missing in a reply is unknown, not 0: tests/poll.rs",
    },
    Departure {
        section: "partition_lag",
        holds: |row| row["c"].as_i64() > row["end"].as_i64() && row["policy"] == "earliest",
        instead: |row| counts(row, row["end"].as_i64().unwrap()),
        why: "a commit beyond the end never subtracts from other partitions",
    },
    Departure {
        section: "partition_lag",
        holds: |row| row["c"].as_i64() > row["end"].as_i64(),
        instead: |row| counts(row, 1),
        why: "a commit beyond the end never subtracts from other partitions",
    },
    Departure {
        section: "kafka_config_metadata",
        holds: |row| {
            row["md"]["offsetResetPolicy"]
                .as_str()
                .is_some_and(|p| p.contains(','))
        },
        instead: |row| match parse(row) {
            Ok(kafka) if kafka.policy == Policy::Earliest => Ok(()),
            other => Err(format!("{other:?}")),
        },
        why: "a policy that is neither counts what the reference counts for neither: everything",
    },
    Departure {
        section: "cap",
        holds: |row| lags(row).iter().any(|l| *l < 0),
        instead: |row| {
            let (found, _) = capped(row);
            if found >= 0 {
                Ok(())
            } else {
                Err(found.to_string())
            }
        },
        why: "a commit beyond the end never subtracts from other partitions",
    },
    Departure {
        section: "cap",
        holds: |row| {
            wanted(row).is_some_and(|(metric, desired)| {
                row["expect"]["metric"] != metric || row["expect"]["desired"] != desired
            })
        },
        instead: |row| {
            let wanted = wanted(row).unwrap_or_default();
            let found = capped(row);
            if found == wanted {
                Ok(())
            } else {
                Err(format!("expected {wanted:?}, found {found:?}"))
            }
        },
        why: "exactly the partitions: the cap is no integer division, and the tolerance holds nobody one short",
    },
    Departure {
        section: "fallback_metric",
        holds: |row| row["situation"].is_string(),
        instead: |_| outage(),
        why: "a total outage counts, once per pollingInterval",
    },
    Departure {
        section: "fallback_metric",
        holds: |row| row["targetType"] == "Value" || row["scalingModifiers"].is_object(),
        instead: |row| passed_on(row),
        why: "no fallback for a total or a formula (changelog: not there yet)",
    },
    Departure {
        section: "persistent_lag",
        holds: |row| row["id"] == "pers-2",
        instead: |row| persistent(row, &json!([[0, 0], [0, 0], [4, 4], [0, 4]])),
        why: "a lag is persistent once its commit stood for one pollingInterval since there was a lag",
    },
];

fn main() {
    let args = Arguments::from_args();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/reference.yaml");
    let file = std::env::var_os("LAGSCALE_CASES").map_or(own, Into::into);
    let text = fs::read_to_string(&file).unwrap();
    let sections: BTreeMap<String, Value> = serde_saphyr::from_str(&text).unwrap();
    let mut trials = Vec::new();
    for (section, rows) in sections {
        let Some(code) = code(&section) else {
            eprintln!("no code: {section}");
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
            if section == "webhook" && !is_bound(&row) {
                eprintln!("no code: {id}");
                continue;
            }
            let departure = DEPARTURES
                .iter()
                .find(|d| d.section == section && (d.holds)(&row));
            let named = id.clone();
            trials.push(Trial::test(id, move || {
                let done = match departure {
                    Some(departure) => {
                        eprintln!("{named}: departs: {}", departure.why);
                        (departure.instead)(&row).map_err(|e| format!("{}: {e}", departure.why))
                    }
                    None => code(&row),
                };
                done.map_err(Into::into)
            }));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}
