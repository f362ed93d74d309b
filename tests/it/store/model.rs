//! What a store should hold: the plain model, and the same picture drawn from a real one.

use std::collections::BTreeMap;

use fanfare::{
    alert::Notification,
    api::{RouteKey, TargetKey, WhenFull},
    dispatch::{Fact, Origin, Queued},
    publish::SilenceId,
    store::{
        AttemptRecord, DeadLetter, DeadLetterFilter, DeadLetterId, DeadReason, DeliveryFilter,
        Failed, Loaded, Op, QueueId, Redb, Store as _,
    },
};

/// One target of one incarnation.
pub(super) type Queue = (TargetKey, String);

/// Everything a store holds, as text that can be compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Picture {
    /// Each alert and what was told about it.
    pub(super) alerts: BTreeMap<u64, (String, Option<String>)>,
    /// What was told about each group.
    pub(super) groups: BTreeMap<u64, String>,
    pub(super) silences: BTreeMap<SilenceId, String>,
    /// What waits, in order.
    pub(super) queues: BTreeMap<Queue, Vec<Waiting>>,
    /// By the id of the notification: those of one commit stand in no order.
    pub(super) dead: BTreeMap<String, Given>,
    /// The oldest first.
    pub(super) attempts: Vec<String>,
    pub(super) keys: BTreeMap<String, String>,
}

/// A record that waits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting {
    /// Id of its notification: no two records have the same.
    pub(super) name: String,
    pub(super) attempts: u32,
    route: Option<RouteKey>,
    text: String,
    notification: String,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    text: String,
    notification: String,
}

/// What reading a real store has shown about its ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    pub(super) queued: BTreeMap<(Queue, QueueId), String>,
    pub(super) dead: BTreeMap<DeadLetterId, String>,
}

// === impl Picture ===

impl Picture {
    /// The picture after `ops`.
    pub(super) fn apply(&mut self, ops: &[Op], ids: &Ids) {
        for op in ops {
            self.apply_one(op, ids);
        }
    }

    fn apply_one(&mut self, op: &Op, ids: &Ids) {
        match op {
            Op::Fact(Fact::Alert(id, record)) => {
                let (alert, _) = self.alerts.entry(id.0).or_default();
                *alert = format!("{record:?}");
            }
            Op::Fact(Fact::Told(id, record)) => {
                let (_, told) = self.alerts.entry(id.0).or_default();
                *told = Some(format!("{record:?}"));
            }
            Op::Fact(Fact::Forget(id)) => {
                self.alerts.remove(&id.0);
            }
            Op::Fact(Fact::Group(id, record)) => {
                self.groups.insert(id.0, format!("{record:?}"));
            }
            Op::Fact(Fact::ForgetGroup(id)) => {
                self.groups.remove(&id.0);
            }
            Op::Fact(Fact::Silence(silence)) => {
                self.silences.insert(silence.id, format!("{silence:?}"));
            }
            Op::Fact(Fact::ForgetSilence(id)) => {
                self.silences.remove(id);
            }
            Op::Fact(Fact::Enqueue(queued)) => self.enqueue(queued),
            Op::Dequeue { target, uid, id } => {
                let queue = (target.clone(), uid.to_string());
                if let Some(name) = ids.queued.get(&(queue.clone(), *id)) {
                    self.queue(&queue).retain(|waiting| waiting.name != *name);
                }
            }
            Op::Attempted { target, uid, id, attempts } => {
                let queue = (target.clone(), uid.to_string());
                let name = ids.queued.get(&(queue.clone(), *id));
                for waiting in self.queue(&queue) {
                    if Some(&waiting.name) == name {
                        waiting.attempts = *attempts;
                    }
                }
            }
            Op::DropQueue { target, uid, reason } => {
                let queue = (target.clone(), uid.to_string());
                for waiting in self.queues.remove(&queue).unwrap_or_default() {
                    let name = waiting.name.clone();
                    self.dead.insert(name, given_up(&queue, waiting, *reason));
                }
            }
            Op::DeadLetter(letter) => {
                self.dead.insert(letter.notification.id.to_string(), given(letter));
            }
            Op::DropDeadLetters(dropped) => {
                for name in dropped.iter().filter_map(|id| ids.dead.get(id)) {
                    self.dead.remove(name);
                }
            }
            Op::Attempt(record) => self.attempts.push(attempt(record)),
            Op::Attempts(records) => self.attempts.extend(records.iter().map(attempt)),
            Op::Key(record) => {
                self.keys.insert(record.key.to_string(), format!("{record:?}"));
            }
        }
        self.queues.retain(|_, waiting| !waiting.is_empty());
    }

