//! `sasl: oauthbearer`: where a token comes from, and the credentials that AWS wants for one.

use std::collections::BTreeMap;

use super::fields::{Fields, From};

/// The source of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth {
    /// `saslTokenProvider`: `bearer` or `aws_msk_iam`.
    pub provider: &'static str,
    /// Split at commas, not trimmed, as the reference does; one empty scope where none is given.
    pub scopes: Vec<String>,
    /// Sent with the token (`oauthExtensions`).
    pub extensions: BTreeMap<String, String>,
}

/// Reads and validates the token provider of a `kafka` trigger.
pub(super) fn oauth(fields: &Fields<'_>, provider: &str, tls: bool) -> Result<OAuth, String> {
    let text = |name| fields.text(name, From::Authentication);
    let wrong = |error: &str| format!("error parsing OAuth token provider configuration: {error}");
    if provider == "aws_msk_iam" {
        if !tls {
            return Err(wrong("TLS is required for AWS MSK authentication"));
        }
        if fields.text("awsRegion", From::Trigger).is_none() {
            return Err(wrong("no awsRegion given"));
        }
        return Ok(OAuth {
            provider: "aws_msk_iam",
            scopes: Vec::new(),
            extensions: BTreeMap::new(),
        });
    }
    for (name, error) in [
        ("username", "no username given"),
        ("password", "no password given"),
        ("oauthTokenEndpointUri", "no oauth token endpoint uri given"),
    ] {
        if text(name).is_none() {
            return Err(wrong(error));
        }
    }
    let mut extensions = BTreeMap::new();
    for pair in text("oauthExtensions")
        .into_iter()
        .flat_map(|t| t.split(','))
    {
        match pair.split('=').collect::<Vec<_>>()[..] {
            [key, value] => drop(extensions.insert(key.to_owned(), value.to_owned())),
            _ => {
                return Err(wrong(
                    "invalid OAuthBearer extension, must be of format key=value",
                ));
            }
        }
    }
    let scopes = text("scopes").unwrap_or_default().split(',');
    Ok(OAuth {
        provider: "bearer",
        scopes: scopes.map(Into::into).collect(),
        extensions,
    })
}

/// Whether somebody is named to sign for; who it is counts once tokens are made.
pub(super) fn aws_credentials(fields: &Fields<'_>) -> Result<(), &'static str> {
    let own = |names: &[&str]| {
        names
            .iter()
            .any(|n| fields.text(n, From::Authentication).is_some())
    };
    let trigger = |name| fields.text(name, From::TriggerThenEnvironment).is_some();
    match fields.text("identityOwner", From::Trigger) {
        None | Some("pod") => {}
        Some(_) => return Ok(()),
    }
    let id = own(&["awsAccessKeyID", "awsAccessKeyId"]);
    let secret = own(&["awsSecretAccessKey"]);
    if own(&["awsRoleArn"]) || id && secret {
        return Ok(());
    }
    if !id && !trigger("awsAccessKeyID") {
        return Err("awsAccessKeyID not found");
    }
    if !secret && !trigger("awsSecretAccessKey") {
        return Err("awsSecretAccessKey not found");
    }
    Ok(())
}
