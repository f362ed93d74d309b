//! The Secrets and `ConfigMaps` that targets name: when each is read, and what was found.
//!
//! Pure: told the time, fed with results. Only the keys that some target names are kept. What was
//! read stays in use while the source gives no answer; a Secret that is gone or lost its key does
//! not. A Secret that becomes forbidden stays in use for [`FORBIDDEN_GRACE`], so that a Role that is
//! replaced does not stop alerts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    bucket::Bucket,
    metrics::ReadResult,
    source::{Material, MaterialId, MaterialKind, ReadError},
};
use crate::{
    api::{ConfigMapKeyRef, PublishTargetSpec, SecretKeyRef, TargetKey},
    delivery::{Credentials, Missing},
};

/// How long what was read stays in use after the right to read it is gone.
pub(super) const FORBIDDEN_GRACE: Duration = Duration::from_secs(30);
/// Time between reads of one Secret, before jitter; with it a change is seen within a minute.
const PERIOD: Duration = Duration::from_secs(50);
/// First reads are due this long after the start, those that were asked for at once.
const FIRST: Duration = Duration::from_millis(1);
/// Shortest time between two reads of one Secret that were asked for.
const ASKED_GAP: Duration = Duration::from_secs(2);
/// Pauses after the first, second, … read in a row that found nothing.
const RETRIES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];
/// Reads under way at the same time.
const MAX_READS: usize = 32;
/// Repeated reads per second, and at once. First reads are limited by [`MAX_READS`] alone: a start
/// must not take longer the more targets there are than it has to.
const BUDGET: (f64, f64) = (50.0, 200.0);

/// The keys that one target names, by Secret or `ConfigMap`.
pub(super) type Wanted = BTreeMap<MaterialId, BTreeSet<String>>;

/// Everything known about the Secrets and `ConfigMaps` that targets name.
#[derive(Debug)]
pub(super) struct Materials {
    /// See [`Credentials::account`].
    pub(super) account: Option<Arc<str>>,
    entries: BTreeMap<MaterialId, Entry>,
    users: BTreeMap<TargetKey, Vec<MaterialId>>,
    due: BTreeSet<(Instant, MaterialId)>,
    start: Instant,
    reading: usize,
    budget: Bucket,
}

/// A target whose Secrets have news.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) target: TargetKey,
    /// Content that was in use has been replaced by other content.
    pub(super) rotated: bool,
}

/// Answers `delivery`'s questions from what was read.
pub(super) struct Lookup<'a> {
    materials: &'a Materials,
    namespace: &'a Arc<str>,
}

#[derive(Debug)]
struct Entry {
    wanted: BTreeMap<TargetKey, BTreeSet<String>>,
    found: Found,
    /// The keys that were looked for when `found` was read.
    asked: BTreeSet<String>,
    due: Option<Instant>,
    reading: bool,
    /// A read was asked for while one was under way.
    again: bool,
    failures: usize,
    last_read: Option<Instant>,
    forbidden_since: Option<Instant>,
}

#[derive(Debug, PartialEq)]
enum Found {
    Unread,
    Nothing(ReadError),
    Content(Material),
}

/// What a spec names.
pub(super) fn wanted(namespace: &Arc<str>, spec: &PublishTargetSpec) -> Wanted {
    let mut wanted = Wanted::new();
    let mut add = |kind, name: &str, key: &str| {
        let id = MaterialId { kind, namespace: Arc::clone(namespace), name: name.into() };
        wanted.entry(id).or_default().insert(key.to_owned());
    };
    for named in spec.secret_refs() {
        add(MaterialKind::Secret, &named.reference.name, &named.reference.key);
    }
    for named in spec.config_map_refs() {
        add(MaterialKind::ConfigMap, &named.reference.name, &named.reference.key);
    }
    wanted
}

// === impl Materials ===

