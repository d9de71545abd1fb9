//! An API server in memory: what the controller writes is there afterwards, and a write can be refused, or be the last one.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::ready,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};

/// One write, in words: `create horizontalpodautoscalers/keda-hpa-app`.
type Write = String;

/// When a process is killed by a write.
#[derive(Clone, Copy, Debug)]
pub enum Delivery {
    /// The API server does not hear of it.
    Before,
    /// It is done, and nobody hears of that.
    After,
}

#[derive(Default)]
pub struct State {
    /// By kind and name.
    pub objects: BTreeMap<(String, String), Value>,
    /// Replicas of the workloads.
    pub workloads: BTreeMap<String, i32>,
    version: u64,
    /// Writes that were done, statuses included, since this was emptied.
    pub writes: Vec<Write>,
    /// Reasons of the events.
    pub events: Vec<String>,
    /// Their texts.
    pub notes: Vec<String>,
    /// The objects that have changed since this was emptied, by kind and name.
    pub changed: Vec<(String, String)>,
    /// Answers to writes whose words contain this, with code and message; to reads as well where it begins with `get`.
    pub refusals: BTreeMap<&'static str, (u16, &'static str)>,
    /// Refusals that are left until nothing is refused any more; `None`: it never ends.
    pub refusals_left: Option<usize>,
    /// The process is killed by the write that brings this to zero.
    pub kill: Option<(usize, Delivery)>,
    /// The process is dead: nothing it says is heard.
    pub dead: bool,
    /// Fields of a status that the CRD does not keep.
    pub prunes: Vec<&'static str>,
}

#[derive(Clone, Default)]
pub struct ApiServer(pub Arc<Mutex<State>>);

impl ApiServer {
    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let (code, answer) = server.answer(&parts, &body);
                let answer = Response::builder().status(code).body(Body::from(answer));
                ready(Ok::<_, Infallible>(answer.unwrap())).await
            }
        });
        Client::new(service, "shop")
    }

    fn answer(&self, parts: &http::request::Parts, body: &[u8]) -> (u16, Vec<u8>) {
        let mut state = self.0.lock().unwrap();
        let (code, answer) = state.answer(parts, body);
        (code, answer.to_string().into_bytes())
    }
}

impl State {
    /// Makes or replaces an object, as somebody else would.
    pub fn put(&mut self, kind: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let key = (kind.to_owned(), name);
        self.objects.insert(key.clone(), object);
        self.changed.push(key);
    }

    /// Changes an object, as somebody else would.
    pub fn merge(&mut self, kind: &str, name: &str, patch: &Value) {
        let key = (kind.to_owned(), name.to_owned());
        let mut object = self.objects[&key].clone();
        merge(&mut object, patch);
        self.put(kind, object);
    }

    pub fn delete(&mut self, kind: &str, name: &str) {
        let key = (kind.to_owned(), name.to_owned());
        self.objects.remove(&key).unwrap();
        self.changed.push(key);
    }

    pub fn get(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects.get(&(kind.to_owned(), name.to_owned()))
    }

