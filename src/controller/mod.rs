//! Watches in, decisions applied. One task owns all objects; writes run beside it, one at a time for each object.

mod apply;
mod credentials;
mod engine;
mod lookup;
mod object;
mod publish;
mod release;
mod resolve;
mod status;
mod target;
mod watches;

pub use credentials::CredentialRules;
pub use engine::{Controller, Parts};
