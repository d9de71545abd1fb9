//! Which bootstrap servers a ClusterTriggerAuthentication may be used with: whoever may make a ScaledObject could otherwise
//! have its password sent to any host.

use crate::kafka::Address;

/// The annotation: a comma list of `host`, `host:port` or `*.example.com`, which stands for every name below.
pub(super) const ANNOTATION: &str = "lagscale.io/bootstrap-hosts";

/// The first address that `list` does not allow.
pub(super) fn first_refused<'a>(list: &str, bootstrap: &'a [Address]) -> Option<&'a Address> {
    let allowed: Vec<&str> = list.split(',').map(str::trim).collect();
    let mut bootstrap = bootstrap.iter();
    bootstrap.find(|address| !allowed.iter().any(|entry| allows(entry, address)))
}

fn allows(entry: &str, address: &Address) -> bool {
    let host = name(&address.host);
    match entry.parse::<Address>() {
        Ok(with_port) => with_port.port == address.port && matches(&name(&with_port.host), &host),
        Err(_) => matches(&name(entry), &host),
    }
}

fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => {
            // A dot must follow the asterisk, and something stand for it.
            suffix.len() > 1
                && suffix.starts_with('.')
                && host.len() > suffix.len()
                && host.ends_with(suffix)
        }
        None => !pattern.is_empty() && pattern == host,
    }
}

/// As names are compared: without case, the root's dot or an IPv6 address's brackets.
fn name(host: &str) -> String {
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_that_the_annotation_names_are_allowed() {
        let list = "kafka.shop.svc, broker:9093,*.example.com,*.eu.example.org:9092, ::1,";
        for (bootstrap, refused) in [
            ("kafka.shop.svc:1", None),
            ("KAFKA.shop.svc.:1,broker:9093", None),
            ("broker:9092", Some("broker:9092")),
            ("a.example.com:1,b.a.Example.com:2", None),
            ("example.com:1", Some("example.com:1")),
            (
                "a.example.com:1,evilexample.com:1",
                Some("evilexample.com:1"),
            ),
            ("a.example.com.evil.org:1", Some("a.example.com.evil.org:1")),
            ("a.eu.example.org:9092", None),
            ("a.eu.example.org:9093", Some("a.eu.example.org:9093")),
            ("[::1]:9092", None),
            ("[::2]:9092", Some("[::2]:9092")),
        ] {
            let addresses: Vec<Address> =
                bootstrap.split(',').map(|b| b.parse().unwrap()).collect();
            let found = first_refused(list, &addresses).map(ToString::to_string);
            assert_eq!(found.as_deref(), refused, "{bootstrap}");
        }
        let any: [Address; 1] = ["kafka:9092".parse().unwrap()];
        for none in ["", " ", "*", "*.", ","] {
            assert!(first_refused(none, &any).is_some(), "{none:?}");
        }
    }
}
