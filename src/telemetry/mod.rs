//! What can be seen from outside: logs and Prometheus families.

mod leading;
mod logs;
mod samples;

pub use leading::Leading;
pub use logs::{Format, init};
pub use samples::{Collector, Sample, Samples};
