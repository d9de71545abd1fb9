//! The objects played in a cluster that lives in memory: every case in milliseconds, by the code that runs on a real one.

mod api_server;
mod costs;
mod due;
mod external;
mod finalizers;
mod index;
mod lag_metrics;
mod lives;
mod outages;
mod shadow;
mod sleep;
mod stage;
mod status;
mod takeover;
mod words;
