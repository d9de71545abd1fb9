//! One request from its arrival to its answer: who, may they, what.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use prometheus::{HistogramVec, IntCounterVec};

use crate::{
    controller::Questions,
    resources::names::SCALED_OBJECT,
    scaling::table::Table,
    selector::Selector,
    server::{
        answer::delegated::Owners,
        answer::discovery,
        answer::external_metrics::{self, PLACEHOLDER},
        answer::failure::{Details, Failure},
        answer::health::Readiness,
        answer::openapi,
        answer::reply::object,
        answer::version,
        metrics_port::Metrics,
        request::accept::{self, Format, Offer},
        request::authorization::{Attributes, Authorizer},
        request::identity::{Authenticator, Peer, Refused},
        request::query::{self, Query},
        request::route::{self, Group, OWN_GROUP, Path, Route},
        webhooks::{Hook, Webhooks},
    },
};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Everything that a request needs.
pub(in crate::server) struct Api {
    pub table: Arc<Table>,
    pub longest_turn: Duration,
    pub authenticator: Authenticator,
    pub authorizer: Authorizer,
    pub readiness: Readiness,
    pub metrics: Arc<Metrics>,
    pub webhooks: Webhooks,
    pub shadow: bool,
    pub questions: Questions,
    pub owners: Owners,
    pub requests: IntCounterVec,
    pub took: HistogramVec,
}

/// Answers a request; every answer is counted and carries the audit id it came with, or one of its own.
pub(in crate::server) async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let begun = Instant::now();
    let (request, body) = request.into_parts();
    let text = route::decode(request.uri.path());
    let path = Path::of(&text);
    let audit = request.headers.get(AUDIT_ID).cloned();
    let query = request.uri.query().unwrap_or_default();
    let asked = query::first(query, "pretty");
    let pretty = accept::pretty(asked.as_deref(), &request.headers);
    let answer = match path.route {
        Route::Webhook(hook, secret) => api.review((hook, secret), &request, body).await,
        // Nothing else takes a body.
        _ => api.route(&path, &request, pretty).await,
    };
    let mut reply = answer.unwrap_or_else(|failure| {
        let format = accept::negotiate(&request.headers, Offer::Status);
        failure.reply(format.unwrap_or(Format::Json), pretty)
    });
    let code = reply.status();
    let counted = [kind(&path.route), code.as_str()];
    api.requests.with_label_values(&counted).inc();
    let took = begun.elapsed().as_secs_f64();
    api.took.with_label_values(&counted[..1]).observe(took);
    let headers = reply.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache, private"));
    if let Some(audit) = audit.or_else(fresh) {
        headers.insert(AUDIT_ID, audit);
    }
    reply
}

/// A random UUID, by which a log elsewhere can name this request.
fn fresh() -> Option<HeaderValue> {
    let [a, b] = [fastrand::u64(..), fastrand::u64(..)];
    let text = format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 48 & 0x3fff | 0x8000,
        b & 0xffff_ffff_ffff
    );
    HeaderValue::from_str(&text).ok()
}

