//! A metric GET that may not be ours: whose it is, and the answer of a backend, passed on as it was given. The object decides and not
//! the metric's name, since KEDA and lagscale name metrics alike.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header, request::Parts};
use kube::runtime::reflector::{ObjectRef, Store};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    delegation::{Delegate, Delegation, Passed, Question},
    resources::{ScaledObject, names::SCALED_OBJECT},
    scaling::table::Found,
    selector::Selector,
    server::{
        answer::{external_metrics::PLACEHOLDER, failure::Failure},
        request::route::{GROUP, Group, VERSION},
    },
};

/// The header of an answer that is a backend's: its name.
pub const BACKEND_HEADER: &str = "x-lagscale-backend";

/// Letters that are not themselves in a word of a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'@');

/// Everything by which it is decided whose a question is.
pub(in crate::server) struct Owners {
    pub delegation: Arc<Delegation>,
    /// The ScaledObjects that are handled here.
    pub objects: Store<ScaledObject>,
}

impl Owners {
    /// The backend whose `metric` in `namespace` is; `None` where it is answered here: a metric of a ScaledObject or LagMetric of
    /// ours, and what no backend takes. `found` is what the table has of that name and of the object that `selector` names.
    pub fn backend(
        &self,
        found: &Found,
        (group, namespace, metric): (Group, &str, &str),
        selector: &Selector,
    ) -> Option<Arc<Delegate>> {
        // A dot or two would lead to another path there.
        let is_path = |word| matches!(word, "." | "..");
        let nobody = metric == PLACEHOLDER || is_path(metric) || is_path(namespace);
        // The group of its own has lagscale's metrics alone.
        if group == Group::Own || nobody || self.delegation.is_empty() {
            return None;
        }
        let object = selector.pinned(SCALED_OBJECT);
        let ours = match found {
            Found::Nobody => false,
            Found::ScaledObjects(named) => !named.is_empty(),
            Found::LagMetric(_) => object.is_none(),
        };
        let known = |name| {
            let object = ObjectRef::new(name).within(namespace);
            self.objects.get(&object).is_some()
        };
        if ours || object.is_some_and(known) {
            return None;
        }
        self.delegation.first(&Question {
            namespace,
            metric,
            selector,
        })
    }

    /// The answer of `delegate`.
    pub async fn ask(
        &self,
        delegate: &Delegate,
        (namespace, metric): (&str, &str),
        request: &Parts,
    ) -> Result<Response, Failure> {
        if self.delegation.has_passed(&request.headers) {
            let code = StatusCode::LOOP_DETECTED;
            let said = "the question has passed lagscale before: a backend of it leads back here";
            return Err(Failure::new(code, "InternalError", said));
        }
        // Made anew of the words that were authorized, whatever way they came in.
        let word = |text| utf8_percent_encode(text, ESCAPED);
        let mut target = format!(
            "/apis/{GROUP}/{VERSION}/namespaces/{}/{}",
            word(namespace),
            word(metric)
        );
        if let Some(query) = request.uri.query() {
            target.push('?');
            target.push_str(query);
        }
        let passed = Passed {
            target: &target,
            headers: &request.headers,
        };
        let answer = self.delegation.ask(delegate, passed).await;
        let backend = HeaderValue::from_str(delegate.name());
        let answer = answer.map_err(|trouble| {
            let reason = match trouble.code {
                StatusCode::GATEWAY_TIMEOUT => "Timeout",
                StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
                _ => "InternalError",
            };
            Failure::new(trouble.code, reason, trouble.text)
        })?;
        let mut reply = Response::new(Body::from(answer.body));
        *reply.status_mut() = answer.code;
        let headers = reply.headers_mut();
        headers.insert(header::CONTENT_TYPE, answer.content_type);
        if let Ok(backend) = backend {
            headers.insert(BACKEND_HEADER, backend);
        }
        Ok(reply)
    }

    /// The end of a sentence about a metric that nobody has.
    pub fn asked(&self, group: Group) -> String {
        match self.delegation.names() {
            names if names.is_empty() || group == Group::Own => String::new(),
            names => format!("; none of its backends ({names}) takes it"),
        }
    }
}
