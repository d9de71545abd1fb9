//! The server about itself: `/version`, and the paths that there are.

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use crate::server::{
    answer::reply::object,
    request::accept::Format,
    request::route::{GROUP, VERSION},
};

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
    let paths = json!({"paths": [
        "/apis", format!("/apis/{GROUP}"), format!("/apis/{GROUP}/{VERSION}"),
        "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version",
    ]});
    object(code, &paths, Format::Json, true)
}
