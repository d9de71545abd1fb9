//! An answer: values read from the table, discovery, OpenAPI, health; as JSON, YAML, protobuf or a table.

pub(super) mod api;
pub(super) mod delegated;
pub(super) mod discovery;
pub(super) mod document;
pub(super) mod external_metrics;
pub(super) mod failure;
pub(super) mod health;
pub(super) mod item;
pub(super) mod kubectl_table;
pub(super) mod openapi;
pub(super) mod protobuf;
pub(super) mod reply;
pub(super) mod version;
