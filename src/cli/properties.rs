//! A client's properties file, as Kafka's own tools take it (`--command-config`), as fields of a `kafka` trigger.

use std::{collections::BTreeMap, fs, path::Path};

use secrecy::{ExposeSecret, SecretString};

use crate::{kafka::sasl::Mechanism, triggers::Parameters};

/// The way to the brokers, as a file has it.
#[derive(Default)]
pub struct Properties {
    values: BTreeMap<String, SecretString>,
}

impl Properties {
    /// Reads a file; the error names it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path);
        let text = text.map_err(|e| format!("--command-config={}: {e}", path.display()))?;
        Ok(Self::parse(&text))
    }

    /// Reads its text by the rules of `java.util.Properties`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let mut whole = line.to_owned();
            while whole.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1 {
                whole.pop();
                match lines.next() {
                    Some(next) => whole.push_str(next.trim_start()),
                    None => break,
                }
            }
            let (key, value) = split(&whole);
            values.insert(key, value.into());
        }
        Self { values }
    }

    fn get(&self, key: &str) -> Option<&str> {
        let value = self.values.get(key)?.expose_secret().trim();
        Some(value).filter(|v| !v.is_empty())
    }

    /// `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> Option<&str> {
        self.get("bootstrap.servers")
    }

    /// `isolation.level`.
    #[must_use]
    pub fn isolation_level(&self) -> Option<&str> {
        self.get("isolation.level")
    }

    /// TLS and SASL as an authentication's parameters.
    pub fn parameters(&self) -> Result<Parameters, String> {
        let mut parameters = Parameters::new();
        let protocol = self.get("security.protocol").unwrap_or("PLAINTEXT");
        let (tls, sasl) = match protocol.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            _ => {
                return Err(format!(
                    "security.protocol={protocol}: expected PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
                ));
            }
        };
        if tls {
            self.tls(&mut parameters)?;
        }
        if sasl {
            self.sasl(&mut parameters)?;
        }
        Ok(parameters)
    }

    fn tls(&self, to: &mut Parameters) -> Result<(), String> {
        to.insert("tls".into(), "enable".into());
        let identified = self.values.get("ssl.endpoint.identification.algorithm");
        if identified.is_some_and(|v| v.expose_secret().trim().is_empty()) {
            return Err("ssl.endpoint.identification.algorithm= : the broker's name is always compared with its certificate".into());
        }
        let pem = |store: &str| {
            let kind = self.get(&format!("ssl.{store}.type")).unwrap_or("JKS");
            if kind.eq_ignore_ascii_case("PEM") {
                return Ok(());
            }
            Err(format!(
                "ssl.{store}.type={kind}: only PEM is read. `keytool -exportcert -rfc` or `openssl pkcs12 -in STORE -nodes` write it"
            ))
        };
        let file = |key: &str| {
            let path = self.get(key)?;
            Some(fs::read_to_string(path).map_err(|e| format!("{key}={path}: {e}")))
        };
        if let Some(text) = self.get("ssl.truststore.certificates") {
            pem("truststore")?;
            to.insert("ca".into(), text.into());
        } else if let Some(text) = file("ssl.truststore.location") {
            pem("truststore")?;
            to.insert("ca".into(), text?.into());
        }
        let chain = self.get("ssl.keystore.certificate.chain");
        if let Some((chain, key)) = chain.zip(self.get("ssl.keystore.key")) {
            pem("keystore")?;
            to.insert("cert".into(), chain.into());
            to.insert("key".into(), key.into());
        } else if let Some(text) = file("ssl.keystore.location") {
            pem("keystore")?;
            // One file has both.
            let text = text?;
            to.insert("cert".into(), text.clone().into());
            to.insert("key".into(), text.into());
        }
        if let Some(password) = self.get("ssl.key.password") {
            to.insert("keyPassword".into(), password.into());
        }
        Ok(())
    }

    fn sasl(&self, to: &mut Parameters) -> Result<(), String> {
        let mechanism = self.get("sasl.mechanism").unwrap_or("GSSAPI");
        let with_password = Mechanism::ALL.map(|m| (m.name(), m.keda_name()));
        let bearer = ("OAUTHBEARER", "oauthbearer");
        let mut known = with_password.into_iter().chain([bearer]);
        let Some((_, ours)) = known.find(|(name, _)| *name == mechanism) else {
            let names = with_password.map(|(name, _)| name).join(", ");
            return Err(format!(
                "sasl.mechanism={mechanism}: expected {names} or OAUTHBEARER"
            ));
        };
        to.insert("sasl".into(), ours.into());
        let options = jaas(self.get("sasl.jaas.config").unwrap_or_default());
        let (user, password) = if ours == "oauthbearer" {
            let endpoint = self.get("sasl.oauthbearer.token.endpoint.url");
            let endpoint = endpoint.ok_or("sasl.oauthbearer.token.endpoint.url is missing")?;
            to.insert("oauthTokenEndpointUri".into(), endpoint.into());
            ("clientId", "clientSecret")
        } else {
            ("username", "password")
        };
        for (from, parameter) in [
            (user, "username"),
            (password, "password"),
            ("scope", "scopes"),
        ] {
            if let Some(value) = options.get(from) {
                to.insert(parameter.into(), value.clone());
            }
        }
        if !options.contains_key(user) || !options.contains_key(password) {
            return Err(format!(
                "sasl.jaas.config: expected {user}=\"...\" and {password}=\"...\" in it"
            ));
        }
        Ok(())
    }
}

