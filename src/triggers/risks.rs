//! Settings by which somebody on the way reads or gives what only the broker should: they are taken, as in KEDA, and told
//! when they are applied.

use std::collections::BTreeMap;

/// A warning for each setting of the trigger that gives up what TLS is for. TLS that an authentication turns on is not known
/// here.
#[must_use]
pub fn risks(kind: &str, metadata: &BTreeMap<String, String>) -> Vec<&'static str> {
    if !matches!(kind, "kafka" | "apache-kafka") {
        return Vec::new();
    }
    let says = |field: &str, values: &[&str]| {
        let value = metadata.get(field).map(|value| value.trim());
        value.is_some_and(|value| values.contains(&value))
    };
    let mut found = Vec::new();
    if says("unsafeSsl", &["true", "True", "TRUE", "t", "T", "1"]) {
        found.push(
            "unsafeSsl is true: whoever answers in the broker's place is trusted and sent the credential; name the broker's authority in the parameter ca instead",
        );
    }
    if says("sasl", &["plaintext"]) && !says("tls", &["enable"]) {
        found.push(
            "sasl is plaintext and tls is not enabled in the trigger: unless its authentication enables it, the password is sent in the clear",
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_in_anybody_and_passwords_in_the_clear_are_told() {
        let of = |kind: &str, fields: &[(&str, &str)]| {
            let fields = fields.iter();
            let metadata = fields.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            risks(kind, &metadata.collect()).len()
        };
        for (fields, expected) in [
            (&[("unsafeSsl", " true ")][..], 1),
            (&[("unsafeSsl", "false")], 0),
            (&[("sasl", "plaintext")], 1),
            (&[("sasl", "plaintext"), ("tls", "disable")], 1),
            (&[("sasl", "plaintext"), ("tls", "enable")], 0),
            (&[("sasl", "scram_sha512"), ("tls", "disable")], 0),
            (&[("sasl", "plaintext"), ("unsafeSsl", "1")], 2),
        ] {
            assert_eq!(of("kafka", fields), expected, "{fields:?}");
            assert_eq!(of("apache-kafka", fields), expected, "{fields:?}");
            assert_eq!(of("prometheus", fields), 0);
        }
    }
}
