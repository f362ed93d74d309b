//! Cluster or directory → registry; registry → status and events; the Lease.
//!
//! A source ([`Cluster`], [`Manifests`]) sends [`Change`]s; the [`Reconciler`] compiles them and is
//! the registry's one writer. [`cluster`] connects everything a cluster needs besides: Secrets by
//! name, the [`Election`], status, events. Nothing here sends an alert or probes a target, and what
//! others do goes on when the API server is away.
//!
//! Read [`Change`] first, then `compiler`, then `status`.

mod assemble;
mod bucket;
mod client;
mod cluster;
mod compiler;
mod election;
mod event;
mod kube_secrets;
mod lease;
mod ledger;
mod manifests;
mod material;
mod metrics;
mod projection;
mod queue;
mod reconcile;
mod source;
mod status;
mod transition;
mod under_way;
mod unread;
mod watch_state;

pub use assemble::{Assembled, Settings, Task, cluster};
pub use cluster::Cluster;
pub use election::{Election, Leadership};
pub use kube_secrets::KubeSecrets;
pub use lease::Candidate;
pub use ledger::ObjectKey;
pub use manifests::{Manifests, NoDirectory, ReadProblem};
pub use metrics::Metrics;
pub use reconcile::{Handles, ReconcileSettings, Reconciler, SecretRefresh, WAITING_CHANGES};
pub use source::{
    Change, Delta, Kind, Material, MaterialId, MaterialKind, Meta, NamespaceDelta, Object,
    RECONCILE_ANNOTATION, ReadError, SecretSource, Watched, parse_spec,
};
pub use watch_state::{Stream, WatchStates};
