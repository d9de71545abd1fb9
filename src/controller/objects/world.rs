//! The world around the objects at one moment: what is watched, what was read of credentials, and whether this replica writes.

use std::sync::Arc;

use crate::{
    controller::{
        credentials::{CredentialRules, Credentials, Found, Reference},
        resolve::Lookup,
        stores::Stores,
    },
    lag::Moment,
    resources::{ClusterTriggerAuthentication, TriggerAuthentication},
};

/// The things that triggers name outside of themselves.
pub(in crate::controller) trait Contents {
    /// The state of a reference.
    fn find(&self, reference: &Reference) -> Found<'_>;
    /// Where credentials may come from.
    fn rules(&self) -> &CredentialRules;
}

impl Contents for Credentials {
    fn find(&self, reference: &Reference) -> Found<'_> {
        Self::find(self, reference)
    }

    fn rules(&self) -> &CredentialRules {
        Self::rules(self)
    }
}

/// Everything that a change is judged by.
#[derive(Clone, Copy)]
pub(in crate::controller) struct World<'a> {
    pub(in crate::controller) stores: &'a Stores,
    pub(in crate::controller) contents: &'a dyn Contents,
    /// Whether this replica writes.
    pub(in crate::controller) leads: bool,
    pub(in crate::controller) now: Moment,
}

impl Lookup for World<'_> {
    fn authentication(&self, namespace: &str, name: &str) -> Option<Arc<TriggerAuthentication>> {
        self.stores.authentication(namespace, name)
    }

    fn cluster_authentication(&self, name: &str) -> Option<Arc<ClusterTriggerAuthentication>> {
        self.stores.cluster_authentication(name)
    }

    fn find(&self, reference: &Reference) -> Found<'_> {
        self.contents.find(reference)
    }

    fn rules(&self) -> &CredentialRules {
        self.contents.rules()
    }
}
