//! The worst that can be written into each field of an object: what it costs to review it, to plan it and to evaluate it is
//! counted in memory taken, which every step of parsing takes. One object must cost no other a reading.

use std::iter::repeat_n;

use allocation_counter::{AllocationInfo, measure};
use bed::list;
use lagscale::{
    resources::{ScaledObject, TriggerAuthentication},
    scaling::limits,
    server::webhooks::{Hook, Request, Subject, Surroundings},
    triggers::{self, Parameters, Sources, Trigger},
};
use serde_json::{Value, json};

/// As large as etcd takes an object.
const LARGEST: usize = 1_400_000;
/// Bytes for each byte of an object, and a sum for what any object costs.
const TIMES: u64 = 8;
const ANYHOW: u64 = 1 << 20;

/// `piece` again and again, about as long as an object may be.
fn many(piece: &str) -> String {
    repeat_n(piece, LARGEST / piece.len()).collect()
}

/// Values that are worth their length to a parser.
fn values() -> Vec<String> {
    vec![
        many("a"),
        many("9"),
        many(","),
        many("("),
        many("*"),
        many("0-99999,"),
        many("é"),
        list(LARGEST, |n| format!("t{n}")),
        list(LARGEST, |n| format!("\\w{n}")),
        list(LARGEST, |n| format!("(a{{100}}){{100}}{n}")),
        list(LARGEST, |n| format!("b{n}:9092")),
    ]
}

const KAFKA: [&str; 14] = [
    "bootstrapServers",
    "consumerGroup",
    "topic",
    "topics",
    "partitionLimitation",
    "lagThreshold",
    "activationLagThreshold",
    "offsetResetPolicy",
    "isolation",
    "sasl",
    "tls",
    "version",
    "saslTokenProvider",
    "unsafeSsl",
];
const CRON: [&str; 4] = ["timezone", "start", "end", "desiredReplicas"];

fn kafka(field: &str, value: &str) -> Value {
    let mut metadata = json!({"bootstrapServers": "b:9092", "consumerGroup": "g"});
    metadata[field] = value.into();
    json!({"type": "kafka", "metadata": metadata})
}

fn cron(field: &str, value: &str) -> Value {
    let mut metadata = json!({"timezone": "UTC", "start": "0 0 29 2 *", "end": "0 1 29 2 *", "desiredReplicas": "1"});
    metadata[field] = value.into();
    json!({"type": "cron", "metadata": metadata})
}