fn kind(route: &Route<'_>) -> &'static str {
    match route {
        Route::Health(_) | Route::Check(..) => "health",
        Route::Metric { .. } | Route::Everywhere => "metric",
        Route::Explanation { .. } => "explanation",
        Route::OpenApi2 | Route::OpenApi3 | Route::OpenApi3Version(_) => "openapi",
        Route::Index | Route::Groups | Route::Group(_) | Route::Resources(_) | Route::Version => {
            "discovery"
        }
        Route::Webhook(..) => "webhook",
        Route::Metrics => "metrics",
        Route::Unknown => "unknown",
    }
}

impl Api {
    /// kube-apiserver shows no credential here; its connection stays for as long as it has something to ask.
    async fn review(
        &self,
        hook: (Hook, &str),
        request: &Parts,
        body: Body,
    ) -> Result<Response, Failure> {
        let peer = request.extensions.get::<Arc<Peer>>();
        let answer = self.webhooks.answer(hook, request, body).await;
        if let (Some(peer), Ok(_)) = (peer, &answer) {
            peer.guest.reviewed();
        }
        answer
    }

    async fn route(
        &self,
        path: &Path<'_>,
        request: &Parts,
        pretty: bool,
    ) -> Result<Response, Failure> {
        let (headers, query) = (&request.headers, request.uri.query().unwrap_or_default());
        if let Route::Health(probe) = path.route {
            let verbose = query::first(query, "verbose").is_some();
            let excluded = query::all(query, "exclude");
            return Ok(self.readiness.answer(probe, verbose, &excluded));
        }
        let peer = request.extensions.get::<Arc<Peer>>();
        let peer = peer.ok_or_else(Failure::unauthorized)?;
        let caller = self.authenticator.authenticate(peer, headers).await;
        let (user, standing) = caller.map_err(|refused| match refused {
            Refused::Unknown => Failure::unauthorized(),
            Refused::Busy(why) => Failure::busy(&why),
        })?;
        let asked = Attributes::of(&request.method, path, &request.uri);
        self.authorizer.allow((&user, standing), &asked).await?;
        peer.guest.showed(standing);
        if path.route == Route::Unknown && !path.text.starts_with("/apis/") {
            return Ok(version::paths(StatusCode::NOT_FOUND));
        }
        if path.route == Route::Unknown {
            return Err(Failure::no_route());
        }
        if request.method != Method::GET {
            return Err(Failure::method());
        }
        let written = |offer| {
            accept::negotiate(headers, offer).map_err(|why| Failure::unacceptable(why, offer))
        };
        match path.route {
            Route::Index => Ok(version::paths(StatusCode::OK)),
            Route::Groups => discovery::groups(headers, pretty),
            Route::Group(group) => Ok(discovery::group(group, written(Offer::Document)?, pretty)),
            Route::Resources(group) => Ok(discovery::resources(
                group,
                &self.owners.delegation.listed(),
                written(Offer::Document)?,
                pretty,
            )),
            Route::OpenApi2 => Ok(openapi::v2(headers)),
            Route::OpenApi3 => Ok(openapi::v3(headers)),
            Route::OpenApi3Version(group) => Ok(openapi::v3_version(group, query, headers)),
            Route::Version => Ok(version::version()),
            Route::Metrics => Ok(self.metrics.answer().await),
            Route::Check(probe, name) => self.readiness.check(probe, name),
            Route::Metric {
                group,
                namespace,
                metric,
            } => {
                if self.shadow && group == Group::External {
                    return Err(shadow());
                }
                let place = (group, namespace, metric);
                let format = written(Offer::Metrics);
                let options = list_options(query, group);
                let options = options.or_else(|why| format.clone().and(Err(why)))?;
                let selector = Selector::parse(&options.selector);
                let readable = selector.as_ref().ok();
                let named = readable.and_then(|s| s.pinned(SCALED_OBJECT));
                let found = self.table.find(namespace, metric, named);
                let backend = readable.and_then(|s| self.owners.backend(&found, place, s));
                if let Some(delegate) = backend {
                    self.knows()?;
                    let place = (namespace, metric);
                    return self.owners.ask(&delegate, place, request).await;
                }
                let format = format?;
                self.turns()?;
                let selector = selector.map_err(|e| Failure::bad_request(e.to_string()))?;
                if metric == PLACEHOLDER {
                    let table = &self.table;
                    return external_metrics::list(table, namespace, &selector, format, pretty);
                }
                let asked = || self.owners.asked(group);
                external_metrics::get(&found, place, &selector, format, pretty, asked)
            }
            Route::Explanation { namespace, name } => {
                let found = self.questions.explain(namespace, name).await;
                let found = found.ok_or_else(|| {
                    Failure::not_found(format!(
                        "no ScaledObject {name} in namespace {namespace} is known here"
                    ))
                })?;
                Ok(object(StatusCode::OK, &found, Format::Json, pretty))
            }
            Route::Everywhere => {
                let format = written(Offer::Metrics)?;
                let query = list_options(query, Group::External)?;
                self.turns()?;
                external_metrics::everywhere(&self.table, &query.selector, format, pretty)
            }
            Route::Health(_) | Route::Webhook(..) | Route::Unknown => Err(Failure::no_route()),
        }
    }

    /// Until the objects are known, one of ours might be taken for a backend's.
    fn knows(&self) -> Result<(), Failure> {
        if *self.readiness.polled.borrow() {
            return Ok(());
        }
        let said =
            "nothing is passed on to a backend before the objects that are handled here are known";
        let code = StatusCode::SERVICE_UNAVAILABLE;
        Err(Failure::new(code, "ServiceUnavailable", said))
    }

    /// The table is as old as the engine's last turn: after a freeze, or beside an engine that hangs, it says nothing of now.
    fn turns(&self) -> Result<(), Failure> {
        let age = self.readiness.pulse.age(Instant::now());
        if age <= self.longest_turn {
            return Ok(());
        }
        let said = format!(
            "values are withheld: the engine has not looked at any object for {} s; it does every second unless the process was frozen, starves of CPU or hangs",
            age.as_secs()
        );
        let code = StatusCode::SERVICE_UNAVAILABLE;
        Err(Failure::new(code, "ServiceUnavailable", said))
    }
}

/// The answer of a lagscale that only looks.
fn shadow() -> Failure {
    let said = format!(
        "this lagscale is a shadow (--shadow), which answers no HPA; its values are served under {OWN_GROUP}"
    );
    let code = StatusCode::SERVICE_UNAVAILABLE;
    Failure::new(code, "ServiceUnavailable", said)
}

fn list_options(query: &str, group: Group) -> Result<Query<'_>, Failure> {
    let query = Query::parse(query)?;
    if query.watch {
        let group = group.name();
        let message = format!("watch is not supported on resources of kind \"*.{group}\"");
        let code = StatusCode::METHOD_NOT_ALLOWED;
        return Err(
            Failure::new(code, "MethodNotAllowed", message).with(Details {
                group: group.into(),
                kind: "*".into(),
                ..Details::default()
            }),
        );
    }
    Ok(query)
}

/// A request as hyper hands it over, as axum takes it, with the connection's client attached.
pub(in crate::server) fn with_peer(
    request: hyper::Request<hyper::body::Incoming>,
    peer: &Arc<Peer>,
) -> Request {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer.clone());
    request
}
