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
    /// As [`Door::Anchor`], with a key on P-521 and a certificate of an authority on P-521: [`P521_CA`].
    Curve,
}

/// The authority of [`Door::Curve`]; nothing in Rust makes such keys, so these are kept.
pub const P521_CA: &str = include_str!("../../cases/tls/p521-ca.pem");
const P521_CERT: &str = include_str!("../../cases/tls/p521-cert.pem");
const P521_KEY: &str = include_str!("../../cases/tls/p521-key.pem");

/// The listeners of one broker.
pub(crate) struct Doors {
    ports: [u16; 4],
    /// The certificate of [`Door::Anchor`].
    pub(crate) anchor: Identity,
}

const NAMES: [&str; 4] = ["TOKEN", "CERTIFICATE", "ANCHOR", "CURVE"];

impl Doors {
    pub(crate) fn new() -> Self {
        Self {
            ports: std::array::from_fn(|_| free_port()),
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
    pub(crate) const PROTOCOLS: &str =
        ",TOKEN:SASL_SSL,CERTIFICATE:SSL,ANCHOR:SASL_SSL,CURVE:SASL_SSL";

    /// Lines of `server.properties` for them; `users` are PLAIN's.
    pub(crate) fn configure(&self, dir: &Path, users: &str) -> String {
        let store = format!("{}{}", self.anchor.key, self.anchor.cert);
        fs::write(dir.join("anchor.pem"), store).expect("a key store");
        let store = format!("{P521_KEY}{P521_CERT}{P521_CA}");
        fs::write(dir.join("curve.pem"), store).expect("a key store");
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
listener.name.curve.sasl.enabled.mechanisms=PLAIN
listener.name.curve.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
listener.name.curve.ssl.keystore.type=PEM
listener.name.curve.ssl.keystore.location=curve.pem
"
        )
    }
}
