//! Watches in, decisions applied. One task owns all objects; writes run beside it, one at a time for each object.

mod apply;
mod asked;
mod credentials;
mod dependents;
mod engine;
mod guarded;
mod hpas;
mod index;
mod labels;
mod lag_metrics;
mod leadership;
mod lookup;
mod object;
mod pace;
mod publish;
mod questions;
mod release;
mod resolve;
mod rotation;
mod status;
mod status_writes;
mod target;
mod teller;
mod users;
mod watches;
mod work;

pub use credentials::CredentialRules;
pub use engine::{Controller, Parts};
pub use leadership::{ElectionRules, Keda, KedaRules, Lead, Leading, Terms, keda_leases, stand};
pub use questions::Questions;
