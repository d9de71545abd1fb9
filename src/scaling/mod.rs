//! Pure: plan -> reading -> signal -> decision. Snapshots, objects and remembered state come in; what an HPA is to see and what is to
//! be done comes out. Time is an argument.

mod decision;
mod explain;
mod formula;
mod live;
mod plan;
mod reading;
mod shadow;
mod signal;
pub mod table;

pub use decision::{
    Activity, Event, FIELD_MANAGER, Health, Move, Ownership, conditions, difference, events, floor,
    foreign, is_made_for, keep_managed, keeps_awake, next_move, ownership, owns, sleeps_at,
    step_error, step_event, wanted,
};
pub use explain::{Account, ExplainedTrigger, Explanation, explain};
pub use formula::{Formula, FormulaError};
pub use live::{Live, holds, keep_telling, tolerance};
pub use plan::{
    External, KafkaSource, Plan, PlannedTrigger, SHORTEST_SAMPLE, Source, checks, hpa_name,
    lag_metric, limits,
    modifiers::{COMPOSITE, Modifiers},
    pause::Pause,
};
pub use reading::{
    Bound, Readout, Recalled, complete, follow, forgets, read, remember, remembered_partitions,
    remembered_topics,
};
pub use shadow::{Compared, Shadow};
pub use signal::{
    Composite, Cut, Due, Evaluation, Memory, Metric, Settings, Surroundings, Value, evaluate, even,
    from_milli, signal,
};
