//! The use of a ClusterTriggerAuthentication by those who may only name it: whoever may make a ScaledObject could have its
//! password sent to any host, in the clear, or to whoever answers in a broker's place.

use super::hosts;
use crate::{
    kafka::{
        Security,
        sasl::{Mechanism, Sasl},
    },
    resources::names::{ALLOW_PLAIN, ALLOW_UNSAFE_SSL},
    text::shown,
    triggers::{Kafka, Parameters},
};

/// Settings that a trigger has beside its authentication: what the cluster's says itself stands.
pub(super) const ITS_OWN: [&str; 3] = ["tls", "sasl", "saslTokenProvider"];

/// The rules of one authentication.
pub(super) struct Guard {
    what: String,
    hosts: Option<String>,
    needs_hosts: bool,
    unsafe_ssl: bool,
    plain: bool,
}

impl Guard {
    /// That of `what`, by its annotations; `needs_hosts`: one without a list of hosts is for nobody.
    pub(super) fn new(
        what: String,
        annotation: impl Fn(&str) -> Option<String>,
        parameters: &Parameters,
        needs_hosts: bool,
    ) -> Self {
        let consents = |to: &str| annotation(to).is_some_and(|text| text == "true");
        Self {
            hosts: annotation(hosts::ANNOTATION),
            needs_hosts,
            unsafe_ssl: consents(ALLOW_UNSAFE_SSL),
            // One that names the mechanism itself knows what becomes of its password.
            plain: consents(ALLOW_PLAIN) || parameters.contains_key("sasl"),
            what,
        }
    }

    /// Why it is not used for this trigger.
    pub(super) fn refuses(&self, kafka: &Kafka) -> Vec<String> {
        let what = &self.what;
        let mut refused = Vec::new();
        match &self.hosts {
            Some(list) => {
                if let Some(address) = hosts::first_refused(list, &kafka.bootstrap) {
                    // It may be as long as an annotation.
                    let list = shown(list, 200);
                    refused.push(format!(
                        "{what} is not for {address}: its annotation {} allows {list}",
                        hosts::ANNOTATION
                    ));
                }
            }
            None if self.needs_hosts => refused.push(format!(
                "{what} has no annotation {}, which --cluster-auth-needs-hosts demands",
                hosts::ANNOTATION
            )),
            None => {}
        }
        let Security { tls, sasl } = &kafka.security;
        if tls.as_ref().is_some_and(|tls| tls.unsafe_ssl) && !self.unsafe_ssl {
            refused.push(format!(
                "{what} is not used with unsafeSsl: true, by which anybody on the way can answer in the broker's place, unless its annotation {ALLOW_UNSAFE_SSL} is \"true\""
            ));
        }
        let plain = matches!(
            sasl,
            Some(Sasl::Password {
                mechanism: Mechanism::Plain,
                ..
            })
        );
        if plain && tls.is_none() && !self.plain {
            refused.push(format!(
                "{what} is not used with sasl: plaintext without tls, which sends its password in the clear, unless its annotation {ALLOW_PLAIN} is \"true\""
            ));
        }
        refused
    }
}
