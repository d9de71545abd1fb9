//! Every way into a Kafka with an authorizer: tokens, certificates, and the fewest permissions that do; and what is said of each
//! that is missing.

use bed::{Described, Door, Kafka, KafkaOptions, P521_CA, wait};
use futures::future::join_all;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    scene::Scene,
    token_endpoint::{SECRET, TokenEndpoint},
    world::{PATIENCE, World},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.trial(
        "tokens, client certificates and Describe alone lead in, and whatever is missing is named",
        security,
    )]
}

/// May describe topic and group, and nothing else.
const READER: &str = "reader";
/// May describe the group.
const TOPICLESS: &str = "topicless";
/// May describe the topic.
const GROUPLESS: &str = "groupless";
/// The claims of a token.
const CLIENT: &str = "oauth-client";

struct Gates<'a> {
    scene: Scene<'a>,
    kafka: Kafka,
    tokens: TokenEndpoint,
}

async fn security(world: &World) {
    let scene = Scene::new(&world.bed, "security").await;
    let options = KafkaOptions {
        users: vec![READER, TOPICLESS, GROUPLESS],
        ..KafkaOptions::default()
    };
    let dir = world.bed.dir().join(&scene.namespace);
    let kafka = Kafka::start(&dir, "guarded", &options).await;
    kafka.create_topic("t", 5).await;
    for partition in 0..5 {
        kafka.produce("t", partition, 10).await;
    }
    let commits = [(0, 10), (1, 9), (2, 8), (3, 6), (4, 5)];
    kafka.commit("g", "t", &commits).await;
    for user in [READER, CLIENT, "CN=pod"] {
        kafka.allow(user, Described::Topic("t")).await;
        kafka.allow(user, Described::Group("g")).await;
    }
    kafka.allow(TOPICLESS, Described::Group("g")).await;
    kafka.allow(GROUPLESS, Described::Topic("t")).await;
    let gates = Gates {
        scene,
        kafka,
        tokens: TokenEndpoint::start().await,
    };
    tokio::join!(
        tokens(&gates),
        certificates(&gates),
        anchors(&gates),
        permissions(&gates),
    );
}

impl Gates<'_> {
    /// An object that comes in at `at` with these authentication parameters; `metadata` is laid over the trigger's.
    async fn object(
        &self,
        name: &str,
        at: &str,
        auth: &[(&str, &str)],
        metadata: serde_json::Value,
    ) {
        let scene = &self.scene;
        let data: serde_json::Map<_, _> = auth
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": scene.namespace}, "stringData": data,
        });
        scene.bed.apply(&[secret]).await;
        let targets = auth.iter();
        let targets = targets.map(|(key, _)| json!({"parameter": key, "name": name, "key": key}));
        scene
            .authentication(name, &targets.collect::<Vec<_>>())
            .await;
        let mut own = json!({"bootstrapServers": at});
        for (key, value) in metadata.as_object().into_iter().flatten() {
            own[key] = value.clone();
        }
        let mut trigger = scene.trigger("t", "g", &own);
        trigger["authenticationRef"]["name"] = name.into();
        scene.idle(name, 1).await;
        scene.scaled_object(name, &[trigger], &json!({})).await;
    }

    /// Its lag is read.
    async fn reads(&self, name: &str) {
        self.scene.value_is(name, "s0-kafka-t", "12").await;
        self.scene.condition(name, "Ready", "True", "").await;
    }

    /// It is told why not, and no secret with it.
    async fn refuses(&self, name: &str, text: &str) -> String {
        let said = self.scene.condition(name, "Ready", "False", text).await;
        for secret in [SECRET, Kafka::PASSWORD, "key-password", "BEGIN"] {
            assert!(!said.contains(secret), "{said}");
        }
        said
    }
}

