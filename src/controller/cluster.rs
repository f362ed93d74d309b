//! A cluster as the source: raw watch events, one task per kind and namespace.
//!
//! Why raw events and no finalizers: a registry in memory needs none, and a finalizer would make
//! objects undeletable while we are down. Why a fresh list every ten minutes: an event that a
//! broken proxy or API server swallowed is then made good.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config, Resource,
    core::PartialObjectMeta,
    runtime::watcher::{self, Event},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    client::{self, WATCH_TIMEOUT_SECONDS},
    source::{Change, Delta, NamespaceDelta, Watched},
    unread::Unread,
    watch_state::{Stream, WatchKey, WatchStates},
};
use crate::api::{AlertRouteSpec, PublishTargetSpec};

/// After this long without an expired watch, the next one is the first again.
const QUIET: Duration = Duration::from_mins(2);
/// Time between full lists of everything.
const RELIST: Duration = Duration::from_mins(10);

/// A cluster that is watched.
#[derive(Debug)]
pub struct Cluster {
    /// How to reach it.
    pub config: Config,
    /// Namespaces to watch; empty watches all.
    pub namespaces: Vec<Arc<str>>,
    /// Whether some target selects namespaces by label.
    pub needs_namespaces: watch::Receiver<bool>,
    /// Where the state of the watches is noted.
    pub states: WatchStates,
}

/// One watch: its name, and where its changes go.
#[derive(Clone)]
struct Follower {
    key: WatchKey,
    states: WatchStates,
    changes: mpsc::Sender<Change>,
}

/// How often a watch had to begin again with a list lately. Counted apart from failures: after an
/// outage the one list that makes everything good must not wait as long as the outage's retries.
#[derive(Debug, Default)]
struct Expiries {
    count: u32,
    last: Option<Instant>,
}

// === impl Cluster ===

impl Cluster {
    /// Connects, and answers the work: to watch until `token` is cancelled or nobody listens.
    ///
    /// # Errors
    /// If the configuration's credentials can't be used.
    pub fn run(
        self,
        changes: &mpsc::Sender<Change>,
        token: CancellationToken,
    ) -> kube::Result<impl Future<Output = ()> + Send + 'static> {
        let mut watches = self.follow::<PublishTargetSpec>(changes, Change::Target)?;
        watches.extend(self.follow::<AlertRouteSpec>(changes, Change::Route)?);
        watches.push(self.follow_namespaces(changes)?);
        Ok(async move {
            let mut tasks: JoinSet<()> = watches.into_iter().collect();
            tokio::select! {
                () = token.cancelled() => {}
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(error = %error, "Watch ended abnormally");
                    }
                }
            }
        })
    }

    /// A watch and a client of its own, so that none waits for another.
    fn follower(
        &self,
        key: WatchKey,
        changes: &mpsc::Sender<Change>,
    ) -> kube::Result<(Follower, Client)> {
        let (states, changes) = (self.states.clone(), changes.clone());
        let follower = Follower { key, states, changes };
        let answered = follower.clone();
        let client = client::connect(self.config.clone(), move || {
            answered.states.answered(&answered.key, Timestamp::now().as_second());
        })?;
        Ok((follower, client))
    }

    fn follow<S: Watched>(
        &self,
        changes: &mpsc::Sender<Change>,
        wrap: fn(Delta<S>) -> Change,
    ) -> kube::Result<Vec<BoxFuture<'static, ()>>> {
        let scopes: Vec<Option<Arc<str>>> = if self.namespaces.is_empty() {
            vec![None]
        } else {
            self.namespaces.iter().cloned().map(Some).collect()
        };
        let one = |scope: Option<Arc<str>>| {
            let (follower, client) = self.follower((S::KIND.into(), scope.clone()), changes)?;
            self.states.begins(&follower.key);
            let api = match scope {
                Some(namespace) => Api::namespaced(client, &namespace),
                None => Api::all(client),
            };
            Ok(follower.objects::<S>(api, wrap).boxed())
        };
        scopes.into_iter().map(one).collect()
    }

    /// Watches namespaces only while some target needs them.
    fn follow_namespaces(
        &self,
        changes: &mpsc::Sender<Change>,
    ) -> kube::Result<BoxFuture<'static, ()>> {
        let (follower, client) = self.follower((Stream::Namespace, None), changes)?;
        let mut needed = self.needs_namespaces.clone();
        let work = async move {
            loop {
                if needed.wait_for(|needed| *needed).await.is_err() {
                    return;
                }
                tokio::select! {
                    () = follower.clone().namespaces(Api::all(client.clone())) => {}
                    gone = needed.wait_for(|needed| !*needed) => {
                        if gone.is_err() {
                            return;
                        }
                        follower.states.ended(&follower.key);
                    }
                }
            }
        };
        Ok(work.boxed())
    }
}

// === impl Follower ===

