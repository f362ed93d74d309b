//! The in-memory registry: compiled targets and routes, and each target's live state.
//!
//! Configuration reaches readers as one immutable [`Snapshot`], swapped whole. What moves with every
//! probe and delivery lives in [`Live`], one per target, which outlives snapshots. Nothing here does
//! I/O. Read [`Target`] first, then [`Snapshot`].

mod advice;
mod changes;
mod condition;
mod freeze;
mod health;
mod index;
mod latency;
mod live;
mod machine;
mod metrics;
mod monitor;
mod project_route;
mod project_target;
mod publisher;
mod resolve;
mod restore;
mod snapshot;
mod target;
mod writer;

pub use changes::Changes;
pub use health::{
    Depth, HealthPolicy, HealthView, Moment, Sample, SampleFailure, SampleSource, Transition,
};
pub use latency::LatencyWindow;
pub use live::{InFlight, Live, LiveStats};
pub use metrics::Metrics;
pub use monitor::Monitor;
pub use project_route::project_route;
pub use project_target::project_target;
pub use publisher::Publisher;
pub use resolve::Namespaces;
pub use snapshot::{
    RejectedRoute, RejectedTarget, ResolvedRoute, RouteEntry, RouteTarget, Snapshot, TargetEntry,
    Unresolved,
};
pub use target::{Allowed, Endpoint, HttpMethod, ProbePlan, Secret, Target, TlsRoots};
pub use writer::Registry;

#[cfg(test)]
pub(crate) mod fixture;
