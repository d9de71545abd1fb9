//! The wire: one request at a time to one broker, and what its answers mean.
//!
//! Nothing here knows Kubernetes, and nothing decides: a broker's answer comes out as typed facts or as an error that
//! names host and port.

pub mod address;
pub mod budget;
pub mod connection;
mod dial;
pub mod error;
pub mod inputs;
pub mod lane;
mod login;
pub mod oauth;
pub mod question;
pub mod reader;
pub mod requests;
pub mod sasl;
pub mod security;
mod stream;
mod throttle;
pub mod tls;
pub mod topics;
mod traffic;

pub use address::Address;
pub use budget::{Budget, Budgets};
pub use connection::Connection;
pub use dial::{dial, dial_on};
pub use error::{Cause, Error};
pub use security::Security;
pub use topics::Topics;
pub use traffic::Traffic;
