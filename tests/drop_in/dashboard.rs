//! KEDA's own dashboard, from its Go module, on lagscale's series: each family it asks for is there, with the labels that KEDA's has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use bed::parts::{KEDA, keda};
use regex::Regex;
use serde_json::Value;

/// Label names by family.
type Families = BTreeMap<String, BTreeSet<String>>;

/// The families of a scrape.
fn families(scrape: &str) -> Families {
    let label = Regex::new(r#"(\w+)=""#).unwrap();
    let mut families = Families::new();
    for line in scrape.lines().filter(|l| l.starts_with("keda_")) {
        let (name, rest) = line.split_once('{').unwrap_or((line, ""));
        let labels = label.captures_iter(rest).map(|found| found[1].to_owned());
        let family = families.entry(name.to_owned()).or_default();
        family.extend(labels);
    }
    families
}

/// The families that the dashboard asks for, with the labels that it names. Prometheus calls `namespace` of a series `exported_namespace`, and
/// adds `job`.
fn asked() -> Families {
    let path = keda(KEDA).config.join("grafana/keda-dashboard.json");
    let dashboard = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut expressions = Vec::new();
    strings(&dashboard, &mut expressions);
    let family = Regex::new(r"keda_\w+").unwrap();
    let labels =
        [r#"(\w+)=~?""#, r"by ?\((\w+)\)", r",\s*(\w+)\)$"].map(|r| Regex::new(r).unwrap());
    let mut asked = Families::new();
    for expression in expressions {
        let Some(name) = family.find(expression) else {
            continue;
        };
        let found = labels
            .iter()
            .flat_map(|label| label.captures_iter(expression));
        let found = found.map(|found| found[1].replace("exported_namespace", "namespace"));
        let asked = asked.entry(name.as_str().to_owned()).or_default();
        asked.extend(found.filter(|label| label != "job"));
    }
    asked
}

/// The queries in it.
fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(all) => {
            for (name, value) in all {
                if matches!(name.as_str(), "expr" | "query" | "definition") {
                    found.extend(value.as_str());
                }
                strings(value, found);
            }
        }
        Value::Array(all) => all.iter().for_each(|one| strings(one, found)),
        _ => {}
    }
}

/// The families of KEDA's scrape and of lagscale's that have other labels, and those that the dashboard finds none for.
pub fn faults(theirs: &str, ours: &str) -> Vec<String> {
    let (theirs, ours, asked) = (families(theirs), families(ours), asked());
    assert!(asked.len() >= 4, "{asked:?}");
    let mut faults = Vec::new();
    for (family, labels) in asked {
        let Some(found) = ours.get(&family) else {
            faults.push(format!("there is no {family}"));
            continue;
        };
        if !labels.is_subset(found) {
            faults.push(format!(
                "{family} has {found:?}, the dashboard asks for {labels:?}"
            ));
        }
        match theirs.get(&family) {
            Some(theirs) if theirs != found => {
                faults.push(format!("{family} has {found:?}, KEDA's has {theirs:?}"));
            }
            _ => {}
        }
    }
    faults
}
