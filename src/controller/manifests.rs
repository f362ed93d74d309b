//! A directory of YAML as the source of objects: no Kubernetes needed.
//!
//! The same `PublishTarget`, `AlertRoute`, `Secret`, `ConfigMap` and `Namespace` manifests that
//! `kubectl apply` takes (of a Namespace only the labels count), followed for changes, checked by the rules of the CRDs. What can't be used is reported on
//! that object or file alone. Status is not written anywhere: the API and the log show it.
//!
//! The directory is looked at twice a second rather than watched: mounted ConfigMaps and network
//! file systems do not send change notices reliably, and a look costs one `stat` per file.

mod object;
mod read;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::source::{
    Change, Delta, Material, MaterialId, NamespaceDelta, Object, ReadError, SecretSource, Watched,
};
use crate::api::{AlertRouteSpec, PublishTargetSpec};

pub use read::ReadProblem;

/// How often the directory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Follows a directory. Also the source of the Secrets and ConfigMaps in it.
#[derive(Clone, Debug)]
pub struct Manifests {
    directory: Arc<Path>,
    materials: Arc<Mutex<BTreeMap<MaterialId, Material>>>,
}

/// What was last reported, to report differences only.
#[derive(Default)]
struct Shown {
    first: bool,
    targets: BTreeMap<String, Object<PublishTargetSpec>>,
    routes: BTreeMap<String, Object<AlertRouteSpec>>,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    problems: BTreeSet<String>,
}

/// The directory can't be used.
#[derive(Debug, thiserror::Error)]
#[error("read manifests directory {}: it is missing or not a readable directory", .0.display())]
pub struct NoDirectory(PathBuf);

// === impl Manifests ===

impl Manifests {
    /// Follows `directory`: its `.yaml`, `.yml` and `.json` files, not those of directories below it.
    ///
    /// # Errors
    /// There is no such directory.
    pub fn open(directory: &Path) -> Result<Self, NoDirectory> {
        if std::fs::read_dir(directory).is_err() {
            return Err(NoDirectory(directory.to_owned()));
        }
        Ok(Self { directory: directory.into(), materials: Arc::default() })
    }

    /// Sends every object once, then every change, until `shutdown`.
    pub async fn run(self, changes: mpsc::Sender<Change>, shutdown: CancellationToken) {
        let mut files = read::Files::default();
        let mut shown = Shown { first: true, ..Shown::default() };
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = look.tick() => {}
            }
            let directory = Arc::clone(&self.directory);
            let read = tokio::task::spawn_blocking(move || {
                let news = files.refresh(&directory);
                (files, news)
            });
            let Ok((back, news)) = read.await else { return };
            files = back;
            if !news && !shown.first {
                continue;
            }
            for change in self.difference(&files, &mut shown) {
                if changes.send(change).await.is_err() {
                    return;
                }
            }
        }
    }

    /// What changed since `shown`, which is brought up to date.
    fn difference(&self, files: &read::Files, shown: &mut Shown) -> Vec<Change> {
        let mut now = object::collect(files);
        report(&mut shown.problems, now.problems);
        let touched = self.swap_materials(now.materials);
        object::number(&mut now.targets, &shown.targets, &touched);
        object::number(&mut now.routes, &shown.routes, &touched);
        let mut changes = Vec::new();
        let first = std::mem::take(&mut shown.first);
        if first || shown.namespaces != now.namespaces {
            changes.push(Change::Namespace(NamespaceDelta::Listed(now.namespaces.clone())));
        }
        if first {
            changes
                .push(Change::Target(Delta::Listed(None, now.targets.values().cloned().collect())));
            changes
                .push(Change::Route(Delta::Listed(None, now.routes.values().cloned().collect())));
        } else {
            changes.extend(deltas(&shown.targets, &now.targets).map(Change::Target));
            changes.extend(deltas(&shown.routes, &now.routes).map(Change::Route));
        }
        shown.namespaces = now.namespaces;
        shown.targets = now.targets;
        shown.routes = now.routes;
        changes
    }

    /// Puts the Secrets and ConfigMaps in place before anybody asks for them; returns which changed.
    fn swap_materials(&self, new: BTreeMap<MaterialId, Material>) -> BTreeSet<MaterialId> {
        let mut held = self.materials.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = new
            .keys()
            .chain(held.keys())
            .filter(|id| new.get(id) != held.get(id))
            .cloned()
            .collect();
        *held = new;
        changed
    }
}

impl SecretSource for Manifests {
    fn read(
        &self,
        id: &MaterialId,
    ) -> impl Future<Output = Result<Material, ReadError>> + Send + 'static {
        let held = self.materials.lock().unwrap_or_else(PoisonError::into_inner);
        std::future::ready(held.get(id).cloned().ok_or(ReadError::NotFound))
    }
}

fn deltas<'a, S: Watched>(
    old: &'a BTreeMap<String, Object<S>>,
    new: &'a BTreeMap<String, Object<S>>,
) -> impl Iterator<Item = Delta<S>> + 'a {
    let gone = old
        .iter()
        .filter(|(name, _)| !new.contains_key(*name))
        .map(|(_, object)| Delta::Deleted(object.key.clone()));
    let fresh = new
        .iter()
        .filter(|(name, object)| old.get(*name).is_none_or(|known| known.meta != object.meta))
        .map(|(_, object)| Delta::Applied(Box::new(object.clone())));
    gone.chain(fresh)
}

/// Logs each problem once while it lasts.
fn report(known: &mut BTreeSet<String>, problems: BTreeSet<String>) {
    for problem in problems.difference(known) {
        tracing::warn!(problem, "Manifest refused");
    }
    for problem in known.difference(&problems) {
        tracing::info!(problem, "Manifest problem is gone");
    }
    *known = problems;
}
