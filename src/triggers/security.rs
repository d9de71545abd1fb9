//! TLS and SASL of the Kafka triggers: what is valid in KEDA, and of that what can be connected with here.

use std::sync::Arc;

use super::{
    fields::{Fields, From},
    oauth::{OAuth, aws_credentials, oauth},
};
use crate::kafka::{
    Security,
    oauth::{Client, TokenSource},
    sasl::{Mechanism, Sasl},
    tls::{Key, Tls},
};

/// Settings, and why they can't be connected with although they are valid.
pub(super) struct Secured {
    pub(super) security: Security,
    pub(super) sasl: &'static str,
    pub(super) oauth: Option<OAuth>,
    pub(super) withheld: Option<String>,
}

const EITHER: From = From::TriggerThenAuthentication;
const MECHANISMS: [&str; 6] = [
    "none",
    "plaintext",
    "scram_sha256",
    "scram_sha512",
    "oauthbearer",
    "gssapi",
];
const APACHE_MECHANISMS: [&str; 6] = [
    "none",
    "plaintext",
    "scram_sha256",
    "scram_sha512",
    "gssapi",
    "aws_msk_iam",
];

/// The security of a `kafka` trigger, or the first error in KEDA's order.
pub(super) fn security(fields: &mut Fields<'_>) -> Result<Secured, String> {
    let sasl = mechanism(fields, &MECHANISMS);
    fields.boolean("kerberosDisableFAST", From::Authentication);
    let providers = ["bearer", "aws_msk_iam"];
    let provider = fields.choice("saslTokenProvider", EITHER, &providers, "bearer");
    let tls_on = tls_on(fields);
    let unsafe_ssl = fields.boolean("unsafeSsl", From::Trigger);
    match one_of_a_pair(fields).filter(|_| tls_on) {
        Some("cert") => return Err("key must be provided with cert".into()),
        Some(_) => return Err("cert must be provided with key".into()),
        None => {}
    }
    let mut secured = Secured {
        security: Security {
            tls: tls_on.then(|| tls(fields, unsafe_ssl)),
            sasl: None,
        },
        sasl,
        oauth: None,
        withheld: None,
    };
    match sasl {
        "oauthbearer" => {
            let found = oauth(fields, provider, tls_on)?;
            if found.provider == "aws_msk_iam" {
                secured.withheld =
                    Some("sasl oauthbearer (aws_msk_iam) can't be connected with yet".into());
            } else {
                secured.security.sasl = Some(bearer(fields, &found));
            }
            secured.oauth = Some(found);
        }
        "gssapi" => {
            kerberos(fields)?;
            secured.withheld = Some("sasl gssapi (Kerberos) is not supported".into());
        }
        _ => secured.security.sasl = password(sasl).map(|m| login(fields, m)).transpose()?,
    }
    Ok(secured)
}

/// The security of an `apache-kafka` trigger, or the first error in KEDA's order.
pub(super) fn apache_security(fields: &mut Fields<'_>) -> Result<Secured, String> {
    for name in ["sasl", "tls"] {
        let stands = |from| fields.text(name, from).is_some();
        if stands(From::Trigger) && stands(From::Authentication) {
            return Err(format!(
                "unable to set `{name}` in both ScaledObject and TriggerAuthentication together"
            ));
        }
    }
    let tls_on = tls_on(fields);
    let sasl = mechanism(fields, &APACHE_MECHANISMS);
    if tls_on && one_of_a_pair(fields).is_some() {
        return Err("can't set only one of cert or key when using TLS".into());
    }
    let text = |name| fields.text(name, From::Authentication);
    let mut secured = Secured {
        security: Security {
            tls: tls_on.then(|| tls(fields, false)),
            sasl: None,
        },
        sasl,
        oauth: None,
        withheld: None,
    };
    match sasl {
        "plaintext" if text("username").is_none() || text("password").is_none() => {
            return Err("username and password must be set when using SASL/PLAINTEXT".into());
        }
        "aws_msk_iam" => {
            if fields.text("awsRegion", From::Trigger).is_none() {
                return Err("awsRegion must be set when using AWS MSK IAM".into());
            }
            if !tls_on {
                return Err("TLS must be enabled when using AWS MSK IAM".into());
            }
            aws_credentials(fields)?;
            secured.withheld = Some("sasl aws_msk_iam can't be connected with yet".into());
        }
        "gssapi" => {
            secured.withheld =
                Some("err sasl type \"gssapi\" given: Kerberos is not supported".into());
        }
        // SCRAM without a user is let through here; the broker refuses it.
        _ => {
            secured.security.sasl = password(sasl).map(|mechanism| Sasl::Password {
                mechanism,
                username: text("username").unwrap_or_default().to_owned(),
                password: fields.secret("password").unwrap_or_default(),
            });
        }
    }
    Ok(secured)
}

fn tls_on(fields: &mut Fields<'_>) -> bool {
    fields.choice("tls", EITHER, &["enable", "disable"], "disable") == "enable"
}

