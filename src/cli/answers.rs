//! `lagscale explain --hpa`: who answers each external metric of an HPA, and what they say.

use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use k8s_openapi::api::autoscaling::v2::{ExternalMetricSource, HorizontalPodAutoscaler};
use kube::{Api, Client, client::Body, core::Selector};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

use crate::{
    server::{BACKEND_HEADER, GROUP, OWN_GROUP, VERSION},
    text::{api_error, shown},
};

/// Characters of an answer that are repeated.
const ECHO: usize = 300;

/// One external metric of an HPA.
#[derive(Debug, Serialize)]
pub struct Answered {
    /// Its name.
    pub metric: String,
    /// The label selector.
    pub selector: String,
    /// The server that answers.
    pub by: String,
    /// Its values, or its error.
    pub answer: String,
}

/// Asks for every external metric of an HPA, as its controller does.
pub async fn answers(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Vec<Answered>, String> {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), namespace);
    let hpa = api.get(name).await.map_err(|e| api_error(&e))?;
    let metrics = hpa.spec.and_then(|s| s.metrics).unwrap_or_default();
    let mut all = Vec::new();
    for external in metrics.into_iter().filter_map(|m| m.external) {
        all.push(answered(client, namespace, &external).await?);
    }
    Ok(all)
}

async fn answered(
    client: &Client,
    namespace: &str,
    external: &ExternalMetricSource,
) -> Result<Answered, String> {
    let metric = external.metric.name.clone();
    let selector = external.metric.selector.clone().unwrap_or_default();
    let selector = Selector::try_from(selector).map_err(|e| e.to_string())?;
    let selector = selector.to_string();
    let word = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let path = |group: &str| {
        let (metric, selector) = (word(&metric), word(&selector));
        format!("/apis/{group}/{VERSION}/namespaces/{namespace}/{metric}?labelSelector={selector}")
    };
    // Its own group has lagscale's metrics alone.
    let own = ask(client, &path(OWN_GROUP)).await?;
    if own.is_of_kube_apiserver() {
        return Err(super::unanswered(OWN_GROUP, &own.said));
    }
    let (by, answer) = if own.code == 404 {
        let shared = ask(client, &path(GROUP)).await?;
        (shared.by(), shared.said)
    } else {
        ("lagscale".to_owned(), own.said)
    };
    Ok(Answered {
        metric,
        selector,
        by,
        answer,
    })
}

/// The reply of whoever answers a metric.
pub(super) struct Reply {
    code: u16,
    headers: HeaderMap,
    /// It is a list or a Status.
    is_object: bool,
    pub(super) said: String,
}

impl Reply {
    /// `true` where kube-apiserver itself answers, since it could not reach lagscale: it says so without a Status.
    fn is_of_kube_apiserver(&self) -> bool {
        self.code >= 500 && !self.is_object
    }

    /// The backend whose answer it is.
    pub(super) fn backend(&self) -> Option<&str> {
        self.headers.get(BACKEND_HEADER)?.to_str().ok()
    }

    /// The backend that has none to give.
    pub(super) fn troubled(&self) -> Option<&str> {
        self.said
            .strip_prefix("backend ")?
            .split_whitespace()
            .next()
    }

    /// The server that answered it: a backend of lagscale's is named in a header, or, in an error of lagscale's, in its text.
    fn by(&self) -> String {
        match self.backend().or_else(|| self.troubled()) {
            Some(name) => format!("backend {name}"),
            None if self.said.contains("no ScaledObject and no LagMetric") => "nobody".to_owned(),
            None => format!("whoever serves {GROUP}, not lagscale,"),
        }
    }
}

pub(super) async fn ask(client: &Client, path: &str) -> Result<Reply, String> {
    let request = Request::get(path).header(http::header::ACCEPT, "application/json");
    let request = request.body(Body::empty()).map_err(|e| e.to_string())?;
    let reply = client.send(request).await.map_err(|e| api_error(&e))?;
    let (head, body) = reply.into_parts();
    let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
    let found: Value = serde_json::from_slice(&body).unwrap_or_default();
    let values = found["items"].as_array().map(|items| {
        let values = items.iter().filter_map(|item| item["value"].as_str());
        values.collect::<Vec<_>>().join(" + ")
    });
    let said = match (values, found["message"].as_str()) {
        (Some(values), _) => values,
        (None, Some(message)) => shown(message, ECHO),
        (None, None) => format!("HTTP {}", head.status),
    };
    Ok(Reply {
        code: head.status.as_u16(),
        headers: head.headers,
        is_object: found.is_object(),
        said,
    })
}
