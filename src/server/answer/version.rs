//! The server about itself: `/version`, and the paths that there are.

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use crate::server::{answer::reply::object, request::accept::Format, request::route::Group};

/// `version.Info` of apimachinery. Major and minor are those of the Kubernetes API whose behaviour is served.
pub(in crate::server) fn version() -> Response {
    let info = json!({
        "major": "1", "minor": "36",
        "gitVersion": concat!("v", env!("CARGO_PKG_VERSION")),
        "gitCommit": option_env!("LAGSCALE_REVISION").unwrap_or_default(),
        "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    });
    object(StatusCode::OK, &info, Format::Json, true)
}

/// The list of paths; with 404 where another path was asked for.
pub(in crate::server) fn paths(code: StatusCode) -> Response {
    let mut paths = vec!["/apis".to_owned()];
    for group in Group::ALL {
        paths.push(format!("/apis/{}", group.name()));
        paths.push(format!("/apis/{}", group.version()));
    }
    let others = [
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ];
    paths.extend(others.map(str::to_owned));
    object(code, &json!({"paths": paths}), Format::Json, true)
}
