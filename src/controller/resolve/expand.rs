//! `$(VARIABLE)` in the value of an environment variable.

use secrecy::{ExposeSecret, SecretString};

use crate::triggers::Parameters;

/// `$(NAME)` becomes the value where the name is known and stays as it is elsewhere; `$$` is a dollar. `None`: longer than
/// `limit`.
pub(super) fn expand(text: &str, known: &Parameters, limit: usize) -> Option<SecretString> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let closed = rest.strip_prefix('(').and_then(|r| r.split_once(')'));
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = closed {
            match known.get(name) {
                Some(value) => out.push_str(value.expose_secret()),
                None => out.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            out.push('$');
        }
        if out.len() > limit {
            return None;
        }
    }
    out.push_str(rest);
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_in_a_literal_expands_as_kubelets_do_it() {
        let known = Parameters::from([("A".into(), "1".into()), ("B".into(), "$(A)".into())]);
        for (text, expected) in [
            ("plain", "plain"),
            ("$(A)-$(B)", "1-$(A)"),
            ("$(NOPE) $(A", "$(NOPE) $(A"),
            ("$$(A) $$$(A) $$", "$(A) $1 $"),
            ("$A $ $", "$A $ $"),
            ("$() $((A))", "$() $((A))"),
            ("ü$(A)ü", "ü1ü"),
        ] {
            let expanded = expand(text, &known, 100).unwrap();
            assert_eq!(expanded.expose_secret(), expected, "{text}");
        }
        assert!(expand(&"$(A)".repeat(200), &known, 100).is_none());
    }
}
