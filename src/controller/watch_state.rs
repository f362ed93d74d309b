//! Whether each watch works: for logs (once per change), readiness and metrics.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::{info, warn};

use super::{metrics::Metrics, source::Kind};

/// Longest silence after which the API server still counts as reachable: the life of a watch, its
/// grace, and one failed attempt to renew it.
const SILENCE: i64 = 65;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Objects of a kind.
    Kind(Kind),
    /// Labels of namespaces.
    Namespace,
}

/// The state of every watch. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WatchStates {
    metrics: Metrics,
    watches: Arc<Mutex<BTreeMap<WatchKey, WatchState>>>,
}

/// One watch: what, and in which namespace if not in all.
pub(super) type WatchKey = (Stream, Option<Arc<str>>);

#[derive(Debug, Default)]
struct WatchState {
    /// Unix time of the last successful answer; 0 if there was none.
    answered: i64,
    /// Why it fails, if it does.
    error: Option<String>,
}

// === impl Stream ===

impl From<Kind> for Stream {
    fn from(kind: Kind) -> Self {
        Self::Kind(kind)
    }
}

impl Stream {
    /// Everything that is watched.
    pub const ALL: [Self; 3] =
        [Self::Kind(Kind::PublishTarget), Self::Kind(Kind::AlertRoute), Self::Namespace];

    /// The kind as it stands in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kind(kind) => kind.as_str(),
            Self::Namespace => "Namespace",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl WatchStates ===

impl WatchStates {
    /// The states of watches that have not begun.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, watches: Arc::default() }
    }

    /// Why the API server can't be relied on now; `None` if all is well. A named check that gates
    /// nothing: the last registry serves on.
    #[must_use]
    pub fn trouble(&self, unix_seconds: i64) -> Option<String> {
        let watches = self.watches();
        for (key, state) in &*watches {
            if let Some(error) = &state.error {
                return Some(format!("watching {} fails: {error}", describe(key)));
            }
        }
        let told = watches.iter().filter(|((stream, _), _)| *stream != Stream::Namespace);
        for (key, state) in told {
            let silent = unix_seconds - state.answered;
            if state.answered == 0 {
                return Some(format!("watching {} has not begun", describe(key)));
            }
            if silent > SILENCE {
                return Some(format!("nothing heard about {} for {silent} s", describe(key)));
            }
        }
        if watches.is_empty() { Some("watching has not begun".to_owned()) } else { None }
    }

    /// Notes a watch that is about to begin.
    pub(super) fn begins(&self, key: &WatchKey) {
        self.watches().entry(key.clone()).or_default();
    }

    /// Notes that nobody needs a watch any more.
    pub(super) fn ended(&self, key: &WatchKey) {
        self.watches().remove(key);
    }

    /// Notes that the API server answered a watch; logs it if that is news.
    pub(super) fn answered(&self, key: &WatchKey, unix_seconds: i64) {
        self.metrics.last_event(key.0).set(unix_seconds);
        let mut watches = self.watches();
        let state = watches.entry(key.clone()).or_default();
        state.answered = unix_seconds;
        if state.error.take().is_some() {
            info!(watch = describe(key), "Watch works again");
        }
    }

    /// Notes and counts a failure; logs it if it is news.
    pub(super) fn failed(&self, key: &WatchKey, error: String) {
        self.metrics.watch_error(key.0);
        let mut watches = self.watches();
        let state = watches.entry(key.clone()).or_default();
        if state.error.is_none() {
            warn!(
                watch = describe(key),
                error, "Watch fails: the last registry serves on, retrying"
            );
        }
        state.error = Some(error);
    }

    /// Counts a watch that must begin again with a full list (410); nothing is wrong with it.
    pub(super) fn expired(&self, key: &WatchKey) {
        self.metrics.watch_error(key.0);
        info!(watch = describe(key), "Watch too old: listing again");
    }

    fn watches(&self) -> MutexGuard<'_, BTreeMap<WatchKey, WatchState>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe((stream, scope): &WatchKey) -> String {
    match scope {
        Some(namespace) => format!("{stream} in {namespace}"),
        None => stream.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scope: Option<&str>) -> WatchKey {
        (Kind::AlertRoute.into(), scope.map(Into::into))
    }

    #[test]
    fn a_silent_watch_is_trouble_after_65_seconds() {
        let states = WatchStates::new(Metrics::default());
        assert_eq!(states.trouble(100).unwrap(), "watching has not begun");
        states.begins(&key(None));
        assert_eq!(states.trouble(100).unwrap(), "watching AlertRoute has not begun");
        states.answered(&key(None), 100);
        assert_eq!(states.trouble(165), None);
        assert_eq!(states.trouble(166).unwrap(), "nothing heard about AlertRoute for 66 s");
    }

    #[test]
    fn a_failing_watch_is_trouble_until_it_is_answered_itself() {
        let states = WatchStates::new(Metrics::default());
        let (here, there) = (key(Some("sre")), key(Some("ops")));
        states.answered(&there, 100);
        states.failed(&here, "forbidden".into());
        states.answered(&there, 100);
        assert_eq!(states.trouble(100).unwrap(), "watching AlertRoute in sre fails: forbidden");
        states.answered(&here, 100);
        assert_eq!(states.trouble(100), None);
    }
}
