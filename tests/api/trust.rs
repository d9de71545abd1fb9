//! Whom the cluster trusts changes while connections stay; what can't be read changes nothing.

use bed::{Ca, wait};
use http::StatusCode;

use crate::rig::{Caller, MASTERS, PATIENCE, Rig, published};

const PATH: &str = "/apis/external.metrics.k8s.io/v1beta1";

async fn becomes(caller: &Caller, headers: &[(&str, &str)], code: StatusCode) {
    wait::until(&format!("{code}"), PATIENCE, async || {
        let found = caller.get(PATH, headers).await.code;
        (found == code).then_some(()).ok_or(found)
    })
    .await;
}

#[tokio::test]
async fn a_rotated_authority_counts_without_a_restart_and_both_while_they_overlap() {
    let rig = Rig::start().await;
    let old = rig.front_proxy().await;
    let next = Ca::new("next");
    let new = next.sign("front-proxy-client", None, &[]);
    let new = rig.caller(Some(&new)).await;
    assert_eq!(new.get(PATH, &MASTERS).await.code, StatusCode::UNAUTHORIZED);
    let mut data = published(&rig.proxies, &rig.clients);
    let key = "requestheader-client-ca-file";
    data.insert(key.into(), format!("{}{}", rig.proxies.pem, next.pem));
    rig.cluster.publish(Some(data.clone()));
    becomes(&new, &MASTERS, StatusCode::OK).await;
    assert_eq!(old.get(PATH, &MASTERS).await.code, StatusCode::OK);
    data.insert(key.into(), next.pem.clone());
    rig.cluster.publish(Some(data));
    becomes(&old, &MASTERS, StatusCode::UNAUTHORIZED).await;
    assert_eq!(new.get(PATH, &MASTERS).await.code, StatusCode::OK);
    for query in rig.cluster.map_queries() {
        let only = "fieldSelector=metadata.name=extension-apiserver-authentication";
        assert!(query.contains(only), "{query}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_read_keeps_what_it_said_before() {
    let rig = Rig::start().await;
    let (proxy, alice) = (
        rig.front_proxy().await,
        rig.caller(Some(&rig.clients.sign("alice", None, &[])))
            .await,
    );
    let renamed = [("x-renamed", "bob"), ("x-remote-group", "system:masters")];
    for (key, bad) in [
        ("requestheader-allowed-names", "[front-proxy-client"),
        ("requestheader-client-ca-file", "no PEM"),
        ("requestheader-group-headers", "{}"),
        (
            "client-ca-file",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
    ] {
        let mut data = published(&rig.proxies, &rig.clients);
        let header = "requestheader-username-headers";
        data.insert(header.into(), r#"["X-Remote-User"]"#.into());
        rig.cluster.publish(Some(data.clone()));
        becomes(&proxy, &MASTERS, StatusCode::OK).await;
        // Another key changes with it, which tells when it was read.
        data.insert(header.into(), r#"["X-Renamed"]"#.into());
        data.insert(key.into(), bad.into());
        rig.cluster.publish(Some(data));
        becomes(&proxy, &renamed, StatusCode::OK).await;
        assert_eq!(alice.get(PATH, &[]).await.code, StatusCode::OK, "{key}");
    }
    rig.cluster.publish(None);
    let trusted = proxy.get(PATH, &renamed).await;
    assert_eq!(trusted.code, StatusCode::OK);
}

#[tokio::test]
async fn no_list_of_names_means_any_name_and_a_missing_key_harms_nobody() {
    let rig = Rig::start().await;
    let any = rig.proxies.sign("any-name", None, &[]);
    let any = rig.caller(Some(&any)).await;
    assert_eq!(any.get(PATH, &MASTERS).await.code, StatusCode::UNAUTHORIZED);
    for names in [Some("[]"), Some(""), None] {
        let mut data = published(&rig.proxies, &rig.clients);
        rig.cluster.publish(Some(data.clone()));
        becomes(&any, &MASTERS, StatusCode::UNAUTHORIZED).await;
        match names {
            Some(names) => data.insert("requestheader-allowed-names".into(), names.into()),
            None => data.remove("requestheader-allowed-names"),
        };
        data.remove("client-ca-file");
        data.remove("requestheader-uid-headers");
        rig.cluster.publish(Some(data));
        becomes(&any, &MASTERS, StatusCode::OK).await;
    }
    rig.cluster.publish(Some([].into()));
    becomes(&any, &MASTERS, StatusCode::UNAUTHORIZED).await;
}

#[tokio::test]
async fn without_anything_published_nobody_is_believed_and_the_server_is_not_ready() {
    let rig = Rig::start_with(None).await;
    let proxy = rig.front_proxy().await;
    let nobody = rig.caller(None).await;
    let ready = nobody.get("/readyz", &[]).await;
    assert_eq!(ready.code, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        ready.text().contains("[-]front-proxy-trust failed"),
        "{ready:?}"
    );
    assert_eq!(
        proxy.get(PATH, &MASTERS).await.code,
        StatusCode::UNAUTHORIZED
    );
    let mut data = published(&rig.proxies, &rig.clients);
    data.insert("requestheader-allowed-names".into(), "broken".into());
    rig.cluster.publish(Some(data));
    let alice = rig
        .caller(Some(&rig.clients.sign("alice", None, &[])))
        .await;
    becomes(&alice, &[], StatusCode::OK).await;
    assert_eq!(
        proxy.get(PATH, &MASTERS).await.code,
        StatusCode::UNAUTHORIZED
    );
    rig.cluster
        .publish(Some(published(&rig.proxies, &rig.clients)));
    becomes(&proxy, &MASTERS, StatusCode::OK).await;
    assert_eq!(nobody.get("/readyz", &[]).await.text(), "ok");
}
