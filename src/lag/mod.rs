//! Pure: from offsets to lag. No clock, no I/O; the time of every reading is an argument.

mod isolation;
mod moment;
mod recall;
mod sum;
mod track;

pub use isolation::Isolation;
pub use moment::Moment;
pub use recall::Mark;
pub use sum::{Counting, Policy, Sum, sum};
pub use track::{Loss, Reading, Track};
