//! The reference's behaviour as data (tests/cases/reference.yaml): each row is a test of its id, run through the product's
//! own functions. Where we depart on purpose a rule says so, with what happens instead. `LAGSCALE_CASES` names another
//! file of the same format; a section without code is listed, not failed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

#[allow(dead_code, reason = "decisions.rs uses the rest of it")]
mod bench;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use bench::Bench;
use lagscale::{
    kafka::sasl::Mechanism,
    lag::{Counting, Moment, Policy, Reading, Track, sum},
    scaling::{Pause, even, wanted as hpa},
    triggers::{self, Kafka, Parameters, Trigger},
};
use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};

type Outcome = Result<(), String>;

/// What runs a section's rows.
fn code(section: &str) -> Option<fn(&Value) -> Outcome> {
    Some(match section {
        "kafka_config_metadata"
        | "kafka_config_auth"
        | "kafka_config_sasl_tls_in_trigger"
        | "kafka_config_oauth" => config,
        "metric_names" => metric_name,
        "partition_limitation_text" => limitation,
        "partition_lag" => partition_lag,
        "persistent_lag" => |row| persistent(row, &row["expect"]),
        "next_factor" => next_factor,
        "factors" => factors,
        "cap" => cap,
        "scaledobject_bounds" => bounds,
        "hpa_replicas" => hpa_replicas,
        "pause_annotation" => pause,
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

const DEPARTURES: [Departure; 9] = [
    Departure {
        section: "kafka_config_metadata",
        holds: |row| from_environment(row).is_some(),
        instead: |row| {
            let field = from_environment(row).unwrap_or_default();
            refused(
                row,
                &format!("{field}: the environment of the scale target is not read yet"),
            )
        },
        why: "values from the environment are refused, not ignored (changelog: not there yet)",
    },
    Departure {
        section: "metric_names",
        holds: |row| row["scaler"] == "apache-kafka",
        instead: |_| match triggers::parse("apache-kafka", &BTreeMap::new(), "", &Parameters::new())
        {
            Err(error)
                if error
                    .to_string()
                    .starts_with("no scaler found for type: apache-kafka") =>
            {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        },
        why: "apache-kafka is refused by name (changelog: not there yet)",
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
        section: "persistent_lag",
        holds: |row| row["id"] == "pers-2",
        instead: |row| persistent(row, &json!([[0, 0], [0, 0], [4, 4], [0, 4]])),
        why: "a lag is persistent once its commit stood for one pollingInterval since there was a lag",
    },
];

fn from_environment(row: &Value) -> Option<String> {
    let metadata = row["md"].as_object()?;
    let mut keys = metadata.keys().filter(|k| k.ends_with("FromEnv"));
    keys.next().cloned()
}

/// The trigger of a row; what sections leave out is filled in as the reference's own tables do.
fn parse(row: &Value) -> Result<Kafka, String> {
    let mut metadata = BTreeMap::from(
        [
            ("bootstrapServers", "b:9092"),
            ("consumerGroup", "g"),
            ("topic", "t"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned())),
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pairs = |value: &Value| -> Vec<(String, String)> {
        let map = value.as_object().into_iter().flatten();
        map.map(|(k, v)| (k.clone(), text(v))).collect()
    };
    if row["md"].is_object() {
        metadata = pairs(&row["md"]).into_iter().collect();
    }
    metadata.extend(pairs(&row["md_extra"]));
    let parameters = pairs(&row["auth"]).into_iter();
    let parameters: Parameters = parameters.map(|(k, v)| (k, v.into())).collect();
    match triggers::parse("kafka", &metadata, "", &parameters) {
        Ok(Trigger::Kafka(kafka, _)) => Ok(*kafka),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

fn refused(row: &Value, text: &str) -> Outcome {
    match parse(row) {
        Err(error) if error.contains(text) => Ok(()),
        other => Err(format!("expected {text:?}, found {other:?}")),
    }
}

fn config(row: &Value) -> Outcome {
    let expected = &row["expect"];
    let parsed = parse(row);
    if expected["ok"] == false {
        let error = parsed.err().ok_or("it was accepted")?;
        let texts = expected["err"].as_array().into_iter().flatten();
        let missing = texts.filter_map(Value::as_str).find(|t| !error.contains(t));
        return missing.map_or(Ok(()), |m| Err(format!("{m:?} is not in {error:?}")));
    }
    let kafka = parsed?;
    let found = seen(&kafka);
    for (key, value) in expected.as_object().into_iter().flatten() {
        // What is kept for connecting with a token is issue 5's; here it is validated.
        if matches!(key.as_str(), "ok" | "scopes" | "extensions") {
            continue;
        }
        if found[key] != *value {
            return Err(format!("{key}: expected {value}, found {}", found[key]));
        }
    }
    Ok(())
}

/// A parsed trigger in the words of the rows.
fn seen(kafka: &Kafka) -> Value {
    let withheld = kafka.withheld.as_deref().unwrap_or_default();
    let sasl = match kafka.security.sasl.as_ref().map(|s| s.mechanism) {
        Some(Mechanism::Plain) => "plaintext",
        Some(Mechanism::ScramSha256) => "scram_sha256",
        Some(Mechanism::ScramSha512) => "scram_sha512",
        None if withheld.contains("oauthbearer") => "oauthbearer",
        None if withheld.contains("gssapi") => "gssapi",
        None => "none",
    };
    let providers = ["bearer", "aws_msk_iam"];
    let provider = providers
        .iter()
        .find(|p| withheld.contains(&format!("({p})")));
    let policy = match kafka.policy {
        Policy::Earliest => "earliest",
        Policy::Latest => "latest",
    };
    json!({
        "brokers": kafka.bootstrap.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "group": *kafka.group,
        "topic": kafka.topic.as_deref().unwrap_or_default(),
        "partitions": kafka.partitions.as_deref().map(|p| p.iter().copied().collect::<Vec<_>>()),
        "policy": policy,
        "lagThreshold": kafka.threshold, "activation": kafka.activation,
        "tls": kafka.security.tls.is_some(), "sasl": sasl, "tokenProvider": provider,
        "allowIdleConsumers": kafka.allow_idle_consumers,
        "excludePersistentLag": kafka.exclude_persistent_lag,
        "scaleToZeroOnInvalidOffset": kafka.zero_without_commit,
        "limitToPartitionsWithLag": kafka.limit_to_partitions_with_lag,
        "ensureEvenDistributionOfPartitions": kafka.even,
        "unsafeSsl": kafka.security.tls.as_ref().is_some_and(|t| t.unsafe_ssl),
    })
}

fn metric_name(row: &Value) -> Outcome {
    let kafka = parse(&json!({"md": {
        "bootstrapServers": "b:9092", "consumerGroup": row["group"], "topic": row["topic"],
    }}))?;
    let index = usize::try_from(row["triggerIndex"].as_u64().unwrap()).unwrap();
    let name = kafka.metric_name(index);
    if row["expect"] == *name {
        Ok(())
    } else {
        Err(name)
    }
}

fn limitation(row: &Value) -> Outcome {
    let trigger = json!({
        "md_extra": {"partitionLimitation": row["text"]},
        "expect": {"ok": row["expect"]["ok"], "err": row["expect"]["err"], "partitions": row["expect"]["ids"]},
    });
    if row["expect"]["ok"] == true {
        let found = seen(&parse(&trigger)?)["partitions"].clone();
        let wanted = &row["expect"]["ids"];
        return if found == *wanted {
            Ok(())
        } else {
            Err(found.to_string())
        };
    }
    config(&trigger)
}

fn partition_lag(row: &Value) -> Outcome {
    counts(row, row["expect"][0].as_i64().unwrap())
}

fn counts(row: &Value, expected: i64) -> Outcome {
    let committed = row["c"].as_i64().unwrap();
    let track = Track::begin(Reading {
        committed: (committed >= 0).then_some(committed),
        end: row["end"].as_i64().unwrap(),
        start: Some(0),
        topic_id: None,
        leader_epoch: None,
        at: Moment::now(),
    });
    let counting = Counting {
        policy: if row["policy"] == "earliest" {
            Policy::Earliest
        } else {
            Policy::Latest
        },
        zero_without_commit: row["scaleToZeroOnInvalidOffset"] == true,
        exclude_persistent_after: None,
    };
    let lag = sum([&track], counting, Moment::now()).lag;
    if lag == expected {
        Ok(())
    } else {
        Err(format!("expected {expected}, found {lag}"))
    }
}

/// Readings of one partition, a polling interval apart.
fn persistent(row: &Value, expected: &Value) -> Outcome {
    let interval = Duration::from_secs(30);
    let begin = Moment::now();
    let mut track: Option<Track> = None;
    for (step, pair) in (0_u32..).zip(row["seq"].as_array().unwrap()) {
        let committed = pair[0].as_i64().unwrap();
        let reading = Reading {
            committed: (committed >= 0).then_some(committed),
            end: pair[1].as_i64().unwrap(),
            start: Some(0),
            topic_id: None,
            leader_epoch: None,
            at: begin.later(interval * step),
        };
        match &mut track {
            Some(track) => track.take(reading),
            None => track = Some(Track::begin(reading)),
        }
        let counting = Counting {
            policy: Policy::Latest,
            zero_without_commit: false,
            exclude_persistent_after: Some(interval),
        };
        let found = sum(&track, counting, reading.at);
        let wanted = &expected[step as usize];
        if json!([found.lag, found.activation]) != *wanted {
            return Err(format!("step {step}: expected {wanted}, found {found:?}"));
        }
    }
    Ok(())
}

fn next_factor(row: &Value) -> Outcome {
    let number = |key: &str| row[key].as_i64().unwrap();
    let threshold = number("threshold");
    let found = even(number("lag"), number("partitions"), threshold) / threshold;
    if row["expect"] == found {
        Ok(())
    } else {
        Err(found.to_string())
    }
}

/// The factors that any lag can come to.
fn factors(row: &Value) -> Outcome {
    let partitions = row["n"].as_i64().unwrap();
    let found: BTreeSet<i64> = (1..=partitions)
        .map(|lag| even(lag, partitions, 1))
        .collect();
    if row["expect"] == json!(found) {
        Ok(())
    } else {
        Err(format!("{found:?}"))
    }
}

fn lags(row: &Value) -> Vec<i64> {
    let lags = row["lags"].as_array().into_iter().flatten();
    lags.map(|l| l.as_i64().unwrap()).collect()
}

/// DESIGN section 4 for a row without the switches that replace it: metric and replicas of a stock HPA. `None` with them.
fn wanted(row: &Value) -> Option<(i64, i64)> {
    if ["allowIdleConsumers", "ensureEvenDistributionOfPartitions"]
        .iter()
        .any(|s| row[*s] == true)
    {
        return None;
    }
    let lags = lags(row);
    let threshold = row["lagThreshold"].as_i64()?;
    let sum: i64 = lags.iter().sum();
    let bound = i64::try_from(lags.len()).ok()?;
    let lagging = i64::try_from(lags.iter().filter(|l| **l > 0).count()).ok()?;
    let current = row["expect"]["cur"].as_i64()?;
    let max = bound.min(100);
    let metric = if row["limitToPartitionsWithLag"] == true && lagging < max {
        sum.min(lagging * threshold)
    } else if (sum + threshold - 1) / threshold >= max && max >= 2 {
        sum.max((max - 1) * threshold * 11 / 10 + 1)
    } else {
        sum
    };
    Some((metric, desired(metric, threshold, current, max)))
}

/// What a stock HPA asks for (external-metrics-api.md §3.2), at most `max`.
fn desired(metric: i64, threshold: i64, current: i64, max: i64) -> i64 {
    if current == 0 {
        return 0;
    }
    let within = (10 * metric - 10 * threshold * current).abs() <= threshold * current;
    let wanted = if within {
        current
    } else {
        (metric + threshold - 1) / threshold
    };
    wanted.clamp(1, max)
}

/// The row's object, read twice, with the HPA as we want it.
fn settled(row: &Value) -> Bench {
    let mut metadata = json!({"lagThreshold": row["lagThreshold"].to_string()});
    for switch in [
        "allowIdleConsumers",
        "limitToPartitionsWithLag",
        "ensureEvenDistributionOfPartitions",
        "activationLagThreshold",
    ] {
        if !row[switch].is_null() {
            metadata[switch] = row[switch].to_string().into();
        }
    }
    let mut bench = Bench::with(&json!({}), &metadata);
    let pairs: Vec<(i64, i64)> = lags(row).iter().map(|l| (100, 100 + l)).collect();
    bench.read(&pairs);
    bench.follow();
    bench.evaluate();
    bench.after(5);
    bench.read(&pairs);
    bench
}

/// What is served, and what the HPA makes of it.
fn capped(row: &Value) -> (i64, i64) {
    let mut bench = settled(row);
    let served = bench.served().unwrap();
    let max = i64::from(bench.evaluate().max);
    let threshold = row["lagThreshold"].as_i64().unwrap();
    let current = row["expect"]["cur"].as_i64().unwrap();
    (served, desired(served, threshold, current, max))
}

fn cap(row: &Value) -> Outcome {
    let (metric, desired) = capped(row);
    let expected = &row["expect"];
    let active = settled(row).evaluate().metrics[0].active;
    if expected["active"] != active {
        return Err(format!("active: {active}"));
    }
    if expected["metric"] == metric && expected["desired"] == desired {
        Ok(())
    } else {
        Err(format!("expected {expected}, found {metric} and {desired}"))
    }
}

/// A ScaledObject's bounds as a plan sees them.
fn bounded(row: &Value) -> Bench {
    let mut spec = json!({});
    for (key, field) in [
        ("min", "minReplicaCount"),
        ("max", "maxReplicaCount"),
        ("idle", "idleReplicaCount"),
    ] {
        if !row[key].is_null() {
            spec[field] = row[key].clone();
        }
    }
    Bench::new(&spec)
}

fn bounds(row: &Value) -> Outcome {
    let problem = bounded(row).plan.problem;
    match (row["expect"]["err"].as_str(), problem) {
        (None, None) => Ok(()),
        (Some(text), Some(found)) if found.contains(text) => Ok(()),
        (_, found) => Err(format!("{found:?}")),
    }
}

/// Before anything is read; afterwards the partitions bound it.
fn hpa_replicas(row: &Value) -> Outcome {
    let mut bench = bounded(row);
    let max = bench.evaluate().max;
    let hpa = hpa(&bench.plan, max).and_then(|h| h.spec).unwrap();
    let found = json!({"minReplicas": hpa.min_replicas, "maxReplicas": hpa.max_replicas});
    if found == row["expect"] {
        Ok(())
    } else {
        Err(found.to_string())
    }
}

fn pause(row: &Value) -> Outcome {
    let annotations = serde_json::from_value(row["annotations"].clone()).unwrap();
    let found = Pause::of(&annotations)?.whole;
    if row["expect"] == found {
        Ok(())
    } else {
        Err(found.to_string())
    }
}

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
        for (number, row) in rows
            .as_array()
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .enumerate()
        {
            let id = row["id"].as_str().map(str::to_owned);
            let id = id.unwrap_or_else(|| format!("{section}#{number}"));
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
