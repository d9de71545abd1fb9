//! Delegation: a cluster has one server of `external.metrics.k8s.io`, and questions that are not lagscale's own are passed on to those
//! that would answer them, in order: the backends that are named, then the predecessor, whom the APIService led to before.

mod backend;
mod delegate;
mod follow;
mod listed;
mod matching;
pub mod predecessor;
mod token;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Instant,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::{HeaderMap, HeaderValue, header};
use kube::Client;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

pub use backend::{Backend, ServiceRef, Trust, backends, certificates};
pub use delegate::{Answer, Delegate, Passed, Trouble};
pub use matching::{Example, Question};
use token::Tokens;

/// The name of whom the APIService led to before.
pub const PREDECESSOR: &str = "predecessor";

/// Addresses of Services by name and namespace with a dot between, where cluster DNS does not resolve them.
pub type Addresses = BTreeMap<String, IpAddr>;

/// The settings of delegation.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The namespace lagscale runs in, which has the ServiceAccount too.
    pub namespace: String,
    /// The name of its own Service.
    pub service: String,
    /// The ServiceAccount whose token backends are shown.
    pub account: String,
    /// Backends, in the order in which they are tried.
    pub backends: Vec<Backend>,
    /// Services that DNS does not resolve.
    pub addresses: Addresses,
}

/// The backends, and what they are asked with.
pub struct Delegation {
    named: Vec<Arc<Delegate>>,
    predecessor: ArcSwapOption<Delegate>,
    listed: ArcSwap<BTreeSet<String>>,
    tokens: Tokens,
    via: HeaderValue,
    requests: IntCounterVec,
    took: HistogramVec,
    rules: Rules,
}

impl Delegation {
    /// Makes the connections' settings; nobody is asked yet. The predecessor is known once [`follow`](Self::follow) has seen it.
    ///
    /// # Errors
    /// A backend's CA that can't be used, by name.
    pub fn new(client: Client, rules: Rules, registry: &Registry) -> Result<Arc<Self>, String> {
        let named = rules.backends.iter();
        let named = named.map(|b| Ok(Arc::new(Delegate::new(b.clone(), &rules.addresses)?)));
        let via = format!("1.1 lagscale.{}.{}", rules.namespace, rules.service);
        let via = HeaderValue::from_str(&via).map_err(|error| error.to_string())?;
        let (requests, took) = metrics(registry).map_err(|error| error.to_string())?;
        Ok(Arc::new(Self {
            named: named.collect::<Result<_, String>>()?,
            predecessor: ArcSwapOption::empty(),
            listed: ArcSwap::default(),
            tokens: Tokens::new(client, &rules.namespace, &rules.account),
            via,
            requests,
            took,
            rules,
        }))
    }

    /// The first backend that takes `question`.
    #[must_use]
    pub fn first(&self, question: &Question<'_>) -> Option<Arc<Delegate>> {
        let mut named = self.named.iter();
        let named = named.find(|d| d.backend.takes(question)).cloned();
        named.or_else(|| self.predecessor.load_full())
    }

    /// Whether there is no backend at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.predecessor.load().is_none()
    }

    /// The backends there are, in words; empty without any.
    #[must_use]
    pub fn names(&self) -> String {
        let predecessor = self.predecessor.load_full();
        let all = self.named.iter().chain(&predecessor);
        let names: Vec<_> = all.map(|d| d.backend.name.as_str()).collect();
        names.join(", ")
    }

    /// Whether a request with these headers has passed here before.
    #[must_use]
    pub fn has_passed(&self, headers: &HeaderMap) -> bool {
        let mut hops = headers.get_all(header::VIA).iter();
        hops.any(|hop| *hop == self.via)
    }

    /// Asks `delegate`, and counts what came of it.
    ///
    /// # Errors
    /// Why there is no answer to pass on.
    pub async fn ask(&self, delegate: &Delegate, passed: Passed<'_>) -> Result<Answer, Trouble> {
        let begun = Instant::now();
        let result = delegate.ask(passed, &self.tokens, &self.via).await;
        let code = match &result {
            Ok(answer) => answer.code,
            Err(trouble) => trouble.code,
        };
        let name = &delegate.backend.name;
        let counted = [name.as_str(), code.as_str()];
        self.requests.with_label_values(&counted).inc();
        let took = self.took.with_label_values(&counted[..1]);
        took.observe(begun.elapsed().as_secs_f64());
        result
    }
}

fn metrics(registry: &Registry) -> Result<(IntCounterVec, HistogramVec), prometheus::Error> {
    let requests = IntCounterVec::new(
        Opts::new(
            "lagscale_backend_requests_total",
            "Questions passed on to a backend, by what was answered.",
        ),
        &["backend", "code"],
    )?;
    let took = HistogramVec::new(
        HistogramOpts::new(
            "lagscale_backend_request_duration_seconds",
            "From a question that is passed on to its answer.",
        )
        .buckets(vec![0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0]),
        &["backend"],
    )?;
    registry.register(Box::new(requests.clone()))?;
    registry.register(Box::new(took.clone()))?;
    Ok((requests, took))
}
