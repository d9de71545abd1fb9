//! The external scaler's port of the real process: only who has a certificate of the CA for KEDA is answered, and the CA may change.

use std::{net::SocketAddr, path::Path};

use bed::{Ca, Identity, free_port, wait};
use http::Method;

use crate::{
    process::Process,
    rig::{Caller, PATIENCE},
};

const IS_ACTIVE: &str = "/externalscaler.ExternalScaler/IsActive";
/// A frame with an empty message: no object is named.
const NOTHING: &str = "\0\0\0\0\0";
const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

/// The status and the text of a question that names nothing; else why there is no answer.
async fn asked(
    address: SocketAddr,
    serving: &str,
    identity: Option<&Identity>,
) -> Result<(String, String), String> {
    let caller = Caller::try_connect(address, serving, identity).await;
    let caller = caller.map_err(|e| e.to_string())?;
    let answer = caller.send(Method::POST, IS_ACTIVE, &GRPC, NOTHING).await;
    let answer = answer.map_err(|e| e.to_string())?;
    let text = |name: &str| answer.header(name).to_owned();
    Ok((text("grpc-status"), text("grpc-message")))
}

fn args(address: SocketAddr, ca: &Path) -> [String; 2] {
    [
        format!("--external-scaler-listen={address}"),
        format!("--external-scaler-client-ca-file={}", ca.display()),
    ]
}

#[tokio::test]
async fn nobody_is_answered_without_a_certificate_of_the_ca_for_keda_which_may_change() {
    let (keda, another) = (Ca::new("keda"), Ca::new("another"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, &keda.pem).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let args = args(address, &file);
    let process = Process::start(&args.each_ref().map(String::as_str)).await;
    let serving = process.rig.serving.pem.as_str();
    let client = keda.sign("keda-operator", None, &[]);
    let other = another.sign("keda-operator", None, &[]);
    let (status, text) = asked(address, serving, Some(&client)).await.unwrap();
    assert_eq!(status, "3", "INVALID_ARGUMENT: {text}");
    for identity in [None, Some(&other)] {
        let refused = asked(address, serving, identity).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let http1 = Caller::try_connect(process.rig.address, serving, None).await;
    let answer = http1
        .unwrap()
        .send(Method::POST, IS_ACTIVE, &GRPC, NOTHING)
        .await;
    assert_ne!(answer.unwrap().code, 200, "the API has no such method");
    // Garbage changes nothing; another CA does.
    std::fs::write(&file, "no certificate").unwrap();
    wait::until("the garbage to be told", PATIENCE, async || {
        let said = process.output();
        let told = said.contains("the former CA of clients stays in use");
        told.then_some(()).ok_or(said)
    })
    .await;
    asked(address, serving, Some(&client)).await.unwrap();
    std::fs::write(&file, &another.pem).unwrap();
    wait::until("the other CA to be taken up", PATIENCE, async || {
        asked(address, serving, Some(&other)).await
    })
    .await;
    asked(address, serving, Some(&client)).await.unwrap_err();
}

/// The shell commands of the page that says how to install it, run in `folder`.
fn as_the_docs_say(folder: &Path) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/external-scaler.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, commands) = page.split_once("```sh\n").unwrap();
    let (commands, _) = commands.split_once("```").unwrap();
    let mut shell = std::process::Command::new("sh");
    let done = shell
        .args(["-ec", commands])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[tokio::test]
async fn certificates_that_are_made_as_the_docs_say_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    as_the_docs_say(folder.path());
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let keda = Identity {
        cert: text("tls.crt"),
        key: text("tls.key"),
    };
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let args = args(address, &folder.path().join("ca.crt"));
    let process = Process::start(&args.each_ref().map(String::as_str)).await;
    let serving = process.rig.serving.pem.as_str();
    asked(address, serving, Some(&keda)).await.unwrap();
}

#[tokio::test]
async fn without_a_ca_for_its_clients_it_does_not_begin() {
    let refused = |args: &[String]| {
        let binary = env!("CARGO_BIN_EXE_lagscale");
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("kubeconfig");
        let text = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}]}"#;
        std::fs::write(&config, text).unwrap();
        let done = std::process::Command::new(binary)
            .args(["--listen=127.0.0.1:0", "--metrics-listen="])
            .args(args)
            .env("KUBECONFIG", &config)
            .output()
            .unwrap();
        assert!(!done.status.success());
        String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let alone = refused(&args(any, Path::new("/nowhere"))[..1]);
    assert!(
        alone.contains("needs --external-scaler-client-ca-file"),
        "{alone}"
    );
    let missing = refused(&args(any, Path::new("/nowhere/ca.crt")));
    assert!(
        missing.contains("--external-scaler-client-ca-file=/nowhere/ca.crt: No such file"),
        "{missing}"
    );
}
