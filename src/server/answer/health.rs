//! Health: livez says that the process turns, readyz that it may be asked. Neither ever depends on Kafka after the
//! first polls, so an outage of a broker takes no endpoint away.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use axum::response::Response;
use http::StatusCode;
use tokio::sync::watch;

use crate::{
    pulse::Pulse,
    server::{answer::failure::Failure, answer::reply::text, request::route::Probe},
};

/// An engine without a turn for so long does not turn any more: the kubelet is to end the process.
const STANDS: Duration = Duration::from_secs(60);

/// The conditions of readiness.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// When the engine last turned.
    pub pulse: Pulse,
    /// Caches are synced and the first poll of each cluster is over.
    pub polled: watch::Receiver<bool>,
    /// The cluster's trust is read.
    pub trust: watch::Receiver<bool>,
    /// There is a serving certificate.
    pub certificate: watch::Receiver<bool>,
    /// The process was told to end.
    pub stopping: watch::Receiver<bool>,
}

impl Readiness {
    fn checks(&self, probe: Probe) -> Vec<(&'static str, bool)> {
        let ping = ("ping", true);
        match probe {
            Probe::Live => vec![ping, ("engine", self.pulse.age(Instant::now()) < STANDS)],
            Probe::Ready => vec![
                ping,
                ("informer-sync", *self.polled.borrow()),
                ("front-proxy-trust", *self.trust.borrow()),
                ("serving-certificate", *self.certificate.borrow()),
                ("shutdown", !*self.stopping.borrow()),
            ],
        }
    }

    /// Answers a probe without the checks of `exclude`; one that fails always says which check it was.
    pub(in crate::server) fn answer(
        &self,
        probe: Probe,
        verbose: bool,
        exclude: &[String],
    ) -> Response {
        let name = match probe {
            Probe::Live => "livez",
            Probe::Ready => "readyz",
        };
        let checks = self.checks(probe);
        let excluded = |check: &str| exclude.iter().any(|e| e == check);
        let good = checks.iter().all(|(check, good)| *good || excluded(check));
        if good && !verbose {
            return text(StatusCode::OK, "ok");
        }
        let mut body = String::new();
        for (check, good) in &checks {
            let line = match (excluded(check), good) {
                (true, _) => format!("[+]{check} excluded: ok\n"),
                (false, true) => format!("[+]{check} ok\n"),
                (false, false) => format!("[-]{check} failed: reason withheld\n"),
            };
            body.push_str(&line);
        }
        let known = |e: &&String| checks.iter().any(|(check, _)| check == e);
        let unknown: Vec<&String> = exclude.iter().filter(|e| !known(e)).collect();
        if !unknown.is_empty() {
            let _ = writeln!(
                body,
                "warn: some health checks cannot be excluded: no matches for {unknown:?}"
            );
        }
        body.push_str(name);
        let code = if good {
            body.push_str(" check passed\n");
            StatusCode::OK
        } else {
            body.push_str(" check failed");
            StatusCode::INTERNAL_SERVER_ERROR
        };
        text(code, body)
    }

    /// Answers for one check.
    pub(in crate::server) fn check(&self, probe: Probe, name: &str) -> Result<Response, Failure> {
        let checks = self.checks(probe);
        let found = checks.iter().find(|(check, _)| *check == name);
        match found {
            None => Err(Failure::no_route()),
            Some((_, true)) => Ok(text(StatusCode::OK, "ok")),
            Some((_, false)) => Ok(text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal server error: reason withheld\n",
            )),
        }
    }
}
