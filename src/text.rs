//! Text from elsewhere as a person may see it: not endlessly long, and without the control characters that move a terminal's
//! cursor or draw over what stands there.

use std::fmt::Write;

use kube::runtime::watcher;

/// Characters of what an API server says; it may repeat a whole object.
const LONGEST: usize = 1_000;

/// The first `most` characters of `text`, with an ellipsis where there are more. Control characters but line breaks and tabs
/// are written as escapes.
#[must_use]
pub fn shown(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut letters = text.chars();
    for letter in letters.by_ref().take(most) {
        if letter.is_control() && !matches!(letter, '\n' | '\t') {
            let _ = write!(shown, "{}", letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Whether it is a label of DNS (RFC 1123), as names of namespaces, Services and the like are.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    let letters = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    letters && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-')
}

/// An error of a Kubernetes client as a sentence: what the API server said, or why it said nothing. The client's own text shows
/// the whole `Status` as Rust prints it.
#[must_use]
pub fn api_error(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => {
            format!("the API server answered {} {}", status.code, status.reason)
        }
        kube::Error::Api(status) => shown(status.message.trim(), LONGEST),
        kube::Error::Service(error) if error.is::<tokio::time::error::Elapsed>() => {
            "the API server did not answer in time".into()
        }
        error => error.to_string(),
    }
}

/// An error of a watch as a sentence. It is followed by another try.
#[must_use]
pub fn watch_error(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error) => {
            format!("the list could not be had: {}", api_error(error))
        }
        watcher::Error::WatchStartFailed(error) => {
            format!("the watch could not begin: {}", api_error(error))
        }
        watcher::Error::WatchError(status) => {
            let said = kube::Error::Api(status.clone());
            format!("the watch has ended: {}", api_error(&said))
        }
        watcher::Error::WatchFailed(error) => format!("the watch broke off: {}", api_error(error)),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// JSON with escapes for the control characters that JSON lets through: DEL and those beyond ASCII, of which some begin what a
/// terminal obeys.
#[must_use]
pub fn in_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        match u32::from(letter) {
            code @ 0x7f..=0x9f => {
                let _ = write!(escaped, "\\u{code:04x}");
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way in which a client of the API server fails.
    #[test]
    fn an_error_of_the_api_server_has_no_rust_in_it() {
        let status = |code, reason: &str, message: &str| {
            let status = serde_json::json!({
                "status": "Failure", "code": code, "reason": reason, "message": message,
                "details": {"name": "app", "causes": [{"field": "metadata.labels", "message": "too long"}]},
            });
            Box::new(serde_json::from_value::<kube::core::Status>(status).unwrap())
        };
        let statuses = [
            status(404, "Failed to parse error data", "404 page not found\n"),
            status(422, "Invalid", "ScaledObject.keda.sh \"app\" is invalid"),
            status(
                403,
                "Forbidden",
                "horizontalpodautoscalers.autoscaling is forbidden",
            ),
            status(500, "InternalError", ""),
        ];
        for status in statuses {
            let error = kube::Error::Api(status.clone());
            let watched = [
                watcher::Error::WatchError(status.clone()),
                watcher::Error::InitialListFailed(kube::Error::Api(status.clone())),
                watcher::Error::WatchStartFailed(kube::Error::Api(status.clone())),
                watcher::Error::WatchFailed(kube::Error::Api(status)),
            ];
            let texts = watched.iter().map(watch_error).chain([api_error(&error)]);
            for text in texts {
                let rust = text.contains(['{', '}']) || text.contains("Some(");
                assert!(!rust && !text.contains("ApiError"), "{text}");
            }
        }
    }

    #[test]
    fn an_error_of_the_api_server_is_its_own_words() {
        let said = |message: &str, reason: &str, code: u16| {
            let mut status = kube::core::Status::failure(message, reason);
            status.code = code;
            api_error(&kube::Error::Api(Box::new(status)))
        };
        assert_eq!(said("404 page not found\n", "", 404), "404 page not found");
        assert_eq!(said("", "Gone", 410), "the API server answered 410 Gone");
        let long = said(&"x".repeat(9_000), "Invalid", 422);
        assert!(long.chars().count() <= LONGEST + 1);
        for text in [said("no", "Forbidden", 403), long] {
            assert!(
                !text.contains(['{', '}']) && !text.contains("Some("),
                "{text}"
            );
        }
    }

    #[test]
    fn json_holds_no_raw_control_character() {
        let text = "é\u{9b}2J\u{7f}\u{1b}";
        let json = serde_json::to_string(text).unwrap();
        let escaped = in_json(&json);
        assert_eq!(escaped.chars().find(|c| c.is_control()), None);
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }

    #[test]
    fn text_is_cut_and_moves_no_cursor() {
        for (text, most, expected) in [
            ("plain", 5, "plain"),
            ("longer", 5, "longe…"),
            ("é€", 1, "é…"),
            ("a\tb\nc", 9, "a\tb\nc"),
            ("\u{1b}[2Jx\u{9b}\r", 9, "\\u{1b}[2Jx\\u{9b}\\u{d}"),
            ("", 0, ""),
        ] {
            assert_eq!(shown(text, most), expected);
        }
    }
}
