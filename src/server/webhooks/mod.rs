//! Validating admission webhooks: what would never work is refused before it is stored. kube-apiserver calls them without
//! credentials, by a path that nobody else knows: they only read, and size, time and number at once are bounded. What can't be
//! looked up is let in.

pub mod authentication;
mod conflicts;
mod requests;
mod review;
mod scaled_object;
mod surroundings;
mod target;
mod verdict;

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http::{Method, StatusCode, header, request::Parts};
use kube::Client;
use tokio::sync::{Semaphore, watch};

use super::{answer::failure::Failure, answer::reply::json};
pub use review::{Request, Subject};
pub use surroundings::{Neighbours, Surroundings, Template};
pub use verdict::Verdict;

/// An object and its predecessor, each as large as kube-apiserver takes one.
const LARGEST: usize = 3 * 1024 * 1024;
/// kube-apiserver goes on without us after three seconds, as the manifests have it, and after ten at most as others may.
const DEADLINE: Duration = Duration::from_secs(8);
/// kube-apiserver sends a review in one go; who dawdles holds one of few places.
const BODY: Duration = Duration::from_secs(2);
/// Reviews at once, each with its body in memory.
const AT_ONCE: usize = 4;
/// Reviews that wait for their turn; one more is refused at once, and kube-apiserver goes on without us.
const WAITING: usize = 32;

/// Whose objects a webhook looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// ScaledObjects.
    ScaledObject,
    /// TriggerAuthentications.
    TriggerAuthentication,
    /// ClusterTriggerAuthentications.
    ClusterTriggerAuthentication,
}

impl Hook {
    /// Every webhook.
    pub const ALL: [Self; 3] = [
        Self::ScaledObject,
        Self::TriggerAuthentication,
        Self::ClusterTriggerAuthentication,
    ];

    /// Its path, as KEDA has it.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ScaledObject => "/validate-keda-sh-v1alpha1-scaledobject",
            Self::TriggerAuthentication => "/validate-keda-sh-v1alpha1-triggerauthentication",
            Self::ClusterTriggerAuthentication => {
                "/validate-keda-sh-v1alpha1-clustertriggerauthentication"
            }
        }
    }

    /// Whether a path is this webhook's, with a secret behind it or without.
    #[must_use]
    pub fn is_at(self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Its path with a secret behind it; the open one without.
    #[must_use]
    pub fn secret_path(self, secret: &str) -> String {
        match secret {
            "" => self.path().to_owned(),
            secret => format!("{}/{secret}", self.path()),
        }
    }
}

/// The secret part of the webhooks' paths, told to kube-apiserver only; `None` until it is known, and where certificates come from files.
pub type SecretPath = watch::Receiver<Option<Arc<str>>>;

/// Answers reviews.
pub(super) struct Webhooks {
    client: Client,
    neighbours: Neighbours,
    secret: SecretPath,
    known: Queue,
    strangers: Queue,
}

/// Reviews that are answered, and that wait.
struct Queue {
    places: Semaphore,
    waiting: Semaphore,
}

impl Queue {
    const fn new(at_once: usize) -> Self {
        Self {
            places: Semaphore::const_new(at_once),
            waiting: Semaphore::const_new(WAITING),
        }
    }
}

impl Webhooks {
    pub fn new(client: Client, neighbours: Neighbours, secret: SecretPath) -> Self {
        Self {
            client,
            neighbours,
            secret,
            known: Queue::new(AT_ONCE),
            strangers: Queue::new(AT_ONCE),
        }
    }

    /// Answers one review within the deadline. `secret` is what follows the webhook's path.
    pub async fn answer(
        &self,
        (hook, secret): (Hook, &str),
        request: &Parts,
        body: Body,
    ) -> Result<Response, Failure> {
        let wanted = self.secret.borrow().clone();
        let known = match wanted {
            Some(wanted) if same(secret, &wanted) => true,
            _ if !secret.is_empty() => return Err(Failure::no_route()),
            // Where no path is secret, kube-apiserver comes by the open one.
            wanted => wanted.is_none(),
        };
        if request.method != Method::POST {
            return Err(Failure::method());
        }
        let length = request.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|l| l > LARGEST) {
            return Err(too_large());
        }
        let answer = tokio::time::timeout(DEADLINE, self.review(hook, known, body));
        answer.await.unwrap_or_else(|_| {
            let text = format!("no verdict within {} s", DEADLINE.as_secs());
            Err(Failure::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", text))
        })
    }

    /// A stranger is told what the object itself says, and nothing that is looked up for it.
    async fn review(&self, hook: Hook, known: bool, body: Body) -> Result<Response, Failure> {
        let queue = if known { &self.known } else { &self.strangers };
        let waiting = queue.waiting.try_acquire().map_err(|_| too_many())?;
        // Never closed.
        let _place = queue.places.acquire().await;
        drop(waiting);
        let body = tokio::time::timeout(BODY, axum::body::to_bytes(body, LARGEST));
        let body = body.await.map_err(|_| too_slow())?;
        let body = body.map_err(|_| too_large())?;
        let request = Request::parse(&body)
            .map_err(|e| Failure::bad_request(format!("no AdmissionReview v1: {e}")))?;
        let subject = if request.is_in(&self.neighbours.scope, hook) {
            Subject::of(hook, &request)
        } else {
            Subject::Unchanged
        };
        let around = match &subject {
            Subject::ScaledObject(object) if known => {
                let template = scaled_object::reads_template(object) && !request.dry_run;
                self.neighbours.around(&self.client, object, template).await
            }
            _ => Surroundings::default(),
        };
        let verdict = subject.verdict(&around);
        Ok(json(StatusCode::OK, &request.reply(&verdict)))
    }
}

/// Whether two secrets are one, in a time that tells nothing of where they differ.
fn same(one: &str, other: &str) -> bool {
    let hash = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    hash(one).as_ref() == hash(other).as_ref()
}

fn too_many() -> Failure {
    let text = format!("more than {WAITING} reviews wait already");
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", text)
}

fn too_slow() -> Failure {
    let text = format!("no whole review within {} s", BODY.as_secs());
    Failure::new(StatusCode::REQUEST_TIMEOUT, "Timeout", text)
}

fn too_large() -> Failure {
    let text = format!("a review may have {LARGEST} bytes at most");
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", text)
}
