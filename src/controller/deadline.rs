//! The deadline of a request to the API server.

use std::time::Duration;

/// An API server that takes longer is one that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The result of `request`, unless the API server takes too long.
pub(super) async fn within<T>(
    request: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(result) => result,
        Err(_) => Err(format!("the API server did not answer within {PATIENCE:?}")),
    }
}

/// A request with this deadline, as an error of the client.
pub(super) async fn bounded<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, kube::Error> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(result) => result,
        Err(elapsed) => Err(kube::Error::Service(elapsed.into())),
    }
}
