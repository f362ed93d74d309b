//! The engine, driven through its public face with a scripted transport and a paused clock.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod bed;
mod builder;
mod idempotent;
mod lanes;
mod limits;
mod plan;
mod publish;
mod refresh;
mod router;
mod routes;
