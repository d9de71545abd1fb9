//! The result of a review.

/// Warnings of what is let in, or why it is refused.
pub type Verdict = Result<Vec<String>, String>;
