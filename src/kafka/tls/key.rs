//! Our private key for TLS: PKCS#8, PKCS#1 or SEC1 as PEM, and PKCS#8 that a password encrypts.
//!
//! To derive a key from a password is slow by intent, so it is done once for each credential and kept.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use pkcs8::{
    EncryptedPrivateKeyInfo,
    pkcs5::{
        EncryptionScheme,
        pbes2::{Kdf, Parameters},
    },
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use secrecy::{ExposeSecret, SecretString};

use super::error::TlsError;

/// Three times what is advised today; each is work for us.
const MOST_ITERATIONS: u32 = 2_000_000;
/// Bytes that scrypt may fill, and how often it may do so: openssl asks for 16 MiB, once.
const MOST_SCRYPT_BYTES: u64 = 64 << 20;
const MOST_SCRYPT_PASSES: u16 = 16;

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const KINDS: [&str; 4] = [
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    ENCRYPTED,
];

/// `key` and `keyPassword` of an authentication. Clones share what was opened.
#[derive(Clone)]
pub struct Key {
    pem: SecretString,
    password: Option<SecretString>,
    opened: Arc<OnceLock<Result<PrivateKeyDer<'static>, TlsError>>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// `pem` as it is written; nothing is read before it is needed.
    #[must_use]
    pub fn new(pem: SecretString, password: Option<SecretString>) -> Self {
        Self {
            pem,
            password,
            opened: Arc::default(),
        }
    }

    /// The two texts, for a fingerprint.
    pub(in crate::kafka) fn texts(&self) -> (&str, Option<&str>) {
        let password = self.password.as_ref().map(ExposeSecret::expose_secret);
        (self.pem.expose_secret(), password)
    }

    /// The key itself; the first call may take a second.
    pub(super) fn open(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let opened = self.opened.get_or_init(|| {
            let (pem, password) = self.texts();
            open(pem, password)
        });
        match opened {
            Ok(key) => Ok(key.clone_key()),
            Err(error) => Err(error.clone()),
        }
    }
}

fn open(text: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsError> {
    let blocks = pem::parse_many(text).map_err(|_| TlsError::BadKey)?;
    let mut blocks = blocks.into_iter();
    let block = blocks
        .find(|b| KINDS.contains(&b.tag()))
        .ok_or(TlsError::BadKey)?;
    if block.headers().get("Proc-Type").is_some() {
        return Err(TlsError::Encryption(
            "the old PEM encryption (Proc-Type: 4,ENCRYPTED)".into(),
        ));
    }
    let kind = block.tag().to_owned();
    let der = block.into_contents();
    Ok(match kind.as_str() {
        "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(der).into(),
        "EC PRIVATE KEY" => PrivateSec1KeyDer::from(der).into(),
        ENCRYPTED => {
            let password = password.ok_or(TlsError::NoKeyPassword)?;
            PrivatePkcs8KeyDer::from(decrypt(&der, password)?).into()
        }
        _ => PrivatePkcs8KeyDer::from(der).into(),
    })
}

fn decrypt(der: &[u8], password: &str) -> Result<Vec<u8>, TlsError> {
    let unknown = || TlsError::Encryption("an encryption that is not known".into());
    let key = EncryptedPrivateKeyInfo::try_from(der).map_err(|_| unknown())?;
    match key.encryption_algorithm {
        EncryptionScheme::Pbes1(_) => return Err(TlsError::Encryption("PBES1".into())),
        EncryptionScheme::Pbes2(ref parameters) => affordable(parameters)?,
        _ => return Err(unknown()),
    }
    let opened = key.decrypt(password).map_err(|_| TlsError::KeyPassword)?;
    // Wrong padding is most often, but not always, how a wrong password shows.
    let plain = opened.as_bytes();
    pkcs8::PrivateKeyInfo::try_from(plain).map_err(|_| TlsError::KeyPassword)?;
    Ok(plain.to_vec())
}

/// The work is chosen by whoever wrote the key, and done by us.
fn affordable(parameters: &Parameters<'_>) -> Result<(), TlsError> {
    let much = match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count > MOST_ITERATIONS,
        Kdf::Scrypt(scrypt) => {
            let bytes = scrypt
                .cost_parameter
                .saturating_mul(u64::from(scrypt.block_size))
                .saturating_mul(128);
            bytes > MOST_SCRYPT_BYTES || scrypt.parallelization > MOST_SCRYPT_PASSES
        }
        _ => true,
    };
    if much {
        return Err(TlsError::Encryption(
            "a password derivation that takes too much work or memory".into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of one key pair, by openssl: `pkcs8 -topk8` (AES-256, PBKDF2), the same with `-v2 des3 -v2prf hmacWithSHA1`, with
    /// `-scrypt`, with `-v1 PBE-MD5-DES`, and `ec -aes128`.
    const MODERN: &str = include_str!("key/pbes2.pem");
    const OLDER: &str = include_str!("key/des3.pem");
    const SCRYPT: &str = include_str!("key/scrypt.pem");
    const PBES1: &str = include_str!("key/pbes1.pem");
    const LEGACY: &str = include_str!("key/legacy.pem");
    const PLAIN: &str = include_str!("key/sec1.pem");
    const PASSWORD: &str = "key-password";

    fn opened(pem: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsError> {
        Key::new(pem.into(), password.map(Into::into)).open()
    }

    #[test]
    fn a_key_that_its_password_encrypts_is_the_key_that_was_encrypted() {
        let plain = opened(PLAIN, None).unwrap();
        assert!(matches!(plain, PrivateKeyDer::Sec1(_)));
        let public = |key: &PrivateKeyDer<'_>| {
            let key = rustls::crypto::ring::sign::any_supported_type(key).unwrap();
            key.public_key().unwrap().as_ref().to_vec()
        };
        for pem in [MODERN, OLDER, SCRYPT] {
            let found = opened(pem, Some(PASSWORD)).unwrap();
            assert_eq!(public(&found), public(&plain));
        }
        assert!(opened(PLAIN, Some("not needed")).is_ok());
    }

    #[test]
    fn what_can_not_be_opened_says_why_and_shows_nothing() {
        for (pem, password, text) in [
            (
                MODERN,
                None,
                "key: it is encrypted, but there is no keyPassword",
            ),
            (
                MODERN,
                Some("very secret"),
                "keyPassword: it does not open the key",
            ),
            (PBES1, Some(PASSWORD), "key: PBES1 is not supported"),
            (LEGACY, Some(PASSWORD), "key: the old PEM encryption"),
            ("very secret", None, "key: not a PEM private key"),
            (
                "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----",
                None,
                "key: not a PEM private key",
            ),
        ] {
            let error = opened(pem, password).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
            assert!(!error.contains("very secret"), "{error}");
        }
    }

    #[test]
    fn a_key_that_asks_for_endless_work_is_refused() {
        let salt = [0; 8];
        let cheap = Parameters::pbkdf2_sha256_aes128cbc(2048, &salt, &[0; 16]).unwrap();
        assert!(affordable(&cheap).is_ok());
        let dear =
            Parameters::pbkdf2_sha256_aes128cbc(MOST_ITERATIONS + 1, &salt, &[0; 16]).unwrap();
        assert!(affordable(&dear).is_err());
    }
}
