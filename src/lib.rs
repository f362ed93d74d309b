//! Fanfare delivers every alert to every healthy target.

pub mod alert;
pub mod api;
pub mod config;
pub mod controller;
pub mod delivery;
pub mod dispatch;
pub mod fanout;
pub mod probe;
pub mod publish;
pub mod registry;
pub mod routing;
pub mod server;
pub mod telemetry;
