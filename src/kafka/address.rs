//! The address of a broker: as a user wrote it, or as the cluster said it.

use std::{fmt, str::FromStr};

/// A host and a port. Ordered and hashed as written: `Kafka:9092` and `kafka:9092` are two addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A DNS name or an IP address, IPv6 without its brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

/// A fault of a text that should be `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `:port` at the end.
    #[error("`{0}` has no port, expected host:port (for example kafka:9092)")]
    NoPort(String),
    /// The part after the last colon is no port.
    #[error("`{0}` has no valid port, expected a number from 1 to 65535 after the colon")]
    BadPort(String),
    /// Nothing before the port.
    #[error("`{0}` has no host, expected host:port")]
    NoHost(String),
    /// A listener's name in front, as Kafka's Java client takes it.
    #[error("`{0}` has a scheme, write it without {1}")]
    Scheme(String, String),
    /// More than one in a piece.
    #[error("`{0}` is no single address, separate addresses with commas")]
    Several(String),
    /// An IPv6 address needs brackets, or its port can't be told apart.
    #[error("`{0}` looks like an IPv6 address, write it as [address]:port")]
    BareIpv6(String),
}

impl Address {
    /// An address from its parts.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

/// Letters of a host that a broker tells; DNS has no longer names.
const LONGEST_HOST: usize = 255;

impl Address {
    /// An address that a broker tells, if it can be one: a name of other letters would only serve to be shown to somebody.
    #[must_use]
    pub fn told(host: &str, port: i32) -> Option<Self> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"._:%-".contains(&b);
        let host = Some(host).filter(|h| (1..=LONGEST_HOST).contains(&h.len()));
        let host = host.filter(|h| h.bytes().all(letter))?;
        let port = u16::try_from(port).ok().filter(|p| *p > 0)?;
        Some(Self::new(host, port))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(AddressError::Scheme(
                text.to_owned(),
                format!("{scheme}://"),
            ));
        }
        let separated = text.contains(|c: char| c.is_whitespace() || c == ';');
        if separated && text.matches(':').count() > 1 {
            return Err(AddressError::Several(text.to_owned()));
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| AddressError::NoPort(text.to_owned()))?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner
                .strip_suffix(']')
                .ok_or_else(|| AddressError::BareIpv6(text.to_owned()))?,
            None if host.contains(':') => return Err(AddressError::BareIpv6(text.to_owned())),
            None => host,
        };
        if host.is_empty() {
            return Err(AddressError::NoHost(text.to_owned()));
        }
        match port.parse() {
            Ok(port) if port > 0 => Ok(Self::new(host, port)),
            _ => Err(AddressError::BadPort(text.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_printed_as_it_was_written() {
        for text in ["kafka:9092", "10.0.0.1:1", "[::1]:65535", "a-b.c.svc:9093"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, error) in [
            ("kafka", AddressError::NoPort("kafka".into())),
            ("kafka:", AddressError::BadPort("kafka:".into())),
            ("kafka:0", AddressError::BadPort("kafka:0".into())),
            ("kafka:65536", AddressError::BadPort("kafka:65536".into())),
            (":9092", AddressError::NoHost(":9092".into())),
            (
                "fe80::1:9092",
                AddressError::BareIpv6("fe80::1:9092".into()),
            ),
            ("[::1:9092", AddressError::BareIpv6("[::1:9092".into())),
            // A report from outside (R14).
            (
                "SASL_SSL://kafka:9092",
                AddressError::Scheme("SASL_SSL://kafka:9092".into(), "SASL_SSL://".into()),
            ),
            (
                "a:9092 b:9092",
                AddressError::Several("a:9092 b:9092".into()),
            ),
            (
                "a:9092;b:9092",
                AddressError::Several("a:9092;b:9092".into()),
            ),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error));
        }
    }

    /// A finding of the audit (21): what a broker says is a host is dialled, shown and written into statuses.
    #[test]
    fn what_a_broker_tells_is_a_host_of_a_name_s_letters_and_length() {
        let longest = "a".repeat(255);
        for host in ["kafka", "b-1.x_y.svc", "10.0.0.1", "fe80::1%eth0", &longest] {
            assert!(Address::told(host, 9092).is_some(), "{host}");
        }
        let longer = "a".repeat(256);
        for host in [
            "",
            "a b",
            "\u{1b}]0;x\u{7}",
            "a\nb",
            "é",
            "a/b",
            "a,b",
            &longer,
        ] {
            assert_eq!(Address::told(host, 9092), None, "{host:?}");
        }
        for port in [0, -1, 65_536] {
            assert_eq!(Address::told("kafka", port), None, "{port}");
        }
    }
}
