//! Pure: what an HPA is to see and what is to be done, from readings, objects and remembered state.

pub mod table;
