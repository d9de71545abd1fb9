//! Watches in, decisions applied. One task owns all objects; writes run beside it, one at a time for each object.

mod account;
mod apply;
mod asked;
mod changes;
mod credentials;
mod dependents;
mod engine;
mod guarded;
mod hpa_writes;
mod index;
mod keys;
mod labels;
mod lag_metrics;
mod lag_part;
mod leadership;
mod lookup;
mod object;
mod origins;
mod ownership;
mod pace;
mod planning;
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
pub use leadership::{
    ElectionRules, KEDA_LEASE, Keda, KedaRules, Lead, Leading, Terms, keda_leases, stand,
};
pub use questions::Questions;