    fn answer(&mut self, parts: &http::request::Parts, body: &[u8]) -> (u16, Value) {
        let words: Vec<&str> = parts.uri.path().split('/').collect();
        let namespace = words.iter().position(|w| *w == "namespaces");
        let [kind, rest @ ..] = &words[namespace.map_or(4, |at| at + 2)..] else {
            panic!("{}", parts.uri);
        };
        let read = parts.method == Method::GET;
        if self.dead {
            return failure(503, "the process is dead");
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        if *kind == "events" {
            let text = |field: &str| body[field].as_str().unwrap().to_owned();
            self.events.push(text("reason"));
            self.notes.push(text("note"));
            return (201, body);
        }
        let name = rest
            .first()
            .copied()
            .or_else(|| body["metadata"]["name"].as_str());
        let name = name.unwrap().to_owned();
        let subresource = rest.get(1).map(|s| format!("/{s}")).unwrap_or_default();
        if read {
            let words = format!("get {kind}/{name}{subresource}");
            let refused = self.refused(|w| w.starts_with("get ") && words.contains(w));
            if let Some(refused) = refused {
                return refused;
            }
            return self.read(kind, &name, &subresource);
        }
        let verb = match parts.method {
            Method::POST => "create",
            Method::PUT => "replace",
            Method::DELETE => "delete",
            _ => "patch",
        };
        let words = format!("{verb} {kind}/{name}{subresource}");
        if let Some(refused) = self.refused(|w| words.contains(w)) {
            return refused;
        }
        let (last, delivery) = match &mut self.kill {
            Some((left, delivery)) => {
                *left -= 1;
                (*left == 0, Some(*delivery))
            }
            None => (false, None),
        };
        self.dead = last;
        if last && matches!(delivery, Some(Delivery::Before)) {
            return failure(503, "the process is dead");
        }
        let answer = self.write(verb, kind, &name, &subresource, body);
        if answer.0 < 300 {
            self.writes.push(words);
        }
        if last {
            return failure(503, "the process is dead");
        }
        answer
    }

    /// The answer to a request that one of the refusals is about.
    fn refused(&mut self, about: impl Fn(&str) -> bool) -> Option<(u16, Value)> {
        let (_, (code, message)) = self.refusals.iter().find(|(words, _)| about(words))?;
        if let Some(left) = &mut self.refusals_left {
            *left = left.checked_sub(1)?;
        }
        Some(failure(*code, message))
    }

    fn read(&mut self, kind: &str, name: &str, subresource: &str) -> (u16, Value) {
        if subresource == "/scale" {
            return match self.workloads.get(name) {
                Some(replicas) => (200, scale(name, *replicas)),
                None => failure(404, "no such workload"),
            };
        }
        let found = self.get(kind, name).cloned();
        found.map_or_else(|| failure(404, "not found"), |found| (200, found))
    }

    fn write(
        &mut self,
        verb: &str,
        kind: &str,
        name: &str,
        subresource: &str,
        body: Value,
    ) -> (u16, Value) {
        let key = (kind.to_owned(), name.to_owned());
        match (verb, subresource) {
            ("patch", "/scale") => return self.scale(name, &body),
            ("create", _) if self.objects.contains_key(&key) => {
                return failure(409, "it is there already");
            }
            ("create", _) => self.put(kind, body),
            _ => {
                let Some(live) = self.objects.get(&key).cloned() else {
                    return failure(404, "not found");
                };
                let version = &body["metadata"]["resourceVersion"];
                if !version.is_null() && *version != live["metadata"]["resourceVersion"] {
                    return failure(409, "another version is there");
                }
                match verb {
                    "replace" => self.put(kind, body),
                    "delete" => {
                        self.delete(kind, name);
                        return (200, json!({"kind": "Status", "status": "Success"}));
                    }
                    _ => {
                        let mut body = body;
                        let status = body.get_mut("status").and_then(Value::as_object_mut);
                        if let Some(status) = status {
                            status.retain(|field, _| !self.prunes.contains(&field.as_str()));
                        }
                        self.merge(kind, name, &body);
                    }
                }
            }
        }
        let stored = self.get(kind, name).unwrap().clone();
        (200, stored)
    }

    fn scale(&mut self, name: &str, patch: &Value) -> (u16, Value) {
        let Some(replicas) = self.workloads.get_mut(name) else {
            return failure(404, "no such workload");
        };
        if let Some([test, set]) = patch.as_array().map(Vec::as_slice) {
            let from = test["value"].as_i64().unwrap_or(0);
            if from != i64::from(*replicas) {
                return failure(422, "the test failed");
            }
            *replicas = i32::try_from(set["value"].as_i64().unwrap()).unwrap();
        } else {
            *replicas = i32::try_from(patch["spec"]["replicas"].as_i64().unwrap()).unwrap();
        }
        (200, scale(name, *replicas))
    }
}

fn scale(name: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name},
        "spec": if replicas == 0 { json!({}) } else { json!({"replicas": replicas}) },
        "status": {"replicas": replicas, "selector": "app=app"},
    })
}

fn failure(code: u16, message: &str) -> (u16, Value) {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        422 => "Invalid",
        _ => "ServiceUnavailable",
    };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message,
        "details": {"name": "app", "causes": [{"reason": "FieldValueInvalid", "field": "metadata", "message": "no"}]},
    });
    (code, status)
}

/// RFC 7396.
pub fn merge(live: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *live = patch.clone();
        return;
    };
    if !live.is_object() {
        *live = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            live.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut live[key], value);
        }
    }
}
