//! OpenAPI v2 and v3. Both are always served: a missing v3 makes kube-apiserver convert v2 itself, and an operation
//! without `responses` crashes it there (external-metrics-api.md, fact 10).

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    discovery::{cacheable, hash},
    reply::json as reply_json,
    route::{GROUP, VERSION},
};

/// Where the v3 document of our version is.
fn v3_path() -> String {
    format!("apis/{GROUP}/{VERSION}")
}

fn info() -> Value {
    json!({"title": "lagscale", "version": env!("CARGO_PKG_VERSION")})
}

/// `/openapi/v2`.
pub(super) fn v2(headers: &HeaderMap) -> Response {
    let document = json!({
        "swagger": "2.0", "info": info(),
        "paths": paths("#/definitions/", false),
        "definitions": schemas("#/definitions/"),
    });
    cacheable(&document, "application/json", headers)
}

/// `/openapi/v3`.
pub(super) fn v3(headers: &HeaderMap) -> Response {
    let hash = hash(v3_document().to_string().as_bytes());
    let path = v3_path();
    let url = format!("/openapi/v3/{path}?hash={hash}");
    let document = json!({"paths": {path: {"serverRelativeURL": url}}});
    cacheable(&document, "application/json", headers)
}

/// `/openapi/v3/apis/external.metrics.k8s.io/v1beta1`; whatever hash was asked for, since a redirect would be refused.
pub(super) fn v3_version(pretty: bool) -> Response {
    reply_json(StatusCode::OK, &v3_document(), pretty)
}

fn v3_document() -> Value {
    json!({
        "openapi": "3.0.0", "info": info(),
        "paths": paths("#/components/schemas/", true),
        "components": {"schemas": schemas("#/components/schemas/")},
    })
}

const LIST: &str = "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValueList";
const VALUE: &str = "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValue";

fn paths(schemas: &str, v3: bool) -> Value {
    let parameter = |name: &str, place: &str, about: &str| {
        let mut parameter = json!({"name": name, "in": place, "description": about});
        if place == "path" {
            parameter["required"] = true.into();
        }
        if v3 {
            parameter["schema"] = json!({"type": "string"});
        } else {
            parameter["type"] = "string".into();
        }
        parameter
    };
    let schema = json!({"$ref": format!("{schemas}{LIST}")});
    let mut ok = json!({"description": "OK"});
    if v3 {
        ok["content"] = json!({"application/json": {"schema": schema}});
    } else {
        ok["schema"] = schema;
    }
    let mut operation = json!({
        "description": "the values of an external metric",
        "operationId": "listExternalMetricsV1beta1NamespacedExternalMetric",
        "parameters": [
            parameter("namespace", "path", "the namespace of the ScaledObject"),
            parameter("metric", "path", "the metric's name, such as s0-kafka-orders"),
            parameter("labelSelector", "query", "scaledobject.keda.sh/name=NAME and any further requirement"),
        ],
        "responses": {"200": ok, "401": {"description": "Unauthorized"}},
    });
    if !v3 {
        operation["produces"] = json!(["application/json"]);
    }
    let path = format!("/{}/namespaces/{{namespace}}/{{metric}}", v3_path());
    json!({path: {"get": operation}})
}

fn schemas(prefix: &str) -> Value {
    let text = || json!({"type": "string"});
    json!({
        LIST: {
            "description": "the values of an external metric",
            "type": "object", "required": ["items"],
            "properties": {
                "apiVersion": text(), "kind": text(), "metadata": {"type": "object"},
                "items": {"type": "array", "items": {"$ref": format!("{prefix}{VALUE}")}},
            },
            "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": "ExternalMetricValueList"}],
        },
        VALUE: {
            "description": "one value of an external metric",
            "type": "object", "required": ["metricName", "metricLabels", "timestamp", "value"],
            "properties": {
                "metricName": text(),
                "metricLabels": {"type": "object", "additionalProperties": text()},
                "timestamp": {"type": "string", "format": "date-time"},
                "window": {"type": "integer", "format": "int64"},
                "value": text(),
            },
        },
    })
}
