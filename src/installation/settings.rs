//! From the fields of a KedaController to what the flags of a run set.

use clap::ValueEnum;
use serde_json::Value;

use crate::{
    telemetry::{Format, Times, level},
    text::shown,
};

/// Characters of a value in an error.
const LONGEST: usize = 80;

/// Everything that a KedaController sets; `None` leaves it to the flag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The namespaces to watch, with commas between; all where it is empty.
    pub namespaces: Option<String>,
    /// How log lines look.
    pub format: Option<Format>,
    /// How the time of a log line looks.
    pub times: Option<Times>,
    /// Directives of the controller's log lines.
    level: Option<String>,
    /// Directives of single rooms.
    rooms: Vec<String>,
}

/// A verbosity of the API server's from which on every request has a line.
const TALKATIVE: u8 = 4;

impl Settings {
    /// Reads the object, and what is the matter with fields that can't be taken: which field, what was found, what is expected. Those are
    /// left to the flags, and the others count.
    pub(super) fn of(object: &Value) -> (Self, Vec<String>) {
        let mut fields = Fields {
            spec: &object["spec"],
            troubles: Vec::new(),
        };
        // A field by its present name goes before the one by its former.
        let server = fields.take(&["metricsServer.logLevel", "logLevelMetrics"], verbosity);
        let webhooks = fields.take(&["admissionWebhooks.logLevel"], level);
        let webhooks = webhooks.as_deref().and_then(|w| w.split(',').next());
        let rooms = [("server", server), ("server::webhooks", webhooks)];
        let rooms = rooms.into_iter();
        let rooms = rooms.filter_map(|(room, word)| Some(format!("lagscale::{room}={}", word?)));
        let settings = Self {
            namespaces: fields.take(&["watchNamespace"], |text| Ok(text.to_owned())),
            format: fields.take(&["operator.logEncoder", "logEncoder"], one_of),
            times: fields.take(&["operator.logTimeEncoding"], one_of),
            level: fields.take(&["operator.logLevel", "logLevel"], level),
            rooms: rooms.collect(),
        };
        (settings, fields.troubles)
    }

    /// The directives of the log, where a flag says `otherwise`.
    #[must_use]
    pub fn log(&self, otherwise: &str) -> String {
        let level = self.level.as_deref().unwrap_or(otherwise);
        let all = std::iter::once(level).chain(self.rooms.iter().map(String::as_str));
        all.collect::<Vec<_>>().join(",")
    }

    /// The fields of KEDA's that are there and mean nothing here, in a sentence; empty where there are none.
    pub(super) fn without_meaning(object: &Value) -> String {
        let parts = ["operator", "metricsServer", "admissionWebhooks"];
        let known = ["logLevel", "logEncoder", "logTimeEncoding"];
        let mut fields = Vec::new();
        for part in parts {
            let set = object["spec"][part].as_object().into_iter().flatten();
            let others = set.filter(|(name, _)| !known.contains(&name.as_str()));
            fields.extend(others.map(|(name, _)| format!("{part}.{name}")));
        }
        for part in ["serviceAccount", "httpAddon"] {
            if !object["spec"][part].is_null() {
                fields.push(part.to_owned());
            }
        }
        if fields.is_empty() {
            return String::new();
        }
        format!(
            "{} mean nothing here: a Subscription's spec.config has resources, tolerations, affinity and environment",
            fields.join(", ")
        )
    }
}

/// The fields of an object, and what is the matter with them.
struct Fields<'a> {
    spec: &'a Value,
    troubles: Vec<String>,
}

impl Fields<'_> {
    /// The first of these fields that is there, as `parse` reads it.
    fn take<T>(&mut self, names: &[&str], parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let found = names.iter().find_map(|name| {
            let value = self.spec.pointer(&format!("/{}", name.replace('.', "/")))?;
            (!value.is_null()).then_some((name, value))
        });
        let (name, value) = found?;
        let read = value.as_str().ok_or_else(|| "expected a text".to_owned());
        match read.and_then(parse) {
            Ok(taken) => Some(taken),
            Err(error) => {
                let found = shown(&value.to_string(), LONGEST);
                self.troubles
                    .push(format!("spec.{name}: {found} was found, {error}"));
                None
            }
        }
    }
}

