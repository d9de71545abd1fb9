//! Another server of external metrics: HTTPS with a certificate for its Service's name, which answers as a test says and keeps what it
//! was asked.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bed::Ca;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

/// A question that it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub target: String,
    pub headers: HeaderMap,
}

impl Asked {
    /// A header's text, or the empty one.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

/// The answer to a question.
pub enum Given {
    Answer(Response<Full<Bytes>>),
    /// None, ever.
    Silence,
}

/// A running backend.
pub struct Backend {
    pub name: &'static str,
    pub address: SocketAddr,
    /// Signs its certificate.
    pub ca: Ca,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<()>,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An answer with this code, type and body.
pub fn given(code: u16, content_type: &str, body: impl Into<Bytes>) -> Given {
    let reply = Response::builder()
        .status(StatusCode::from_u16(code).unwrap())
        .header("content-type", content_type);
    Given::Answer(reply.body(Full::new(body.into())).unwrap())
}

impl Backend {
    /// A backend whose Service is `name` in the namespace `others`.
    pub async fn start(
        name: &'static str,
        answer: impl Fn(&Asked) -> Given + Send + Sync + 'static,
    ) -> Self {
        let host = format!("{name}.others.svc");
        Self::called(name, &host, answer).await
    }

    /// A backend whose certificate is for another host.
    pub async fn called(
        name: &'static str,
        host: &str,
        answer: impl Fn(&Asked) -> Given + Send + Sync + 'static,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = Ca::new(name);
        let identity = ca.sign(name, None, &[host]);
        let chain = CertificateDer::pem_slice_iter(identity.cert.as_bytes());
        let chain = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (kept, answer) = (asked.clone(), Arc::new(answer));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, kept, answer) = (tls.clone(), kept.clone(), answer.clone());
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else {
                        return;
                    };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let target = request.uri().to_string();
                        let headers = request.headers().clone();
                        let asked = Asked { target, headers };
                        kept.lock().unwrap().push(asked.clone());
                        let answer = answer(&asked);
                        async move {
                            match answer {
                                Given::Answer(answer) => Ok::<_, Infallible>(answer),
                                Given::Silence => std::future::pending().await,
                            }
                        }
                    });
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            name,
            address,
            ca,
            asked,
            serving,
        }
    }

    /// Everything that it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Its entry in the list of backends, trusted by its CA; `matching` is the rest of it.
    pub fn entry(&self, matching: &serde_json::Value) -> serde_json::Value {
        serde_json::json!({
            "name": self.name, "match": matching, "caBundle": self.ca.pem,
            "service": {"namespace": "others", "name": self.name, "port": self.address.port()},
        })
    }
}
