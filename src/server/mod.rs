//! The aggregated API server of `external.metrics.k8s.io/v1beta1`: HTTPS, who asks, whether they may, discovery, and
//! values read from the table. No request waits for Kafka.

mod about;
mod accept;
mod api;
mod authorization;
mod connection;
mod discovery;
mod document;
mod external_metrics;
mod failure;
mod guest;
mod health;
mod identity;
pub mod inputs;
mod item;
mod openapi;
mod places;
mod plain;
mod protobuf;
mod query;
mod reply;
mod reviews;
mod route;
mod rows;
mod serve;
mod serving;
mod tls;
mod tokens;
mod trust;
mod user;
pub mod webhooks;

pub use guest::Limits;
pub use health::Readiness;
pub use plain::{Metrics, plain};
pub use route::{API_SERVICE, GROUP, VERSION};
pub use serve::{Parts, ServeError, Server};
pub use serving::{PairError, PemPair, Source};
