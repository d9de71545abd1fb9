//! From readings to what an HPA is to see: the value of each metric, and the bound.

pub(super) mod composite;
pub(super) mod cut;
mod due;
mod evaluate;
mod evaluation;
mod failures;
mod fallback;
mod given;
mod hours;
mod lag;
pub(super) mod memory;
pub(super) mod metric;

pub use cut::{Cut, even, signal};
pub use due::Due;
pub use evaluate::evaluate;
pub use evaluation::{Composite, Evaluation, Metric, Settings, Surroundings, Value, from_milli};
pub use memory::Memory;
