//! TLS and SASL of a kafka trigger: what is valid in KEDA, and of that what can be connected with here.

use super::fields::{Fields, From};
use crate::kafka::{
    Security,
    sasl::{Mechanism, Sasl},
    tls::Tls,
};

/// Settings, and why they can't be connected with although they are valid.
pub(super) type Connectable = (Security, Option<String>);

/// Reads and validates; the first error, in KEDA's order.
pub(super) fn security(fields: &mut Fields<'_>) -> Result<Connectable, String> {
    use From::TriggerThenAuthentication as Either;
    let tls = fields.choice("tls", Either, &["enable", "disable"], "disable");
    let unsafe_ssl = fields.boolean("unsafeSsl");
    let kinds = [
        "none",
        "plaintext",
        "scram_sha256",
        "scram_sha512",
        "oauthbearer",
        "gssapi",
    ];
    let sasl = fields.choice("sasl", Either, &kinds, "none");
    let providers = ["bearer", "aws_msk_iam"];
    let provider = fields.choice("saslTokenProvider", Either, &providers, "bearer");
    let has = |name| fields.text(name, From::Authentication).is_some();
    let tls_on = tls == "enable";
    if tls_on && has("cert") && !has("key") {
        return Err("key must be provided with cert".into());
    }
    if tls_on && has("key") && !has("cert") {
        return Err("cert must be provided with key".into());
    }
    let mut withheld = None;
    let sasl = match sasl {
        "plaintext" => Some(login(fields, Mechanism::Plain)?),
        "scram_sha256" => Some(login(fields, Mechanism::ScramSha256)?),
        "scram_sha512" => Some(login(fields, Mechanism::ScramSha512)?),
        "oauthbearer" => {
            token(fields, provider, tls_on)
                .map_err(|e| format!("error parsing OAuth token provider configuration: {e}"))?;
            withheld = Some(format!(
                "sasl oauthbearer ({provider}) can't be connected with yet"
            ));
            None
        }
        "gssapi" => {
            kerberos(fields)?;
            withheld = Some("sasl gssapi (Kerberos) is not supported".into());
            None
        }
        _ => None,
    };
    if tls_on && has("keyPassword") {
        withheld = Some("keyPassword: an encrypted key can't be used yet".into());
    }
    let tls = tls_on.then(|| Tls {
        ca: fields.text("ca", From::Authentication).map(Into::into),
        cert: fields.text("cert", From::Authentication).map(Into::into),
        key: fields.secret("key"),
        unsafe_ssl,
    });
    Ok((Security { tls, sasl }, withheld))
}

fn login(fields: &Fields<'_>, mechanism: Mechanism) -> Result<Sasl, String> {
    let username = fields.text("username", From::Authentication);
    Ok(Sasl {
        mechanism,
        username: username.ok_or("no username given")?.to_owned(),
        password: fields.secret("password").ok_or("no password given")?,
    })
}

fn token(fields: &Fields<'_>, provider: &str, tls: bool) -> Result<(), String> {
    let has = |name| fields.text(name, From::Authentication).is_some();
    if provider == "aws_msk_iam" {
        return match (tls, fields.text("awsRegion", From::Trigger)) {
            (false, _) => Err("TLS is required for AWS MSK authentication".into()),
            (true, None) => Err("no awsRegion given".into()),
            (true, Some(_)) => Ok(()),
        };
    }
    for (name, error) in [
        ("username", "no username given"),
        ("password", "no password given"),
        ("oauthTokenEndpointUri", "no oauth token endpoint uri given"),
    ] {
        if !has(name) {
            return Err(error.into());
        }
    }
    let extensions = fields.text("oauthExtensions", From::Authentication);
    let well_formed = |text: &str| text.split(',').all(|e| e.split('=').count() == 2);
    match extensions {
        Some(text) if !well_formed(text) => {
            Err("invalid OAuthBearer extension, must be of format key=value".into())
        }
        _ => Ok(()),
    }
}

fn kerberos(fields: &Fields<'_>) -> Result<(), String> {
    let has = |name| fields.text(name, From::Authentication).is_some();
    if !has("username") {
        Err("no username given".into())
    } else if has("password") == has("keytab") {
        Err(
            "exactly one of 'password' or 'keytab' must be provided for GSSAPI authentication"
                .into(),
        )
    } else if !has("realm") {
        Err("no realm given".into())
    } else if !has("kerberosConfig") {
        Err("no Kerberos configuration file (kerberosConfig) given".into())
    } else {
        Ok(())
    }
}
