//! Whether what came is what was owed.
//!
//! For every receiver and alert: the last that it may have taken is the last that was acknowledged (or nothing, if
//! the receiver heard nothing of an incident that is over); no older state comes after a newer one; one
//! state has one id. The receiver that needs every transition got every acknowledged one.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{
    receivers::{AUDIT, GROUPED, Mention, Notified, Receivers},
    sender::{Sender, Senders},
    silencer::is_silenced,
};

/// Place of a state in the life of its alert.
type State = (Timestamp, bool);

pub(super) fn faults(senders: &Senders, receivers: &Receivers) -> Vec<String> {
    let mut faults = Vec::new();
    for (receiver, all) in receivers.notified() {
        let grouped = GROUPED.contains(&receiver);
        // It hears nothing of transitions under a silence, not even afterwards.
        let told = |sender: &&Sender| receiver != AUDIT || !is_silenced(&sender.name);
        for sender in senders.all.iter().filter(told) {
            let came = mentions(&all, &sender.name, |_| true);
            // What was refused and then silenced, or left out of the next flush, was never told.
            let told = mentions(&all, &sender.name, |one| one.accepted);
            // The end of a problem is owed to whoever may have heard of it.
            let heard = mentions(&all, &sender.name, |one| !one.refused);
            let place = format!("{receiver}, {}", sender.name);
            let last = match () {
                () if grouped => last(sender, &told, |_, _| true),
                () if is_silenced(&sender.name) => last(sender, &told, began),
                () => last(sender, &heard, began),
            };
            faults.extend(last.map(|fault| format!("{place}: {fault}")));
            faults.extend(order(&came).map(|fault| format!("{place}: {fault}")));
            if receiver == AUDIT {
                faults.extend(every(sender, &came).map(|fault| format!("{place}: {fault}")));
            }
        }
        faults.extend(ids(&all).map(|fault| format!("{receiver}: {fault}")));
    }
    faults
}

fn mentions<'a>(
    all: &'a [Notified],
    alert: &str,
    which: impl Fn(&Notified) -> bool,
) -> Vec<&'a Mention> {
    let all = all.iter().filter(|one| which(one)).flat_map(|one| &one.members);
    all.filter(|member| member.alert == alert).collect()
}

fn state(one: &Mention) -> State {
    (one.starts_at, !one.firing)
}

/// A group is not told again that an alert fires, be it another incident.
fn began(last: &Mention, start: Timestamp) -> bool {
    last.starts_at == start
}

/// The last state that came is the one that holds.
fn last(
    sender: &Sender,
    came: &[&Mention],
    began: impl Fn(&Mention, Timestamp) -> bool,
) -> Option<String> {
    let holds = sender.changes.last()?;
    let (start, over) = (holds.starts_at, holds.ends_at.is_some());
    match came.last() {
        Some(last) if last.firing != over && (over || began(last, start)) => None,
        // It never heard of a problem that is over.
        None if over => None,
        Some(last) => Some(format!(
            "it holds that it {} since {start}, but the last that came is {last:?}",
            if over { "is over" } else { "fires" }
        )),
        None => Some(format!("it fires since {start}, but nothing came")),
    }
}

/// Every acknowledged transition came. The end of a problem that nobody took in is none.
fn every(sender: &Sender, came: &[&Mention]) -> Option<String> {
    let known = |at: usize| {
        let is = |at: usize| sender.changes[at].acknowledged;
        is(at) && (sender.changes[at].ends_at.is_none() || is(at - 1))
    };
    let acknowledged = (0..sender.changes.len()).filter(|at| known(*at));
    let mut missing = acknowledged
        .map(|at| &sender.changes[at])
        .map(|change| (change.starts_at, change.ends_at.is_some()))
        .filter(|wanted| came.iter().all(|one| state(one) != *wanted));
    missing.next().map(|(start, over)| format!("acknowledged, never came: {start}, over: {over}"))
}

/// A state that was overtaken does not come again.
fn order(came: &[&Mention]) -> Option<String> {
    let backwards = came.windows(2).find(|pair| state(pair[1]) < state(pair[0]))?;
    Some(format!("{:?} came after {:?}", backwards[1], backwards[0]))
}

/// A state has one id, whatever was sent twice. Once a receiver heard that all is over, what still fires may be
/// told anew.
fn ids(came: &[Notified]) -> Option<String> {
    let mut ids: HashMap<&str, HashMap<&[Mention], &str>> = HashMap::new();
    came.iter().find_map(|one| {
        let group = ids.entry(&one.group).or_default();
        let known = *group.entry(&one.members).or_insert(&one.id);
        if one.members.iter().all(|member| !member.firing) {
            group.clear();
            group.insert(&one.members, &one.id);
        }
        (known != one.id).then(|| format!("{one:?} came before with the id {known}"))
    })
}
