//! The leader's part: it makes and renews the pair in the Secret, and publishes the CA.

use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use prometheus::IntGauge;

use super::{Kept, Registration, Spans, Step, names};
use crate::{controller::Lead, telemetry::Said, text::api_error};

/// Between two looks; a change of the CA takes a few of them.
const EVERY: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(10);

/// The keeper's settings.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// The Secret's name, in the namespace of the Service.
    pub secret: String,
    /// Everything that leads here.
    pub registration: Registration,
    /// How long things last.
    pub spans: Spans,
}

/// Keeps it for as long as the process runs, while `lead` says that this replica is the leader. `registered`: whether HPAs
/// ask here.
pub async fn keep(client: Client, keeping: Keeping, mut lead: Lead, registered: IntGauge) {
    let every = EVERY.min(keeping.spans.overlap / 4);
    let keeper = Keeper { client, keeping };
    // When the APIService was last taken back from somebody who goes on to write into it.
    let mut claimed = None;
    let mut said = Said::default();
    loop {
        if lead.is_elected() {
            let looked = tokio::time::timeout(PATIENCE, keeper.look(&lead, &mut claimed)).await;
            let looked = looked.unwrap_or_else(|_| Err("the API server does not answer".into()));
            registered.set(looked.is_ok().into());
            match looked {
                Ok(()) => said.forget(),
                Err(error) if said.is_news(&error) => tracing::warn!(
                    error,
                    "keeping the serving certificate and its registration"
                ),
                Err(_) => {}
            }
        } else {
            registered.set(0);
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = lead.changed() => {}
        }
    }
}

struct Keeper {
    client: Client,
    keeping: Keeping,
}

impl Keeper {
    /// One look, and at most one step.
    async fn look(&self, lead: &Lead, claimed: &mut Option<Instant>) -> Result<(), String> {
        let Registration {
            namespace, service, ..
        } = &self.keeping.registration;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let name = &self.keeping.secret;
        let found = api
            .get_opt(name)
            .await
            .map_err(|e| format!("Secret {namespace}/{name}: {e}"))?;
        let data = found.as_ref().and_then(|s| s.data.clone());
        let mut kept = Kept::read(&data.unwrap_or_default());
        // The current bundle is published first: the next step may rely only on CAs that clients already have.
        let mut told = Ok(());
        if found.is_some() {
            told = self.tell(&kept, lead, claimed).await;
        }
        let names = names(service, namespace);
        let next = kept.next(&names, told.is_ok(), self.keeping.spans, SystemTime::now());
        let next = next.map_err(|e| format!("making a certificate: {e}"))?;
        if let Some((next, step)) = next {
            self.write(&api, found, &next).await?;
            let what = match step {
                Step::Begin => "a CA and a serving certificate are made",
                Step::Trust => "a new CA is trusted beside the one before",
                Step::Issue => "a new serving certificate is made",
                Step::Drop => "the CA before is not trusted any more",
                Step::Hide => "the webhooks have a secret path",
            };
            tracing::info!(namespace, secret = name, "{what}");
            kept = next;
            told = self.tell(&kept, lead, claimed).await;
        }
        told
    }

    async fn write(
        &self,
        api: &Api<Secret>,
        found: Option<Secret>,
        kept: &Kept,
    ) -> Result<(), String> {
        let (name, params) = (&self.keeping.secret, PostParams::default());
        // With the version it was read at: what another leader wrote meanwhile stands.
        let written = if let Some(mut secret) = found {
            secret.data.get_or_insert_default().extend(kept.write());
            api.replace(name, &params, &secret).await
        } else {
            let labels = [("app.kubernetes.io/name".into(), "lagscale".into())];
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(name.clone()),
                    labels: Some(labels.into()),
                    ..ObjectMeta::default()
                },
                data: Some(kept.write()),
                type_: Some("kubernetes.io/tls".into()),
                ..Secret::default()
            };
            api.create(&params, &secret).await
        };
        written
            .map(drop)
            .map_err(|e| format!("Secret {name}: {}", api_error(&e)))
    }

    /// Beside a KEDA that is alive nobody is led here, and to a shadow only those who ask for it by its own group.
    async fn tell(
        &self,
        kept: &Kept,
        lead: &Lead,
        claimed: &mut Option<Instant>,
    ) -> Result<(), String> {
        let registration = &self.keeping.registration;
        registration.own_api_service(&self.client, kept).await?;
        if lead.is_shadow() {
            return Ok(());
        }
        registration.webhooks(&self.client, kept).await?;
        if !lead.holds() {
            return Err(format!(
                "the APIService is left alone, a KEDA operator is {}",
                lead.keda()
            ));
        }
        registration.api_service(&self.client, kept, claimed).await
    }
}
