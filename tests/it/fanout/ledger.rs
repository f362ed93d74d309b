//! A store for the paused clock: everything is durable at once, or when the test says so.
//!
//! The real one has a thread of its own, which a paused clock would not wait for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use fanfare::{
    api::TargetKey,
    dispatch::{AlertId, AlertRecord, Fact, GroupId, GroupRecord, Queued, ToldRecord},
    publish::{BoxFuture, Silence, SilenceId},
    store::{
        AttemptRecord, DeadLetter, DeadLetterFilter, DeadLetterId, DeadReason, DeliveryFilter,
        Failed, Full, IdempotencyRecord, Loaded, Op, Page, QueueId, QueueSize, Restored, Seq,
        Stats, Store,
    },
};
use tokio::sync::watch;

/// The store; clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    facts: Mutex<Facts>,
    disk: watch::Sender<Disk>,
    /// The largest room that was asked for.
    asked: AtomicUsize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Disk {
    durable: Seq,
    /// Commits are held back.
    held: bool,
    failed: bool,
    full: Option<Full>,
}

#[derive(Debug, Default)]
struct Facts {
    last: u64,
    /// Submitted and not durable yet.
    pending: Vec<(Seq, Vec<Op>)>,
    last_id: u64,
    alerts: BTreeMap<AlertId, AlertRecord>,
    told: BTreeMap<AlertId, ToldRecord>,
    groups: BTreeMap<GroupId, GroupRecord>,
    silences: BTreeMap<SilenceId, Arc<Silence>>,
    queues: BTreeMap<(TargetKey, Arc<str>), BTreeMap<QueueId, Queued>>,
    letters: BTreeMap<DeadLetterId, DeadLetter>,
    attempts: Vec<AttemptRecord>,
    keys: BTreeMap<Arc<str>, IdempotencyRecord>,
    reads: usize,
    /// Records that are being sent.
    claimed: BTreeSet<QueueId>,
}

fn failure() -> Failed {
    Failed { step: "sync", message: "scripted".into() }
}

// === impl Ledger ===

impl Ledger {
    pub(crate) fn new() -> Self {
        let (disk, _) = watch::channel(Disk::default());
        Self(Arc::new(Inner { facts: Mutex::default(), disk, asked: AtomicUsize::default() }))
    }

    /// The largest room that anybody asked for.
    pub(crate) fn most_asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    /// Holds commits back until [`Ledger::commit`].
    pub(crate) fn hold(&self) {
        self.0.disk.send_modify(|disk| disk.held = true);
    }

    /// Commits what was held back, and everything from now on.
    pub(crate) fn commit(&self) {
        let mut facts = self.facts();
        let pending = std::mem::take(&mut facts.pending);
        let mut durable = self.0.disk.borrow().durable;
        for (seq, ops) in pending {
            facts.apply(ops);
            durable = seq;
        }
        drop(facts);
        self.0.disk.send_modify(|disk| (disk.held, disk.durable) = (false, durable));
    }

    /// The disk fails: what was not durable never is.
    pub(crate) fn fail(&self) {
        self.0.disk.send_modify(|disk| disk.failed = true);
    }

    pub(crate) fn fill(&self, full: Option<Full>) {
        self.0.disk.send_modify(|disk| disk.full = full);
    }

    /// What a process that starts now finds on disk.
    pub(crate) fn reopen(&self) -> (Self, Loaded) {
        let old = self.facts();
        let alerts = old.alerts.iter().map(|(id, alert)| Restored {
            id: *id,
            alert: alert.clone(),
            told: old.told.get(id).cloned(),
        });
        let loaded = Loaded {
            alerts: alerts.collect(),
            groups: old.groups.clone().into_iter().collect(),
            silences: old.silences.values().cloned().collect(),
            ..Loaded::default()
        };
        let facts = Facts {
            last_id: old.last_id,
            alerts: old.alerts.clone(),
            told: old.told.clone(),
            groups: old.groups.clone(),
            silences: old.silences.clone(),
            queues: old.queues.clone(),
            letters: old.letters.clone(),
            attempts: old.attempts.clone(),
            keys: old.keys.clone(),
            ..Facts::default()
        };
        let (disk, _) = watch::channel(Disk::default());
        (
            Self(Arc::new(Inner { facts: Mutex::new(facts), disk, asked: AtomicUsize::default() })),
            loaded,
        )
    }

