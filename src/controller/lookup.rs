//! What resolving an object may look up: authentications as watched, what they name as read.

use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;

use super::{
    credentials::{CredentialRules, Credentials, Found, Reference},
    resolve,
    watches::Watches,
};
use crate::resources::{ClusterTriggerAuthentication, TriggerAuthentication};

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

    fn cluster_authentication(&self, name: &str) -> Option<Arc<ClusterTriggerAuthentication>> {
        let reference = ObjectRef::<ClusterTriggerAuthentication>::new(name);
        self.watches.cluster_authentications.get(&reference)
    }

    fn find(&self, reference: &Reference) -> Found<'_> {
        self.credentials.find(reference)
    }

    fn rules(&self) -> &CredentialRules {
        self.credentials.rules()
    }
}