/// Key and value of a line, escapes undone.
fn split(line: &str) -> (String, String) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (c == '=' || c == ':' || c.is_whitespace());
        escaped = c == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
    (unescape(key), unescape(rest))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                out.extend(code.and_then(char::from_u32));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// The options of a login module: `name="value"` or `name=value`, up to the semicolon.
fn jaas(text: &str) -> BTreeMap<String, SecretString> {
    let mut options = BTreeMap::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit(|c: char| c.is_whitespace()).next();
        let name = name.unwrap_or_default().to_owned();
        let after = after.trim_start();
        let mut value = String::new();
        rest = if let Some(quoted) = after.strip_prefix('"') {
            let mut escaped = false;
            let end = quoted.char_indices().find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                if !ends && !escaped {
                    value.push(*c);
                }
                ends
            });
            end.map_or("", |(end, _)| &quoted[end + 1..])
        } else {
            let end = after.find(|c: char| c.is_whitespace() || c == ';');
            let (bare, rest) = after.split_at(end.unwrap_or(after.len()));
            value.push_str(bare);
            rest
        };
        options.insert(name, value.into());
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<BTreeMap<String, String>, String> {
        let parameters = Properties::parse(text).parameters()?;
        let exposed = parameters.iter();
        let exposed = exposed.map(|(k, v)| (k.clone(), v.expose_secret().to_owned()));
        Ok(exposed.collect())
    }

    #[test]
    fn a_file_for_kafka_s_tools_becomes_an_authentication() {
        let text = r#"
            # a comment
            bootstrap.servers = a:9092,b:9092
            security.protocol=SASL_SSL
            sasl.mechanism: SCRAM-SHA-512
            sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
              username="al\\"ice" \
              password="p=w; d";
            ssl.truststore.type=PEM
            ssl.truststore.certificates=-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----
            isolation.level=read_committed
        "#;
        let found = of(text).unwrap();
        assert_eq!(found["sasl"], "scram_sha512");
        assert_eq!(found["username"], "al\"ice");
        assert_eq!(found["password"], "p=w; d");
        assert_eq!(found["ca"].lines().count(), 3);
        assert_eq!(found["tls"], "enable");
        let properties = Properties::parse(text);
        assert_eq!(properties.bootstrap(), Some("a:9092,b:9092"));
        assert_eq!(properties.isolation_level(), Some("read_committed"));
    }

    #[test]
    fn what_can_t_be_read_is_named_with_what_would_do() {
        for (text, said) in [
            (
                "security.protocol=SSL\nssl.truststore.location=/nowhere/t.jks",
                "ssl.truststore.type=JKS: only PEM",
            ),
            ("security.protocol=TLS", "expected PLAINTEXT, SSL"),
            (
                "security.protocol=SASL_SSL\nsasl.mechanism=GSSAPI",
                "expected PLAIN, SCRAM",
            ),
            (
                "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN",
                "expected username=",
            ),
            (
                "security.protocol=SSL\nssl.endpoint.identification.algorithm=",
                "always compared",
            ),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(of("").unwrap().is_empty());
    }
}
