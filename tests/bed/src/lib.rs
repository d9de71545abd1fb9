//! A real Kubernetes control plane and a real Kafka broker on one machine, for tests and the demo; never shipped.
//!
//! Everything listens on loopback and free ports, lives in one temporary folder, and ends with its owner, also when a
//! test panics or is killed.
// Test code: a part that does not start is a failed test, said by the panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]
#![warn(missing_docs)]

pub mod accuracy;
mod adapter;
mod balancer;
mod bed;
mod browser;
mod bundle;
mod control_plane;
mod doors;
mod expressions;
mod gate;
mod groups;
mod http;
mod image;
mod install;
mod kafka;
mod kafka_admin;
mod keda;
mod kubelet;
mod ledger;
mod observe;
mod pki;
mod pod_metrics;
mod process;
mod programs;
mod requests;
mod sockets;
pub mod story;
mod texts;
mod topics;
mod transactions;
mod users;
pub mod wait;
mod wire;
mod workload;

pub use ::parts;
pub use adapter::Adapter;
pub use balancer::Balancer;
pub use bed::{Bed, BedOptions, Lagscale};
pub use browser::Browser;
pub use bundle::bundle;
pub use control_plane::{ControlPlane, ControlPlaneOptions};
pub use doors::{Door, P521_CA};
pub use expressions::expressions;
pub use gate::{Delivery, Gate, Write};
pub use groups::{GroupState, Member};
pub use http::get;
pub use image::{Image, Packed};
pub use kafka::{Kafka, KafkaOptions};
pub use kafka_admin::Described;
pub use keda::{Keda, KedaOptions};
pub use kubelet::Kubelet;
pub use ledger::Verdict;
pub use observe::{Observer, Seen};
pub use pki::{Ca, Identity};
pub use pod_metrics::PodMetrics;
pub use process::{Child, free_port};
pub use programs::{example, root, shipped};
pub use sockets::connections_to;
pub use texts::list;
pub use transactions::Transaction;
pub use workload::{Pump, busy, consumer, rebalances};
