//! `lagscale check --shadow`: where a lagscale that only looks would tell an HPA something else than it is told now.

use std::fmt::Write;

use futures::{StreamExt, stream};
use kube::{Client, ResourceExt, api::ListParams};
use serde::Serialize;

use super::list;
use crate::{
    cli::{Output, explain::ask, output::table},
    resources::ScaledObject,
    scaling::{Compared, Explanation},
    server::OWN_GROUP,
};

/// Questions at once.
const AT_ONCE: usize = 16;

/// The answer: how many objects were held against their HPAs, and the differences.
#[derive(Debug, Default, Serialize)]
pub(super) struct Shadowed {
    objects: usize,
    agree: usize,
    differences: Vec<Difference>,
}

/// One difference.
#[derive(Debug, PartialEq, Serialize)]
struct Difference {
    /// Namespace and name of the ScaledObject.
    object: String,
    /// The metric's name, or `maxReplicas`.
    what: String,
    hpa: Option<String>,
    lagscale: Option<String>,
    seconds: Option<u64>,
    why: String,
}

/// Asks for every object.
pub(super) async fn look(client: &Client) -> Result<Shadowed, String> {
    let listed = list::<ScaledObject>(client, "ScaledObjects", &ListParams::default()).await;
    let objects = listed.map_err(|unseen| unseen[0].found.clone())?;
    let asked = objects.iter().map(|object| async move {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let found = ask(client, OWN_GROUP, &namespace, &name).await;
        (format!("{namespace}/{name}"), found)
    });
    let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let mut all = Shadowed::default();
    for (object, found) in answers {
        let found = match found {
            Ok(found) => found,
            // It came or went meanwhile, or is not in the shadow's scope.
            Err(error) if error.contains("is known here") => continue,
            Err(error) => return Err(error),
        };
        if !is_compared(&found) {
            return Err(format!(
                "the lagscale that answers for {OWN_GROUP} is no shadow: start one with --shadow"
            ));
        }
        all.objects += 1;
        let differences = differences(&object, &found);
        all.agree += usize::from(differences.is_empty());
        all.differences.extend(differences);
    }
    Ok(all)
}

/// `true` where a shadow has told it: each metric that it serves is held against the HPA's. Objects of cpu or memory alone have none.
fn is_compared(found: &Explanation) -> bool {
    !found.shadow.is_empty() || found.triggers.iter().all(|t| t.metric.is_none())
}

fn differences(object: &str, found: &Explanation) -> Vec<Difference> {
    let differing = |c: &&Compared| c.differs_seconds.is_some();
    let metrics = found.shadow.iter().filter(differing).map(|c| Difference {
        object: object.to_owned(),
        what: c.metric.clone(),
        hpa: c.hpa.clone(),
        lagscale: c.own.clone(),
        seconds: c.differs_seconds,
        why: c.because.clone().unwrap_or_else(|| {
            let trigger = found
                .triggers
                .iter()
                .find(|t| t.metric.as_ref() == Some(&c.metric));
            let place = trigger.map(|t| format!("trigger {} (", t.index));
            place.map_or_else(String::new, |place| sentence(found, &place))
        }),
    });
    let max = found
        .live_max_replicas
        .filter(|max| *max != found.wanted_max_replicas);
    let max = max.map(|max| Difference {
        object: object.to_owned(),
        what: "maxReplicas".to_owned(),
        hpa: Some(max.to_string()),
        lagscale: Some(found.wanted_max_replicas.to_string()),
        seconds: None,
        why: sentence(found, "maxReplicas"),
    });
    metrics.chain(max).collect()
}

/// The sentence of the explanation that begins so.
fn sentence(found: &Explanation, begin: &str) -> String {
    let mut said = found.because.iter();
    said.find(|s| s.starts_with(begin))
        .cloned()
        .unwrap_or_default()
}

impl Shadowed {
    /// `true` where every value is the HPA's own; another `maxReplicas` is what lagscale is there for.
    pub(super) fn agrees(&self) -> bool {
        self.differences.iter().all(|d| d.seconds.is_none())
    }

    pub(super) fn written(&self, output: Output) -> Result<String, String> {
        if let Some(data) = output.data(self) {
            return data;
        }
        let head = ["OBJECT", "WHAT", "HPA", "LAGSCALE", "FOR", "WHY"].map(str::to_owned);
        let none = || "-".to_owned();
        let mut rows = vec![head];
        rows.extend(self.differences.iter().map(|d| {
            [
                d.object.clone(),
                d.what.clone(),
                d.hpa.clone().unwrap_or_else(none),
                d.lagscale.clone().unwrap_or_else(none),
                d.seconds.map_or_else(none, |s| format!("{s}s")),
                d.why.clone(),
            ]
        }));
        let mut text = if self.differences.is_empty() {
            String::new()
        } else {
            table(&rows)
        };
        let Self { objects, agree, .. } = self;
        let _ = writeln!(text, "{agree} of {objects} ScaledObjects: no difference");
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found() -> Explanation {
        serde_json::from_value(json!({
            "namespace": "shop", "name": "orders", "liveMaxReplicas": 10, "wantedMaxReplicas": 5,
            "triggers": [{"index": 0, "type": "kafka", "metric": "s0-kafka-orders"}],
            "because": ["trigger 0 (kafka): group g has 20 records to do", "maxReplicas is 5, not 10: more would idle"],
            "shadow": [
                {"metric": "s0-kafka-orders", "hpa": "25", "own": "20", "differsSeconds": 70},
                {"metric": "s1-kafka-x", "hpa": "1", "own": "1"},
                {"metric": "s2-cron", "hpa": "1", "differsSeconds": 9, "because": "lagscale would withhold it: x"},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn each_difference_is_a_row_with_its_reason() {
        let all = Shadowed {
            objects: 2,
            agree: 1,
            differences: differences("shop/orders", &found()),
        };
        assert_eq!(
            all.written(Output::Table).unwrap(),
            "OBJECT       WHAT             HPA  LAGSCALE  FOR  WHY\n\
             shop/orders  s0-kafka-orders  25   20        70s  trigger 0 (kafka): group g has 20 records to do\n\
             shop/orders  s2-cron          1    -         9s   lagscale would withhold it: x\n\
             shop/orders  maxReplicas      10   5         -    maxReplicas is 5, not 10: more would idle\n\
             1 of 2 ScaledObjects: no difference\n"
        );
        assert!(!all.agrees());
    }

    #[test]
    fn an_object_without_a_metric_to_compare_is_no_sign_of_a_lagscale_that_writes() {
        let mut told = found();
        assert!(is_compared(&told));
        told.shadow.clear();
        assert!(!is_compared(&told));
        told.triggers[0].metric = None;
        assert!(is_compared(&told));
    }

    #[test]
    fn without_a_difference_there_is_no_table() {
        let all = Shadowed {
            objects: 3,
            agree: 3,
            differences: Vec::new(),
        };
        assert_eq!(
            all.written(Output::Table).unwrap(),
            "3 of 3 ScaledObjects: no difference\n"
        );
        assert!(all.agrees());
    }
}
