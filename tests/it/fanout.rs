//! The engine, driven through its public face with a scripted transport and a paused clock.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod bed;
mod builder;
mod circuit;
mod digest;
mod durable;
mod fallback;
mod hold;
mod idempotent;
mod lanes;
mod leaving;
mod ledger;
mod limits;
mod plan;
mod publish;
mod queue;
mod refresh;
mod replay;
mod retries;
mod retry;
mod router;
mod routes;
mod silences;
mod switching;
mod unread;
