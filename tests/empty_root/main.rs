//! The static binary of the image, run in a root where there is nothing else. `make static` builds it, and `make test` with it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

mod names;

use std::{
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{Command, Output},
    sync::Arc,
};

use bed::Ca;
use names::{Manners, SaysOfAaaa};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const MOST_BYTES: u64 = 16 << 20;

/// An empty root but for the binary.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        // A program of its own copies it: a descriptor open for writing in here would be inherited by what
        // another test starts just then, and a file that anybody may write is not run ("Text file busy").
        let copied = Command::new("cp")
            .args([bed::shipped(), root.path("lagscale")])
            .status();
        assert!(copied.unwrap().success());
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs it there; whoever is not root gets a user namespace for that.
    fn run(&self, args: &[&str]) -> Output {
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let mut command = if is_root {
            Command::new("chroot")
        } else {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "chroot"]);
            command
        };
        command.arg(self.0.path()).arg("/lagscale").args(args);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).output().unwrap()
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn it_runs_and_is_no_larger_than_sixteen_mebibytes() {
    let root = Root::new();
    let output = root.run(&["--version"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains(env!("CARGO_PKG_VERSION")));
    let size = std::fs::metadata(root.path("lagscale")).unwrap().len();
    assert!(size <= MOST_BYTES, "{size} bytes");
}

/// A listener with a certificate of nobody's authority: a name that leads here is told by its refusal.
async fn broker(name: &str) -> u16 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let broker = Ca::new("nobody's").sign(name, None, &[name]);
    let chain = CertificateDer::pem_slice_iter(broker.cert.as_bytes());
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(broker.key.as_bytes()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    port
}

/// The output of `lagscale lag` about the broker at this name, in a root with these files in /etc.
async fn asked(name: &str, port: u16, etc: &[(&str, &str)]) -> (Option<i32>, String) {
    let root = Root::new();
    std::fs::create_dir(root.path("etc")).unwrap();
    for (file, text) in etc {
        std::fs::write(root.path("etc").join(file), text).unwrap();
    }
    std::fs::write(root.path("client.properties"), "security.protocol=SSL\n").unwrap();
    let server = format!("--bootstrap-server={name}:{port}");
    let asked = tokio::task::spawn_blocking(move || {
        let config = "--command-config=/client.properties";
        root.run(&["lag", "--group=g", "--timeout=20", &server, config])
    });
    let output = asked.await.unwrap();
    (output.status.code(), said(&output))
}

#[tokio::test]
async fn names_are_resolved_and_a_broker_is_judged_by_the_public_roots() {
    let port = broker("broker").await;
    // As a kubelet mounts it.
    let (code, said) = asked("broker", port, &[("hosts", "127.0.0.1 broker\n")]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the broker's certificate is not trusted"),
        "{said}"
    );
    assert!(said.contains("UnknownIssuer"), "{said}");
}

/// The resolver's options of the Deployment, as a kubelet writes them.
fn dns_options() -> String {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/manifests/base/deployment.yaml"
    );
    let objects: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(&std::fs::read_to_string(path).unwrap()).unwrap();
    let options = objects[0]["spec"]["template"]["spec"]["dnsConfig"]["options"].as_array();
    let text = |option: &serde_json::Value, key: &str| option[key].as_str().unwrap().to_owned();
    let options = options.unwrap().iter();
    let options = options.map(|o| format!("{}:{}", text(o, "name"), text(o, "value")));
    options.collect::<Vec<_>>().join(" ")
}

/// A report from outside (R08): a pod has no /etc/hosts for its brokers, but a name server with manners of its own.
#[tokio::test(flavor = "multi_thread")]
async fn names_are_resolved_by_a_cluster_s_name_server_whatever_it_says_of_aaaa() {
    const KNOWN: &[&str] = &[
        "kafka.ns.svc.cluster.local",
        "kafka.other.svc.cluster.local",
    ];
    let well = Manners {
        aaaa: SaysOfAaaa::Nothing,
        truncates: false,
        loses_first: false,
    };
    let of = |aaaa| Manners { aaaa, ..well };
    let cases = [
        well,
        of(SaysOfAaaa::NoName),
        of(SaysOfAaaa::Failure),
        of(SaysOfAaaa::Silence),
        Manners {
            truncates: true,
            ..well
        },
        Manners {
            loses_first: true,
            ..well
        },
    ];
    let process = std::process::id();
    let mut asks = Vec::new();
    for (number, manners) in cases.into_iter().enumerate() {
        // Tests run side by side, and each server has its port 53.
        let address = format!(
            "127.{}.{}.{}",
            64 + number,
            process / 250 % 250,
            process % 250 + 1
        );
        names::serve(&address, KNOWN, manners).await;
        let resolv = format!(
            "nameserver {address}\nsearch ns.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5 {}\n",
            dns_options()
        );
        for name in ["kafka", "kafka.other", "kafka.other.svc.cluster.local"] {
            let resolv = resolv.clone();
            asks.push(async move {
                let port = broker(name).await;
                let begun = std::time::Instant::now();
                let (_, said) = asked(name, port, &[("resolv.conf", &resolv)]).await;
                println!("{manners:?} {name}: {:?}", begun.elapsed());
                assert!(said.contains("UnknownIssuer"), "{manners:?} {name}: {said}");
            });
        }
    }
    futures::future::join_all(asks).await;
}
