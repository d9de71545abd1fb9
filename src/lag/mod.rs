//! Pure: from offsets to lag. No clock, no I/O; the time of every reading is an argument.

mod moment;
mod recall;
mod sum;
mod track;

pub use moment::Moment;
pub use recall::Mark;
pub use sum::{Counting, Isolation, Policy, Sum, sum};
pub use track::{Loss, Reading, Track};
