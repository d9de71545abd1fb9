//! KEDA's CRDs, from its Go module, beside ours: what theirs take and keep, ours take and keep.

use std::{collections::BTreeSet, fs, path::Path};

use bed::parts::{KEDA, keda, keda_schema};
use lagscale::triggers::fields_of;
use serde_json::Value;

const KINDS: [&str; 3] = [
    "scaledobjects",
    "triggerauthentications",
    "clustertriggerauthentications",
];

/// Differences that take nothing away from anybody, with the reason: keyword, its value in KEDA's schema and in ours.
const LOOSER: [(&str, &str, &str, &str); 7] = [
    ("null is taken for absent", "nullable", "null", "true"),
    (
        "a status without it is read",
        "default",
        "null",
        "0|\"\"|false",
    ),
    ("the name of our type", "title", "null", "*"),
    (
        "a field of an older status is not asked for",
        "required",
        "*",
        "null",
    ),
    (
        "any quantity is int-or-string already",
        "anyOf",
        "[{\"type\":\"integer\"},{\"type\":\"string\"}]",
        "null",
    ),
    ("an HPA refuses it", "pattern", "*", "null"),
    (
        "that is the default of a list",
        "x-kubernetes-list-type",
        "\"atomic\"",
        "null",
    ),
];

/// Fields that only ours have.
const OURS: [&str; 1] = ["scaledobjects.status.remembered"];

#[test]
fn our_crds_take_and_keep_what_those_of_keda_take() {
    let ours = fs::read_to_string(root().join("manifests/base/crds.yaml")).unwrap();
    let ours: Vec<Value> = serde_saphyr::from_multiple(&ours).unwrap();
    let mut found = Found::default();
    for kind in KINDS {
        let file = format!("crd/bases/keda.sh_{kind}.yaml");
        let theirs = fs::read_to_string(keda(KEDA).config.join(file)).unwrap();
        let mut theirs: Value = serde_saphyr::from_str(&theirs).unwrap();
        let name = theirs["metadata"]["name"].clone();
        let ours = ours.iter().find(|crd| crd["metadata"]["name"] == name);
        let mut ours = ours.unwrap()["spec"].clone();
        let mut theirs = theirs["spec"].take();
        // The API server fills it in.
        theirs["names"].as_object_mut().unwrap().remove("listKind");
        let [theirs_v1, ours_v1] = [&mut theirs, &mut ours].map(|s| s["versions"][0].take());
        assert_eq!(theirs, ours, "{kind}");
        found.version(kind, theirs_v1, ours_v1);
    }
    assert_eq!(found.differences, Vec::<String>::new());
    let used = LOOSER.iter().map(|l| l.0).collect::<BTreeSet<_>>();
    assert_eq!(found.reasons, used, "a listed difference that is none");
    assert_eq!(found.only_ours, OURS);
}

/// Fields that KEDA's scalers read and its list leaves out, and fields of ours.
const NOT_IN_THE_LIST: [&str; 9] = [
    "awsAccessKeyID",
    "awsAccessKeyIDFromEnv",
    "awsSecretAccessKeyFromEnv",
    "bootstrapServersFromEnv",
    "consumerGroupFromEnv",
    "identityOwner",
    "isolation",
    "topicFromEnv",
    "topics",
];

#[test]
fn a_field_is_misspelt_where_keda_s_own_list_does_not_have_it() {
    let list = fs::read_to_string(keda_schema(KEDA)).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let mut own = BTreeSet::new();
    for scaler in list["scalers"].as_array().unwrap() {
        let kind = scaler["type"].as_str().unwrap();
        let Some((read, secret)) = fields_of(kind) else {
            continue;
        };
        let (mut listed, mut listed_secret) = (BTreeSet::new(), BTreeSet::new());
        for parameter in scaler["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            if parameter["metadataVariableReadable"] == true {
                listed.insert(name);
            } else {
                listed_secret.insert(name);
            }
        }
        let read: BTreeSet<&str> = read.concat().into_iter().collect();
        let secret: BTreeSet<&str> = secret.concat().into_iter().collect();
        assert_eq!(secret, listed_secret, "{kind}");
        let none = listed.difference(&read).collect::<Vec<_>>();
        assert!(none.is_empty(), "{kind} does not read {none:?}");
        own.extend(read.difference(&listed).copied());
    }
    assert_eq!(own, BTreeSet::from(NOT_IN_THE_LIST));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[derive(Default)]
