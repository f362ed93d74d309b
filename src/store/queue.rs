//! The queues on disk: what waits for which target, in order, and how much it is.

mod reading;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use redb::{ReadableTable as _, Table, WriteTransaction};

use self::reading::{all, read};
pub(super) use self::reading::{next_id, numbers, queued, recount, waits};

use super::{
    DeadLetter, DeadReason, QueueSize,
    batch::{Place, QueueTask, SetAside},
    claims::Claims,
    envelope::{self, Kind, Unusable},
    fault::{During as _, Fault},
    names::Names,
    records::{Name, peek_accepted, set_attempts, write_queued, write_size},
    tables::{Operations, QUEUE, SIZES, of_queue, queue_key},
};
use crate::{
    api::{TargetKey, WhenFull},
    dispatch::{Origin, Queued},
};

type QueueTable<'txn> = Table<'txn, (u32, u64), &'static [u8]>;

/// How much waits, and where the numbers stand.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// By number of the target; only targets for which something waits.
    pub(super) sizes: HashMap<u32, QueueSize>,
    /// Next id.
    pub(super) next: u64,
    /// What is being sent.
    pub(super) claims: Arc<Claims>,
}

/// What comes out of changing the queues.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Went to the dead letters.
    pub(super) letters: Vec<DeadLetter>,
    /// Can't be used.
    pub(super) aside: Vec<SetAside>,
    /// Targets whose size is another one now.
    pub(super) touched: BTreeSet<u32>,
}

/// Changing the queues within one commit.
struct Change<'a, 'txn> {
    queues: &'a mut Queues,
    table: QueueTable<'txn>,
    operations: &'a mut Operations,
    moved: Moved,
    /// Targets whose oldest record is another one now.
    fronts: BTreeSet<u32>,
    now: Timestamp,
}

// === impl Queues ===

impl Queues {
    /// Applies `tasks` in order. `names` has the number of every target that a record is added for.
    pub(super) fn apply(
        &mut self,
        txn: &WriteTransaction,
        tasks: Vec<QueueTask>,
        (names, now): (&Names, Timestamp),
        operations: &mut Operations,
    ) -> Result<Moved, Fault> {
        if tasks.is_empty() {
            return Ok(Moved::default());
        }
        let table = txn.open_table(QUEUE).during("open the queues")?;
        let (moved, fronts) = (Moved::default(), BTreeSet::new());
        let mut change = Change { queues: self, table, operations, moved, fronts, now };
        for task in tasks {
            change.apply(task, names)?;
        }
        change.finish(txn)
    }

    /// Writes the row of one target.
    pub(super) fn write_size(
        &self,
        sizes: &mut Table<'_, u32, &'static [u8]>,
        number: u32,
        operations: &mut Operations,
    ) -> Result<(), Fault> {
        if let Some(size) = self.sizes.get(&number) {
            let mut row = envelope::begin(Kind::QueueSize);
            write_size(&mut row, size);
            let row = envelope::seal(&number.to_be_bytes(), row);
            operations.put(sizes, number, &row)?;
        } else {
            operations.remove(sizes, number)?;
        }
        Ok(())
    }

    /// A record of so many bytes is gone.
    pub(super) fn less(&mut self, number: u32, bytes: u64) {
        if let Some(size) = self.sizes.get_mut(&number) {
            size.records = size.records.saturating_sub(1);
            size.bytes = size.bytes.saturating_sub(bytes);
            if size.records == 0 {
                self.sizes.remove(&number);
            }
        }
    }
}

// === impl Change ===

impl Change<'_, '_> {
    fn apply(&mut self, task: QueueTask, names: &Names) -> Result<(), Fault> {
        let number = |target: &TargetKey, uid: &Arc<str>| {
            names.number(&Name::Target(target.clone(), uid.clone()))
        };
        match task {
            QueueTask::Add(queued) => match number(&queued.target, &queued.uid) {
                Some(number) => self.add(number, queued),
                None => Err(Fault::damaged("queue a notification", "its target has no number")),
            },
            QueueTask::Remove { target, uid, id } => {
                if let Some(number) = number(&target, &uid) {
                    self.remove(number, id.0)?;
                }
                Ok(())
            }
            QueueTask::Attempted { target, uid, id, attempts } => match number(&target, &uid) {
                Some(number) => self.attempted((number, id.0), attempts),
                None => Ok(()),
            },
            QueueTask::Drop { target, uid, reason } => match number(&target, &uid) {
                Some(number) => self.drop_all(number, (&target, &uid), reason),
                None => Ok(()),
            },
            QueueTask::Unusable { key, reason } => self.set_aside(key, reason),
        }
    }

    fn add(&mut self, number: u32, queued: Queued) -> Result<(), Fault> {
        let limit = queued.limit;
        let most = u64::from(limit.max_notifications);
        let reason = DeadReason::QueueFull;
        while self.records(number) >= most.max(1) && limit.when_full == WhenFull::DeadLetterOldest {
            // Beyond its limit, if all of it is being sent: never by more than one.
            let Some(id) = self.gives_way(number)? else { return self.put(number, &queued) };
            self.dead_letter((number, id), (&queued.target, &queued.uid), reason)?;
        }
        if self.records(number) >= most.max(1) {
            self.moved.letters.push(dead_letter(queued, reason, self.now));
            return Ok(());
        }
        self.put(number, &queued)
    }