    fn enqueue(&mut self, queued: &Queued) {
        let queue = (queued.target.clone(), queued.uid.to_string());
        let waiting = self.queue(&queue);
        waiting.push(self::waiting(queued));
        if waiting.len() > queued.limit.max_notifications as usize {
            let out = match queued.limit.when_full {
                WhenFull::DeadLetterOldest => 0,
                WhenFull::DeadLetterNewest => waiting.len() - 1,
            };
            let out = waiting.remove(out);
            let name = out.name.clone();
            self.dead.insert(name, given_up(&queue, out, DeadReason::QueueFull));
        }
    }

    fn queue(&mut self, queue: &Queue) -> &mut Vec<Waiting> {
        self.queues.entry(queue.clone()).or_default()
    }

    /// The picture of a real store, and the ids it uses. Its own figures must agree with it.
    pub(super) fn of(store: &Redb, loaded: &Loaded) -> Result<(Self, Ids), Failed> {
        let (picture, ids) = Self::read(store, loaded)?;
        for (target, uid, size) in store.queues() {
            let queue = (target, uid.to_string());
            let records = read_queue(store, &queue)?;
            assert_eq!(size.records, records.len() as u64, "size of the queue of {queue:?}");
            let oldest = records.iter().map(|(_, queued)| queued.accepted_at).min();
            assert_eq!(size.oldest, oldest, "oldest in the queue of {queue:?}");
            assert!((size.bytes > 0) == (size.records > 0), "bytes of the queue of {queue:?}");
        }
        let stats = store.stats();
        let queued: usize = picture.queues.values().map(Vec::len).sum();
        let shown = (stats.alerts, stats.queued, stats.dead_letters);
        let counted = (picture.alerts.len(), queued, picture.dead.len());
        assert_eq!(shown, (counted.0 as u64, counted.1 as u64, counted.2 as u64), "figures");
        Ok((picture, ids))
    }

    /// The picture of a real store that may be damaged, and the ids it uses.
    pub(super) fn read(store: &Redb, loaded: &Loaded) -> Result<(Self, Ids), Failed> {
        let mut ids = Ids::default();
        let mut picture = Self::default();
        for restored in &loaded.alerts {
            let told = restored.told.as_ref().map(|told| format!("{told:?}"));
            let before =
                picture.alerts.insert(restored.id.0, (format!("{:?}", restored.alert), told));
            assert!(before.is_none(), "alert {:?} was loaded twice", restored.id);
        }
        for (id, group) in &loaded.groups {
            let before = picture.groups.insert(id.0, format!("{group:?}"));
            assert!(before.is_none(), "group {id:?} was loaded twice");
        }
        for silence in &loaded.silences {
            let before = picture.silences.insert(silence.id, format!("{silence:?}"));
            assert!(before.is_none(), "silence {} was loaded twice", silence.id);
        }
        for (target, uid, _) in store.queues() {
            let queue = (target, uid.to_string());
            let records = read_queue(store, &queue)?;
            let list: Vec<Waiting> = records.iter().map(|(_, queued)| waiting(queued)).collect();
            for (id, queued) in &records {
                let name = queued.notification.id.to_string();
                ids.queued.insert((queue.clone(), *id), name);
            }
            if !list.is_empty() {
                picture.queues.insert(queue, list);
            }
        }
        for (id, letter) in read_dead_letters(store)? {
            let name = letter.notification.id.to_string();
            ids.dead.insert(id, name.clone());
            picture.dead.insert(name, given(&letter));
        }
        picture.attempts = read_attempts(store)?.iter().map(attempt).collect();
        for number in 0..super::load::KEYS {
            let key = super::load::key(number);
            if let Some(record) = store.idempotent(&key)? {
                picture.keys.insert(key, format!("{record:?}"));
            }
        }
        Ok((picture, ids))
    }

    /// Whether everything in it is in `whole` too, and in the same order: nothing is wrong, though
    /// something may be missing.
    pub(super) fn is_part_of(&self, whole: &Self) -> bool {
        let alerts = self.alerts.iter().all(|(id, (alert, told))| {
            let found = whole.alerts.get(id);
            found.is_some_and(|(known, said)| known == alert && (told.is_none() || told == said))
        });
        let groups = self.groups.iter().all(|(id, group)| whole.groups.get(id) == Some(group));
        let queues = self.queues.iter().all(|(queue, waiting)| {
            whole.queues.get(queue).is_some_and(|known| in_order(waiting, known))
        });
        let known = |(id, silence)| whole.silences.get(id) == Some(silence);
        let silences = self.silences.iter().all(known);
        let keys = self.keys.iter().all(|(key, record)| whole.keys.get(key) == Some(record));
        let dead = self.dead.iter().all(|(name, letter)| whole.dead.get(name) == Some(letter));
        alerts
            && groups
            && silences
            && queues
            && keys
            && dead
            && in_order(&self.attempts, &whole.attempts)
    }

