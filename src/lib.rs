//! lagscale scales Kafka consumers on Kubernetes by consumer-group lag.
//!
//! The library is the binary's rooms, open to its tests; ARCHITECTURE.md draws how data goes through them.
#![warn(missing_docs)]

mod account_token;
mod api_client;
pub mod args;
mod backoff;
pub mod certificates;
pub mod cli;
pub mod controller;
pub mod delegation;
mod installation;
pub mod kafka;
pub mod lag;
mod overview;
pub mod page;
pub mod poll;
mod process_limits;
pub mod pulse;
pub mod quantity;
pub mod resources;
pub mod run;
pub mod scaling;
pub mod selector;
pub mod server;
pub mod sharded;
pub mod snapshot;
pub mod telemetry;
mod text;
pub mod triggers;
