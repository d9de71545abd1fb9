//! Errors in TLS settings, by the parameter that is wrong.

/// A TLS setting that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// Nothing in the text is a certificate.
    #[error("{parameter}: no PEM certificate found in it")]
    NoCertificate {
        /// The authentication parameter.
        parameter: &'static str,
    },
    /// A certificate block that does not parse.
    #[error("{parameter}: not a valid PEM certificate")]
    BadCertificate {
        /// The authentication parameter.
        parameter: &'static str,
    },
    /// No private key.
    #[error("key: not a PEM private key (PKCS#8, PKCS#1 or SEC1)")]
    BadKey,
    /// An encrypted key alone.
    #[error("key: it is encrypted, but there is no keyPassword")]
    NoKeyPassword,
    /// A password that does not fit.
    #[error("keyPassword: it does not open the key")]
    KeyPassword,
    /// A key that is encrypted in a way that can't be undone here, or should not.
    #[error(
        "key: {0} is not supported; `openssl pkcs8 -topk8` writes a key with one that is (PBES2: PBKDF2 or scrypt, AES-CBC or 3DES)"
    )]
    Encryption(String),
    /// Nothing to verify a broker with.
    #[error("ca: it is not set, and this system has no certificate authorities of its own")]
    NoRoots,
    /// The two do not belong together, or the key's kind is unknown.
    #[error("cert and key can't be used together: {0}")]
    Pair(String),
}