    fn put(&mut self, number: u32, queued: &Queued) -> Result<(), Fault> {
        let id = self.queues.next;
        self.queues.next += 1;
        let mut record = envelope::begin(Kind::Queued);
        write_queued(&mut record, queued);
        let record = envelope::seal(&queue_key((number, id)), record);
        self.operations.put(&mut self.table, (number, id), &record)?;
        let size = self.queues.sizes.entry(number).or_default();
        size.records += 1;
        size.bytes += record.len() as u64;
        size.oldest.get_or_insert(queued.accepted_at);
        self.moved.touched.insert(number);
        Ok(())
    }

    fn records(&self, number: u32) -> u64 {
        self.queues.sizes.get(&number).map_or(0, |size| size.records)
    }

    fn remove(&mut self, number: u32, id: u64) -> Result<Option<Vec<u8>>, Fault> {
        let record = self.operations.remove(&mut self.table, (number, id))?;
        self.queues.claims.forget((number, id));
        if let Some(record) = &record {
            self.queues.less(number, record.len() as u64);
            self.moved.touched.insert(number);
            self.fronts.insert(number);
        }
        Ok(record)
    }

    fn attempted(&mut self, key: (u32, u64), attempts: u32) -> Result<(), Fault> {
        self.queues.claims.release(key);
        let Some(found) = self.find(key)? else { return Ok(()) };
        match with_attempts(key, &found, attempts) {
            Ok(record) => self.operations.put(&mut self.table, key, &record).map(drop),
            Err(error) => self.set_aside(key, error.to_string()),
        }
    }

    fn find(&self, key: (u32, u64)) -> Result<Option<Vec<u8>>, Fault> {
        let found = self.table.get(key).during("read a queued record")?;
        Ok(found.map(|found| found.value().to_vec()))
    }

    fn set_aside(&mut self, key: (u32, u64), reason: String) -> Result<(), Fault> {
        if let Some(record) = self.remove(key.0, key.1)? {
            let place = Place::Queue(key.0, key.1);
            self.moved.aside.push(SetAside { place, reason, record: Some(record) });
        }
        Ok(())
    }

    fn drop_all(
        &mut self,
        number: u32,
        owner: (&TargetKey, &Arc<str>),
        reason: DeadReason,
    ) -> Result<(), Fault> {
        // What is being sent is left to those who send it: it may be told after all.
        while let Some(id) = self.gives_way(number)? {
            self.dead_letter((number, id), owner, reason)?;
        }
        Ok(())
    }

    /// Moves a record to the dead letters.
    fn dead_letter(
        &mut self,
        key: (u32, u64),
        (target, uid): (&TargetKey, &Arc<str>),
        reason: DeadReason,
    ) -> Result<(), Fault> {
        // Whoever gives way was met in the table: it would be met again and again.
        let lost = || Fault::damaged("take from a queue", "a record is met but can't be found");
        let record = self.remove(key.0, key.1)?.ok_or_else(lost)?;
        match read(key, &record, target, uid) {
            Ok(queued) => self.moved.letters.push(dead_letter(queued, reason, self.now)),
            Err(error) => {
                let (place, reason) = (Place::Queue(key.0, key.1), error.to_string());
                self.moved.aside.push(SetAside { place, reason, record: Some(record) });
            }
        }
        Ok(())
    }

    /// The oldest record that is not being sent.
    fn gives_way(&self, number: u32) -> Result<Option<u64>, Fault> {
        const STEP: &str = "look for the oldest of a queue";
        for entry in self.table.range(all(number)).during(STEP)? {
            let id = of_queue(STEP, number, entry.during(STEP)?.0.value())?;
            if self.queues.claims.evict((number, id)) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    fn finish(mut self, txn: &WriteTransaction) -> Result<Moved, Fault> {
        for number in std::mem::take(&mut self.fronts) {
            let oldest = self.oldest(number)?;
            if let Some(size) = self.queues.sizes.get_mut(&number) {
                size.oldest = oldest.or(size.oldest);
            }
        }
        let mut sizes = txn.open_table(SIZES).during("open the sizes of the queues")?;
        for number in &self.moved.touched {
            self.queues.write_size(&mut sizes, *number, self.operations)?;
        }
        Ok(self.moved)
    }

    fn oldest(&self, number: u32) -> Result<Option<Timestamp>, Fault> {
        let mut range = self.table.range(all(number)).during("read a queue")?;
        let Some((key, value)) = range.next().transpose().during("read a queue")? else {
            return Ok(None);
        };
        let body = envelope::open(&queue_key(key.value()), Kind::Queued, value.value());
        Ok(body.ok().and_then(|body| peek_accepted(body).ok()))
    }
}

fn with_attempts(key: (u32, u64), record: &[u8], attempts: u32) -> Result<Vec<u8>, Unusable> {
    let body = envelope::open(&queue_key(key), Kind::Queued, record)?;
    let mut changed = envelope::begin(Kind::Queued);
    let start = changed.0.len();
    changed.0.extend_from_slice(body);
    set_attempts(&mut changed.0[start..], attempts)?;
    Ok(envelope::seal(&queue_key(key), changed))
}

fn dead_letter(queued: Queued, reason: DeadReason, now: Timestamp) -> DeadLetter {
    DeadLetter {
        at: now,
        target: queued.target,
        uid: queued.uid,
        route: match queued.origin {
            Origin::Every(route) => Some(route),
            Origin::Replay(route) => route,
            Origin::Publish => None,
        },
        reason,
        message: match reason {
            DeadReason::QueueFull => format!(
                "{} notifications wait for the target already (flow.queue.maxNotifications)",
                queued.limit.max_notifications
            ),
            reason => format!("given up while it waited: {}", reason.as_str().replace('_', " ")),
        },
        status_code: None,
        attempts: queued.attempts,
        accepted_at: queued.accepted_at,
        notification: queued.notification,
    }
}
