//! The aggregated API server of `external.metrics.k8s.io/v1beta1`: HTTPS, who asks, whether they may, discovery, and
//! values read from the table. No request waits for Kafka.

mod answer;
mod certificate;
mod connection;
mod external;
pub mod fuzz;
mod guest;
mod listener;
mod metrics_port;
mod places;
mod request;
mod tls;
pub mod webhooks;

pub use answer::delegated::BACKEND_HEADER;
pub use answer::health::Readiness;
pub use certificate::{PairError, PemPair, Source};
pub use external::{ExternalScaler, ExternalScalerError, ExternalScalerParts};
pub use guest::Limits;
pub use listener::{Parts, ServeError, Server};
pub use metrics_port::{Metrics, plain, serve_plainly};
pub use request::route::{API_SERVICE, DISCOVERY, GROUP, OWN_API_SERVICE, OWN_GROUP, VERSION};
