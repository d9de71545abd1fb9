//! The service accounts that tokens are asked for, each with its audience: KEDA 2.21's policy (`pkg/scaling/resolver/service_account_token.go`),
//! with its texts. Without an audience a token is good for the API server itself, and whoever it is shown to could use it there.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::text::is_dns_label;

/// The variable that names the audiences.
const VARIABLE: &str = "KEDA_SERVICE_ACCOUNT_TOKEN_AUDIENCES";

/// The audiences of service accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenPolicy {
    /// Tokens are asked for without an audience, for every account.
    legacy: bool,
    /// By namespace and name of the account.
    audiences: BTreeMap<(String, String), String>,
}

/// An entry of the list; one without an account approves of an audience for tokens in files, which nothing here reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    audience: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    service_account_name: String,
}

impl TokenPolicy {
    /// The policy of `--service-account-token-mode` and of the list of audiences, a YAML or JSON document or nothing.
    ///
    /// # Errors
    /// KEDA's text for what is wrong in them.
    pub fn new(mode: &str, audiences: &str) -> Result<Self, String> {
        let entries = entries(audiences)?;
        match mode {
            "legacy" if !entries.is_empty() => {
                return Err("legacy token mode cannot be combined with configured audiences; use enforce-audience or remove the audience settings".into());
            }
            "legacy" => {
                return Ok(Self {
                    legacy: true,
                    ..Self::default()
                });
            }
            "" | "enforce-audience" => {}
            other => {
                return Err(format!(
                    "unsupported service-account-token-mode {other:?}: expected enforce-audience or legacy"
                ));
            }
        }
        let mut policy = Self::default();
        for entry in entries {
            policy.add(entry)?;
        }
        Ok(policy)
    }

    fn add(&mut self, entry: Entry) -> Result<(), String> {
        let (namespace, name) = (entry.namespace, entry.service_account_name);
        if entry.audience.is_empty() || entry.audience != entry.audience.trim() {
            return Err("service account token audiences must be nonempty and contain no surrounding whitespace".into());
        }
        match (namespace.is_empty(), name.is_empty()) {
            (true, true) => return Ok(()),
            (false, false) => {}
            _ => {
                return Err(format!(
                    "{VARIABLE} entries must set both namespace and serviceAccountName for minting, or omit both for audience approval only"
                ));
            }
        }
        if !is_dns_label(&namespace) || name.len() > 253 || !name.split('.').all(is_dns_label) {
            return Err(format!(
                "{VARIABLE} entries require valid, exact Kubernetes namespace and service account names; wildcards are not supported"
            ));
        }
        let key = format!("{namespace}/{name}");
        match self.audiences.insert((namespace, name), entry.audience) {
            Some(_) => Err(format!(
                "duplicate service account token audience mapping for {key}"
            )),
            None => Ok(()),
        }
    }

    /// The audience of an account's token; `None`: without one.
    ///
    /// # Errors
    /// No token may be asked for it.
    pub fn audience(&self, account: &(String, String)) -> Result<Option<&str>, String> {
        match self.audiences.get(account) {
            Some(audience) => Ok(Some(audience)),
            None if self.legacy => Ok(None),
            None => {
                let (namespace, name) = account;
                Err(format!(
                    "no configured token audience for service account {namespace}/{name} in {VARIABLE}"
                ))
            }
        }
    }
}

fn entries(text: &str) -> Result<Vec<Entry>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let found: Option<Vec<Entry>> =
        serde_saphyr::from_str(text).map_err(|error| format!("invalid {VARIABLE}: {error}"))?;
    found.ok_or_else(|| format!("{VARIABLE} must be an array, not null"))
}
