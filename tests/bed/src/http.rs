//! One plain HTTP GET.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(5);

/// GETs `path` from `host:port`: code and body; code 0 and the reason where no answer came.
pub async fn get(address: &str, path: &str) -> (u16, String) {
    let ask = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::get(path)
            .header("host", address)
            .body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await?;
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((code, String::from_utf8_lossy(&body).into_owned()))
    };
    let answered: Result<Result<_, Box<dyn std::error::Error + Send + Sync>>, _> =
        tokio::time::timeout(PATIENCE, ask).await;
    match answered {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => (0, error.to_string()),
        Err(_) => (0, format!("no answer within {PATIENCE:?}")),
    }
}
