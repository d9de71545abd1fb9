//! Where we depart from the reference on purpose: for which inputs, what happens instead, and the line of docs/departures.md
//! behind it. The rules look at inputs, so they also hold for rows nobody has seen yet.

use lagscale::lag::Policy;
use serde_json::json;

use crate::{
    Outcome, Row,
    caps::{capped, lags, wanted},
    config::{named_topics_only, parse},
    fallback::outage,
    lag::{absent, counts, persistent, steps_here, steps_there},
};

/// A departure.
pub struct Departure {
    pub section: &'static str,
    pub holds: fn(&Row) -> bool,
    pub instead: fn(&Row) -> Outcome,
    pub why: &'static str,
}

fn number(row: &Row, key: &str) -> i64 {
    row[key].as_i64().unwrap_or(0)
}

fn same<T: PartialEq + std::fmt::Debug>(found: &T, wanted: &T) -> Outcome {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("expected {wanted:?}, found {found:?}"))
    }
}

/// The first rule that holds for a row.
pub fn departure(section: &str, row: &Row) -> Option<&'static Departure> {
    let mut all = DEPARTURES.iter();
    all.find(|d| d.section == section && (d.holds)(row))
}

const BEYOND: &str = "commit beyond end: `earliest` end - start, `latest` max(1, end - end when seen); nothing subtracts from other partitions";

static DEPARTURES: [Departure; 14] = [
    Departure {
        section: "kafka_client_options",
        holds: |row| row["expect"]["fetchWholeClusterMetadata"] == true,
        instead: named_topics_only,
        why: "cost grows with brokers and partitions: nobody fetches the metadata of a whole cluster",
    },
    Departure {
        section: "partition_lag",
        holds: |row| row["end"] == "absent",
        instead: absent,
        why: "a partition missing in a reply counts 0: it is unknown",
    },
    Departure {
        section: "partition_lag",
        holds: |row| number(row, "c") > number(row, "end"),
        instead: |row| {
            let whole = number(row, "end") - number(row, "start");
            counts(
                row,
                if row["policy"] == "earliest" {
                    whole
                } else {
                    1
                },
            )
        },
        why: BEYOND,
    },
    Departure {
        section: "partition_lag",
        holds: |row| {
            let none = number(row, "c") < 0
                && row["policy"] == "earliest"
                && row["scaleToZeroOnInvalidOffset"] != true;
            none && number(row, "start") > 0
        },
        instead: |row| counts(row, number(row, "end") - number(row, "start")),
        why: "no commit, `earliest`: end - start, not the log end",
    },
    Departure {
        section: "partition_lag",
        holds: |row| number(row, "c") >= 0 && number(row, "c") < number(row, "start"),
        instead: |row| counts(row, number(row, "end") - number(row, "start")),
        why: "commit before log start: end - start, either policy",
    },
    Departure {
        section: "kafka_config_metadata",
        holds: neither_policy,
        instead: everything,
        why: "a doubt is resolved towards the higher number: a policy that is neither counts everything",
    },
    Departure {
        section: "apache_config_metadata",
        holds: neither_policy,
        instead: everything,
        why: "a doubt is resolved towards the higher number: a policy that is neither counts everything",
    },
    Departure {
        section: "cap",
        holds: |row| lags(row).iter().any(|l| *l < 0),
        instead: |row| {
            let (found, _) = capped(row);
            same(&(found >= 0), &true)
        },
        why: BEYOND,
    },
    Departure {
        section: "cap",
        holds: |row| {
            let expected = &row["expect"];
            let wanted = wanted(row);
            wanted.is_some_and(|(m, d)| expected["metric"] != m || expected["desired"] != d)
        },
        instead: |row| same(&capped(row), &wanted(row).unwrap_or_default()),
        why: "cap by integer division: exactly the partitions",
    },
    Departure {
        section: "fallback_metric",
        holds: |row| row["situation"].is_string(),
        instead: |_| outage(),
        why: "total outage never reaches fallback: a withheld value counts once per pollingInterval",
    },
    Departure {
        section: "persistent_lag",
        holds: |row| {
            let (here, there) = (json!(steps_here(row)), json!(steps_there(row)));
            here != there && row["expect"] == there
        },
        instead: |row| persistent(row, &json!(steps_here(row))),
        why: "persistent lag: lag > 0 and commit unmoved since then for one pollingInterval",
    },
    Departure {
        section: "hpa_object",
        holds: |row| row["id"] == "h-9",
        // There is no second loop that would have to be told.
        instead: |_| crate::hpa_object::recovers(),
        why: "KEDA's own table, from the moment a value is withheld: every reading is looked at, whatever Ready was",
    },
    crate::query_errors::ONE_PARTITION,
    Departure {
        section: "webhook",
        holds: |row| row["id"] == "w-24",
        instead: crate::webhook::idle_count,
        why: "idleReplicaCount of 1 or more is refused: the HPA and the idle count take turns at each sync (keda#2314)",
    },
];

fn neither_policy(row: &Row) -> bool {
    let policy = row["md"]["offsetResetPolicy"].as_str();
    policy.is_some_and(|p| p.contains(','))
}

fn everything(row: &Row) -> Outcome {
    same(&parse(row)?.policy, &Policy::Earliest)
}
