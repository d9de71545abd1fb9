//! Identities: by the front proxy's word, by a certificate, by a token, or none at all.

use bed::{Ca, Identity};
use http::StatusCode;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::rig::{Answer, MASTERS, Reply, Rig, user};

const PATH: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/m";

/// Nobody may anything, so that a 403 names whom the server takes the caller for.
async fn closed() -> Rig {
    let rig = Rig::start().await;
    rig.cluster
        .on_access(|_| Reply::Status(json!({"allowed": false})));
    rig
}

fn taken_for(answer: &Answer) -> String {
    assert_eq!(answer.code, StatusCode::FORBIDDEN, "{answer:?}");
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    message.split('"').nth(1).unwrap().to_owned()
}

fn last(rig: &Rig) -> Value {
    rig.cluster.access_reviews().last().unwrap()["spec"].clone()
}

#[tokio::test]
async fn headers_of_anybody_but_the_front_proxy_are_not_believed() {
    let rig = closed().await;
    let nobody = rig.caller(None).await.get(PATH, &MASTERS).await;
    assert_eq!(taken_for(&nobody), "system:anonymous");
    assert_eq!(nobody.header("x-content-type-options"), "nosniff");
    assert_eq!(last(&rig)["groups"], json!(["system:unauthenticated"]));
    let rogue = Ca::new("rogue").sign("front-proxy-client", None, &[]);
    let other = rig.proxies.sign("somebody-else", None, &[]);
    let right = rig.proxies.sign("front-proxy-client", None, &[]);
    for (identity, headers) in [
        (&rogue, &MASTERS[..]),
        (&other, &MASTERS[..]),
        (&right, &[]),
        (&right, &[("x-remote-group", "system:masters")]),
        (&right, &[("x-remote-user", "")]),
    ] {
        let answer = rig.caller(Some(identity)).await.get(PATH, headers).await;
        assert_eq!(answer.code, StatusCode::UNAUTHORIZED, "{headers:?}");
        assert_eq!(
            answer.text(),
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"Unauthorized\",\"reason\":\"Unauthorized\",\"code\":401}\n"
        );
    }
}

#[tokio::test]
async fn the_front_proxy_passes_on_user_groups_uid_and_extras() {
    let rig = closed().await;
    let answer = rig
        .front_proxy()
        .await
        .get(
            PATH,
            &[
                ("x-remote-user", "alice"),
                ("x-remote-group", "devs"),
                ("x-remote-group", "one,not two"),
                ("x-remote-group", ""),
                ("x-remote-uid", "u-1"),
                ("x-remote-extra-acme.com%2Fproject", "p1"),
                ("x-remote-extra-acme.com%2fproject", "p2"),
                ("x-remote-extra-broken%zz", "p3"),
            ],
        )
        .await;
    assert_eq!(taken_for(&answer), "alice");
    assert_eq!(
        last(&rig),
        json!({
            "resourceAttributes": {
                "namespace": "shop", "verb": "list", "group": "external.metrics.k8s.io",
                "version": "v1beta1", "resource": "m",
            },
            "user": "alice", "groups": ["devs", "one,not two", "system:authenticated"], "uid": "u-1",
            "extra": {"acme.com/project": ["p1", "p2"], "broken%zz": ["p3"]},
        })
    );
}

/// A finding of the audit (20).
#[tokio::test]
async fn names_of_users_and_groups_are_utf_8_as_kube_apiserver_forwards_them() {
    let rig = closed().await;
    let headers = [
        ("x-remote-user", "Jörg"),
        ("x-remote-group", "développeurs"),
        ("x-remote-extra-team", "数据"),
    ];
    let answer = rig.front_proxy().await.get(PATH, &headers).await;
    assert_eq!(taken_for(&answer), "Jörg");
    let asked = last(&rig);
    assert_eq!(asked["groups"][0], "développeurs");
    assert_eq!(asked["extra"]["team"][0], "数据");
}