/// Specifications, each with the name of what is too much.
fn specs() -> Vec<(String, String)> {
    let spec = |triggers: &str, more: &str| {
        format!(r#"{{"scaleTargetRef":{{"name":"app"}},"triggers":[{triggers}]{more}}}"#)
    };
    let mut all = Vec::new();
    for value in values() {
        let start: String = value.chars().take(9).collect();
        for field in KAFKA {
            all.push((
                format!("{field}: {start}"),
                spec(&kafka(field, &value).to_string(), ""),
            ));
            let mut apache = kafka(field, &value);
            apache["type"] = "apache-kafka".into();
            all.push((
                format!("apache {field}: {start}"),
                spec(&apache.to_string(), ""),
            ));
        }
        for field in CRON {
            all.push((
                format!("{field}: {start}"),
                spec(&cron(field, &value).to_string(), ""),
            ));
        }
        let text = json!(value).to_string();
        let good = kafka("topic", "t").to_string();
        for (of, more) in [
            (
                "formula",
                format!(r#","advanced":{{"scalingModifiers":{{"formula":{text},"target":"1"}}}}"#),
            ),
            (
                "target",
                format!(r#","advanced":{{"scalingModifiers":{{"formula":"a","target":{text}}}}}"#),
            ),
            (
                "HPA",
                format!(r#","advanced":{{"horizontalPodAutoscalerConfig":{{"name":{text}}}}}"#),
            ),
            (
                "behavior",
                format!(r#","fallback":{{"failureThreshold":1,"replicas":1,"behavior":{text}}}"#),
            ),
        ] {
            all.push((format!("{of}: {start}"), spec(&good, &more)));
        }
        let named = format!(r#"{{"type":"kafka","name":{text},"metadata":{{}}}}"#);
        all.push((format!("name: {start}"), spec(&named, "")));
        let kind = format!(r#"{{"type":{text},"metadata":{{}}}}"#);
        all.push((format!("type: {start}"), spec(&kind, "")));
        let reference =
            format!(r#"{{"type":"kafka","metadata":{{}},"authenticationRef":{{"name":{text}}}}}"#);
        all.push((format!("authenticationRef: {start}"), spec(&reference, "")));
    }
    for (of, trigger) in [
        (
            "triggers without anything",
            r#"{"type":"","metadata":{}}"#.to_owned(),
        ),
        ("crons", cron("timezone", "Asia/Gaza").to_string()),
        ("groups", kafka("topic", "t").to_string()),
        ("patterns", kafka("topics", "[a-z]{50}.*").to_string()),
    ] {
        let triggers = list(LARGEST, |_| trigger.clone());
        all.push((of.into(), spec(&triggers, "")));
    }
    let fields = list(LARGEST, |n| format!(r#""{n}":"""#));
    all.push((
        "fields".into(),
        spec(
            &format!(r#"{{"type":"kafka","metadata":{{{fields}}}}}"#),
            "",
        ),
    ));
    let policies = list(LARGEST, |_| {
        r#"{"type":"Pods","value":1,"periodSeconds":1}"#.into()
    });
    let behavior = format!(
        r#","advanced":{{"horizontalPodAutoscalerConfig":{{"behavior":{{"scaleUp":{{"policies":[{policies}]}}}}}}}}"#
    );
    all.push((
        "policies".into(),
        spec(&kafka("topic", "t").to_string(), &behavior),
    ));
    all.push((
        "what nobody reads".into(),
        spec("", &format!(r#","x":[{}0]"#, many(r#"{"":0},"#))),
    ));
    all
}

/// Objects at the limits.
fn at_the_limits() -> Vec<(&'static str, String)> {
    let of = |count: usize, trigger: &Value| {
        let triggers: Vec<_> = repeat_n(trigger, count).collect();
        json!({"scaleTargetRef": {"name": "app"}, "triggers": triggers}).to_string()
    };
    let topics = list(8_000, |n| format!("t{n}"));
    let patterns = list(8_000, |n| format!("[a-z]{{9}}{n}.*"));
    let patterns: Vec<_> = patterns.split(',').take(32).collect();
    let addresses: Vec<_> = (0..64).map(|n| format!("b{n}:9092")).collect();
    let mut ranges = kafka("partitionLimitation", "0-99999");
    ranges["metadata"]["topic"] = "t".into();
    vec![
        ("topics", of(100, &kafka("topics", &topics))),
        ("patterns", of(2, &kafka("topics", &patterns.join(",")))),
        (
            "large patterns",
            of(64, &kafka("topics", "([a-z][0-9]){80}")),
        ),
        ("ranges", of(100, &ranges)),
        (
            "addresses",
            of(100, &kafka("bootstrapServers", &addresses.join(","))),
        ),
        ("crons", of(100, &cron("timezone", "Asia/Gaza"))),
    ]
}

fn review(hook: Hook, spec: &str) -> (String, AllocationInfo) {
    let review = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","operation":"UPDATE","namespace":"n",
        "object":{{"metadata":{{"name":"a"}},"spec":{spec}}},
        "oldObject":{{"metadata":{{"name":"a"}},"spec":{{"triggers":[],"scaleTargetRef":{{"name":"b"}}}}}}}}}}"#
    );
    let mut said = String::new();
    let cost = measure(|| {
        let request = Request::parse(review.as_bytes()).unwrap();
        let verdict = Subject::of(hook, &request).verdict(&Surroundings::default());
        said = request.reply(&verdict).to_string();
    });
    (said, cost)
}

/// As the engine does: readable triggers are parsed, the others not.
fn plan(object: &ScaledObject) -> Vec<Result<Trigger, String>> {
    let none = Parameters::new();
    let triggers = limits::readable(object).iter().map(|trigger| {
        let sources = Sources {
            metadata: &trigger.metadata,
            environment: &none,
            parameters: &none,
        };
        triggers::parse(&trigger.kind, sources, "").map_err(|e| e.to_string())
    });
    triggers.collect()
}

fn object(spec: &str) -> ScaledObject {
    let written = format!(r#"{{"metadata":{{"name":"a","namespace":"n"}},"spec":{spec}}}"#);
    serde_json::from_str(&written).unwrap()
}

#[test]
fn the_worst_of_every_field_costs_a_few_times_its_size_to_review_and_to_plan() {
    for (of, spec) in specs() {
        let size = spec.len() as u64;
        let within = |cost: &AllocationInfo, what: &str| {
            assert!(
                cost.bytes_total <= TIMES * size + ANYHOW,
                "{what} {of}: {} bytes were taken for {size}",
                cost.bytes_total
            );
        };
        let (said, cost) = review(Hook::ScaledObject, &spec);
        within(&cost, "a review of");
        assert!(said.len() < 100_000, "{of}: {} bytes of words", said.len());
        let cost = measure(|| drop(plan(&object(&spec))));
        within(&cost, "a plan of");
    }
}

#[test]
fn the_worst_of_an_authentication_costs_a_few_times_its_size_to_review_and_to_read() {
    let bomb = many(r#"{"":0},"#);
    let lists = [
        "secretTargetRef",
        "configMapTargetRef",
        "env",
        "boundServiceAccountToken",
    ];
    let entry = r#"{"parameter":"","name":"","key":"","serviceAccountName":""}"#;
    let lists =
        lists.map(|field| format!(r#"{{"{field}":[{}]}}"#, list(LARGEST, |_| entry.into())));
    let kept = [
        "podIdentity",
        "hashiCorpVault",
        "azureKeyVault",
        "gcpSecretManager",
        "awsSecretManager",
        "oauth2",
    ];
    let kept = kept.map(|field| format!(r#"{{"{field}":{{"a":[{bomb}0]}}}}"#));
    for spec in lists.into_iter().chain(kept) {
        let most = TIMES * spec.len() as u64 + ANYHOW;
        let (_, cost) = review(Hook::TriggerAuthentication, &spec);
        assert!(
            cost.bytes_total < most,
            "{spec:.40}: {} bytes",
            cost.bytes_total
        );
        let written = format!(r#"{{"metadata":{{"name":"a","namespace":"n"}},"spec":{spec}}}"#);
        let mut kept = None;
        let cost = measure(|| {
            kept = Some(serde_json::from_str::<TriggerAuthentication>(&written).unwrap());
        });
        assert!(
            cost.bytes_total < most,
            "{spec:.40}: {} bytes",
            cost.bytes_total
        );
        assert!(
            cost.bytes_current < 1 << 20,
            "{spec:.40}: {} bytes are kept",
            cost.bytes_current
        );
    }
}

#[test]
fn what_is_kept_of_an_object_at_its_limits_is_little_whatever_it_holds() {
    for (of, spec) in at_the_limits() {
        let (said, _) = review(Hook::ScaledObject, &spec);
        assert!(said.contains("\"allowed\":true"), "{of}: {said:.300}");
        let object = object(&spec);
        let mut planned = Vec::new();
        let cost = measure(|| planned = plan(&object));
        let wrong = planned.iter().find_map(|t| t.as_ref().err());
        assert_eq!(wrong, None, "{of}");
        assert!(
            cost.bytes_current < 12 << 20,
            "{of}: {} bytes are kept",
            cost.bytes_current
        );
    }
}
