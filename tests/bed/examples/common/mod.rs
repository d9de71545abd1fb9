//! Reaching Kafka, for both halves of the sample workload: its address, its login, its TLS.

use std::sync::Arc;

use lagscale::kafka::{
    Security,
    sasl::{Mechanism, Sasl},
    tls::Tls,
};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// With a user: SASL_SSL and SCRAM-SHA-512. Without: plain text.
#[derive(Clone, Debug, clap::Args)]
pub struct KafkaArgs {
    /// host:port, several separated by commas.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS")]
    pub bootstrap_servers: String,
    /// The topic.
    #[arg(long, env = "KAFKA_TOPIC", default_value = "test-topic")]
    pub topic: String,
    /// The user.
    #[arg(long, env = "KAFKA_USERNAME")]
    username: Option<String>,
    /// The user's password; the environment keeps it out of the list of processes.
    #[arg(
        long,
        env = "KAFKA_PASSWORD",
        default_value = "",
        hide_env_values = true
    )]
    password: String,
    /// The CA that signed the brokers' certificates, as PEM text.
    #[arg(long, env = "KAFKA_CA", hide_env_values = true)]
    ca: Option<String>,
}

impl KafkaArgs {
    /// For connections of our own.
    pub fn security(&self) -> Security {
        let Some(username) = &self.username else {
            return Security::default();
        };
        Security {
            tls: Some(Tls {
                ca: self.ca.clone(),
                ..Tls::default()
            }),
            sasl: Some(Sasl::Password {
                mechanism: Mechanism::ScramSha512,
                username: username.clone(),
                password: self.password.clone().into(),
            }),
        }
    }

    /// For records.
    pub async fn client(&self) -> Result<Arc<Client>, Failure> {
        let servers = self
            .bootstrap_servers
            .split(',')
            .map(|s| s.trim().to_owned());
        let mut builder = ClientBuilder::new(servers.collect());
        if let Some(username) = &self.username {
            let tls = self.security().tls.unwrap_or_default();
            let credentials = Credentials::new(username.clone(), self.password.clone());
            builder = builder
                .tls_config(tls.client_config()?)
                .sasl_config(SaslConfig::ScramSha512(credentials));
        }
        Ok(Arc::new(builder.build().await?))
    }
}
