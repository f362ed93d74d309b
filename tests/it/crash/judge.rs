//! Whether what came is what was owed.
//!
//! For every receiver and alert: the last that came is the last that was acknowledged (or nothing, if the
//! receiver heard nothing of an incident that is over); no older state comes after a newer one; one
//! state has one id. The receiver that needs every transition got every acknowledged one.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{
    receivers::{AUDIT, Notified, Receivers},
    sender::{Sender, Senders},
};

/// Place of a state in the life of its alert.
type State = (Timestamp, bool);

pub(super) fn faults(senders: &Senders, receivers: &Receivers) -> Vec<String> {
    let mut faults = Vec::new();
    for (receiver, all) in receivers.notified() {
        for sender in &senders.all {
            let mine: Vec<&Notified> = all.iter().filter(|one| one.alert == sender.name).collect();
            let place = format!("{receiver}, {}", sender.name);
            faults.extend(last(sender, &mine).map(|fault| format!("{place}: {fault}")));
            faults.extend(order(&mine).map(|fault| format!("{place}: {fault}")));
            if receiver == AUDIT {
                faults.extend(every(sender, &mine).map(|fault| format!("{place}: {fault}")));
            }
            faults.extend(ids(&mine).map(|fault| format!("{place}: {fault}")));
        }
    }
    faults
}

fn state(one: &Notified) -> State {
    (one.starts_at, !one.firing)
}

/// The last state that came is the one that holds.
fn last(sender: &Sender, came: &[&Notified]) -> Option<String> {
    let holds = sender.changes.last()?;
    let (start, over) = (holds.starts_at, holds.ends_at.is_some());
    match came.last() {
        Some(last) if last.firing != over && (over || last.starts_at == start) => None,
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
fn every(sender: &Sender, came: &[&Notified]) -> Option<String> {
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
fn order(came: &[&Notified]) -> Option<String> {
    let backwards = came.windows(2).find(|pair| state(pair[1]) < state(pair[0]))?;
    Some(format!("{:?} came after {:?}", backwards[1], backwards[0]))
}

/// A state has one id, whatever was sent twice.
fn ids(came: &[&Notified]) -> Option<String> {
    let mut ids: HashMap<State, &str> = HashMap::new();
    came.iter().find_map(|one| {
        let known = *ids.entry(state(one)).or_insert(&one.id);
        (known != one.id).then(|| format!("{one:?} came before with the id {known}"))
    })
}
