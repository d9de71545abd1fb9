//! What can be seen from outside: logs and Prometheus families.

mod logs;
mod samples;

pub use logs::{Format, init};
pub use samples::{Collector, Sample, Samples};
