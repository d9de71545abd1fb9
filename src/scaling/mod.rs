//! Pure: what an HPA is to see and what is to be done, from readings, objects and remembered state.

mod bound;
pub mod checks;
mod conditions;
mod evaluate;
mod fallback;
mod formula;
mod hpa;
mod memory;
mod pause;
mod plan;
mod reading;
mod replicas;
mod signal;
pub mod table;

pub use bound::Bound;
pub use conditions::{Health, conditions};
pub use evaluate::{Evaluation, Metric, Settings, Value, evaluate};
pub use formula::{Formula, FormulaError};
pub use hpa::{Live, difference, tolerance, wanted};
pub use memory::Memory;
pub use pause::Pause;
pub use plan::{Plan, PlannedTrigger, SHORTEST_SAMPLE, Source, hpa_name};
pub use reading::{Readout, read};
pub use replicas::{Activity, Move, next_move};
pub use signal::{Cut, even, signal};
