//! The serving certificate that lagscale makes itself: kept in a Secret by the leader, loaded from there by every replica,
//! and told to whoever has to trust it before it is used.

mod issue;
mod keeper;
mod kept;
mod loader;
mod made;
mod registration;

pub use issue::{Issued, authority, leaf, names};
pub use keeper::{Keeping, keep};
pub use kept::{Kept, Spans, Step};
pub use loader::load;
pub use registration::{Owner, RELEASE, Registration};
