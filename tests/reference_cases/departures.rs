//! Where we depart from the reference on purpose: for which inputs, what happens instead, and the line of docs/departures.md
//! behind it. The rules look at inputs, so they also hold for rows nobody has seen yet.

use lagscale::lag::Policy;
use serde_json::json;

use crate::{
    Outcome, Row,
    caps::{capped, lags, wanted},
    config::{named_topics_only, parse, withheld},
    executor::failed_step,
    fallback::outage,
    lag::{absent, counts, persistent, retained, steps_here, steps_there},
    reviews::{idle_is_refused, silent, warnings_only},
    settings::{from_memory, role, unread_variable},
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

const ANEW: &str =
    "a log start behind the log end is of a topic that is being made anew: the whole log counts";

static DEPARTURES: [Departure; 28] = [
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
            let whole = row["expect"].get(0) == Some(&*row["end"]);
            is_retained(row) && number(row, "start") > 0 && whole
        },
        instead: |row| counts(row, number(row, "end") - number(row, "start")),
        why: "no commit, `earliest`: end - start, as in KEDA 2.21; 2.20 counts the log end",
    },
    Departure {
        section: "partition_lag",
        holds: |row| is_retained(row) && number(row, "start") > number(row, "end"),
        instead: |row| counts(row, number(row, "end")),
        why: ANEW,
    },
    Departure {
        section: "retained_lag",
        holds: |row| number(&row["p0"], "start") > number(&row["p0"], "end"),
        instead: |row| retained(row, number(&row["p0"], "end") + 25, true),
        why: ANEW,
    },
    Departure {
        section: "kafka_config_auth",
        holds: |row| {
            let file = row["ccacheFile"].as_str();
            file.is_some_and(|file| file != "regular")
        },
        instead: withheld,
        why: "Kerberos is not connected with: no ccache file is looked for",
    },
    Departure {
        section: "kafka_config_auth",
        holds: names_two,
        instead: names_three,
        why: "KEDA 2.21 names three credentials of GSSAPI, 2.20 two",
    },
    Departure {
        section: "kafka_config_sasl_tls_in_trigger",
        holds: names_two,
        instead: names_three,
        why: "KEDA 2.21 names three credentials of GSSAPI, 2.20 two",
    },
    Departure {
        section: "retained_lag",
        holds: |row| {
            let committed = number(&row["p0"], "c");
            committed >= 0 && committed < number(&row["p0"], "start")
        },
        instead: |row| {
            let (start, end) = (number(&row["p0"], "start"), number(&row["p0"], "end"));
            retained(row, end - start + 25, true)
        },
        why: "commit before log start: end - start, either policy",
    },
    Departure {
        section: "webhook_warnings",
        holds: |row| number(&row["spec"], "idleReplicaCount") > 0,
        instead: idle_is_refused,
        why: "idleReplicaCount of 1 or more is refused: the HPA and the idle count take turns at each sync (keda#2314)",
    },
    Departure {
        section: "webhook_warnings",
        holds: |row| row["spec"]["fallback"].is_object(),
        instead: silent,
        why: "pollingInterval is what a fallback's failures are counted by",
    },
    Departure {
        section: "webhook_warnings",
        holds: |row| {
            row["expect"]["events"]
                .as_array()
                .is_some_and(|e| !e.is_empty())
        },
        instead: warnings_only,
        why: "whoever applies is warned, without an event at each apply",
    },
    Departure {
        section: "executor",
        holds: |row| row["scaleError"].is_string() && row["expect"]["lastActiveSet"] == false,
        instead: failed_step,
        why: "the status tells when a trigger was active last, whether or not the workload could be scaled",
    },
    Departure {
        section: "executor",
        holds: |row| row["expect"]["deadline"].is_string(),
        instead: unread_variable,
        why: "a request to the API server ends after ten seconds",
    },
    Departure {
        section: "polling",
        holds: |row| row["hpaScalingActive"].is_string(),
        instead: from_memory,
        why: "loop and HPA read one memory, filled by polls of its own",
    },
    Departure {
        section: "environment",
        holds: |_| true,
        instead: unread_variable,
        why: "requests to the API server end after ten seconds; there is no Vault",
    },
    Departure {
        section: "rbac",
        holds: |_| true,
        instead: role,
        why: "roles of users are a component that is asked for: who may create ScaledObjects may use every ClusterTriggerAuthentication",
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

/// A partition that the start of the log counts for.
fn is_retained(row: &Row) -> bool {
    let earliest = row["policy"] == "earliest";
    number(row, "c") < 0 && earliest && row["scaleToZeroOnInvalidOffset"] != true
}

/// True where a row expects the text that KEDA 2.20 had.
fn names_two(row: &Row) -> bool {
    let text = "exactly one of 'password' or 'keytab' must be provided for GSSAPI authentication";
    row["expect"]["err"]
        .get(0)
        .is_some_and(|found| *found == text)
}

fn names_three(row: &Row) -> Outcome {
    let text = "exactly one of 'password', 'keytab' or 'ccacheName' must be provided";
    let error = parse(row).err().unwrap_or_default();
    same(&error.contains(text), &true)
}

fn neither_policy(row: &Row) -> bool {
    let policy = row["md"]["offsetResetPolicy"].as_str();
    policy.is_some_and(|p| p.contains(','))
}

fn everything(row: &Row) -> Outcome {
    same(&parse(row)?.policy, &Policy::Earliest)
}