    /// How many things are held.
    pub(super) fn len(&self) -> usize {
        let queued: usize = self.queues.values().map(Vec::len).sum();
        let facts = self.alerts.len() + self.groups.len() + self.silences.len();
        facts + queued + self.dead.len() + self.attempts.len() + self.keys.len()
    }

    /// The first difference, in words.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let parts = [
            (format!("{:#?}", self.alerts), format!("{:#?}", other.alerts)),
            (format!("{:#?}", self.groups), format!("{:#?}", other.groups)),
            (format!("{:#?}", self.silences), format!("{:#?}", other.silences)),
            (format!("{:#?}", self.queues), format!("{:#?}", other.queues)),
            (format!("{:#?}", self.dead), format!("{:#?}", other.dead)),
            (format!("{:#?}", self.attempts), format!("{:#?}", other.attempts)),
            (format!("{:#?}", self.keys), format!("{:#?}", other.keys)),
        ];
        parts.iter().find_map(|(mine, theirs)| {
            let mut pairs = mine.lines().zip(theirs.lines());
            let place = pairs.position(|(mine, theirs)| mine != theirs);
            let place = place.or_else(|| (mine.len() != theirs.len()).then_some(0))?;
            let from = |text: &str| {
                text.lines().skip(place.saturating_sub(8)).take(24).collect::<Vec<_>>().join("\n")
            };
            Some(format!("expected:\n{}\nfound:\n{}", from(mine), from(theirs)))
        })
    }
}

/// Everything that waits for one target, page by page.
pub(super) fn read_queue(
    store: &Redb,
    (target, uid): &Queue,
) -> Result<Vec<(QueueId, Queued)>, Failed> {
    let mut all: Vec<(QueueId, Queued)> = Vec::new();
    loop {
        let after = all.last().map(|(id, _)| *id);
        let page = store.queued(target, uid, after, 7)?;
        assert!(page.iter().all(|(id, _)| after.is_none_or(|after| *id > after)), "ids grow");
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// All dead letters, the oldest first.
pub(super) fn read_dead_letters(store: &Redb) -> Result<Vec<(DeadLetterId, DeadLetter)>, Failed> {
    let mut filter = DeadLetterFilter { limit: 9, ..DeadLetterFilter::default() };
    let mut all = Vec::new();
    loop {
        let page = store.dead_letters(&filter)?;
        all.extend(page.items);
        filter.before = page.next.map(DeadLetterId);
        if filter.before.is_none() {
            all.reverse();
            return Ok(all);
        }
    }
}

/// All attempts, the oldest first.
pub(super) fn read_attempts(store: &Redb) -> Result<Vec<AttemptRecord>, Failed> {
    let mut filter = DeliveryFilter { limit: 9, ..DeliveryFilter::default() };
    let mut all = Vec::new();
    loop {
        let page = store.deliveries(&filter)?;
        all.extend(page.items);
        filter.before = page.next;
        if filter.before.is_none() {
            all.reverse();
            return Ok(all);
        }
    }
}

fn in_order<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|one| rest.any(|other| other == one))
}

fn text(notification: &Notification) -> String {
    format!("{notification:?}")
}

fn waiting(queued: &Queued) -> Waiting {
    let Queued { origin, notification, accepted_at, attempts, limit, .. } = queued;
    let route = match origin {
        Origin::Every(route) => Some(route.clone()),
        Origin::Replay(route) => route.clone(),
        Origin::Publish => None,
    };
    Waiting {
        name: notification.id.to_string(),
        attempts: *attempts,
        route,
        text: format!("{accepted_at} {origin:?} {limit:?}"),
        notification: text(notification),
    }
}

fn given_up((target, uid): &Queue, waiting: Waiting, reason: DeadReason) -> Given {
    let Waiting { attempts, route, text, notification, .. } = waiting;
    let accepted_at = text.split(' ').next().unwrap_or_default();
    let text = format!("{target} {uid} {route:?} {reason:?} {attempts} {accepted_at}");
    Given { text, notification }
}

/// Without the moment, the message and the status code: a store that gives up a queue words them.
fn given(letter: &DeadLetter) -> Given {
    let DeadLetter { target, uid, route, reason, attempts, accepted_at, .. } = letter;
    Given {
        text: format!("{target} {uid} {route:?} {reason:?} {attempts} {accepted_at}"),
        notification: text(&letter.notification),
    }
}

fn attempt(record: &AttemptRecord) -> String {
    format!("{record:?}")
}