/// The mechanism that is written; a list of them passes in KEDA and selects none.
fn mechanism(fields: &mut Fields<'_>, known: &[&'static str]) -> &'static str {
    let written = fields.choice("sasl", EITHER, known, "none");
    known
        .iter()
        .find(|m| **m == written)
        .copied()
        .unwrap_or("none")
}

fn password(sasl: &str) -> Option<Mechanism> {
    let mut all = Mechanism::ALL.into_iter();
    all.find(|mechanism| mechanism.keda_name() == sasl)
}

/// Which of cert and key stands alone.
fn one_of_a_pair(fields: &Fields<'_>) -> Option<&'static str> {
    let has = |name| fields.text(name, From::Authentication).is_some();
    match (has("cert"), has("key")) {
        (true, false) => Some("cert"),
        (false, true) => Some("key"),
        _ => None,
    }
}

fn tls(fields: &Fields<'_>, unsafe_ssl: bool) -> Tls {
    Tls {
        ca: fields.text("ca", From::Authentication).map(Into::into),
        cert: fields.text("cert", From::Authentication).map(Into::into),
        key: fields
            .secret("key")
            .map(|pem| Key::new(pem, fields.secret("keyPassword"))),
        unsafe_ssl,
    }
}

fn bearer(fields: &Fields<'_>, oauth: &OAuth) -> Sasl {
    let text = |name| fields.text(name, From::Authentication).unwrap_or_default();
    let ca = fields.text("ca", From::Authentication);
    Sasl::Bearer(Arc::new(TokenSource::new(Client {
        endpoint: text("oauthTokenEndpointUri").into(),
        id: text("username").into(),
        secret: fields.secret("password").unwrap_or_default(),
        scopes: oauth.scopes.clone(),
        extensions: oauth.extensions.clone(),
        ca: ca.map(Into::into),
    })))
}

fn login(fields: &Fields<'_>, mechanism: Mechanism) -> Result<Sasl, String> {
    let username = fields.text("username", From::Authentication);
    Ok(Sasl::Password {
        mechanism,
        username: username.ok_or("no username given")?.to_owned(),
        password: fields.secret("password").ok_or("no password given")?,
    })
}

fn kerberos(fields: &Fields<'_>) -> Result<(), String> {
    let text = |name| fields.text(name, From::Authentication);
    let credentials = ["password", "keytab", "ccacheName"];
    let given = credentials.into_iter().filter(|name| text(name).is_some());
    let cache = text("ccacheName").unwrap_or_default();
    if text("username").is_none() {
        Err("no username given".into())
    } else if given.count() != 1 {
        Err("exactly one of 'password', 'keytab' or 'ccacheName' must be provided for GSSAPI authentication".into())
    } else if text("realm").is_none() {
        Err("no realm given".into())
    } else if text("kerberosConfig").is_none() {
        Err("no Kerberos configuration file (kerberosConfig) given".into())
    } else if cache.contains('/') || cache == "." || cache == ".." {
        Err("ccacheName must be a file name and not a path".into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::triggers::{Kafka, Parameters, Sources};

    fn parse(auth: &[(&str, &str)]) -> Kafka {
        let metadata = [
            ("bootstrapServers", "b:9092"),
            ("consumerGroup", "g"),
            ("awsRegion", "r"),
        ];
        let metadata = metadata.map(|(k, v)| (k.to_owned(), v.to_owned()));
        let auth = auth.iter().map(|(k, v)| ((*k).to_owned(), (*v).into()));
        let sources = Sources {
            metadata: &BTreeMap::from(metadata),
            environment: &Parameters::new(),
            parameters: &auth.collect(),
        };
        Kafka::parse(sources).unwrap()
    }

    #[test]
    fn what_is_not_supported_is_withheld_with_its_name_and_a_client_is_not() {
        let kerberos = [
            ("sasl", "gssapi"),
            ("username", "u"),
            ("password", "p"),
            ("realm", "r"),
            ("kerberosConfig", "c"),
        ];
        let aws = [
            ("sasl", "oauthbearer"),
            ("saslTokenProvider", "aws_msk_iam"),
            ("tls", "enable"),
            ("awsRoleArn", "arn"),
        ];
        for (auth, name) in [(&kerberos[..], "gssapi"), (&aws[..], "aws_msk_iam")] {
            let kafka = parse(auth);
            assert!(kafka.withheld.unwrap().contains(name));
            assert!(kafka.security.sasl.is_none());
        }
        let client = [
            ("sasl", "oauthbearer"),
            ("username", "u"),
            ("password", "very secret\n"),
            ("oauthTokenEndpointUri", "https://very.secret/token"),
            ("tls", "enable"),
            ("cert", "c"),
            ("key", "k"),
            ("keyPassword", "very secret"),
        ];
        let kafka = parse(&client);
        assert_eq!(kafka.withheld, None);
        assert!(matches!(kafka.security.sasl, Some(Sasl::Bearer(_))));
        assert!(!format!("{kafka:?}").contains("secret"));
    }
}
