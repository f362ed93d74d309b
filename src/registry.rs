//! The in-memory registry: compiled targets and routes, and each target's live state.
//!
//! Configuration reaches readers as one immutable [`Snapshot`], swapped whole. What moves with every
//! probe and delivery lives in [`Live`], one per target, which outlives snapshots. Nothing here does
//! I/O. Read [`Target`] first, then [`Snapshot`].

mod advice;
mod breaker;
mod changes;
mod condition;
mod follower;
mod freeze;
mod health;
mod index;
mod latency;
mod live;
mod machine;
mod metrics;
mod monitor;
mod notices;
mod project_route;
mod project_target;
mod publisher;
mod rate;
mod resolve;
mod restore;
mod snapshot;
mod target;
mod writer;

pub use crate::clock::Moment;
pub use breaker::CircuitSample;
pub use changes::{Changes, Later};
pub use follower::{Follower, RegistryGone};
pub use health::{
    Depth, HealthPolicy, HealthView, Sample, SampleFailure, SampleSource, Transition,
};
pub use latency::LatencyWindow;
pub use live::{Admission, CircuitView, InFlight, Live, LiveStats, Series, Trial};
pub use metrics::Metrics;
pub use monitor::Monitor;
pub use notices::{About, Notice, Notices};
pub use project_route::project_route;
pub use project_target::project_target;
pub use publisher::Publisher;
pub use resolve::Namespaces;
pub use restore::Restored;
pub use snapshot::{
    RejectedRoute, RejectedTarget, ResolvedRoute, RouteEntry, RouteTarget, Snapshot, TargetEntry,
    Unresolved,
};
pub use target::{Allowed, Endpoint, HttpMethod, ProbePlan, Secret, Target, TlsRoots};
pub use writer::Registry;

#[cfg(test)]
pub(crate) mod fixture;
