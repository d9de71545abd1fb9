//! The state as others see it: metrics, writes, events, statuses.

use prometheus::TextEncoder;
use serde_json::Value;

use super::{HPAS, SCALED_OBJECTS, Stage};
use crate::{
    controller::objects::{World, keys::ObjectKey},
    scaling::table::Outcome as Answer,
};

impl Stage {
    /// The value that the API serves of a metric, in whole records, or why it is withheld; `None` where there is no such metric.
    pub fn served(&self, metric: &str) -> Option<Result<i64, String>> {
        let mut listed = self.table.list(Some("shop")).into_iter();
        let (_, entry) = listed.find(|(_, entry)| *entry.metric == *metric)?;
        Some(match &entry.outcome {
            Answer::Value { milli, .. } => Ok(milli / 1000),
            Answer::Withheld(why) => Err(why.to_string()),
        })
    }

    /// Writes since they were asked for last.
    pub fn writes(&self) -> Vec<String> {
        self.state(|s| std::mem::take(&mut s.writes))
    }

    /// Changes of HPA and replicas since writes were asked for last.
    pub fn deeds(&self) -> Vec<String> {
        let writes = self.writes().into_iter();
        writes.filter(|w| !w.contains(SCALED_OBJECTS)).collect()
    }

    /// Events since they were asked for last.
    pub fn events(&self) -> Vec<String> {
        self.state(|s| std::mem::take(&mut s.events))
    }

    pub fn replicas(&self) -> i32 {
        self.state(|s| s.workloads["app"])
    }

    /// A field of the HPA's spec; null where there is none.
    pub fn hpa(&self, field: &str) -> Value {
        let hpa = self.state(|s| s.get(HPAS, "keda-hpa-app").cloned());
        hpa.map_or(Value::Null, |hpa| hpa["spec"][field].clone())
    }

    pub fn status(&self) -> Value {
        self.state(|s| s.get(SCALED_OBJECTS, "app").unwrap()["status"].clone())
    }

    /// Status, reason and message of a condition of `app`.
    pub fn condition(&self, kind: &str) -> (String, String, String) {
        let status = self.status();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions
            .into_iter()
            .find(|c| c["type"] == kind)
            .unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"), text("message"))
    }

    pub fn is_ready(&self) -> bool {
        self.objects.are_ready(self.world())
    }

    /// The explanation of a ScaledObject as JSON.
    pub fn explain(&self, name: &str) -> Option<String> {
        let key = ObjectKey::scaled_object("shop", name);
        let explanation = self.objects.explain(&key, self.world())?;
        Some(serde_json::to_string(&explanation).unwrap())
    }

    pub(super) fn world(&self) -> World<'_> {
        World {
            shares: self.shares,
            stores: &self.stores,
            contents: &self.held,
            leads: self.leads,
            shadow: self.shadow,
            now: self.now,
        }
    }

    /// Evaluations of ScaledObjects so far.
    pub fn evaluations(&self) -> u64 {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather());
        let text = text.unwrap();
        let lines = text
            .lines()
            .filter(|l| l.starts_with("lagscale_evaluations_total"));
        let counts = lines.filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum()
    }
}
