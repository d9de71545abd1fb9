//! Objects that lead here, made as the manifests have them where nobody applied those.

use k8s_openapi::{
    api::admissionregistration::v1::ValidatingWebhookConfiguration,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::core::ObjectMeta;

use super::{Kept, Registration};

const WEBHOOKS: &str = include_str!("../../manifests/base/webhook.yaml");

impl Registration {
    /// An APIService of this name and group that leads here and trusts `kept`.
    pub(super) fn made_api_service(&self, name: &str, group: &str, kept: &Kept) -> APIService {
        APIService {
            metadata: ObjectMeta {
                name: Some(name.into()),
                labels: Some([("app.kubernetes.io/name".into(), "lagscale".into())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(self.spec(group, kept, None)),
            status: None,
        }
    }

    /// The webhooks of the manifests, which lead here.
    pub(super) fn made_webhooks(&self) -> Result<ValidatingWebhookConfiguration, String> {
        let made = serde_saphyr::from_str(WEBHOOKS);
        let mut made: ValidatingWebhookConfiguration = made.map_err(|e| e.to_string())?;
        made.metadata.name = Some(self.webhooks.clone());
        for webhook in made.webhooks.iter_mut().flatten() {
            if let Some(service) = &mut webhook.client_config.service {
                service.namespace.clone_from(&self.namespace);
                service.name.clone_from(&self.service);
                service.port = Some(self.port);
            }
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::webhooks::Hook;

    #[test]
    fn webhooks_that_nobody_applied_lead_to_this_service_by_every_path() {
        let registration = Registration {
            namespace: "keda".into(),
            service: "other".into(),
            port: 8443,
            webhooks: "admission".into(),
            take: false,
            makes: true,
        };
        let made = registration.made_webhooks().unwrap();
        assert_eq!(made.metadata.name.as_deref(), Some("admission"));
        let webhooks = made.webhooks.unwrap();
        let services = webhooks
            .into_iter()
            .map(|w| w.client_config.service.unwrap());
        let paths = services.map(|service| {
            let place = (
                service.namespace.as_str(),
                service.name.as_str(),
                service.port,
            );
            assert_eq!(place, ("keda", "other", Some(8443)));
            service.path.unwrap()
        });
        assert_eq!(paths.collect::<Vec<_>>(), Hook::ALL.map(Hook::path));
    }
}
