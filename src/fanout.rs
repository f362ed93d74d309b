//! The engine: publishes one alert to many targets in parallel, and delivers routed alerts.
//!
//! It decides who may be sent to now (health, limits), makes the attempts through a
//! [`Transport`](crate::delivery::Transport) and reports what came of them. What is owed to whom is
//! decided by [`dispatch`](crate::dispatch), what goes over the wire by
//! [`delivery`](crate::delivery), what a target's health is by [`registry`](crate::registry).
//!
//! Two ways lead to a target, and both end in one [`Courier`], which makes the attempt, counts it and
//! feeds the target's health:
//!
//! * A publish: [`Engine`] → [`plan()`] (pure: who, in which order, who not and why) → `run.rs` (slots,
//!   permits, one deadline) → one truthful result per target. [`Idempotent`] in front of it gives
//!   repeats of a request the first result.
//! * A routed alert: [`Router`] → [`dispatch::State`](crate::dispatch::State) (what is owed) → a lane
//!   per target → `policy.rs` (pure: send, skip or hold) → attempt → settled.
//!
//! What they share is the target's own limit (`flow.maxInFlight`): one semaphore in
//! [`Live`](crate::registry::Live), first come, first served. Nothing waits for a target that is stuck
//! but what is meant for that target.
//!
//! Read [`Engine`] first, then [`plan()`], then [`Router`].

mod courier;
mod engine;
mod idempotent;
mod lane;
mod lanes;
mod metrics;
mod notice;
mod plan;
mod policy;
mod refresh;
mod router;
mod run;
mod series;
mod stats;

pub use courier::{Courier, Parts, Refresh};
pub use engine::Engine;
pub use idempotent::Idempotent;
pub use metrics::{Metrics, NotificationOutcome, PublishOutcome};
pub use plan::{Plan, Planned, plan};
pub use router::{Router, RouterError, Unfinished};
pub use series::SERIES_CAP;
