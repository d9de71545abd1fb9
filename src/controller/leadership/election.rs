//! The task that takes, renews and gives up the Lease.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use tokio::{
    sync::{RwLock, watch},
    time::timeout,
};

use super::{ElectionRules, lease::Observed};
use crate::{pulse::Pulse, telemetry::Said, text::api_error};

/// For writes under way, and for giving the Lease up.
const HANDOVER: Duration = Duration::from_secs(5);

pub(super) struct Election {
    api: Api<Lease>,
    rules: ElectionRules,
    pulse: Pulse,
    elected: watch::Sender<Option<Instant>>,
    writers: Arc<RwLock<()>>,
    observed: Option<Observed>,
    /// The Lease as we wrote it last.
    held: Option<Lease>,
    said: Said,
}

impl Election {
    pub fn new(
        client: &Client,
        rules: ElectionRules,
        pulse: Pulse,
        elected: watch::Sender<Option<Instant>>,
        writers: Arc<RwLock<()>>,
    ) -> Self {
        Self {
            api: Api::namespaced(client.clone(), &rules.namespace),
            rules,
            pulse,
            elected,
            writers,
            observed: None,
            held: None,
            said: Said::default(),
        }
    }

    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let terms = self.rules.terms;
        loop {
            // A renewal counts from when it was sent.
            let sent = Instant::now();
            // A replica whose engine stands still lets its Lease run out, and takes no other.
            let tried = if self.pulse.age(sent) < terms.renew {
                timeout(terms.renew, self.attempt()).await
            } else {
                Ok(Ok(false))
            };
            match tried {
                Ok(Ok(true)) => self.elect(Some(sent + terms.renew)),
                Ok(Ok(false)) => self.elect(None),
                Ok(Err(error)) => self.failed(&api_error(&error)),
                Err(_) => self.failed(&format!("no answer within {:?}", terms.renew)),
            }
            // Not all at once, as client-go has it.
            let pause = terms.retry.mul_f64(1.0 + 0.2 * fastrand::f64());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // A receiver that is gone has taken the process with it.
                _ = stopping.wait_for(|stopping| *stopping) => break,
            }
        }
        self.hand_over().await;
    }

    fn elect(&mut self, until: Option<Instant>) {
        self.said.forget();
        let led = self.elected.borrow().is_some();
        self.elected.send_if_modified(|known| {
            let turned = known.is_some() != until.is_some();
            *known = until;
            turned
        });
        let ElectionRules {
            namespace,
            name,
            identity,
            ..
        } = &self.rules;
        match (led, until.is_some()) {
            (false, true) if self.rules.shadow => {
                tracing::info!(
                    namespace,
                    lease = name,
                    identity,
                    "elected: a shadow, which writes nothing but its certificate"
                );
            }
            (false, true) => {
                tracing::info!(
                    namespace,
                    lease = name,
                    identity,
                    "elected: this replica writes"
                );
            }
            (true, false) => {
                tracing::warn!(
                    namespace,
                    lease = name,
                    "this replica is not the leader any more"
                );
            }
            _ => {}
        }
    }

    /// An unknown Lease does not end a term before its time.
    fn failed(&mut self, error: &str) {
        self.held = None;
        let over = self
            .elected
            .borrow()
            .is_some_and(|until| until <= Instant::now());
        if over {
            self.elect(None);
        }
        if self.said.is_news(error) {
            let ElectionRules {
                namespace, name, ..
            } = &self.rules;
            tracing::warn!(
                error,
                namespace,
                lease = name,
                "the lease can't be read or renewed"
            );
        }
    }

    /// Whether the Lease is ours now.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        if let Some(held) = self.held.take()
            && self.write(&held).await?
        {
            return Ok(true);
        }
        let Some(found) = self.api.get_opt(&self.rules.name).await? else {
            return self.create().await;
        };
        let (now, spec) = (Instant::now(), found.spec.clone().unwrap_or_default());
        let observed = Observed::again(self.observed.take(), spec, now);
        let observed = self.observed.insert(observed);
        if observed
            .holder(now)
            .is_some_and(|holder| holder != self.rules.identity)
        {
            return Ok(false);
        }
        self.write(&found).await
    }

    async fn create(&mut self) -> Result<bool, kube::Error> {
        let ElectionRules {
            name,
            identity,
            terms,
            ..
        } = &self.rules;
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(Observed::claimed(None, identity, *terms, Timestamp::now())),
        };
        let made = self.api.create(&PostParams::default(), &lease).await;
        self.hold(made)
    }

    /// Writes it as ours over this version of it; false where it has changed since.
    async fn write(&mut self, found: &Lease) -> Result<bool, kube::Error> {
        let ElectionRules {
            name,
            identity,
            terms,
            ..
        } = &self.rules;
        let spec = Observed::claimed(found.spec.as_ref(), identity, *terms, Timestamp::now());
        let lease = Lease {
            spec: Some(spec),
            ..found.clone()
        };
        let written = self.api.replace(name, &PostParams::default(), &lease).await;
        self.hold(written)
    }

    fn hold(&mut self, written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
        match written {
            Ok(lease) => {
                self.held = Some(lease);
                Ok(true)
            }
            // Another was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Nothing begins to be written any more; what is under way ends, and the Lease is free at once.
    async fn hand_over(mut self) {
        self.elected.send_replace(None);
        let done = timeout(HANDOVER, self.writers.write()).await;
        let Some(held) = self.held.take().filter(|_| done.is_ok()) else {
            return;
        };
        let spec = held
            .spec
            .as_ref()
            .map(|spec| Observed::released(spec, Timestamp::now()));
        let lease = Lease {
            spec,
            ..held.clone()
        };
        let params = PostParams::default();
        let given_up = self.api.replace(&self.rules.name, &params, &lease);
        match timeout(HANDOVER, given_up).await {
            Ok(Ok(_)) => tracing::info!(lease = self.rules.name, "the lease is given up"),
            Ok(Err(error)) => {
                let error = api_error(&error);
                tracing::warn!(error, "the lease can't be given up: it runs out");
            }
            Err(_) => tracing::warn!("the lease can't be given up: no answer; it runs out"),
        }
    }
}
