//! What is to be written, and what came to its end: collected until somebody takes it.

use std::sync::Arc;

use super::{
    AlertId, Ended, Fact, Queued, RouteTold, State, Subject, ToldRecord,
    held::Held,
    link::{Link, Member},
    told::Told,
};
use crate::publish::{Silence, SilenceId};

/// Changes since they were last taken.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Alerts and groups of which something is to be written, each once.
    dirty: Vec<Subject>,
    queued: Vec<Queued>,
    /// Silences that were written or are of no further use, in that order.
    silences: Vec<Fact>,
    forgotten: Vec<Subject>,
    pub(super) ended: Vec<Ended>,
}

// === impl Log ===

impl Log {
    /// The alert's own record is to be written.
    pub(super) fn alert(&mut self, id: AlertId, dirty: &mut (bool, bool)) {
        self.note(id.into(), *dirty);
        dirty.0 = true;
    }

    /// What everyone was told about the alert or group is to be written.
    pub(super) fn told(&mut self, subject: Subject, dirty: &mut (bool, bool)) {
        self.note(subject, *dirty);
        dirty.1 = true;
    }

    fn note(&mut self, subject: Subject, dirty: (bool, bool)) {
        if dirty == (false, false) {
            self.dirty.push(subject);
        }
    }

    pub(super) fn enqueue(&mut self, queued: Queued) {
        self.queued.push(queued);
    }

    pub(super) fn silence(&mut self, silence: Arc<Silence>) {
        self.silences.push(Fact::Silence(silence));
    }

    pub(super) fn forget_silence(&mut self, id: SilenceId) {
        self.silences.push(Fact::ForgetSilence(id));
    }

    pub(super) fn forget(&mut self, subject: Subject) {
        self.forgotten.push(subject);
    }
}

// === impl State ===

impl State {
    /// Everything that changed since the last call, to be written in this order and in one commit.
    pub fn take_facts(&mut self) -> Vec<Fact> {
        let log = &mut self.desk.log;
        let mut facts = Vec::with_capacity(log.dirty.len());
        for subject in std::mem::take(&mut log.dirty) {
            if let Some(id) = subject.group()
                && let Some(group) = self.groups.get_mut(&id)
            {
                group.dirty = (false, false);
                group.on_disk = true;
                facts.push(Fact::Group(id, group.record()));
            }
            let Some(id) = subject.alert() else { continue };
            let Some(held) = self.alerts.get_mut(&id) else { continue };
            let (alert, told) = std::mem::take(&mut held.dirty);
            if alert {
                facts.push(Fact::Alert(id, held.record()));
            }
            if told {
                facts.push(Fact::Told(id, record(held)));
            }
            held.on_disk = true;
        }
        facts.extend(log.queued.drain(..).map(Fact::Enqueue));
        let forgotten = log.forgotten.drain(..);
        facts.extend(forgotten.filter_map(|subject| match (subject.alert(), subject.group()) {
            (Some(id), _) => Some(Fact::Forget(id)),
            (None, group) => group.map(Fact::ForgetGroup),
        }));
        facts.append(&mut log.silences);
        facts
    }

    /// What came to its end without being told since the last call, except for what
    /// [`State::settle`] returned.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.desk.log.ended)
    }
}

/// The notification log's record of an alert.
fn record(held: &Held) -> ToldRecord {
    let route = |link: &Link| {
        let looked_for = |member: &Member| link.is_looked_for() && !member.is_fallback();
        let said = |member: &Member, told: &Told| {
            let looked_for = looked_for(member);
            let known = !told.is_unknown() || (!looked_for && told.may_know());
            known && (link.matches || !told.is_blank())
        };
        let entries = link.entries().filter(|(member, told)| said(member, told));
        let entries = entries.map(|(member, told)| {
            let recipient = &member.recipient;
            told.record(recipient.target.clone(), recipient.uid.clone(), looked_for(member))
        });
        RouteTold { route: link.delivery.key.clone(), entries: entries.collect() }
    };
    let routes = held.links.iter().map(route).filter(|route| !route.entries.is_empty()).collect();
    ToldRecord { routes }
}
