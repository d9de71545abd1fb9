//! A TCP stand-in for a Service: forwards each connection to one of the replicas that answer readyz.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::http::get;

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

const CHECK: Duration = Duration::from_millis(200);
/// A kubelet's probe waits as long.
const ANSWER: Duration = Duration::from_secs(1);

/// Listens until it is dropped.
pub struct Balancer {
    address: SocketAddr,
    backends: Arc<Mutex<Vec<Backend>>>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Clone, Copy)]
struct Backend {
    address: SocketAddr,
    /// Plain HTTP with `/readyz`.
    health: SocketAddr,
    ready: bool,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Balancer {
    /// Starts without any backend: connections are closed at once, as with a Service that has no endpoint.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let backends = Arc::new(Mutex::new(Vec::new()));
        let tasks = [
            tokio::spawn(accept(listener, backends.clone())),
            tokio::spawn(check(backends.clone())),
        ];
        Self {
            address,
            backends,
            tasks,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a replica: where it serves, and where its plain `/readyz` is.
    pub fn add(&self, address: SocketAddr, health: SocketAddr) {
        let ready = false;
        let backend = Backend {
            address,
            health,
            ready,
        };
        self.backends.lock().expect("not poisoned").push(backend);
    }

    /// Takes a replica out.
    pub fn remove(&self, address: SocketAddr) {
        self.backends
            .lock()
            .expect("not poisoned")
            .retain(|b| b.address != address);
    }
}

async fn accept(listener: TcpListener, backends: Arc<Mutex<Vec<Backend>>>) {
    let next = AtomicUsize::new(0);
    loop {
        let Ok((mut from, _)) = listener.accept().await else {
            continue;
        };
        let ready: Vec<_> = {
            let backends = backends.lock().expect("not poisoned");
            backends
                .iter()
                .filter(|b| b.ready)
                .map(|b| b.address)
                .collect()
        };
        let Some(to) = ready
            .get(next.fetch_add(1, Ordering::Relaxed) % ready.len().max(1))
            .copied()
        else {
            continue;
        };
        tokio::spawn(async move {
            if let Ok(mut to) = TcpStream::connect(to).await {
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}

async fn check(backends: Arc<Mutex<Vec<Backend>>>) {
    loop {
        let now: Vec<_> = backends.lock().expect("not poisoned").clone();
        for backend in now {
            let health = backend.health.to_string();
            let answer = timeout(ANSWER, get(&health, "/readyz")).await;
            let ready = answer.is_ok_and(|(code, _)| code == 200);
            let mut backends = backends.lock().expect("not poisoned");
            for known in backends.iter_mut().filter(|b| b.address == backend.address) {
                known.ready = ready;
            }
        }
        tokio::time::sleep(CHECK).await;
    }
}