    /// Reasons and targets of the dead letters, oldest first.
    pub(crate) fn dead(&self) -> Vec<(String, DeadReason)> {
        self.facts().letters.values().map(|it| (it.target.to_string(), it.reason)).collect()
    }

    pub(crate) fn letters(&self) -> Vec<(DeadLetterId, DeadLetter)> {
        self.facts().letters.iter().map(|(id, letter)| (*id, letter.clone())).collect()
    }

    pub(crate) fn attempts(&self) -> Vec<AttemptRecord> {
        self.facts().attempts.clone()
    }

    /// Records that wait, of all targets.
    pub(crate) fn waiting(&self) -> Vec<Queued> {
        self.facts().queues.values().flat_map(|queue| queue.values().cloned()).collect()
    }

    /// What is queued about an alert goes, as if the queue were full.
    pub(crate) fn gives_way(&self, name: &str) {
        for queue in self.facts().queues.values_mut() {
            queue.retain(|_, queued| queued.notification.alert_name() != name);
        }
    }

    /// Records read from queues.
    pub(crate) fn reads(&self) -> usize {
        self.facts().reads
    }

    pub(crate) fn alerts(&self) -> usize {
        self.facts().alerts.len()
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.facts.lock().unwrap()
    }
}

impl Store for Ledger {
    fn submit(&self, ops: Vec<Op>, _lazy: bool) -> Seq {
        let mut facts = self.facts();
        facts.last += 1;
        let seq = Seq(facts.last);
        let disk = *self.0.disk.borrow();
        if disk.held || disk.failed {
            facts.pending.push((seq, ops));
        } else {
            facts.apply(ops);
            drop(facts);
            self.0.disk.send_modify(|disk| disk.durable = seq);
        }
        seq
    }

