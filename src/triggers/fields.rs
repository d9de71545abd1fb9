//! How any field of a trigger is read (as by KEDA's typed configuration): sources in order, trimmed,
//! empty counts as absent; every error is gathered before anything is refused.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use crate::text::shown;

/// Characters of a value that are repeated in an error.
pub(super) const ECHO: usize = 200;

/// An error without the values of these parameters, which come from Secrets: whoever may name a Secret is not to read it here.
/// Those that errors repeat stand in quotation marks.
#[must_use]
pub fn without<'a>(
    error: String,
    parameters: &Parameters,
    secret: impl IntoIterator<Item = &'a String>,
) -> String {
    let values = secret.into_iter().filter_map(|name| parameters.get(name));
    let values = values.map(|value| value.expose_secret().trim());
    values
        .filter(|value| !value.is_empty())
        .fold(error, |error, value| {
            let repeated = shown(value, ECHO);
            error.replace(&format!("\"{repeated}\""), "\"(not shown)\"")
        })
}

/// Bytes of a value in a trigger's metadata, or of a variable that stands in for it; more are not read.
pub const LONGEST_VALUE: usize = 8 * 1024;

/// Authentication parameters by name, as a TriggerAuthentication resolves them.
pub type Parameters = BTreeMap<String, SecretString>;

/// Where the fields of a trigger may come from. All but the metadata may be secret.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The trigger's own.
    pub metadata: &'a BTreeMap<String, String>,
    /// The environment of the scale target's container, which `<field>FromEnv` names variables of.
    pub environment: &'a Parameters,
    /// The parameters of the trigger's authentication.
    pub parameters: &'a Parameters,
}

/// Where a field may stand.
#[derive(Clone, Copy)]
pub(super) enum From {
    /// Only in the trigger's metadata.
    Trigger,
    /// In the metadata, else in the variable that its `FromEnv` twin names.
    TriggerThenEnvironment,
    /// In the metadata, else in the authentication.
    TriggerThenAuthentication,
    /// Only in the authentication: it may be secret.
    Authentication,
}

/// Reads fields and gathers what is wrong with them.
pub(super) struct Fields<'a> {
    sources: Sources<'a>,
    pub(super) errors: Vec<String>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(sources: Sources<'a>) -> Self {
        Self {
            sources,
            errors: Vec::new(),
        }
    }

    /// The first source that holds something, trimmed.
    pub(super) fn text(&self, name: &str, from: From) -> Option<&'a str> {
        let Sources {
            metadata,
            environment,
            parameters,
        } = self.sources;
        let trigger = metadata.get(name).map(String::as_str);
        let authentication = parameters.get(name).map(ExposeSecret::expose_secret);
        let variable = || {
            let value = environment.get(metadata.get(&from_env(name))?)?;
            Some(value.expose_secret()).filter(|v| v.len() <= LONGEST_VALUE)
        };
        let sources = match from {
            From::Trigger => [trigger, None],
            From::TriggerThenEnvironment => [trigger, variable()],
            From::TriggerThenAuthentication => [trigger, authentication],
            From::Authentication => [authentication, None],
        };
        let mut found = sources.into_iter().flatten().map(str::trim);
        found.find(|text| !text.is_empty())
    }

    pub(super) fn required(&mut self, name: &str) -> &'a str {
        self.text(name, From::TriggerThenEnvironment)
            .unwrap_or_else(|| {
                self.errors.push(format!(
                    "missing required parameter \"{name}\" in [triggerMetadata resolvedEnv]"
                ));
                ""
            })
    }

    /// Exactly the spellings of Go's `strconv.ParseBool`.
    pub(super) fn boolean(&mut self, name: &str, from: From) -> bool {
        match self.text(name, from) {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some(other) => {
                let other = shown(other, ECHO);
                self.errors.push(format!(
                    "unable to set param \"{name}\" value \"{other}\": unable to parse boolean value \"{other}\": strconv.ParseBool: parsing \"{other}\": invalid syntax"
                ));
                false
            }
        }
    }

    /// A JSON integer: no plus sign, no leading zeros, no exponent. What does not parse stays 0, as in the reference.
    pub(super) fn integer(&mut self, name: &str, default: i64) -> i64 {
        let Some(text) = self.text(name, From::Trigger) else {
            return default;
        };
        serde_json::from_str(text).unwrap_or_else(|_| {
            let text = shown(text, ECHO);
            self.errors.push(format!(
                "unable to set param \"{name}\" value \"{text}\": unable to unmarshal to field type int64: expected a whole number"
            ));
            0
        })
    }

    /// One of `allowed`. A comma list of allowed values passes too (as in the reference) and then equals none of them.
    pub(super) fn choice(
        &mut self,
        name: &str,
        from: From,
        allowed: &[&'static str],
        default: &'static str,
    ) -> &'a str {
        let Some(text) = self.text(name, from) else {
            return default;
        };
        if !text.split(',').all(|piece| allowed.contains(&piece.trim())) {
            self.errors.push(format!(
                "parameter \"{name}\" value \"{}\" must be one of [{}]",
                shown(text, ECHO),
                allowed.join(" ")
            ));
        }
        text
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name, From::Authentication)
            .map(SecretString::from)
    }
}

/// The key that names the variable a field is read from.
pub(super) fn from_env(field: &str) -> String {
    format!("{field}FromEnv")
}
