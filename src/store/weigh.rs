//! How much memory what was handed over takes while it waits. Rough, cheap, never zero.

use super::{AttemptRecord, Op, batch::Task};
use crate::{
    alert::{Alert, Notification},
    dispatch::{AlertRecord, Fact, ToldRecord},
    publish::Silence,
};

/// What an operation takes whatever is in it.
const LEAST: usize = 128;
/// What one of several names takes beside its text.
const NAME: usize = 32;

pub(super) fn weigh(task: &Task) -> usize {
    LEAST
        + match task {
            Task::Op(Op::Fact(Fact::Alert(_, record))) => record_bytes(record),
            Task::Op(Op::Fact(Fact::Told(_, record))) => told_bytes(record),
            Task::Op(Op::Fact(Fact::Silence(silence))) => silence_bytes(silence),
            Task::Op(Op::Fact(Fact::Enqueue(queued))) => notification_bytes(&queued.notification),
            Task::Op(Op::DeadLetter(letter)) => {
                letter.message.len() + notification_bytes(&letter.notification)
            }
            Task::Op(Op::Attempt(attempt)) => attempt_bytes(attempt),
            Task::Op(Op::Attempts(attempts)) => {
                attempts.iter().map(|one| LEAST + attempt_bytes(one)).sum()
            }
            Task::Op(Op::Key(record)) => record.key.len() + record.result.len(),
            Task::Op(Op::DropDeadLetters(ids)) => size_of_val(ids.as_slice()),
            Task::Op(_) | Task::SetAside(_) => 0,
        }
}

fn attempt_bytes(attempt: &AttemptRecord) -> usize {
    let names: usize = attempt.names.iter().map(|name| NAME + name.len()).sum();
    size_of_val(&*attempt.fingerprints) + names
}

fn record_bytes(record: &AlertRecord) -> usize {
    let doubt = record.doubt.as_ref().map_or(0, |(_, alert)| alert_bytes(alert));
    alert_bytes(&record.alert) + doubt
}

fn told_bytes(record: &ToldRecord) -> usize {
    let routes = record.routes.iter();
    routes.map(|route| LEAST + size_of_val(route.entries.as_slice())).sum()
}

fn notification_bytes(notification: &Notification) -> usize {
    let members = notification.members.iter();
    2 * LEAST + notification.group_key.len() + members.map(|m| alert_bytes(&m.alert)).sum::<usize>()
}

fn silence_bytes(silence: &Silence) -> usize {
    let matchers = silence.matchers.iter().map(|one| one.name.len() + one.value.len() + LEAST);
    let annotations = silence.annotations.iter().map(|(name, text)| name.len() + text.len());
    let texts = silence.created_by.len() + silence.comment.len();
    LEAST + texts + matchers.sum::<usize>() + annotations.sum::<usize>()
}

fn alert_bytes(alert: &Alert) -> usize {
    LEAST + alert.labels.size() + alert.annotations.size() + alert.generator_url.len()
}
