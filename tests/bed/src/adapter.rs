//! An adapter of external metrics of somebody else's on a bed: on the library of most of them, with one metric in every namespace.

use std::{net::SocketAddr, process::Command};

use crate::{
    bed::Bed,
    parts,
    process::{Child, free_port},
};

/// A running adapter, as the Service of its name in the namespace of that name.
pub struct Adapter {
    /// Its process.
    pub child: Child,
    /// Where it serves.
    pub address: SocketAddr,
}

impl Adapter {
    /// The metric that it has.
    pub const METRIC: &str = "queue_depth";
    /// The value of that.
    pub const VALUE: &str = "42";
}

impl Bed {
    /// Starts an adapter as the Service `name` in a namespace of that name, with a certificate of the bed's serving CA.
    pub async fn adapter(&self, name: &str) -> Adapter {
        let program = parts::adapter();
        self.create_namespace(name).await;
        self.service(name, name).await;
        let host = format!("{name}.{name}.svc");
        let ca = &self.control_plane.serving_ca;
        ca.sign(name, None, &[&host]).write(self.dir(), name);
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let kubeconfig = self.control_plane.kubeconfig().display();
        let file = |end: &str| {
            self.dir()
                .join(format!("{name}.{end}"))
                .display()
                .to_string()
        };
        let mut command = Command::new(program);
        command.args([
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", address.port()),
            format!("--lister-kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            format!("--tls-cert-file={}", file("crt")),
            format!("--tls-private-key-file={}", file("key")),
        ]);
        let child = Child::spawn(name, &mut command, &self.dir().join(format!("{name}.log")));
        Adapter { child, address }
    }
}