struct Found {
    differences: Vec<String>,
    reasons: BTreeSet<&'static str>,
    only_ours: Vec<String>,
}

impl Found {
    fn version(&mut self, kind: &str, mut theirs: Value, mut ours: Value) {
        let schemas = [&mut theirs, &mut ours].map(|v| v["schema"]["openAPIV3Schema"].take());
        assert_eq!(theirs, ours, "columns and subresources of {kind}");
        let [mut theirs, ours] = schemas;
        // Every object has them, whatever a schema says.
        for field in ["apiVersion", "kind", "metadata"] {
            theirs["properties"].as_object_mut().unwrap().remove(field);
        }
        self.schema(kind, &theirs, &ours);
    }

    fn schema(&mut self, at: &str, theirs: &Value, ours: &Value) {
        let keeps_all = ours["x-kubernetes-preserve-unknown-fields"] == true;
        let keywords: BTreeSet<_> = [theirs, ours]
            .into_iter()
            .flat_map(|s| s.as_object().unwrap().keys())
            .collect();
        for keyword in keywords {
            let (theirs, ours) = (&theirs[keyword], &ours[keyword]);
            match keyword.as_str() {
                "description" => {}
                "properties" => self.properties(at, theirs, ours, keeps_all),
                "items" | "additionalProperties" if theirs.is_object() && ours.is_object() => {
                    self.schema(&format!("{at}[]"), theirs, ours);
                }
                "x-kubernetes-preserve-unknown-fields" if keeps_all => {}
                _ if theirs == ours || theirs.is_number() && theirs.as_f64() == ours.as_f64() => {}
                _ => self.keyword(at, keyword, theirs, ours),
            }
        }
        self.alternatives(at, theirs, ours);
    }

    fn properties(&mut self, at: &str, theirs: &Value, ours: &Value, keeps_all: bool) {
        let fields = |schema: &Value| schema.as_object().cloned().unwrap_or_default();
        let (theirs, ours) = (fields(theirs), fields(ours));
        for (name, schema) in &theirs {
            let at = format!("{at}.{name}");
            match ours.get(name) {
                Some(ours) => self.schema(&at, schema, ours),
                None if keeps_all => {}
                None => self.differences.push(format!("{at} is not in ours")),
            }
        }
        let more = ours.keys().filter(|name| !theirs.contains_key(*name));
        self.only_ours
            .extend(more.map(|name| format!("{at}.{name}")));
    }

    /// An `enum` is a `pattern` in ours, which null passes.
    fn alternatives(&mut self, at: &str, theirs: &Value, ours: &Value) {
        let Some(values) = theirs["enum"].as_array().filter(|_| ours["enum"].is_null()) else {
            return;
        };
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        let pattern = format!("^({})$", values.join("|"));
        if ours["pattern"] != pattern.as_str() {
            self.differences.push(format!("{at}: {pattern} in KEDA's"));
        }
    }

    fn keyword(&mut self, at: &str, keyword: &str, theirs: &Value, ours: &Value) {
        let by_pattern = keyword == "enum" && ours.is_null();
        if by_pattern || keyword == "pattern" && theirs.is_null() {
            return;
        }
        let is = |value: &Value, listed: &str| {
            let text = value.to_string();
            listed == "*" && !value.is_null() || listed.split('|').any(|l| l == text)
        };
        let listed = LOOSER
            .iter()
            .find(|(_, k, t, o)| *k == keyword && is(theirs, t) && is(ours, o));
        if let Some((reason, ..)) = listed {
            self.reasons.insert(reason);
        } else {
            let text = format!("{at}: {keyword} is {theirs} in KEDA's, {ours} in ours");
            self.differences.push(text);
        }
    }
}
