//! A request: its path, query and headers, who asks, and whether they may.

pub(super) mod accept;
pub(super) mod authorization;
pub(super) mod identity;
pub(super) mod query;
pub(super) mod reviews;
pub(super) mod route;
pub(super) mod tokens;
pub(super) mod trust;
pub(super) mod user;
