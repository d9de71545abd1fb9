//! Pure: what an HPA is to see and what is to be done, from readings, objects and remembered state.

mod bound;
pub mod checks;
mod composite;
mod conditions;
mod evaluate;
mod events;
mod fallback;
mod formula;
mod hpa;
mod live;
mod memory;
mod metric;
mod modifiers;
mod pause;
mod plan;
mod reading;
mod replicas;
mod signal;
pub mod table;

pub use bound::Bound;
pub use composite::Composite;
pub use conditions::{Health, conditions};
pub use evaluate::{Evaluation, Settings, Surroundings, evaluate};
pub use events::{Event, events, step_event};
pub use formula::{Formula, FormulaError};
pub use hpa::wanted;
pub use live::{Live, difference, tolerance};
pub use memory::Memory;
pub use metric::{Metric, Value};
pub use modifiers::{COMPOSITE, Modifiers};
pub use pause::Pause;
pub use plan::{External, Plan, PlannedTrigger, SHORTEST_SAMPLE, Source, hpa_name};
pub use reading::{Readout, read};
pub use replicas::{Activity, Move, keeps_awake, next_move};
pub use signal::{Cut, even, signal};
