//! OpenAPI v2 and v3. Both are always served: a missing v3 makes kube-apiserver convert v2 itself, and an operation
//! without `responses` crashes it there (external-metrics-api.md, fact 10).

use std::sync::LazyLock;

use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::server::{
    answer::document::Document,
    answer::reply::set,
    request::accept,
    request::query,
    request::route::{Group, VERSION},
};

/// Where the v3 document of a group's version is.
fn v3_path(group: Group) -> String {
    format!("apis/{}", group.version())
}

fn info() -> Value {
    json!({"title": "lagscale", "version": env!("CARGO_PKG_VERSION")})
}

static V2: LazyLock<Document> = LazyLock::new(|| {
    Document::new(&json!({
        "swagger": "2.0", "info": info(),
        "paths": paths(&Group::ALL, "#/definitions/", false),
        "definitions": schemas("#/definitions/"),
    }))
});
static V3_VERSIONS: [LazyLock<Document>; 2] = [
    LazyLock::new(|| of_version(Group::External)),
    LazyLock::new(|| of_version(Group::Own)),
];
static V3: LazyLock<Document> = LazyLock::new(|| {
    let paths = Group::ALL.map(|group| {
        let path = v3_path(group);
        let url = format!("/openapi/v3/{path}?hash={}", v3_document(group).hash);
        (path, json!({"serverRelativeURL": url}))
    });
    let paths: serde_json::Map<_, _> = paths.into_iter().collect();
    Document::new(&json!({"paths": paths}))
});

fn of_version(group: Group) -> Document {
    Document::new(&json!({
        "openapi": "3.0.0", "info": info(),
        "paths": paths(&[group], "#/components/schemas/", true),
        "components": {"schemas": schemas("#/components/schemas/")},
    }))
}

fn v3_document(group: Group) -> &'static Document {
    match group {
        Group::External => &V3_VERSIONS[0],
        Group::Own => &V3_VERSIONS[1],
    }
}

/// `/openapi/v2`; only JSON, and 406 without a body to whoever can't read it, as the reference does.
pub(in crate::server) fn v2(headers: &HeaderMap) -> Response {
    let clauses = accept::clauses(headers);
    if !clauses.is_empty() && !clauses.iter().any(accept::Clause::takes_json) {
        let mut reply = Response::default();
        *reply.status_mut() = StatusCode::NOT_ACCEPTABLE;
        return reply;
    }
    V2.reply("application/json", headers)
}

/// `/openapi/v3`.
pub(in crate::server) fn v3(headers: &HeaderMap) -> Response {
    V3.reply("application/json", headers)
}

/// `/openapi/v3/apis/external.metrics.k8s.io/v1beta1`; whatever hash was asked for, since a redirect would be refused. Under
/// its own hash it never changes.
pub(in crate::server) fn v3_version(group: Group, query: &str, headers: &HeaderMap) -> Response {
    let document = v3_document(group);
    let mut reply = document.reply("application/json", headers);
    if query::first(query, "hash").is_some_and(|h| *h == *document.hash) {
        let for_a_year = "public, immutable, max-age=31536000";
        set(&mut reply, header::CACHE_CONTROL, for_a_year);
    }
    reply
}

const LIST: &str = "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValueList";
const VALUE: &str = "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValue";

fn paths(groups: &[Group], schemas: &str, v3: bool) -> Value {
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
        "parameters": [
            parameter("namespace", "path", "the namespace of the ScaledObject or LagMetric"),
            parameter("metric", "path", "the metric's name, such as s0-kafka-orders, or the name of a LagMetric"),
            parameter("labelSelector", "query", "scaledobject.keda.sh/name=NAME for the metric of a ScaledObject; requirements on topic for that of a LagMetric"),
        ],
        "responses": {"200": ok, "401": {"description": "Unauthorized"}},
    });
    if !v3 {
        operation["produces"] = json!(["application/json"]);
    }
    let of = |group: &Group| {
        let mut operation = operation.clone();
        operation["operationId"] = match group {
            Group::External => "listExternalMetricsV1beta1NamespacedExternalMetric",
            Group::Own => "listExternalMetricsLagscaleIoV1beta1NamespacedExternalMetric",
        }
        .into();
        let path = format!("/{}/namespaces/{{namespace}}/{{metric}}", v3_path(*group));
        (path, json!({"get": operation}))
    };
    Value::Object(groups.iter().map(of).collect())
}

fn schemas(prefix: &str) -> Value {
    let text = || json!({"type": "string"});
    let kind = |group: Group| json!({"group": group.name(), "version": VERSION, "kind": "ExternalMetricValueList"});
    let kinds = Group::ALL.map(kind);
    json!({
        LIST: {
            "description": "the values of an external metric",
            "type": "object", "required": ["items"],
            "properties": {
                "apiVersion": text(), "kind": text(), "metadata": {"type": "object"},
                "items": {"type": "array", "items": {"$ref": format!("{prefix}{VALUE}")}},
            },
            "x-kubernetes-group-version-kind": kinds,
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
