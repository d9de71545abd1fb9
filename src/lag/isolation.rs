//! The isolation level of a consumer.

/// Which records a consumer is given (`isolation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All of them, up to the high watermark.
    #[default]
    ReadUncommitted,
    /// Those that no open transaction is before, up to the last stable offset.
    ReadCommitted,
}
