//! News of a reference that somebody names.

use super::{fetch::Fetch, reference::Reference};

/// Something happened to a reference.
pub(in crate::controller) enum News {
    /// A watch says that it has this version; `None`: that it is gone.
    Seen(Reference, Option<String>),
    /// A read has ended.
    Fetched(Reference, Result<Fetch, String>),
}
