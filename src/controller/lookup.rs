//! What resolving an object may look up: TriggerAuthentications as watched, Secrets as fetched.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{core::PartialObjectMeta, runtime::reflector::ObjectRef};

use super::{
    credentials::{Credentials, SecretName, Values},
    resolve,
    watches::Watches,
};
use crate::resources::TriggerAuthentication;

/// Over the present stores.
pub(super) struct Lookup<'a> {
    pub(super) watches: &'a Watches,
    pub(super) credentials: &'a Credentials,
}

impl resolve::Lookup for Lookup<'_> {
    fn authentication(&self, namespace: &str, name: &str) -> Option<Arc<TriggerAuthentication>> {
        let reference = ObjectRef::<TriggerAuthentication>::new(name).within(namespace);
        self.watches.authentications.get(&reference)
    }

    fn secret(&self, name: &SecretName) -> Option<&Values> {
        // What a deleted Secret held is not used any more.
        self.exists(name)
            .then(|| self.credentials.get(name))
            .flatten()
    }

    fn failure(&self, name: &SecretName) -> Option<&str> {
        self.credentials.failure(name)
    }

    fn exists(&self, name: &SecretName) -> bool {
        self.watches.secrets.get(&secret_ref(name)).is_some()
    }
}

/// The watched metadata of a Secret.
pub(super) fn secret_ref((namespace, name): &SecretName) -> ObjectRef<PartialObjectMeta<Secret>> {
    ObjectRef::new(name).within(namespace)
}
