//! The security of a cluster's connections: TLS settings and credential, and the fingerprint that tells two apart.

use std::fmt;

use ring::digest::{Context, SHA256};
use secrecy::ExposeSecret;

use super::{
    sasl::Sasl,
    tls::{Key, Tls},
};

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
        // Every field by name: one that is forgotten would let two credentials share their readings.
        let Self { tls, sasl } = self;
        match tls {
            None => add(None),
            Some(Tls {
                ca,
                cert,
                key,
                unsafe_ssl,
            }) => {
                add(Some(if *unsafe_ssl { "unsafe" } else { "verified" }));
                add(ca.as_deref());
                add(cert.as_deref());
                let key = key.as_ref().map(Key::texts);
                add(key.map(|(pem, _)| pem));
                add(key.and_then(|(_, password)| password));
            }
        }
        add(sasl.as_ref().map(Sasl::mechanism));
        match sasl {
            None => {}
            Some(Sasl::Password {
                mechanism: _,
                username,
                password,
            }) => {
                add(Some(username));
                add(Some(password.expose_secret()));
            }
            Some(Sasl::Bearer(source)) => source.texts().for_each(|text| add(Some(text))),
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.finish().as_ref());
        Fingerprint(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kafka::{
        oauth::{Client, TokenSource},
        sasl::Mechanism,
    };

    fn with(username: &str, password: &str) -> Security {
        Security {
            tls: None,
            sasl: Some(Sasl::Password {
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
    fn so_do_keys_and_clients() {
        let mut seen = std::collections::BTreeSet::new();
        let mut new = |security: Security| assert!(seen.insert(security.fingerprint()));
        for password in [None, Some("a"), Some("b")] {
            let key = Key::new("pem".into(), password.map(Into::into));
            new(Security {
                tls: Some(Tls {
                    key: Some(key),
                    ..Tls::default()
                }),
                sasl: None,
            });
        }
        for (scopes, extensions) in [
            (vec!["a", "b"], vec![]),
            (vec!["a b"], vec![]),
            (vec![], vec![("a", "b")]),
            (vec!["a"], vec![("b", "c")]),
        ] {
            let pairs = extensions.iter();
            let client = Client {
                endpoint: "https://idp".into(),
                id: "id".into(),
                secret: "secret".into(),
                scopes: scopes.into_iter().map(Into::into).collect(),
                extensions: pairs.map(|(k, v)| ((*k).into(), (*v).into())).collect(),
                ca: None,
            };
            new(Security {
                tls: None,
                sasl: Some(Sasl::Bearer(Arc::new(TokenSource::new(client)))),
            });
        }
    }

    #[test]
    fn neither_debug_output_nor_fingerprint_shows_a_password() {
        let security = with("alice", "very secret");
        assert!(!format!("{security:?} {:?}", security.fingerprint()).contains("very secret"));
    }
}
