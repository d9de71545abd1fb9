//! The port of the page. It is a loopback address, and a request names it as one, so that no page of the internet can have a
//! browser ask it under a name of its own (DNS rebinding).

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderName, HeaderValue, StatusCode, header, uri::Authority};
use jiff::Timestamp;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{
    history::{EVERY, Histories},
    view::Sources,
};
use crate::{server::serve_plainly, telemetry::sample_key};

const HTML: &str = include_str!("assets/page.html");
const SCRIPT: &str = include_str!("assets/page.js");
const STYLE: &str = include_str!("assets/page.css");

/// Nothing is loaded from elsewhere, nothing is kept, and no other page may frame it.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

struct Page {
    sources: Sources,
    histories: Mutex<Histories>,
}

/// Serves the page, and notes what it draws, until serving ends.
pub async fn serve(listener: TcpListener, sources: Sources, ending: watch::Receiver<bool>) {
    let page = Arc::new(Page {
        sources,
        histories: Mutex::default(),
    });
    let router = Router::new()
        .route("/", get(async || asset("text/html; charset=utf-8", HTML)))
        .route("/page.js", get(async || asset("text/javascript", SCRIPT)))
        .route("/page.css", get(async || asset("text/css", STYLE)))
        .route("/objects", get(objects))
        .route("/objects/{namespace}/{name}", get(object))
        .with_state(page.clone())
        .layer(middleware::from_fn(guarded));
    tokio::select! {
        () = page.note() => {}
        () = serve_plainly(listener, router, ending) => {}
    }
}

impl Page {
    /// Notes a point of every object, for ever.
    async fn note(&self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let points: Vec<_> = self.sources.points().collect();
            let mut histories = self
                .histories
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            histories.note(points.into_iter());
        }
    }
}

async fn objects(State(page): State<Arc<Page>>) -> Response {
    Json(page.sources.rows(Timestamp::now())).into_response()
}

async fn object(
    State(page): State<Arc<Page>>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let history = {
        let histories = page
            .histories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        histories.of(&sample_key(&namespace, &name)).cloned()
    };
    let told = (EVERY.as_secs(), history);
    match page.sources.detail((&namespace, &name), told).await {
        Some(detail) => Json(detail).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn asset(kind: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], Body::from(content)).into_response()
}

async fn guarded(request: Request, next: Next) -> Response {
    let mut response = if is_local(&request) {
        next.run(request).await
    } else {
        let text = "the status page is asked for as localhost, 127.0.0.1 or [::1]\n";
        (StatusCode::FORBIDDEN, text).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// `true` where the request names a loopback address.
fn is_local(request: &Request) -> bool {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|h| h.to_str().ok()?.parse::<Authority>().ok());
    host.is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}
