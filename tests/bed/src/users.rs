//! Users of a Kafka that come after it: a password that is set while it runs.

use std::{num::NonZeroU32, time::Duration};

use kafka_protocol::{
    ResponseError,
    messages::{
        AlterUserScramCredentialsRequest,
        alter_user_scram_credentials_request::ScramCredentialUpsertion,
    },
};
use lagscale::kafka::{
    Security,
    sasl::{Mechanism, Sasl},
    tls::Tls,
};
use ring::pbkdf2;

use crate::{
    kafka::Kafka,
    kafka_admin::{DEADLINES, ask, text},
    wait,
};

const PATIENCE: Duration = Duration::from_secs(60);
const ITERATIONS: u16 = 4096;
/// The protocol's number of SCRAM-SHA-512.
const SCRAM_SHA_512: i8 = 2;

impl Kafka {
    /// Gives a user of SCRAM-SHA-512 this password, with or without one before, and returns when it opens the door.
    pub async fn set_password(&self, user: &str, password: &str) {
        let salt = b"a salt for tests";
        let mut salted = vec![0; 64];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            NonZeroU32::from(std::num::NonZeroU16::new(ITERATIONS).expect("some")),
            salt,
            password.as_bytes(),
            &mut salted,
        );
        let upsertion = ScramCredentialUpsertion::default()
            .with_name(text(user))
            .with_mechanism(SCRAM_SHA_512)
            .with_iterations(ITERATIONS.into())
            .with_salt(salt.to_vec().into())
            .with_salted_password(salted.into());
        let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]);
        let answer = ask(&mut self.connection().await, &request, 0).await;
        let code = answer.expect("an answer").results[0].error_code;
        assert_eq!(ResponseError::try_from_code(code), None, "a password");

        let security = Security {
            tls: Some(Tls {
                ca: Some(self.ca.pem.clone()),
                ..Tls::default()
            }),
            sasl: Some(Sasl::Password {
                mechanism: Mechanism::ScramSha512,
                username: user.into(),
                password: password.into(),
            }),
        };
        let address = self.bootstrap().parse().expect("an address");
        wait::until("the password to be known", PATIENCE, async || {
            let dialled = lagscale::kafka::dial(&address, &security, DEADLINES).await;
            dialled.map(drop)
        })
        .await;
    }
}
