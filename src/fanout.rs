//! The engine: publishes one alert to many targets in parallel, and delivers routed alerts.
//!
//! It decides who may be sent to now (health, limits), makes the attempts through a
//! [`Transport`](crate::delivery::Transport) and reports what came of them. What is owed to whom is
//! decided by [`dispatch`](crate::dispatch), what goes over the wire by
//! [`delivery`](crate::delivery), what a target's health is by [`registry`](crate::registry).
//!
//! Two ways lead to a target, and both end in one [`Courier`], which makes the attempt, counts it and
//! feeds the target's health and circuit:
//!
//! * A publish: [`Engine`] → [`plan()`] (pure: who, in which order, who not and why) → `run.rs` (slots,
//!   permits, one deadline) → one truthful result per target. `retry.rs` queues what may be sent later.
//!   [`Idempotent`] in front of it gives repeats of a request the first result.
//! * A routed alert: [`Router`] → `accept.rs` (written, then answered) → `release.rs` (follows the
//!   disk) → [`dispatch::State`](crate::dispatch::State) (what is owed) → a lane per target (`lane.rs`)
//!   → attempt (`job.rs`) → `settle.rs`, `ended.rs` (facts, history, dead letters).
//!
//! Beside what is owed, a lane works off its target's queue on disk (`queue.rs`, `window.rs`):
//! transitions for who needs every one, publishes to retry, replayed dead letters (`replay.rs`).
//!
//! What all of them share are the target's gates (`gate.rs`): suspended, pause, circuit, a place in
//! flight (`flow.maxInFlight`, first come, first served), rate. Nothing waits for a target that is
//! stuck but what is meant for that target.
//!
//! Read [`Engine`] first, then [`plan()`], then [`Router`] and `desk.rs`.

mod accept;
mod backlog;
mod buried;
mod complaint;
mod configure;
mod courier;
mod desk;
mod digest;
mod ended;
mod engine;
mod gate;
mod idempotent;
mod job;
mod kept;
mod lane;
mod lanes;
mod listing;
mod marks;
mod metrics;
mod muting_series;
mod notice;
mod owed_series;
mod plan;
mod policy;
mod queue;
mod records;
mod refresh;
mod release;
mod replay;
mod retry;
mod router;
mod run;
mod series;
mod settle;
mod silences;
mod stats;
mod unsaved;
mod window;

pub use buried::note_buried;
pub use courier::{Courier, Parts, Refresh};
pub use engine::Engine;
pub use idempotent::Idempotent;
pub use metrics::{Metrics, NotificationOutcome, PublishOutcome};
pub use plan::{Plan, Planned, plan};
pub use router::{Router, RouterError, Unfinished};
pub use series::SERIES_CAP;