    fn durable(&self, seq: Seq) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async move {
            let mut disk = self.0.disk.subscribe();
            let seen = disk.wait_for(|disk| disk.durable >= seq || disk.failed).await.unwrap();
            if seen.durable >= seq { Ok(()) } else { Err(failure()) }
        })
    }

    fn durable_seq(&self) -> Seq {
        self.0.disk.borrow().durable
    }

    fn failed(&self) -> BoxFuture<'_, Failed> {
        Box::pin(async move {
            self.0.disk.subscribe().wait_for(|disk| disk.failed).await.unwrap();
            failure()
        })
    }

    fn room(&self, bytes: usize) -> Result<(), Full> {
        self.0.asked.fetch_max(bytes, Ordering::Relaxed);
        self.0.disk.borrow().full.map_or(Ok(()), Err)
    }

    fn look_again(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn queues(&self) -> Vec<(TargetKey, Arc<str>, QueueSize)> {
        let facts = self.facts();
        let size = |((target, uid), queue): (&(TargetKey, Arc<str>), &BTreeMap<_, Queued>)| {
            let oldest = queue.values().map(|queued| queued.accepted_at).min();
            let size = QueueSize { records: queue.len() as u64, bytes: 0, oldest };
            (!queue.is_empty()).then(|| (target.clone(), uid.clone(), size))
        };
        facts.queues.iter().filter_map(size).collect()
    }

    fn queued(
        &self,
        target: &TargetKey,
        uid: &str,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<Vec<(QueueId, Queued)>, Failed> {
        let mut facts = self.facts();
        let Some(queue) = facts.queues.get(&(target.clone(), uid.into())) else {
            return Ok(Vec::new());
        };
        let later = queue.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        let read: Vec<_> = later.take(limit).map(|(id, queued)| (*id, queued.clone())).collect();
        facts.reads += read.len();
        Ok(read)
    }

    fn claim(&self, target: &TargetKey, uid: &Arc<str>, id: QueueId) -> Result<bool, Failed> {
        let mut facts = self.facts();
        let queue = facts.queues.get(&(target.clone(), uid.clone()));
        let waits = queue.is_some_and(|queue| queue.contains_key(&id));
        if waits {
            facts.claimed.insert(id);
        }
        Ok(waits)
    }

    fn dead_letters(
        &self,
        _filter: &DeadLetterFilter,
    ) -> Result<Page<(DeadLetterId, DeadLetter)>, Failed> {
        Ok(Page { items: self.letters(), next: None })
    }

    fn dead_letters_by_id(
        &self,
        ids: &[DeadLetterId],
    ) -> Result<Vec<(DeadLetterId, DeadLetter)>, Failed> {
        Ok(self.letters().into_iter().filter(|(id, _)| ids.contains(id)).collect())
    }

    fn deliveries(&self, _filter: &DeliveryFilter) -> Result<Page<AttemptRecord>, Failed> {
        Ok(Page { items: self.attempts(), next: None })
    }

    fn idempotent(&self, key: &str) -> Result<Option<IdempotencyRecord>, Failed> {
        Ok(self.facts().keys.get(key).cloned())
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }
}

// === impl Facts ===

impl Facts {
    fn apply(&mut self, ops: Vec<Op>) {
        for op in ops {
            self.apply_one(op);
        }
    }

    fn apply_one(&mut self, op: Op) {
        match op {
            Op::Fact(Fact::Alert(id, record)) => {
                self.alerts.insert(id, record);
            }
            Op::Fact(Fact::Told(id, record)) => {
                self.told.insert(id, record);
            }
            Op::Fact(Fact::Forget(id)) => {
                self.alerts.remove(&id);
                self.told.remove(&id);
            }
            Op::Fact(Fact::Group(id, record)) => {
                self.groups.insert(id, record);
            }
            Op::Fact(Fact::ForgetGroup(id)) => {
                self.groups.remove(&id);
            }
            Op::Fact(Fact::Enqueue(queued)) => {
                self.last_id += 1;
                let id = QueueId(self.last_id);
                let key = (queued.target.clone(), queued.uid.clone());
                self.queues.entry(key).or_default().insert(id, queued);
            }
            Op::Fact(Fact::Silence(silence)) => {
                self.silences.insert(silence.id, silence);
            }
            Op::Fact(Fact::ForgetSilence(id)) => {
                self.silences.remove(&id);
            }
            Op::Dequeue { target, uid, id } => {
                self.claimed.remove(&id);
                if let Some(queue) = self.queues.get_mut(&(target, uid)) {
                    queue.remove(&id);
                }
            }
            Op::DropQueue { target, uid, reason } => {
                let all = self.queues.remove(&(target.clone(), uid.clone())).unwrap_or_default();
                let (sent, queue): (BTreeMap<_, _>, BTreeMap<_, _>) =
                    all.into_iter().partition(|(id, _)| self.claimed.contains(id));
                self.queues.insert((target, uid), sent);
                for (_, queued) in queue {
                    self.bury(DeadLetter {
                        at: queued.accepted_at,
                        target: queued.target,
                        uid: queued.uid,
                        route: None,
                        reason,
                        message: String::new(),
                        status_code: None,
                        attempts: queued.attempts,
                        accepted_at: queued.accepted_at,
                        notification: queued.notification,
                    });
                }
            }
            Op::Attempted { target, uid, id, attempts } => {
                self.claimed.remove(&id);
                let queue = self.queues.get_mut(&(target, uid));
                if let Some(queued) = queue.and_then(|queue| queue.get_mut(&id)) {
                    queued.attempts = attempts;
                }
            }
            Op::DeadLetter(letter) => self.bury(*letter),
            Op::DropDeadLetters(ids) => self.letters.retain(|id, _| !ids.contains(id)),
            Op::Attempt(attempt) => self.attempts.push(*attempt),
            Op::Attempts(attempts) => self.attempts.extend(attempts),
            Op::Key(record) => {
                self.keys.insert(record.key.clone(), *record);
            }
        }
    }

    fn bury(&mut self, letter: DeadLetter) {
        self.last_id += 1;
        self.letters.insert(DeadLetterId(self.last_id), letter);
    }
}
