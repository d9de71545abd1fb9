//! Pure: what an HPA is to see and what is to be done, from readings, objects and remembered state.

mod bound;
pub mod checks;
mod composite;
mod conditions;
mod defaults;
mod due;
mod evaluate;
mod evaluation;
mod events;
mod explain;
mod fallback;
mod formula;
mod hpa;
pub mod lag_metric;
pub mod limits;
mod live;
mod memory;
mod metric;
mod modifiers;
mod pause;
mod plan;
mod reading;
mod remember;
mod replicas;
mod rotation;
mod signal;
mod source;
pub mod table;

pub use bound::Bound;
pub use conditions::{Health, conditions};
pub use due::Due;
pub use evaluate::evaluate;
pub use evaluation::{Composite, Evaluation, Metric, Settings, Surroundings, Value};
pub use events::{Event, events, step_event};
pub use explain::{Account, ExplainedTrigger, Explanation, explain};
pub use formula::{Formula, FormulaError};
pub use hpa::{is_made_for, wanted};
pub use live::{FIELD_MANAGER, Live, difference, keep_managed, tolerance};
pub use memory::Memory;
pub use modifiers::{COMPOSITE, Modifiers};
pub use pause::Pause;
pub use plan::{External, KafkaSource, Plan, PlannedTrigger, SHORTEST_SAMPLE, Source, hpa_name};
pub use reading::{Readout, read};
pub use remember::{
    Recalled, complete, forgets, remember, remembered_partitions, remembered_topics,
};
pub use replicas::{Activity, Move, floor, keeps_awake, next_move, sleeps_at};
pub use rotation::follow;
pub use signal::{Cut, even, signal};
