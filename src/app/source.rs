//! Where objects come from: a cluster, or a directory of manifests.

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::addresses;
use crate::{
    config::Config,
    controller::{
        self, Candidate, Handles, Manifests, NoDirectory, ReconcileSettings, Reconciler, Task,
        WAITING_CHANGES, WatchStates,
    },
    registry::Changes,
    routing::RouteSettings,
};

/// The source, ready to be spawned.
pub(super) struct Source {
    pub(super) handles: Handles,
    pub(super) tasks: Vec<Task>,
    /// Whether the watches work; `None` with manifests.
    pub(super) states: Option<WatchStates>,
    /// Sockets of the API server, which no target may have.
    pub(super) api_server: Vec<SocketAddr>,
}

/// There is no usable source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cluster is configured.
    #[error(
        "no cluster is configured: set KUBECONFIG, run in a pod, or give --manifests to run without Kubernetes"
    )]
    NoCluster(#[source] Box<kube::config::InferConfigError>),
    /// The configured cluster can't be used.
    #[error("use the credentials of the kubeconfig or the ServiceAccount")]
    Client(#[source] Box<kube::Error>),
    /// The directory can't be used.
    #[error(transparent)]
    Manifests(#[from] NoDirectory),
}

/// Connects the source that `config` names. `token` ends its tasks, last of all at shutdown.
pub(super) async fn connect(
    config: &Config,
    changes: Arc<Changes>,
    metrics: controller::Metrics,
    token: &CancellationToken,
) -> Result<Source, Error> {
    let namespaces: Vec<Arc<str>> = config
        .watch_namespace
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| name.as_str().into())
        .collect();
    let routes = RouteSettings {
        scope_label: config.scope_label.as_str().into(),
        cluster_namespaces: config
            .manifests
            .is_none()
            .then(|| config.cluster_route_namespaces.clone()),
    };
    let reconcile = ReconcileSettings { routes, namespaces };
    if let Some(directory) = &config.manifests {
        let manifests = Manifests::open(directory)?;
        tracing::info!(directory = %directory.display(), "Objects come from a directory");
        let (reconciler, handles) =
            Reconciler::new(reconcile, Arc::new(manifests.clone()), changes, metrics);
        let (sender, receiver) = mpsc::channel(WAITING_CHANGES);
        let tasks = vec![
            Task::new("manifests", manifests.run(sender, token.clone())),
            Task::new("reconcile", reconciler.run(receiver, token.clone())),
        ];
        return Ok(Source { handles, tasks, states: None, api_server: Vec::new() });
    }
    let cluster = kube::Config::infer().await.map_err(|error| Error::NoCluster(Box::new(error)))?;
    let candidate = Candidate::new(
        config.lease_namespace.as_ref().unwrap_or(&cluster.default_namespace),
        &config.lease_name,
        &config.pod_name.clone().unwrap_or_else(host_name),
    );
    tracing::info!(
        lease = %format!("{}/{}", candidate.namespace, candidate.name),
        identity = %candidate.identity(),
        "Objects come from the cluster"
    );
    let settings = controller::Settings { reconcile, candidate };
    let assembled = controller::cluster(settings, &cluster, changes, metrics, token)
        .map_err(|error| Error::Client(Box::new(error)))?;
    Ok(Source {
        handles: assembled.handles,
        tasks: assembled.tasks,
        states: Some(assembled.states),
        api_server: addresses::of_api_server(&cluster.cluster_url).await,
    })
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => format!("fanfare-{}", uuid::Uuid::new_v4()),
        name => name.to_owned(),
    }
}
