//! Rows about how an operator is set up: tokens of service accounts, labels, variables, roles.

use std::{collections::BTreeSet, fs, path::Path};

use clap::Parser;
use fixture::Bench;
use lagscale::{args::Cli, controller::TokenPolicy};
use serde_json::{Value, json};

use crate::{Outcome, Row};

/// A row about a missing account needs an API server: `resolve/tests` has it.
pub fn is_bound(row: &Row) -> bool {
    row["token"]["serviceAccountName"] != "missing"
}

/// The audience that a token is asked for, if it is.
pub fn service_account_token(row: &Row) -> Outcome {
    let audiences = &row["audiences"];
    let audiences = if audiences.is_null() {
        String::new()
    } else {
        audiences.to_string()
    };
    let expected = &row["expect"];
    let contains = |found: &str, wanted: &Row| {
        let wanted = wanted.as_str().unwrap_or_default();
        let good = !wanted.is_empty() && found.contains(wanted);
        good.then_some(())
            .ok_or_else(|| format!("expected {wanted}, found {found}"))
    };
    let policy = match TokenPolicy::new(row["mode"].as_str().unwrap(), &audiences) {
        Ok(policy) => policy,
        Err(error) => return contains(&error, &expected["startupErr"]),
    };
    let text = |key: &str| row["token"][key].as_str().unwrap_or_default().to_owned();
    match policy.audience(&(text("namespace"), text("serviceAccountName"))) {
        Err(error) => contains(&error, &expected["err"]),
        Ok(audience) => {
            let found = audience.map_or(Value::Null, |audience| json!([audience]));
            if expected["requestedAudiences"] == found && expected["err"].is_null() {
                Ok(())
            } else {
                Err(format!("it is asked for, for {found}"))
            }
        }
    }
}

/// Whether the row's object is handled with its selector, or why a start with that is refused.
pub fn watch_labels(row: &Row) -> Outcome {
    let expected = &row["expect"];
    let flag = match row["variable"].as_str() {
        None => "--watch-label-selector",
        Some(_) => "--watch-label-selector-for-triggerauth",
    };
    let selector = row["selector"].as_str();
    let selector = selector.map(|selector| format!("{flag}={selector}"));
    let args = ["lagscale".to_owned()].into_iter().chain(selector);
    let labels = serde_json::from_value(row["labels"].clone()).unwrap();
    match (Cli::try_parse_from(args), expected["startupErr"].as_str()) {
        (Ok(started), None) => {
            let run = started.run;
            let selector = match row["kind"].as_str() {
                None => run.scope.watch_label_selector,
                Some(_) => run.scope.watch_label_selector_for_triggerauth,
            };
            let here = selector.matches(Some(&labels));
            let found = if here { "reconciled" } else { "ignored" };
            (*expected == found)
                .then_some(())
                .ok_or_else(|| found.into())
        }
        (Err(error), Some(wanted)) => {
            let error = error.to_string();
            let cause = expected["cause"].as_str().unwrap_or_default();
            let good = error.contains(wanted) && error.contains(cause);
            good.then_some(()).ok_or(error)
        }
        (found, _) => Err(format!("{found:?}")),
    }
}

/// A variable that is not read changes nothing.
pub fn unread_variable(_: &Row) -> Outcome {
    let parsed = Cli::try_parse_from(["lagscale"]);
    parsed.map(drop).map_err(|error| error.to_string())
}

/// The role that stands for a row's, in the component of user roles.
pub fn role(row: &Row) -> Outcome {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/components/user-roles/roles.yaml");
    let roles: Vec<Value> =
        serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap();
    let name = row["role"].as_str().unwrap().replace("keda:", "lagscale-");
    let role = roles.iter().find(|role| role["metadata"]["name"] == *name);
    let role = role.ok_or_else(|| format!("there is no {name}"))?;
    let labels = role["metadata"]["labels"].as_object().unwrap();
    // One aggregated to `view` is part of `edit` and `admin` by that.
    let first = row["labels"].as_array().unwrap().last().unwrap();
    let label = format!(
        "rbac.authorization.k8s.io/{}",
        first.as_str().unwrap_or_default()
    );
    let verbs = |rule: &Value| -> BTreeSet<String> {
        let verbs = rule["verbs"].as_array().into_iter().flatten();
        verbs
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    };
    let found = verbs(&role["rules"][0]);
    if labels.contains_key(&label) && found == verbs(&json!({"verbs": *row["verbs"]})) {
        Ok(())
    } else {
        Err(format!("{labels:?}, {found:?}"))
    }
}

/// A value is read from memory, whoever asks.
pub fn from_memory(row: &Row) -> Outcome {
    let least = &row["spec"]["minReplicaCount"];
    let mut bench = Bench::with(&json!({"minReplicaCount": **least}), &json!({}));
    bench.read(&[(0, 1)]);
    match &bench.evaluate().metrics[0].value {
        Ok(_) => Ok(()),
        Err(trouble) => Err(trouble.text.to_string()),
    }
}