#[tokio::test]
async fn a_uid_is_believed_only_where_its_header_is_published() {
    let rig = closed().await;
    let mut data = crate::rig::published(&rig.proxies, &rig.clients);
    data.remove("requestheader-uid-headers");
    rig.cluster.publish(Some(data));
    let proxy = rig.front_proxy().await;
    let headers = [("x-remote-user", "alice"), ("x-remote-uid", "u-1")];
    bed::wait::until("the uid to be ignored", crate::rig::PATIENCE, async || {
        // Another path each time: a refusal is remembered.
        let path = format!("{PATH}{}", rig.cluster.access_reviews().len());
        proxy.get(&path, &headers).await;
        match &last(&rig)["uid"] {
            Value::Null => Ok(()),
            uid => Err(uid.clone()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_users_own_certificate_makes_name_and_groups_and_its_headers_count_for_nothing() {
    let rig = closed().await;
    let alice = rig.clients.sign("alice", Some("devs"), &[]);
    let answer = rig.caller(Some(&alice)).await.get(PATH, &MASTERS).await;
    assert_eq!(taken_for(&answer), "alice");
    let asked = last(&rig);
    assert_eq!(asked["groups"], json!(["devs", "system:authenticated"]));
    let id = &asked["extra"]["authentication.kubernetes.io/credential-id"][0];
    let id = id.as_str().unwrap().strip_prefix("X509SHA256=").unwrap();
    assert!(
        id.len() == 64
            && id
                .chars()
                .all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase())
    );
    let master = rig.clients.sign("admin", Some("system:masters"), &[]);
    let answer = rig.caller(Some(&master)).await.get(PATH, &[]).await;
    assert_eq!(answer.code, StatusCode::NOT_FOUND);
    let unnamed = rig.clients.sign("", None, &[]);
    let answer = rig.caller(Some(&unnamed)).await.get(PATH, &[]).await;
    assert_eq!(answer.code, StatusCode::UNAUTHORIZED);
}

/// A certificate by `change`, signed by an authority of its own, which is `ca` or is signed by it.
struct Made {
    ca: Ca,
    identity: Identity,
}

fn made(through: bool, change: impl FnOnce(&mut CertificateParams)) -> Made {
    let ca = Ca::new("made");
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "alice");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    let mut middle = CertificateParams::new(vec![]).unwrap();
    middle.distinguished_name.push(DnType::CommonName, "middle");
    middle.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let middle_key = KeyPair::generate().unwrap();
    let middle_cert = ca.issue(&middle, &middle_key);
    let cert = if through {
        let issuer = Issuer::from_params(&middle, &middle_key);
        params.signed_by(&key, &issuer).unwrap().pem() + &middle_cert
    } else {
        ca.issue(&params, &key)
    };
    let key = key.serialize_pem();
    Made {
        ca,
        identity: Identity { cert, key },
    }
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_not_for_clients_or_lacks_a_link_is_401() {
    let rig = closed().await;
    let good = made(true, |_| ());
    let cases = [
        ("by an intermediate", &good.identity.cert, &good, 403),
        (
            "without the intermediate",
            &good
                .identity
                .cert
                .split_inclusive("-----END CERTIFICATE-----\n")
                .next()
                .unwrap()
                .to_owned(),
            &good,
            401,
        ),
    ];
    let expired = made(false, |p| {
        p.not_before = rcgen::date_time_ymd(2020, 1, 1);
        p.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let server = made(false, |p| {
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let any = made(false, |p| p.extended_key_usages.clear());
    let others = [
        ("expired", &expired.identity.cert, &expired, 401),
        ("for servers", &server.identity.cert, &server, 401),
        ("for any use", &any.identity.cert, &any, 403),
    ];
    for (what, cert, made, code) in cases.into_iter().chain(others) {
        let mut data = crate::rig::published(&rig.proxies, &rig.clients);
        data.insert(
            "client-ca-file".into(),
            made.ca.pem.clone() + &rig.clients.pem,
        );
        // Tells when this bundle is in use.
        let marker = format!("[\"X-Marker-{}\"]", what.replace(' ', "-"));
        data.insert("requestheader-username-headers".into(), marker.clone());
        rig.cluster.publish(Some(data));
        let header = marker.trim_matches(['[', ']', '"']).to_lowercase();
        let proxy = rig.front_proxy().await;
        bed::wait::until(
            "the bundle to be in use",
            crate::rig::PATIENCE,
            async || {
                let answer = proxy.get("/version", &[(header.as_str(), "bob")]).await;
                (answer.code == StatusCode::FORBIDDEN)
                    .then_some(())
                    .ok_or(answer.code)
            },
        )
        .await;
        let identity = Identity {
            cert: cert.clone(),
            key: made.identity.key.clone(),
        };
        let answer = rig.caller(Some(&identity)).await.get(PATH, &[]).await;
        assert_eq!(answer.code.as_u16(), code, "{what}");
    }
}

#[tokio::test]
async fn a_token_is_reviewed_once_and_whoever_shows_a_bad_one_is_401() {
    let rig = closed().await;
    rig.cluster.on_token(|review| {
        Reply::Status(match review["spec"]["token"].as_str().unwrap() {
            "good" => json!({"authenticated": true, "user": {
                "username": "system:serviceaccount:shop:reader", "uid": "u-2",
                "groups": ["system:serviceaccounts"], "extra": {"k": ["v"]},
            }}),
            "broken" => json!({"authenticated": false, "error": "the key is not known"}),
            _ => json!({"authenticated": false}),
        })
    });
    let nobody = rig.caller(None).await;
    let bearer = |token: &str| {
        let (nobody, value) = (nobody.clone(), format!("Bearer {token}"));
        async move { nobody.get(PATH, &[("authorization", &value)]).await }
    };
    for _ in 0..3 {
        let answer = bearer("good").await;
        assert_eq!(taken_for(&answer), "system:serviceaccount:shop:reader");
        assert_eq!(bearer("bad").await.code, StatusCode::UNAUTHORIZED);
    }
    let asked = last(&rig);
    let groups = json!(["system:serviceaccounts", "system:authenticated"]);
    assert_eq!((&asked["groups"], &asked["uid"]), (&groups, &json!("u-2")));
    let reviews = rig.cluster.token_reviews();
    assert_eq!(reviews.len(), 2, "{reviews:?}");
    assert_eq!(reviews[0]["spec"], json!({"token": "good"}));
    for _ in 0..2 {
        assert_eq!(bearer("broken").await.code, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(rig.cluster.token_reviews().len(), 4);
    for ignored in ["Basic YTpi", "Bearer ", "Bearer", "Negotiate x"] {
        let answer = nobody.get(PATH, &[("authorization", ignored)]).await;
        assert_eq!(taken_for(&answer), "system:anonymous", "{ignored}");
    }
    assert_eq!(rig.cluster.token_reviews().len(), 4);
}

#[tokio::test]
async fn many_requests_with_one_token_at_once_are_one_review_and_an_outage_is_not_remembered() {
    let rig = closed().await;
    rig.cluster
        .on_token(|_| Reply::Failure(403, "no right to review tokens".into()));
    let nobody = rig.caller(None).await;
    let token = [("authorization", "Bearer good")];
    assert_eq!(
        nobody.get(PATH, &token).await.code,
        StatusCode::UNAUTHORIZED
    );
    rig.cluster.on_token(|_| {
        Reply::Status(json!({"authenticated": true, "user": {"username": "reader"}}))
    });
    let before = rig.cluster.token_reviews().len();
    let all = futures::future::join_all((0..50).map(|_| nobody.get(PATH, &token))).await;
    assert!(all.iter().all(|answer| taken_for(answer) == "reader"));
    assert_eq!(rig.cluster.token_reviews().len(), before + 1);
}

#[tokio::test]
async fn a_good_token_counts_beside_a_certificate_that_nobody_knows() {
    let rig = closed().await;
    rig.cluster.on_token(|_| {
        Reply::Status(json!({"authenticated": true, "user": {"username": "reader"}}))
    });
    let rogue = Ca::new("rogue").sign("alice", None, &[]);
    let token = [("authorization", "bearer good")];
    let answer = rig.caller(Some(&rogue)).await.get(PATH, &token).await;
    assert_eq!(taken_for(&answer), "reader");
    let alice = rig.clients.sign("alice", None, &[]);
    let answer = rig.caller(Some(&alice)).await.get(PATH, &token).await;
    assert_eq!(taken_for(&answer), "alice");
    let proxied = [user("bob", &[]), token.to_vec()].concat();
    let answer = rig.front_proxy().await.get(PATH, &proxied).await;
    assert_eq!(taken_for(&answer), "bob");
}