impl Follower {
    async fn objects<S: Watched>(self, api: Api<Unread<S>>, wrap: fn(Delta<S>) -> Change) {
        // Objects of a list are taken in as they come: all of them at once are never held here.
        let mut listed = BTreeSet::new();
        self.clone()
            .events(api, |event| {
                let delta = match event {
                    Event::Init => {
                        listed.clear();
                        None
                    }
                    Event::InitApply(object) => {
                        listed.insert(object.key());
                        Some(Delta::Applied(Box::new(object.into())))
                    }
                    Event::InitDone => {
                        Some(Delta::Complete(self.key.1.clone(), std::mem::take(&mut listed)))
                    }
                    Event::Apply(object) => Some(Delta::Applied(Box::new(object.into()))),
                    Event::Delete(object) => Some(Delta::Deleted(object.key())),
                };
                delta.map(wrap)
            })
            .await;
    }

    async fn namespaces(self, api: Api<PartialObjectMeta<Namespace>>) {
        let mut listed = BTreeMap::new();
        self.events(api, |event| {
            let delta = match event {
                Event::Init => {
                    listed.clear();
                    None
                }
                Event::InitApply(object) => {
                    let (name, labels) = named(object);
                    listed.insert(name, labels);
                    None
                }
                Event::InitDone => Some(NamespaceDelta::Listed(std::mem::take(&mut listed))),
                Event::Apply(object) => {
                    let (name, labels) = named(object);
                    Some(NamespaceDelta::Applied(name, labels))
                }
                Event::Delete(object) => Some(NamespaceDelta::Deleted(named(object).0)),
            };
            delta.map(Change::Namespace)
        })
        .await;
    }

    /// Feeds events to `take` and sends on what it makes of them, until nobody listens.
    async fn events<K>(self, api: Api<K>, mut take: impl FnMut(Event<K>) -> Option<Change>)
    where
        K: Resource + Clone + fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
    {
        let mut failures = 0;
        let mut expiries = Expiries::default();
        loop {
            let relist = tokio::time::sleep(RELIST.mul_f64(0.9 + 0.2 * fastrand::f64()));
            let config = watcher::Config::default().timeout(WATCH_TIMEOUT_SECONDS);
            let mut stream = Box::pin(watcher::watcher(api.clone(), config).take_until(relist));
            while let Some(event) = stream.next().await {
                let pause = match event {
                    Ok(event) => {
                        if !matches!(event, Event::Init) {
                            failures = 0;
                            self.states.answered(&self.key, Timestamp::now().as_second());
                        }
                        if let Some(change) = take(event)
                            && self.changes.send(change).await.is_err()
                        {
                            return;
                        }
                        continue;
                    }
                    Err(error) if is_expired(&error) => {
                        self.states.expired(&self.key);
                        backoff(expiries.count(Instant::now()), fastrand::f64())
                    }
                    Err(error) => {
                        if self.failed(&error).await.is_err() {
                            return;
                        }
                        failures += 1;
                        backoff(failures, fastrand::f64())
                    }
                };
                tokio::time::sleep(pause).await;
            }
        }
    }

    async fn failed(&self, error: &watcher::Error) -> Result<(), ()> {
        self.states.failed(&self.key, error.to_string());
        if self.key.0 == Stream::Namespace && is_forbidden(error) {
            let change = Change::Namespace(NamespaceDelta::Forbidden);
            return self.changes.send(change).await.map_err(|_| ());
        }
        Ok(())
    }
}

// === impl Expiries ===

impl Expiries {
    /// Counts one more; those before a quiet spell are forgotten.
    fn count(&mut self, now: Instant) -> u32 {
        let recent = self.last.is_some_and(|last| now.duration_since(last) < QUIET);
        self.count = if recent { self.count.saturating_add(1) } else { 1 };
        self.last = Some(now);
        self.count
    }
}

/// The version that a watch wanted to begin from is history (410): the next step is a list.
fn is_expired(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchError(status)
        | watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        _ => false,
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.is_forbidden(),
        watcher::Error::WatchError(status) => status.code == 403,
        _ => false,
    }
}

/// Half a second doubling to ten seconds, spread over the upper half of each step.
fn backoff(failures: u32, random: f64) -> Duration {
    let step = Duration::from_millis(500) * 2_u32.saturating_pow(failures.saturating_sub(1).min(5));
    step.min(Duration::from_secs(10)).mul_f64(0.5 + 0.5 * random)
}

fn named(object: PartialObjectMeta<Namespace>) -> (String, BTreeMap<String, String>) {
    let metadata = object.metadata;
    (metadata.name.unwrap_or_default(), metadata.labels.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_ten_seconds() {
        assert_eq!(backoff(1, 1.0), Duration::from_millis(500));
        assert_eq!(backoff(1, 0.0), Duration::from_millis(250));
        assert_eq!(backoff(3, 1.0), Duration::from_secs(2));
        assert_eq!(backoff(90, 1.0), Duration::from_secs(10));
    }

    #[test]
    fn expired_watches_back_off_only_when_they_come_in_a_row() {
        let mut expiries = Expiries::default();
        let now = Instant::now();
        assert_eq!(expiries.count(now), 1);
        assert_eq!(expiries.count(now + Duration::from_secs(5)), 2);
        assert_eq!(expiries.count(now + Duration::from_secs(5) + QUIET), 1);
    }
}
