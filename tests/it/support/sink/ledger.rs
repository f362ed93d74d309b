//! What a receiver was told, in order, and whether that adds up: for runs with more requests than one can look at.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use tokio::time::Instant;

use super::Received;

/// One request with a native body, or as much of it as could be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// `webhook-id`: the same over retries, restarts and replays.
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) firing: bool,
    /// When the first alert of the group began: tells incidents of one group apart.
    pub(crate) starts_at: String,
    /// Whether the answer was a 2xx that got out whole.
    pub(crate) accepted: bool,
    /// Status of the answer, if that got out whole.
    pub(crate) answered: Option<u16>,
    pub(crate) connection: usize,
    pub(crate) at: Instant,
}

/// Everything that one receiver, or several, were told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(pub(crate) Vec<Entry>);

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Data {
    group_key: String,
    status: String,
    alerts: Vec<Alert>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Alert {
    starts_at: String,
}

// === impl Entry ===

impl Entry {
    pub(super) fn of(request: &Received) -> Self {
        let body: Body = serde_json::from_slice(&request.body).unwrap_or_default();
        Self {
            id: request.header("webhook-id").unwrap_or_default().to_owned(),
            group: body.data.group_key,
            firing: body.data.status == "firing",
            starts_at: body.data.alerts.into_iter().next().unwrap_or_default().starts_at,
            accepted: false,
            answered: None,
            connection: request.connection,
            at: request.at,
        }
    }
}

// === impl Ledger ===

impl Ledger {
    /// What was accepted, per group, in order.
    pub(crate) fn told(&self) -> BTreeMap<&str, Vec<&Entry>> {
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for entry in self.0.iter().filter(|entry| entry.accepted) {
            groups.entry(entry.group.as_str()).or_default().push(entry);
        }
        groups
    }

    /// Ids that were accepted more than once.
    pub(crate) fn duplicates(&self) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let accepted = self.0.iter().filter(|entry| entry.accepted);
        accepted.map(|entry| entry.id.as_str()).filter(|id| !seen.insert(*id)).collect()
    }

    /// Firings that were accepted after the resolve of the same or a later incident of their group.
    pub(crate) fn inversions(&self) -> Vec<&Entry> {
        let mut found = Vec::new();
        for entries in self.told().into_values() {
            let mut ended = "";
            for entry in entries {
                if !entry.firing {
                    ended = ended.max(&entry.starts_at);
                } else if !ended.is_empty() && *entry.starts_at <= *ended {
                    found.push(entry);
                }
            }
        }
        found
    }

    /// Groups that were last told a firing.
    pub(crate) fn open(&self) -> BTreeSet<&str> {
        let last = self.told().into_iter();
        last.filter(|(_, entries)| entries.last().is_some_and(|last| last.firing))
            .map(|(group, _)| group)
            .collect()
    }
}
