//! The view from outside: logs and Prometheus families.

mod collector;
mod compatible;
mod counts;
mod exposition;
mod families;
mod logs;
mod offsets;
mod said;
mod samples;

pub use collector::Collector;
pub use compatible::{Compatible, Names};
pub use counts::Counts;
pub use exposition::{Exposition, FamilySource};
pub use families::Filled;
pub use logs::{Format, Times, init, level};
pub use offsets::{Offsets, read_by};
pub use said::Said;
pub use samples::{ObjectSample, Samples, sample_key};
