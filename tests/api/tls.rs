//! The serving certificate: what it is for, and how it changes.

use bed::{Ca, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Load, NAME, PATIENCE, Rig, config, tls};

const PATH: &str = "/apis/external.metrics.k8s.io/v1beta1";

/// The leaf of a new handshake.
async fn shown(rig: &Rig) -> Vec<u8> {
    let config = config(&rig.serving.pem, None, &[b"h2"]);
    let stream = tls(rig.address, config).await.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain[0].to_vec()
}

#[tokio::test]
async fn a_new_pair_on_disk_is_used_and_a_broken_one_is_not_while_no_request_fails() {
    let rig = Rig::start().await;
    let load = Load::begin(&rig, PATH);
    let first = shown(&rig).await;
    // As a mounted Secret changes: a folder beside it, and a link that points there from one moment to the next.
    let write = |name: &str, text: &str| {
        let path = rig.folder.path().join(name);
        let new = path.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    };
    let other = Ca::new("other").sign(NAME, None, &[NAME]);
    for (certificate, key) in [
        (other.cert.as_str(), None),
        ("no PEM", None),
        ("", Some("")),
    ] {
        write("tls.crt", certificate);
        if let Some(key) = key {
            write("tls.key", key);
        }
    }
    let second = rig.serving.sign(NAME, None, &[NAME]);
    write("tls.crt", &second.cert);
    write("tls.key", &second.key);
    wait::until("the second pair to be used", PATIENCE, async || {
        let found = shown(&rig).await;
        (found != first).then_some(()).ok_or("the first")
    })
    .await;
    let metrics = rig.registry.gather();
    let family = metrics
        .iter()
        .find(|f| f.name().contains("certificate_expiry"));
    let expires = family.unwrap().get_metric()[0].get_gauge().get_value();
    assert!(expires > 1_700_000_000.0, "{expires}");
    assert!(load.end().await > 0);
}

#[tokio::test]
async fn the_certificate_is_for_the_name_of_the_service_and_for_no_other() {
    let rig = Rig::start().await;
    let stream = tokio::net::TcpStream::connect(rig.address).await.unwrap();
    let connector =
        tokio_rustls::TlsConnector::from(std::sync::Arc::new(config(&rig.serving.pem, None, &[])));
    let name = rustls::pki_types::ServerName::try_from("other.lagscale.svc").unwrap();
    let refused = connector
        .connect(name, stream)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("not valid for name"), "{refused}");
    assert!(!shown(&rig).await.is_empty());
}

#[tokio::test]
async fn tls_1_1_is_refused_with_an_alert() {
    // A ClientHello of version 1.1 with one cipher suite, no session, no compression.
    let mut hello = vec![1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let mut record = vec![22, 3, 1, 0, 45];
    record.extend(hello);
    let rig = Rig::start().await;
    let mut stream = tokio::net::TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    // An alert record, fatal.
    assert_eq!((answer[0], answer[5]), (21, 2), "{answer:?}");
}