impl Materials {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            account: None,
            entries: BTreeMap::new(),
            users: BTreeMap::new(),
            due: BTreeSet::new(),
            start: now,
            reading: 0,
            budget: Bucket::new(BUDGET.0, BUDGET.1, now),
        }
    }

    /// Notes what a target names now; everything it names is read at once.
    pub(super) fn want(&mut self, target: &TargetKey, wanted: Wanted, now: Instant) {
        let before = self.users.remove(target).unwrap_or_default();
        for id in before.iter().filter(|id| !wanted.contains_key(*id)) {
            self.drop_user(id, target);
        }
        for (id, keys) in &wanted {
            let entry = self.entries.entry(id.clone()).or_insert_with(Entry::new);
            entry.wanted.insert(target.clone(), keys.clone());
            self.schedule(id, now);
        }
        if !wanted.is_empty() {
            self.users.insert(target.clone(), wanted.into_keys().collect());
        }
    }

    /// The target is gone; so is what only it named.
    pub(super) fn forget(&mut self, target: &TargetKey) {
        for id in self.users.remove(target).unwrap_or_default() {
            self.drop_user(&id, target);
        }
    }

    /// Somebody has a reason to believe that the target's Secrets changed.
    pub(super) fn refresh(&mut self, target: &TargetKey, now: Instant) {
        for id in self.users.get(target).cloned().unwrap_or_default() {
            let last = self.entries.get(&id).and_then(|entry| entry.last_read);
            self.schedule(&id, last.map_or(self.start, |last| (last + ASKED_GAP).max(now)));
        }
    }

    /// Everything the target names was read, or is known to be missing or forbidden.
    pub(super) fn settled(&self, target: &TargetKey) -> bool {
        let ids = self.users.get(target).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.entries.get(id)).all(|entry| match &entry.found {
            Found::Unread | Found::Nothing(ReadError::Unavailable) => false,
            Found::Nothing(_) => true,
            Found::Content(_) => {
                entry.wanted.get(target).is_none_or(|keys| keys.is_subset(&entry.asked))
            }
        })
    }

    /// A read of everything the target names has ended, in whatever way.
    pub(super) fn attempted(&self, target: &TargetKey) -> bool {
        let ids = self.users.get(target).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.entries.get(id)).all(|entry| entry.last_read.is_some())
    }

    /// The targets that name it.
    pub(super) fn users(&self, id: &MaterialId) -> impl Iterator<Item = &TargetKey> {
        self.entries.get(id).into_iter().flat_map(|entry| entry.wanted.keys())
    }

    /// When the next read is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.reading >= MAX_READS { None } else { self.due.first().map(|(due, _)| *due) }
    }

    /// Takes the next read that is due and allowed; `Err` says when to ask again.
    pub(super) fn take_due(&mut self, now: Instant) -> Result<MaterialId, Option<Instant>> {
        match self.next_due() {
            Some(due) if due <= now => {}
            later => return Err(later),
        }
        let first = self.due.first().and_then(|(_, id)| self.entries.get(id));
        if first.is_none_or(|entry| entry.last_read.is_some()) {
            self.budget.take(now).map_err(|wait| Some(now + wait))?;
        }
        let (_, id) = self.due.pop_first().ok_or(None)?;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.due = None;
            entry.reading = true;
        }
        self.reading += 1;
        Ok(id)
    }

    /// Takes in a result. Answers the targets for which something changed. `random` (0 to 1) spreads
    /// the next read.
    pub(super) fn arrived(
        &mut self,
        id: &MaterialId,
        result: Result<Material, ReadError>,
        now: Instant,
        random: f64,
    ) -> (Vec<News>, ReadResult) {
        self.reading = self.reading.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(id) else {
            return (Vec::new(), ReadResult::Ok);
        };
        entry.reading = false;
        entry.last_read = Some(now);
        let (news, outcome) = entry.take_in(result, now);
        let again = std::mem::take(&mut entry.again);
        let pause = if again { Duration::ZERO } else { entry.pause(outcome, random) };
        self.schedule(id, now + pause);
        (news, outcome)
    }

    /// Answers for objects of a namespace.
    pub(super) fn lookup<'a>(&'a self, namespace: &'a Arc<str>) -> Lookup<'a> {
        Lookup { materials: self, namespace }
    }

    fn schedule(&mut self, id: &MaterialId, at: Instant) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if entry.reading {
            entry.again = true;
            return;
        }
        // What was never read comes before everything that is read again, and before that what was asked for.
        let at = if entry.last_read.is_none() { at.min(self.start + FIRST) } else { at };
        if let Some(due) = entry.due {
            if due <= at {
                return;
            }
            self.due.remove(&(due, id.clone()));
        }
        entry.due = Some(at);
        self.due.insert((at, id.clone()));
    }

    fn drop_user(&mut self, id: &MaterialId, target: &TargetKey) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.wanted.remove(target);
        if entry.wanted.is_empty() {
            if let Some(due) = entry.due {
                self.due.remove(&(due, id.clone()));
            }
            self.entries.remove(id);
        }
    }
}

// === impl Entry ===

impl Entry {
    fn new() -> Self {
        Self {
            wanted: BTreeMap::new(),
            found: Found::Unread,
            asked: BTreeSet::new(),
            due: None,
            reading: false,
            again: false,
            failures: 0,
            last_read: None,
            forbidden_since: None,
        }
    }