fn verbosity(text: &str) -> Result<&'static str, String> {
    match text.parse::<u8>() {
        Ok(number) if number < TALKATIVE => Ok("info"),
        Ok(_) => Ok("debug"),
        Err(_) => Err(format!(
            "expected a number: 0 for info, {TALKATIVE} for debug"
        )),
    }
}

fn one_of<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, true).map_err(|_| {
        let names = T::value_variants().iter().filter_map(T::to_possible_value);
        let names: Vec<String> = names.map(|n| n.get_name().to_owned()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(spec: &Value) -> (Settings, Vec<String>) {
        Settings::of(&json!({ "spec": spec }))
    }

    #[test]
    fn the_fields_of_either_age_set_what_the_flags_set() {
        let seed = of(&json!({
            "watchNamespace": "", "logLevel": "info", "logEncoder": "console", "logLevelMetrics": "0",
        }));
        let today = of(&json!({
            "watchNamespace": "", "operator": {"logLevel": "info", "logEncoder": "console"}, "metricsServer": {"logLevel": "0"},
        }));
        assert_eq!(seed, today);
        let (seed, troubles) = seed;
        assert_eq!(troubles, [""; 0]);
        assert_eq!(seed.namespaces.as_deref(), Some(""));
        assert_eq!(seed.format, Some(Format::Console));
        let log = seed.log("warn");
        let ends = ",lagscale::server=info";
        assert!(log.starts_with("info,") && log.ends_with(ends), "{log}");
        let (none, _) = of(&json!({}));
        assert_eq!(none, Settings::default());
        assert_eq!(none.log("warn"), "warn");
        let (whole, _) = of(&json!({
            "operator": {"logLevel": "3", "logTimeEncoding": "iso8601"}, "logLevel": "error",
            "metricsServer": {"logLevel": "4"}, "admissionWebhooks": {"logLevel": "error"},
        }));
        assert_eq!(whole.times, Some(Times::Iso8601));
        let log = whole.log("warn");
        let ends = ",lagscale::server=debug,lagscale::server::webhooks=error";
        assert!(log.starts_with("trace,") && log.ends_with(ends), "{log}");
    }

    #[test]
    fn a_field_that_cannot_be_taken_is_named_with_what_is_expected_and_the_others_count() {
        for (field, value, said) in [
            (
                "logLevel",
                json!("loud"),
                "\"loud\" was found, expected debug, info",
            ),
            (
                "logEncoder",
                json!("xml"),
                "\"xml\" was found, expected one of console, json",
            ),
            (
                "logLevelMetrics",
                json!("many"),
                "\"many\" was found, expected a number",
            ),
            ("logLevelMetrics", json!(4), "4 was found, expected a text"),
        ] {
            let (settings, troubles) = of(&json!({"watchNamespace": "shop", field: value}));
            assert_eq!(settings.namespaces.as_deref(), Some("shop"));
            let [trouble] = troubles.as_slice() else {
                panic!("{troubles:?}");
            };
            assert!(
                trouble.starts_with(&format!("spec.{field}: {said}")),
                "{trouble}"
            );
        }
        for nested in ["logLevel", "logEncoder", "logTimeEncoding"] {
            let (settings, troubles) = of(&json!({"operator": {nested: ""}}));
            assert_eq!(settings, Settings::default());
            let field = format!("spec.operator.{nested}: ");
            assert!(troubles.concat().starts_with(&field), "{troubles:?}");
        }
    }

    #[test]
    fn fields_that_mean_nothing_here_are_named() {
        let told = |spec: Value| Settings::without_meaning(&json!({ "spec": spec }));
        assert_eq!(told(json!({"operator": {"logLevel": "info"}})), "");
        let spec = json!({"operator": {"args": ["--x"]}, "metricsServer": {"auditConfig": {}}, "httpAddon": {"enabled": true}});
        let all = told(spec);
        assert!(
            all.starts_with(
                "operator.args, metricsServer.auditConfig, httpAddon mean nothing here"
            ),
            "{all}"
        );
    }
}