async fn tokens(gates: &Gates<'_>) {
    let Gates { kafka, tokens, .. } = gates;
    let at = kafka.door(Door::Token);
    let (uri, brief, scopes) = (tokens.uri(3600), tokens.uri(5), Kafka::SCOPES.join(","));
    let client = |id, secret, uri, scopes| {
        [
            ("sasl", "oauthbearer"),
            ("tls", "enable"),
            ("ca", kafka.ca.pem.as_str()),
            ("username", id),
            ("password", secret),
            ("oauthTokenEndpointUri", uri),
            ("scopes", scopes),
            ("oauthExtensions", "pool=a,tenant=b"),
        ]
    };
    let many = ["oauth-0", "oauth-1", "oauth-2", "oauth-3", "oauth-4"];
    let same = client(CLIENT, SECRET, &uri, &scopes);
    join_all(many.map(|name| gates.object(name, &at, &same, json!({})))).await;
    join_all(many.map(|name| gates.reads(name))).await;
    assert_eq!(tokens.asked(CLIENT), (1, 0), "one token for all of them");

    let wrong = client("mistyped", "no secret at all", &uri, &scopes);
    gates.object("oauth-wrong", &at, &wrong, json!({})).await;
    let said = gates
        .refuses("oauth-wrong", "HTTP 401 invalid_client; check username")
        .await;
    assert!(
        said.contains(&format!("no token from {}", tokens.address)),
        "{said}"
    );
    assert!(!said.contains("no secret at all"), "{said}");

    let narrow = client("narrow", SECRET, &uri, "lag");
    gates.object("oauth-narrow", &at, &narrow, json!({})).await;
    gates
        .refuses(
            "oauth-narrow",
            "the broker does not take the token: insufficient_scope",
        )
        .await;

    // The broker ends a session with its token; each is renewed before that.
    kafka.allow("brief", Described::Topic("t")).await;
    kafka.allow("brief", Described::Group("g")).await;
    let short = client("brief", SECRET, &brief, &scopes);
    gates.object("oauth-brief", &at, &short, json!({})).await;
    gates.reads("oauth-brief").await;
    wait::until("the third token", PATIENCE, async || {
        match tokens.asked("brief") {
            (3.., 0) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    gates.reads("oauth-brief").await;
}

async fn certificates(gates: &Gates<'_>) {
    let kafka = &gates.kafka;
    let at = kafka.door(Door::Certificate);
    let pod = kafka.ca.sign("pod", None, &[]);
    let key = encrypted(&pod.key);
    let tls = [("tls", "enable"), ("ca", kafka.ca.pem.as_str())];
    let with = |more: &[(&'static str, &str)]| {
        let all = tls.iter().chain(more);
        all.map(|(k, v)| (*k, (*v).to_owned())).collect::<Vec<_>>()
    };
    let one = async |name: &str, auth: Vec<(&str, String)>| {
        let auth: Vec<_> = auth.iter().map(|(k, v)| (*k, v.as_str())).collect();
        gates.object(name, &at, &auth, json!({})).await;
    };
    let (cert, password) = (("cert", pod.cert.as_str()), ("keyPassword", "key-password"));
    let opened = ("key", key.as_str());
    one("mtls", with(&[cert, ("key", &pod.key)])).await;
    one("mtls-encrypted", with(&[cert, opened, password])).await;
    one("mtls-none", with(&[])).await;
    one("mtls-closed", with(&[cert, opened])).await;
    one(
        "mtls-locked",
        with(&[cert, opened, ("keyPassword", "mistyped")]),
    )
    .await;
    one("mtls-broken", with(&[("cert", "cert"), ("key", &pod.key)])).await;
    gates.reads("mtls").await;
    gates.reads("mtls-encrypted").await;
    gates
        .refuses("mtls-none", "the broker wants another client certificate")
        .await;
    gates
        .refuses(
            "mtls-closed",
            "key: it is encrypted, but there is no keyPassword",
        )
        .await;
    gates
        .refuses("mtls-locked", "keyPassword: it does not open the key")
        .await;
    gates
        .refuses("mtls-broken", "cert: no PEM certificate found in it")
        .await;
}

async fn anchors(gates: &Gates<'_>) {
    let kafka = &gates.kafka;
    let reader = |ca| {
        [
            ("sasl", "plaintext"),
            ("tls", "enable"),
            ("username", READER),
            ("password", Kafka::PASSWORD),
            ("ca", ca),
        ]
    };
    let (itself, other) = (reader(kafka.anchor()), reader(kafka.ca.pem.as_str()));
    let at = kafka.door(Door::Anchor);
    gates.object("anchor", &at, &itself, json!({})).await;
    gates.object("anchor-other", &at, &other, json!({})).await;
    let ip = at.replace("localhost", "127.0.0.1");
    gates.object("anchor-name", &ip, &itself, json!({})).await;
    let unchecked = json!({"unsafeSsl": "true"});
    gates.object("anchor-unsafe", &ip, &other, unchecked).await;
    // A report from outside (R09): an authority and a broker on P-521.
    let curve = reader(P521_CA);
    gates
        .object("curve", &kafka.door(Door::Curve), &curve, json!({}))
        .await;
    gates.reads("curve").await;
    gates.reads("anchor").await;
    gates.reads("anchor-unsafe").await;
    gates.refuses("anchor-other", "certificate").await;
    gates.refuses("anchor-name", "not valid for name").await;
}

async fn permissions(gates: &Gates<'_>) {
    let kafka = &gates.kafka;
    let at = kafka.bootstrap();
    let all = json!({"topic": ""});
    for user in [READER, TOPICLESS, GROUPLESS] {
        let auth = [
            ("sasl", "plaintext"),
            ("tls", "enable"),
            ("username", user),
            ("password", Kafka::PASSWORD),
            ("ca", kafka.ca.pem.as_str()),
        ];
        gates.object(user, &at, &auth, json!({})).await;
        gates
            .object(&format!("{user}-all"), &at, &auth, all.clone())
            .await;
    }
    let topics = "s0-kafka-g-topics";
    gates.reads(READER).await;
    gates.scene.value_is("reader-all", topics, "12").await;
    let no_topic = "topic t: not authorized (or it does not exist); the user needs Describe on it";
    gates.refuses(TOPICLESS, no_topic).await;
    let no_group = "group g: not authorized; the user needs Describe on the group";
    gates.refuses(GROUPLESS, no_group).await;
    gates.refuses("groupless-all", no_group).await;
    // A broker leaves out such topics; but a group without members and commits it would have forgotten.
    let hidden = "group g: it is there without members, so it has commits, but none on a topic that the user may describe";
    gates.refuses("topicless-all", hidden).await;
}

/// As `openssl pkcs8 -topk8` with the password `key-password`.
fn encrypted(pem: &str) -> String {
    let key = pem::parse(pem).unwrap();
    let parameters =
        pkcs8::pkcs5::pbes2::Parameters::pbkdf2_sha256_aes256cbc(2048, b"salt of it", &[7; 16]);
    let key = pkcs8::PrivateKeyInfo::try_from(key.contents()).unwrap();
    let closed = key
        .encrypt_with_params(parameters.unwrap(), "key-password")
        .unwrap();
    pem::encode(&pem::Pem::new("ENCRYPTED PRIVATE KEY", closed.as_bytes()))
}
