//! Writes what was decided. Each task reports back; none begins without a turn of the one that leads.

mod apply;
mod events;
mod finalizers;
mod lag_metric;
mod status;
pub(super) mod target;

pub(super) use apply::{Places, Writers, apply};
pub(super) use events::{EventRecorder, is_gone};
pub(super) use finalizers::{end, release};
pub(super) use lag_metric::write_status;
pub(super) use status::{StatusChange, patch_status};
