//! One request after the other, over a new connection whenever the server ends one; whatever was sent has to be answered.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use http::{Method, StatusCode};
use tokio::task::JoinHandle;

use super::{Caller, MASTERS, Rig};

/// Load under way.
pub struct Load {
    counts: Arc<Counts>,
    running: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    answered: AtomicUsize,
    connections: AtomicUsize,
    stop: AtomicBool,
    may_end: AtomicBool,
}

impl Load {
    /// Begins to GET `path` as the front proxy.
    pub fn begin(rig: &Rig, path: &str) -> Self {
        let counts = Arc::<Counts>::default();
        let identity = rig.proxies.sign("front-proxy-client", None, &[]);
        let (address, ca, path) = (rig.address, rig.serving.pem.clone(), path.to_owned());
        let seen = counts.clone();
        let running = tokio::spawn(async move {
            while !seen.stop.load(Ordering::Relaxed) {
                let caller = match Caller::try_connect(address, &ca, Some(&identity)).await {
                    Ok(caller) => caller,
                    Err(_) if seen.may_end.load(Ordering::Relaxed) => return,
                    Err(error) => panic!("no connection: {error}"),
                };
                seen.connections.fetch_add(1, Ordering::Relaxed);
                while !seen.stop.load(Ordering::Relaxed) && caller.is_ready().await {
                    let sent = caller.send(Method::GET, &path, &MASTERS, "").await;
                    match sent {
                        Ok(answer) => assert_eq!(answer.code, StatusCode::OK, "{answer:?}"),
                        // Never sent: the connection ended between two looks.
                        Err(error) if error.is_canceled() || error.is_closed() => break,
                        Err(error) => panic!("a request failed: {error:?}"),
                    }
                    seen.answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { counts, running }
    }

    /// From now on a connection that is refused ends it.
    pub fn may_end(&self) {
        self.counts.may_end.store(true, Ordering::Relaxed);
    }

    /// How many answers came so far.
    pub fn answered(&self) -> usize {
        self.counts.answered.load(Ordering::Relaxed)
    }

    /// How many connections it took.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Ends it; panics if any request failed. Returns how many were answered.
    pub async fn end(self) -> usize {
        self.counts.stop.store(true, Ordering::Relaxed);
        self.running.await.unwrap();
        self.counts.answered.load(Ordering::Relaxed)
    }
}
