//! From an evaluated object to what is done: replicas, HPA, conditions, events.

mod conditions;
mod difference;
mod events;
mod hpa;
pub(super) mod moves;
mod ownership;
mod trouble;

pub use conditions::{Health, conditions};
pub use difference::{FIELD_MANAGER, difference, keep_managed};
pub use events::{Event, events, step_error, step_event};
pub use hpa::{is_made_for, wanted};
pub use moves::{Activity, Move, floor, keeps_awake, next_move, sleeps_at};
pub use ownership::{Ownership, foreign, ownership, owns};
