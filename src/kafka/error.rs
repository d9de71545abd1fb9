//! Errors between us and a broker, in words that say what to do. Texts of real brokers: they name neither host
//! nor port and often the wrong layer, so both are put right here.

use std::{io, time::Duration};

use kafka_protocol::{ResponseError, messages::ApiKey, protocol::VersionRange};
use rustls::AlertDescription;

use super::Address;
use crate::text::shown;

/// A failure at one broker.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{address}: {cause}")]
pub struct Error {
    /// The broker that was asked.
    pub address: Address,
    /// The cause.
    pub cause: Cause,
}

/// Why a broker could not be asked, or what it refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Cause {
    /// DNS has no such host, or can't be asked.
    #[error("the host name does not resolve ({0}); check bootstrapServers and the cluster's DNS")]
    Resolve(String),
    /// Nobody listens, or the network refuses.
    #[error("{0}")]
    Connect(String),
    /// A deadline passed; a frozen broker or a firewall that drops looks like this.
    #[error("no answer to {doing} within {} ms", .after.as_millis())]
    Timeout {
        /// The step that waited.
        doing: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The peer hung up in the TLS handshake.
    #[error(
        "the TLS handshake was cut short; this port may not speak TLS (is tls: enable right for it?)"
    )]
    NotTls,
    /// The peer answered plain bytes with a TLS alert.
    #[error("this port speaks TLS; set tls: enable (and the CA, if it is a private one)")]
    SpeaksTls,
    /// The certificate chain or name did not verify.
    #[error("the broker's certificate is not trusted: {0}; check the ca parameter")]
    Certificate(String),
    /// Another TLS failure, in rustls' words.
    #[error("TLS: {0}")]
    Tls(String),
    /// TLS was ended over the certificate that we showed, or did not show.
    #[error("the broker wants another client certificate ({0}); check cert and key")]
    ClientCertificate(&'static str),
    /// Hung up on the first request after the version exchange.
    #[error(
        "the broker closed the connection on the first request; this port may want SASL (set sasl, username and password)"
    )]
    WantsSasl,
    /// The listener has no SASL at all.
    #[error(
        "the broker refuses SASL {mechanism} on this port (ILLEGAL_SASL_STATE); this listener may have no SASL"
    )]
    NoSaslHere {
        /// The mechanism that was asked for.
        mechanism: &'static str,
    },
    /// The mechanism is not enabled.
    #[error("the broker does not offer SASL {mechanism}, it offers {offered}")]
    Mechanism {
        /// The mechanism that was asked for.
        mechanism: &'static str,
        /// The broker's list, bounded.
        offered: String,
    },
    /// Wrong user or password.
    #[error("login refused: {0}")]
    Login(String),
    /// No token to log in with.
    #[error("no token from {endpoint}: {text}")]
    Token {
        /// The token endpoint.
        endpoint: Address,
        /// The answer, or why there is none, without any credential.
        text: String,
        /// Somebody has to change something.
        configuration: bool,
    },
    /// The exchange itself failed on our side.
    #[error("SASL {mechanism}: {text}")]
    Sasl {
        /// The protocol that was spoken.
        mechanism: &'static str,
        /// The failure, without any credential.
        text: String,
    },
    /// A setting that can't work whatever the broker says.
    #[error("{0}")]
    Setting(String),
    /// No version in common.
    #[error(
        "{api:?}: the broker speaks versions {theirs}, we speak {ours}; is this a broker's client port?"
    )]
    Version {
        /// The request.
        api: ApiKey,
        /// The versions that the broker listed; 0..-1 when it does not know the request at all.
        theirs: VersionRange,
        /// The versions that can be sent.
        ours: VersionRange,
    },
    /// An answer that is not one.
    #[error("{api:?}: the answer makes no sense: {text}")]
    Codec {
        /// The request.
        api: ApiKey,
        /// The decoder's words.
        text: String,
    },
    /// An answer over the cap.
    #[error("an answer of {bytes} bytes is over the limit of {limit} bytes")]
    TooLarge {
        /// The length that was announced.
        bytes: usize,
        /// The longest that is read.
        limit: usize,
    },
    /// The peer hung up.
    #[error("the broker closed the connection")]
    Closed,
    /// Another value has taken the credential's place, and its last connection to this broker has ended.
    #[error(
        "the connection has ended, and its credential has been replaced: it is not dialled again"
    )]
    Replaced,
    /// Another I/O error, in the system's words.
    #[error("{0}")]
    Io(String),
    /// A Kafka error code that stands for the whole answer.
    #[error("the broker answered {name}: {0}", name = code_name(*_0))]
    Code(ResponseError),
}

impl Cause {
    /// Whether another try with the same settings is pointless until somebody changes something: wrong password, wrong CA,
    /// no TLS. Brokers delay a failed login by 300 ms and more, so these are not tried quickly again.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::NotTls
            | Self::SpeaksTls
            | Self::Certificate(_)
            | Self::ClientCertificate(_)
            | Self::WantsSasl
            | Self::NoSaslHere { .. }
            | Self::Mechanism { .. }
            | Self::Login(_)
            | Self::Sasl { .. }
            | Self::Setting(_)
            | Self::Version { .. } => true,
            Self::Token { configuration, .. } => *configuration,
            Self::Resolve(_)
            | Self::Connect(_)
            | Self::Timeout { .. }
            | Self::Tls(_)
            | Self::Codec { .. }
            | Self::TooLarge { .. }
            | Self::Closed
            | Self::Replaced
            | Self::Io(_)
            | Self::Code(_) => false,
        }
    }
}

impl Cause {
    /// The peer's word on our certificate; under TLS 1.3 it comes when the first answer is waited for.
    pub(super) fn of_alert(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        let rustls::Error::AlertReceived(alert) = error else {
            return None;
        };
        // Their names in RFC 8446.
        let name = match alert {
            AlertDescription::CertificateRequired => "certificate_required",
            AlertDescription::BadCertificate => "bad_certificate",
            AlertDescription::UnsupportedCertificate => "unsupported_certificate",
            AlertDescription::CertificateRevoked => "certificate_revoked",
            AlertDescription::CertificateExpired => "certificate_expired",
            AlertDescription::CertificateUnknown => "certificate_unknown",
            AlertDescription::UnknownCA => "unknown_ca",
            _ => return None,
        };
        Some(Self::ClientCertificate(name))
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        if let Some(cause) = Self::of_alert(&error) {
            return cause;
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted => Self::Closed,
            // rustls adds a documentation address behind its first sentence.
            _ => Self::Io(first_sentence(&error.to_string())),
        }
    }
}

/// Kafka's own upper-case name of an error, as its documentation and other clients print it.
#[must_use]
pub fn code_name(error: ResponseError) -> String {
    let mut name = String::new();
    for (i, c) in format!("{error:?}").chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// The text up to an appended address, and not endlessly long: it goes into conditions.
pub(crate) fn first_sentence(text: &str) -> String {
    let sentence = text.split(": https://").next();
    shown(sentence.unwrap_or_default(), 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_as_kafka_writes_it() {
        assert_eq!(
            code_name(ResponseError::TopicAuthorizationFailed),
            "TOPIC_AUTHORIZATION_FAILED"
        );
    }

    #[test]
    fn an_error_names_host_and_port_first() {
        let error = Error {
            address: Address::new("kafka", 9093),
            cause: Cause::SpeaksTls,
        };
        assert!(
            error
                .to_string()
                .starts_with("kafka:9093: this port speaks TLS")
        );
    }
}
