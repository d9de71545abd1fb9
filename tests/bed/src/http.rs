//! One plain HTTP request.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(5);

/// GETs `path` from `host:port`: code and body; code 0 and the reason where no answer came.
pub async fn get(address: &str, path: &str) -> (u16, String) {
    match tokio::time::timeout(PATIENCE, ask(address, "GET", path, String::new())).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => (0, error),
        Err(_) => (0, format!("no answer within {PATIENCE:?}")),
    }
}

/// Code and body of the answer to a request, or the reason why there is none.
pub(crate) async fn ask(
    address: &str,
    method: &str,
    path: &str,
    body: String,
) -> Result<(u16, String), String> {
    let asked = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", address)
            .body(Full::new(Bytes::from(body)))?;
        let answer = sender.send_request(request).await?;
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((code, String::from_utf8_lossy(&body).into_owned()))
    };
    let answered: Result<_, Box<dyn std::error::Error + Send + Sync>> = asked.await;
    answered.map_err(|error| error.to_string())
}
