//! A guarded Kafka: its authorizer is on, and it has listeners for tokens, for certificates, and one whose certificate is its own
//! authority.

use std::{fs, path::Path};

use crate::{
    kafka::Kafka,
    pki::{Ca, Identity},
    process::free_port,
};

/// Which further listener.
#[derive(Clone, Copy, Debug)]
pub enum Door {
    /// TLS and OAUTHBEARER; takes unsigned tokens with the scopes [`Kafka::SCOPES`], and the user is their `sub`.
    Token,
    /// TLS that asks for a certificate of the cluster's authority; the user is its subject (`CN=...`).
    Certificate,
    /// As the usual listener, PLAIN only, and its certificate is its own authority.
    Anchor,
}

/// The listeners of one broker.
pub(crate) struct Doors {
    ports: [u16; 3],
    /// The certificate of [`Door::Anchor`].
    pub(crate) anchor: Identity,
}

const NAMES: [&str; 3] = ["TOKEN", "CERTIFICATE", "ANCHOR"];

impl Doors {
    pub(crate) fn new() -> Self {
        Self {
            ports: [free_port(), free_port(), free_port()],
            anchor: Ca::itself("anchor", &["localhost"]),
        }
    }

    pub(crate) fn port(&self, door: Door) -> u16 {
        self.ports[door as usize]
    }

    /// `,NAME://localhost:port` each.
    pub(crate) fn listeners(&self) -> String {
        let each = NAMES.iter().zip(self.ports);
        let each = each.map(|(name, port)| format!(",{name}://localhost:{port}"));
        each.collect::<Vec<_>>().concat()
    }

    /// `,NAME:PROTOCOL` each.
    pub(crate) const PROTOCOLS: &str = ",TOKEN:SASL_SSL,CERTIFICATE:SSL,ANCHOR:SASL_SSL";

    /// What stands in `server.properties` for them; `users` are PLAIN's.
    pub(crate) fn configure(&self, dir: &Path, users: &str) -> String {
        let store = format!("{}{}", self.anchor.key, self.anchor.cert);
        fs::write(dir.join("anchor.pem"), store).expect("a key store");
        let (user, scopes) = (Kafka::USER, Kafka::SCOPES.join(" "));
        format!(
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{user}
listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.token.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\" unsecuredValidatorRequiredScope=\"{scopes}\";
listener.name.certificate.ssl.client.auth=required
listener.name.anchor.sasl.enabled.mechanisms=PLAIN
listener.name.anchor.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
listener.name.anchor.ssl.keystore.type=PEM
listener.name.anchor.ssl.keystore.location=anchor.pem
"
        )
    }
}
