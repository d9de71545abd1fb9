//! The binary itself as a process, with the rig's fake cluster behind it.

use std::{net::SocketAddr, process::Command, time::Duration};

use bed::{Child, free_port, wait};
use serde_json::json;

use crate::rig::{PATIENCE, Rig};

/// A running process; the rig's own server is not asked.
pub struct Process {
    child: Child,
    /// Certificates and cluster; its address is the process's.
    pub rig: Rig,
    /// Plain `/metrics` and health.
    pub plain: SocketAddr,
}

impl Process {
    pub async fn start(args: &[&str]) -> Self {
        Self::begin("ulimit -Sn 1024", args).await
    }

    /// One that may have no more files and sockets open.
    pub async fn with_descriptors(most: u32, args: &[&str]) -> Self {
        Self::begin(&format!("ulimit -n {most}"), args).await
    }

    /// One that a shell starts after `limits`.
    async fn begin(limits: &str, args: &[&str]) -> Self {
        let mut rig = Rig::start().await;
        let folder = rig.folder.path();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": rig.cluster.uri()}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        });
        let path = folder.join("kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let plain = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("{limits}; exec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_lagscale"))
            .arg(format!("--listen={address}"))
            .arg(format!("--metrics-listen={plain}"))
            .arg(format!(
                "--tls-cert-file={}",
                folder.join("tls.crt").display()
            ))
            .arg(format!(
                "--tls-private-key-file={}",
                folder.join("tls.key").display()
            ))
            .args(args)
            .env("KUBECONFIG", path);
        let child = Child::spawn("lagscale", &mut command, &folder.join("lagscale.log"));
        rig.address = address;
        wait::until(
            "the process to trust the front proxy",
            PATIENCE,
            async || {
                let (_, body) = bed::get(&plain.to_string(), "/readyz").await;
                let trusts = body.contains("[+]front-proxy-trust ok");
                trusts.then_some(()).ok_or(body)
            },
        )
        .await;
        Self { child, rig, plain }
    }

    /// SIGTERM.
    pub fn tell_to_end(&self) {
        self.child.tell_to_end();
    }

    /// Its log so far.
    pub fn output(&self) -> String {
        self.child.output()
    }

    /// Its exit code.
    pub async fn ended(&mut self, deadline: Duration) -> Option<i32> {
        let child = &mut self.child;
        wait::until("the process to end", deadline, async || {
            child.ended().ok_or("it runs")
        })
        .await
        .code()
    }

    /// How many files and sockets it may have open.
    pub fn descriptors(&self) -> u64 {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits
            .lines()
            .find(|l| l.starts_with("Max open files"))
            .unwrap();
        line.split_whitespace().nth(3).unwrap().parse().unwrap()
    }

    /// The most memory that it ever had.
    pub fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap();
        let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }
}