    fn take_in(
        &mut self,
        result: Result<Material, ReadError>,
        now: Instant,
    ) -> (Vec<News>, ReadResult) {
        if result != Err(ReadError::Forbidden) {
            self.forbidden_since = None;
        }
        let (found, outcome) = match result {
            Ok(content) => {
                self.asked = self.wanted.values().flatten().cloned().collect();
                let content = self.only_asked(content);
                let complete = self.asked.iter().all(|key| content.0.contains_key(key));
                let outcome = if complete { ReadResult::Ok } else { ReadResult::KeyMissing };
                (Some(Found::Content(content)), outcome)
            }
            Err(ReadError::NotFound) => {
                (Some(Found::Nothing(ReadError::NotFound)), ReadResult::NotFound)
            }
            Err(ReadError::Forbidden) => {
                let since = *self.forbidden_since.get_or_insert(now);
                let keep = matches!(self.found, Found::Content(_)) && now < since + FORBIDDEN_GRACE;
                let found = (!keep).then_some(Found::Nothing(ReadError::Forbidden));
                (found, ReadResult::Forbidden)
            }
            Err(ReadError::Unavailable) => {
                let first = matches!(self.found, Found::Unread);
                (first.then_some(Found::Nothing(ReadError::Unavailable)), ReadResult::Error)
            }
        };
        self.failures = if outcome == ReadResult::Ok { 0 } else { self.failures + 1 };
        let news = found.map_or_else(Vec::new, |found| self.replace(found));
        (news, outcome)
    }

    /// Stores what was found and names the targets that see a difference.
    fn replace(&mut self, found: Found) -> Vec<News> {
        let before = std::mem::replace(&mut self.found, found);
        let mut news = Vec::new();
        for (target, keys) in &self.wanted {
            let (old, new) = (before.values(keys), self.found.values(keys));
            if old != new || before.kind() != self.found.kind() {
                let rotated = old.is_some() && new.is_some() && old != new;
                news.push(News { target: target.clone(), rotated });
            }
        }
        news
    }

    fn only_asked(&self, mut content: Material) -> Material {
        content.0.retain(|key, _| self.asked.contains(key));
        content
    }

    fn pause(&self, outcome: ReadResult, random: f64) -> Duration {
        if outcome == ReadResult::Ok {
            return PERIOD.mul_f64(0.9 + 0.2 * random);
        }
        RETRIES[self.failures.saturating_sub(1).min(RETRIES.len() - 1)]
    }
}

// === impl Found ===

impl Found {
    /// The values of `keys`; `None` if not all of them are there.
    fn values(&self, keys: &BTreeSet<String>) -> Option<Vec<&[u8]>> {
        let Self::Content(content) = self else { return None };
        keys.iter().map(|key| content.get(key)).collect()
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Unread => 0,
            Self::Nothing(ReadError::NotFound) => 1,
            Self::Nothing(ReadError::Forbidden) => 2,
            Self::Nothing(ReadError::Unavailable) => 3,
            Self::Content(_) => 4,
        }
    }
}

// === impl Lookup ===

impl Lookup<'_> {
    fn find(&self, kind: MaterialKind, name: &str, key: &str) -> Result<&[u8], Missing> {
        let id = MaterialId { kind, namespace: Arc::clone(self.namespace), name: name.into() };
        let entry = self.materials.entries.get(&id).ok_or(Missing::Unavailable)?;
        match &entry.found {
            Found::Content(content) => content.get(key).ok_or(if entry.asked.contains(key) {
                Missing::KeyMissing
            } else {
                Missing::Unavailable
            }),
            Found::Nothing(ReadError::NotFound) => Err(Missing::NotFound),
            Found::Nothing(ReadError::Forbidden) => Err(Missing::Forbidden),
            Found::Nothing(ReadError::Unavailable) | Found::Unread => Err(Missing::Unavailable),
        }
    }
}

impl Credentials for Lookup<'_> {
    fn secret(&self, from: &SecretKeyRef) -> Result<&[u8], Missing> {
        self.find(MaterialKind::Secret, &from.name, &from.key)
    }

    fn config_map(&self, from: &ConfigMapKeyRef) -> Result<&[u8], Missing> {
        self.find(MaterialKind::ConfigMap, &from.name, &from.key)
    }

    fn account(&self) -> Option<&str> {
        self.materials.account.as_deref()
    }
}

#[cfg(test)]
mod tests;
