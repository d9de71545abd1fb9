//! Watches in, decisions applied. One task owns all objects; writes run beside it, one at a time for each object.

mod authentication_status;
mod credentials;
mod deadline;
mod engine;
mod external;
mod guarded;
mod kept;
mod leadership;
mod merged;
mod objects;
mod questions;
mod resolve;
mod scope;
mod stores;
mod watches;
mod write;

pub use credentials::{CredentialRules, TokenPolicy};
pub use engine::{Controller, Parts};
pub use external::{ExternalTrigger, ExternalTriggers, NotTaken, Readings};
pub use leadership::{
    ElectionRules, KEDA_LEASE, Keda, KedaRules, Lead, Leading, Terms, flag, keda_operator,
    keda_places, stand, unelected_keda, variable,
};
pub use objects::{ExternalReading, ExternalValue};
pub use questions::Questions;
pub use scope::{Labels, Scope};
