//! Tokens of service accounts: what the API server is asked for, and how long its answer is good for.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};

/// A request for a token of this life; without an audience it is for the account's default one.
pub(crate) fn request(audience: Option<&str>, life: Duration) -> TokenRequest {
    TokenRequest {
        spec: TokenRequestSpec {
            audiences: audience.into_iter().map(str::to_owned).collect(),
            expiration_seconds: Some(i64::try_from(life.as_secs()).unwrap_or(i64::MAX)),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    }
}

/// The life of the token in an answer, which the API server may have shortened.
pub(crate) fn granted(made: &TokenRequest, asked: Duration) -> Duration {
    let seconds = made.spec.expiration_seconds.unwrap_or_default();
    u64::try_from(seconds).map_or(asked, Duration::from_secs)
}

/// The age at which a token of this life is renewed: with a fifth of it left, as kubelets do.
pub(crate) fn renewed_after(life: Duration) -> Duration {
    life * 4 / 5
}
