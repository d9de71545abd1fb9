//! The API server over real sockets with mutual TLS: what kube-apiserver, an HPA or a stranger sends, and what it gets.
//! The cluster behind it, which publishes whom to trust and reviews who may, is a small fake that keeps what it was asked.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

mod allocations;
mod authorization;
mod backends;
mod connections;
mod delegation;
mod discovery;
mod external_scaler;
mod forms;
mod hostile;
mod identity;
mod metric;
mod operation;
mod process;
mod rig;
mod selector;
mod stopping;
mod strangers;
mod tls;
mod trust;
