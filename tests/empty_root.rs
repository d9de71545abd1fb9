//! The static binary of the image, run in a root where there is nothing else. `make static` builds it, and `make test` with it.

#![allow(clippy::unwrap_used, reason = "test code without #[test]")]

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use bed::Ca;
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
        let made = Command::new("make")
            .args(["-s", "static-path"])
            // What another make says to its own.
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let path = String::from_utf8(made.stdout).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path.trim());
        let root = Self(tempfile::tempdir().unwrap());
        let copied = std::fs::copy(&path, root.path("lagscale"));
        assert!(
            copied.is_ok(),
            "{}: `make static` builds it",
            path.display()
        );
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

#[tokio::test]
async fn names_are_resolved_and_a_broker_is_judged_by_the_public_roots() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let broker = Ca::new("nobody's").sign("broker", None, &["broker"]);
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
    let root = Root::new();
    std::fs::create_dir(root.path("etc")).unwrap();
    // As a kubelet mounts it.
    std::fs::write(root.path("etc/hosts"), "127.0.0.1 broker\n").unwrap();
    std::fs::write(root.path("client.properties"), "security.protocol=SSL\n").unwrap();
    let asked = tokio::task::spawn_blocking(move || {
        let server = format!("--bootstrap-server=broker:{port}");
        let config = "--command-config=/client.properties";
        root.run(&["lag", "--group=g", "--timeout=5", &server, config])
    });
    let output = asked.await.unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("the broker's certificate is not trusted"),
        "{said}"
    );
    assert!(said.contains("UnknownIssuer"), "{said}");
}
