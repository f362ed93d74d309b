//! Connects the parts that a cluster needs.

use std::{fmt, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use kube::Config;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    client,
    cluster::Cluster,
    election::{Election, Leadership},
    event::events,
    kube_secrets::KubeSecrets,
    lease::Candidate,
    ledger::Ledger,
    metrics::Metrics,
    reconcile::{Handles, ReconcileSettings, Reconciler, WAITING_CHANGES},
    status::{Wiring, Writer},
    watch_state::WatchStates,
};
use crate::registry::{Changes, Follower};

/// What the controller of a cluster is set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Routes and namespaces.
    pub reconcile: ReconcileSettings,
    /// The Lease.
    pub candidate: Candidate,
}

/// One task of the controller: it ends only when the token it was made with is cancelled.
pub struct Task {
    /// For logs.
    pub name: &'static str,
    /// The work.
    pub run: BoxFuture<'static, ()>,
}

/// The controller of a cluster, ready to be spawned.
#[derive(Debug)]
pub struct Assembled {
    /// What other rooms use.
    pub handles: Handles,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// Whether the watches work.
    pub states: WatchStates,
    /// Everything to spawn.
    pub tasks: Vec<Task>,
}

/// Connects the controller of a cluster. Nothing runs before the tasks are spawned; cancel `token`
/// last at shutdown, since that releases the Lease.
///
/// # Errors
/// If the configuration's credentials or certificates can't be used.
pub fn cluster(
    settings: Settings,
    config: &Config,
    changes: Arc<Changes>,
    metrics: Metrics,
    token: &CancellationToken,
) -> kube::Result<Assembled> {
    let client = client::connect(config.clone(), || {})?;
    let lease_client = client::connect(config.clone(), || {})?;
    let process = settings.candidate.process.clone();
    let (election, leadership) =
        Election::new(lease_client, settings.candidate, metrics.leader.clone());

    let ledger = Ledger::default();
    let (events, publisher) =
        events(client.clone(), process, leadership.clone(), (ledger.clone(), metrics.clone()));
    let namespaces = settings.reconcile.namespaces.clone();
    let (mut reconciler, handles) = Reconciler::with_ledger(
        settings.reconcile,
        Arc::new(KubeSecrets::new(client.clone())),
        Arc::clone(&changes),
        (ledger.clone(), metrics.clone()),
    );
    reconciler.tell_events(events.clone());
    let states = WatchStates::new(metrics.clone());
    let source = Cluster {
        config: config.clone(),
        namespaces,
        needs_namespaces: handles.needs_namespaces.clone(),
        states: states.clone(),
    };
    let writer = Writer::new(Wiring {
        client,
        ledger,
        snapshots: Follower::new(handles.snapshots.clone()),
        changes,
        leadership: leadership.clone(),
        events,
        metrics,
    });

    let (sender, receiver) = mpsc::channel(WAITING_CHANGES);
    let tasks = vec![
        Task::new("watch", source.run(&sender, token.clone())?),
        Task::new("reconcile", reconciler.run(receiver, token.clone())),
        Task::new("status", writer.run(token.clone())),
        Task::new("events", publisher.run(token.clone())),
        Task::new("lease", election.run(token.clone())),
    ];
    Ok(Assembled { handles, leadership, states, tasks })
}

// === impl Task ===

impl Task {
    /// A named task.
    pub fn new(name: &'static str, run: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { name, run: run.boxed() }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({})", self.name)
    }
}
