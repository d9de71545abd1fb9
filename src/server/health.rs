//! Health: livez says that the process turns, readyz that it may be asked. Neither ever depends on Kafka after the
//! first polls, so an outage of a broker takes no endpoint away.

use axum::response::Response;
use http::StatusCode;
use tokio::sync::watch;

use super::{reply::text, route::Probe};

/// What readiness waits for.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// Caches are synced and the first poll of each cluster is over.
    pub polled: watch::Receiver<bool>,
    /// The cluster's trust is read.
    pub trust: watch::Receiver<bool>,
    /// The process was told to end.
    pub stopping: watch::Receiver<bool>,
}

impl Readiness {
    fn checks(&self) -> [(&'static str, bool); 4] {
        [
            ("ping", true),
            ("informer-sync", *self.polled.borrow()),
            ("front-proxy-trust", *self.trust.borrow()),
            ("shutdown", !*self.stopping.borrow()),
        ]
    }

    /// Answers a probe; one that fails always says which check it was.
    pub(super) fn answer(&self, probe: Probe, verbose: bool) -> Response {
        let (name, checks) = match probe {
            Probe::Live => ("livez", vec![("ping", true)]),
            Probe::Ready => ("readyz", self.checks().to_vec()),
        };
        let good = checks.iter().all(|(_, good)| *good);
        if good && !verbose {
            return text(StatusCode::OK, "ok");
        }
        let mut body = String::new();
        for (check, good) in checks {
            body.push_str(if good { "[+]" } else { "[-]" });
            body.push_str(check);
            body.push_str(if good {
                " ok\n"
            } else {
                " failed: reason withheld\n"
            });
        }
        body.push_str(name);
        body.push_str(if good {
            " check passed\n"
        } else {
            " check failed"
        });
        let code = if good {
            StatusCode::OK
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        text(code, body)
    }
}
