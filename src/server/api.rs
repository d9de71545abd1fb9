//! One request from its arrival to its answer: who, may they, what.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use prometheus::IntCounterVec;
use serde_json::json;

use super::{
    accept,
    authorization::Authorizer,
    discovery, external_metrics,
    health::Readiness,
    identity::{Peer, authenticate},
    openapi,
    reply::{Failure, json as reply_json},
    route::{Path, Route},
    trust::Trust,
    webhooks::{Hook, Webhooks},
};
use crate::scaling::table::Table;

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// What every request needs.
pub(super) struct Api {
    pub table: Arc<Table>,
    pub trust: Arc<ArcSwapOption<Trust>>,
    pub authorizer: Authorizer,
    pub readiness: Readiness,
    pub webhooks: Webhooks,
    pub requests: IntCounterVec,
}

/// Answers a request; every answer is counted and carries the audit id it came with.
pub(super) async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (request, body) = request.into_parts();
    let path = Path::of(request.uri.path());
    let audit = request.headers.get(AUDIT_ID).cloned();
    let query = request.uri.query().unwrap_or_default();
    let pretty = accept::pretty(query, &request.headers);
    let answer = match path.route {
        Route::Webhook(hook) => api.review(hook, &request, body).await,
        // Nothing else takes a body.
        _ => api.route(&path, &request, pretty).await,
    };
    let mut reply = match answer {
        Ok(reply) => reply,
        Err(failure) => failure.reply(pretty),
    };
    let code = reply.status().as_u16().to_string();
    api.requests
        .with_label_values(&[kind(&path.route), code.as_str()])
        .inc();
    let headers = reply.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache, private"));
    if let Some(audit) = audit {
        headers.insert(AUDIT_ID, audit);
    }
    reply
}

fn kind(route: &Route) -> &'static str {
    match route {
        Route::Health(_) => "health",
        Route::Metric { .. } => "metric",
        Route::OpenApi2 | Route::OpenApi3 | Route::OpenApi3Version => "openapi",
        Route::Groups | Route::Group | Route::Resources | Route::Version => "discovery",
        Route::Webhook(_) => "webhook",
        Route::Unknown => "unknown",
    }
}

impl Api {
    /// kube-apiserver shows no credential here; its connection stays for as long as it has something to ask.
    async fn review(
        &self,
        hook: Hook,
        request: &http::request::Parts,
        body: Body,
    ) -> Result<Response, Failure> {
        let peer = request.extensions.get::<Arc<Peer>>();
        let answer = self.webhooks.answer(hook, request, body).await;
        if let (Some(peer), Ok(_)) = (peer, &answer) {
            peer.reviewed();
        }
        answer
    }

    async fn route(
        &self,
        path: &Path,
        request: &http::request::Parts,
        pretty: bool,
    ) -> Result<Response, Failure> {
        let (headers, query) = (&request.headers, request.uri.query().unwrap_or_default());
        if let Route::Health(probe) = path.route {
            let verbose = accept::form_value(query, "verbose").is_some();
            return Ok(self.readiness.answer(probe, verbose));
        }
        let trust = self.trust.load_full();
        let stranger = Arc::default();
        let peer = request.extensions.get::<Arc<Peer>>().unwrap_or(&stranger);
        let user = authenticate(peer, trust.as_ref(), headers);
        let user = user.map_err(|_| Failure::unauthorized())?;
        self.authorizer.allow(&user, &request.method, path).await?;
        peer.let_in();
        if path.route == Route::Unknown {
            return Err(Failure::no_route());
        }
        if request.method != Method::GET {
            return Err(Failure::method());
        }
        // The aggregated document has a type of its own.
        if path.route != Route::Groups && !accept::json(headers) {
            let message = "only the following media types are accepted: application/json";
            return Err(Failure::new(
                StatusCode::NOT_ACCEPTABLE,
                "NotAcceptable",
                message,
            ));
        }
        match &path.route {
            Route::Groups => Ok(discovery::groups(headers, pretty)),
            Route::Group => Ok(discovery::group(pretty)),
            Route::Resources => Ok(discovery::resources(pretty)),
            Route::OpenApi2 => Ok(openapi::v2(headers)),
            Route::OpenApi3 => Ok(openapi::v3(headers)),
            Route::OpenApi3Version => Ok(openapi::v3_version(pretty)),
            Route::Version => {
                let version = json!({"gitVersion": concat!("v", env!("CARGO_PKG_VERSION"))});
                Ok(reply_json(StatusCode::OK, &version, true))
            }
            Route::Metric { namespace, metric } => {
                let selector = accept::form_value(query, "labelSelector").unwrap_or_default();
                external_metrics::get(&self.table, namespace, metric, &selector, pretty)
            }
            Route::Health(_) | Route::Webhook(_) | Route::Unknown => Err(Failure::no_route()),
        }
    }
}

/// What hyper hands over, as axum takes it, with the connection's client attached.
pub(super) fn with_peer(
    request: hyper::Request<hyper::body::Incoming>,
    peer: &Arc<Peer>,
) -> Request {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer.clone());
    request
}
