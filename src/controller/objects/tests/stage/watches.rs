//! Watches: what the API server has reaches the stores, unless the stage is deaf.

use std::fmt::Debug;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::runtime::{
    reflector::{self, store::Writer},
    watcher::Event as Watched,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{AUTHENTICATIONS, CLUSTER_AUTHENTICATIONS, HPAS, LAG_METRICS, SCALED_OBJECTS, Stage};
use crate::{
    controller::{
        external::{ExternalTrigger, ExternalTriggers, Readings},
        objects::{Change, keys::ObjectKey},
        stores::Stores,
    },
    resources::{ClusterTriggerAuthentication, LagMetric, ScaledObject, TriggerAuthentication},
};

pub(super) struct StoreWriters {
    scaled_objects: Writer<ScaledObject>,
    lag_metrics: Writer<LagMetric>,
    authentications: Writer<TriggerAuthentication>,
    cluster_authentications: Writer<ClusterTriggerAuthentication>,
    hpas: Writer<HorizontalPodAutoscaler>,
    /// The triggers that a KEDA has begun to ask about.
    external: mpsc::UnboundedReceiver<Change>,
}

pub(super) fn stores() -> (Stores, StoreWriters) {
    let (scaled_objects, scaled_object_writer) = reflector::store();
    let (lag_metrics, lag_metric_writer) = reflector::store();
    let (authentications, authentication_writer) = reflector::store();
    let (cluster_authentications, cluster_authentication_writer) = reflector::store();
    let (hpas, hpa_writer) = reflector::store();
    let (changes, external) = mpsc::unbounded_channel();
    let stores = Stores {
        scaled_objects,
        lag_metrics,
        authentications,
        cluster_authentications,
        hpas,
        external: ExternalTriggers::new(&[], changes),
    };
    let writers = StoreWriters {
        scaled_objects: scaled_object_writer,
        lag_metrics: lag_metric_writer,
        authentications: authentication_writer,
        cluster_authentications: cluster_authentication_writer,
        hpas: hpa_writer,
        external,
    };
    (stores, writers)
}

impl Stage {
    /// A KEDA asks about a trigger of `app`.
    pub fn ask(&mut self, metadata: &Value) -> Readings {
        let trigger = ExternalTrigger {
            namespace: "shop".into(),
            object: "app".into(),
            metadata: serde_json::from_value(metadata.clone()).unwrap(),
        };
        let readings = self.stores.external.ask(&trigger, self.now.at).unwrap();
        if let Ok(change) = self.writers.external.try_recv() {
            self.settle(vec![change]);
        }
        readings
    }

    /// Triggers that nobody has asked about for long enough are read no more.
    pub fn forget(&mut self) {
        let forgotten = self.stores.external.forget(self.now.at).into_iter();
        self.settle(forgotten.map(Change::Object).collect());
    }

    /// The watch says that a ScaledObject is gone, which is still there: its labels are not those that are watched any more.
    pub fn lose(&mut self, name: &str) {
        tell(&mut self.writers.scaled_objects, None, name);
        let key = ObjectKey::scaled_object("shop", name);
        self.settle(vec![Change::Object(key)]);
    }

    /// The changes that the watches bring.
    pub(super) fn hear(&mut self) -> Vec<Change> {
        let mut changed = self.state(|s| std::mem::take(&mut s.changed));
        self.heard.append(&mut changed);
        if self.deaf {
            return Vec::new();
        }
        let late = self.late;
        let heard = self
            .heard
            .extract_if(.., |(kind, _)| !late.contains(&kind.as_str()));
        let heard: Vec<_> = heard.collect();
        heard
            .into_iter()
            .map(|(kind, name)| self.watch(&kind, &name))
            .collect()
    }

    fn watch(&mut self, kind: &str, name: &str) -> Change {
        let found = self.state(|s| s.get(kind, name).cloned());
        let writers = &mut self.writers;
        let place = ("shop".to_owned(), name.to_owned());
        match kind {
            SCALED_OBJECTS => {
                tell(&mut writers.scaled_objects, found, name);
                Change::Object(ObjectKey::scaled_object("shop", name))
            }
            LAG_METRICS => {
                tell(&mut writers.lag_metrics, found, name);
                Change::Object(ObjectKey::lag_metric("shop", name))
            }
            AUTHENTICATIONS => {
                tell(&mut writers.authentications, found, name);
                Change::Authentication(place)
            }
            CLUSTER_AUTHENTICATIONS => {
                tell(&mut writers.cluster_authentications, found, name);
                Change::ClusterAuthentication(place.1)
            }
            HPAS => {
                tell(&mut writers.hpas, found, name);
                Change::Hpa(place)
            }
            other => panic!("{other}"),
        }
    }
}

fn tell<K>(writer: &mut Writer<K>, found: Option<Value>, name: &str)
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + 'static,
{
    if let Some(object) = found {
        let object = serde_json::from_value(object).unwrap();
        return writer.apply_watcher_event(&Watched::Apply(object));
    }
    let reader = writer.as_reader();
    let reference = reflector::ObjectRef::<K>::new(name);
    let known = reader.get(&reference.clone().within("shop"));
    if let Some(known) = known.or_else(|| reader.get(&reference)) {
        writer.apply_watcher_event(&Watched::Delete((*known).clone()));
    }
}
