//! What one commit writes: everything handed over since the last one, each record once.

use std::{collections::BTreeMap, sync::Arc};

use super::{AttemptRecord, DeadLetter, DeadLetterId, DeadReason, IdempotencyRecord, Op, QueueId};
use crate::{
    api::TargetKey,
    dispatch::{AlertId, AlertRecord, Fact, GroupId, GroupRecord, Queued, ToldRecord},
    publish::{Silence, SilenceId},
};

/// One thing for the committer to do.
#[derive(Debug)]
pub(super) enum Task {
    /// From outside.
    Op(Op),
    /// A reader met a record that can't be used.
    SetAside(SetAside),
}

/// A record that can't be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SetAside {
    pub(super) place: Place,
    pub(super) reason: String,
    /// Its bytes, if it was taken out of its place already.
    pub(super) record: Option<Vec<u8>>,
}

/// Where a record stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Name(u32),
    Alert(u64),
    Told(u64),
    Group(u64),
    Silence(SilenceId),
    Size(u32),
    Queue(u32, u64),
    DeadLetter(u64),
    History(u64),
    Key(Arc<str>),
}

/// A change of one target's queue.
#[derive(Debug)]
pub(super) enum QueueTask {
    Add(Queued),
    Remove { target: TargetKey, uid: Arc<str>, id: QueueId },
    Attempted { target: TargetKey, uid: Arc<str>, id: QueueId, attempts: u32 },
    Drop { target: TargetKey, uid: Arc<str>, reason: DeadReason },
    Unusable { key: (u32, u64), reason: String },
}

/// The work of one commit. Within it only the order inside a queue matters.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// `None`: remove it.
    pub(super) alerts: BTreeMap<AlertId, Option<AlertRecord>>,
    /// `None`: remove it.
    pub(super) told: BTreeMap<AlertId, Option<ToldRecord>>,
    /// `None`: remove it.
    pub(super) groups: BTreeMap<GroupId, Option<GroupRecord>>,
    /// `None`: remove it.
    pub(super) silences: BTreeMap<SilenceId, Option<Arc<Silence>>>,
    pub(super) queue: Vec<QueueTask>,
    pub(super) letters: Vec<DeadLetter>,
    pub(super) drop_letters: Vec<DeadLetterId>,
    pub(super) attempts: Vec<AttemptRecord>,
    pub(super) keys: Vec<IdempotencyRecord>,
    pub(super) aside: Vec<SetAside>,
}

// === impl Batch ===

impl Batch {
    /// The last of several records of one id is the one that is written.
    pub(super) fn of(tasks: impl IntoIterator<Item = Task>) -> Self {
        let mut batch = Self::default();
        for task in tasks {
            match task {
                Task::Op(op) => batch.add(op),
                Task::SetAside(SetAside { place: Place::Queue(target, id), reason, .. }) => {
                    batch.queue.push(QueueTask::Unusable { key: (target, id), reason });
                }
                Task::SetAside(aside) => batch.aside.push(aside),
            }
        }
        batch
    }

    fn add(&mut self, op: Op) {
        match op {
            Op::Fact(Fact::Alert(id, record)) => {
                self.alerts.insert(id, Some(record));
            }
            Op::Fact(Fact::Told(id, record)) => {
                self.told.insert(id, Some(record));
            }
            Op::Fact(Fact::Forget(id)) => {
                self.alerts.insert(id, None);
                self.told.insert(id, None);
            }
            Op::Fact(Fact::Group(id, record)) => {
                self.groups.insert(id, Some(record));
            }
            Op::Fact(Fact::ForgetGroup(id)) => {
                self.groups.insert(id, None);
            }
            Op::Fact(Fact::Silence(silence)) => {
                self.silences.insert(silence.id, Some(silence));
            }
            Op::Fact(Fact::ForgetSilence(id)) => {
                self.silences.insert(id, None);
            }
            Op::Fact(Fact::Enqueue(queued)) => self.queue.push(QueueTask::Add(queued)),
            Op::Dequeue { target, uid, id } => {
                self.queue.push(QueueTask::Remove { target, uid, id });
            }
            Op::Attempted { target, uid, id, attempts } => {
                self.queue.push(QueueTask::Attempted { target, uid, id, attempts });
            }
            Op::DropQueue { target, uid, reason } => {
                self.queue.push(QueueTask::Drop { target, uid, reason });
            }
            Op::DeadLetter(letter) => self.letters.push(*letter),
            Op::DropDeadLetters(ids) => self.drop_letters.extend(ids),
            Op::Attempt(attempt) => self.attempts.push(*attempt),
            Op::Attempts(attempts) => self.attempts.extend(attempts),
            Op::Key(record) => self.keys.push(*record),
        }
    }
}

// === impl Place ===

impl Place {
    /// Which table.
    pub(super) const fn table(&self) -> &'static str {
        match self {
            Self::Name(_) => "names",
            Self::Alert(_) => "alerts",
            Self::Told(_) => "told",
            Self::Group(_) => "groups",
            Self::Silence(_) => "silences",
            Self::Size(_) => "queue_sizes",
            Self::Queue(..) => "queue",
            Self::DeadLetter(_) => "dead_letters",
            Self::History(_) => "history",
            Self::Key(_) => "keys",
        }
    }

    /// The key as a checksum covers it.
    pub(super) fn key(&self) -> Vec<u8> {
        match self {
            Self::Name(number) | Self::Size(number) => number.to_be_bytes().to_vec(),
            Self::Alert(id)
            | Self::Told(id)
            | Self::Group(id)
            | Self::DeadLetter(id)
            | Self::History(id) => id.to_be_bytes().to_vec(),
            Self::Silence(id) => id.0.as_bytes().to_vec(),
            Self::Queue(target, id) => super::tables::queue_key((*target, *id)).to_vec(),
            Self::Key(key) => key.as_bytes().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{alert, told};

    #[test]
    fn the_last_record_of_an_alert_wins() {
        let batch = Batch::of(
            [
                Fact::Alert(AlertId(1), alert("a")),
                Fact::Told(AlertId(1), told("a/r", &["a/t"])),
                Fact::Alert(AlertId(1), alert("b")),
                Fact::Told(AlertId(1), told("a/r", &["a/t", "a/u"])),
                Fact::Alert(AlertId(2), alert("c")),
            ]
            .map(|fact| Task::Op(Op::Fact(fact))),
        );
        assert_eq!(batch.alerts[&AlertId(1)], Some(alert("b")));
        assert_eq!(batch.alerts[&AlertId(2)], Some(alert("c")));
        assert_eq!(batch.told.len(), 1);
        assert_eq!(batch.told[&AlertId(1)], Some(told("a/r", &["a/t", "a/u"])));
    }

    #[test]
    fn forgetting_ends_what_came_before_it_only() {
        let batch = Batch::of(
            [
                Fact::Alert(AlertId(1), alert("a")),
                Fact::Forget(AlertId(1)),
                Fact::Forget(AlertId(2)),
                Fact::Alert(AlertId(2), alert("b")),
            ]
            .map(|fact| Task::Op(Op::Fact(fact))),
        );
        assert_eq!(batch.alerts[&AlertId(1)], None);
        assert_eq!(batch.alerts[&AlertId(2)], Some(alert("b")));
        assert_eq!(batch.told[&AlertId(2)], None);
    }
}
