//! How every broker of a cluster is reached: TLS settings and credential, and the fingerprint that tells two apart.

use std::fmt;

use ring::digest::{Context, SHA256};
use secrecy::ExposeSecret;

use super::{sasl::Sasl, tls::Tls};

/// TLS and SASL, as one trigger resolves them.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// `None`: plain TCP.
    pub tls: Option<Tls>,
    /// `None`: no authentication, or by certificate.
    pub sasl: Option<Sasl>,
}

/// Equal for equal settings and credential values, wherever they come from. Says nothing about the values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

impl Security {
    /// A digest over every setting, each with its length in front so that no two settings run into one another.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut digest = Context::new(&SHA256);
        let mut add = |field: Option<&str>| {
            let text = field.unwrap_or_default();
            digest.update(&[u8::from(field.is_some())]);
            digest.update(&(text.len() as u64).to_be_bytes());
            digest.update(text.as_bytes());
        };
        let tls = self.tls.as_ref();
        add(tls.map(|t| if t.unsafe_ssl { "unsafe" } else { "verified" }));
        add(tls.and_then(|t| t.ca.as_deref()));
        add(tls.and_then(|t| t.cert.as_deref()));
        add(tls.and_then(|t| t.key.as_ref().map(ExposeSecret::expose_secret)));
        let sasl = self.sasl.as_ref();
        add(sasl.map(|s| s.mechanism.name()));
        add(sasl.map(|s| s.username.as_str()));
        add(sasl.map(|s| s.password.expose_secret()));
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.finish().as_ref());
        Fingerprint(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::sasl::Mechanism;

    fn with(username: &str, password: &str) -> Security {
        Security {
            tls: None,
            sasl: Some(Sasl {
                mechanism: Mechanism::Plain,
                username: username.into(),
                password: password.into(),
            }),
        }
    }

    #[test]
    fn the_same_values_share_a_fingerprint_and_others_do_not() {
        assert_eq!(with("a", "b").fingerprint(), with("a", "b").fingerprint());
        assert_ne!(with("a", "b").fingerprint(), with("a", "c").fingerprint());
        assert_ne!(with("ab", "").fingerprint(), with("a", "b").fingerprint());
        assert_ne!(
            Security::default().fingerprint(),
            with("", "").fingerprint()
        );
    }

    #[test]
    fn neither_debug_output_nor_fingerprint_shows_a_password() {
        let security = with("alice", "very secret");
        assert!(!format!("{security:?} {:?}", security.fingerprint()).contains("very secret"));
    }
}
