//! The disk of a small world.

use std::{collections::BTreeMap, sync::Arc};

use fanfare::{
    clock::Moment,
    dispatch::{
        AlertId, AlertRecord, Fact, GroupId, GroupRecord, Queued, Restoring, Settings, State,
        ToldRecord,
    },
    publish::{Silence, SilenceId},
};

/// What a store would hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) alerts: BTreeMap<AlertId, AlertRecord>,
    pub(super) told: BTreeMap<AlertId, ToldRecord>,
    pub(super) groups: BTreeMap<GroupId, GroupRecord>,
    pub(super) queue: Vec<Queued>,
    pub(super) silences: BTreeMap<SilenceId, Arc<Silence>>,
    pub(super) writes: usize,
}

// === impl Disk ===

impl Disk {
    pub(super) fn write(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            self.writes += 1;
            match fact {
                Fact::Alert(id, record) => drop(self.alerts.insert(id, record)),
                Fact::Told(id, record) => {
                    assert!(self.alerts.contains_key(&id), "a log entry without its alert");
                    self.told.insert(id, record);
                }
                Fact::Forget(id) => {
                    self.alerts.remove(&id);
                    self.told.remove(&id);
                }
                Fact::Enqueue(queued) => self.queue.push(queued),
                Fact::Group(id, record) => drop(self.groups.insert(id, record)),
                Fact::ForgetGroup(id) => drop(self.groups.remove(&id)),
                Fact::Silence(silence) => drop(self.silences.insert(silence.id, silence)),
                Fact::ForgetSilence(id) => drop(self.silences.remove(&id)),
            }
        }
    }

    pub(super) fn load(&self) -> Vec<(AlertId, AlertRecord, Option<ToldRecord>)> {
        let alerts = self.alerts.iter();
        alerts.map(|(id, record)| (*id, record.clone(), self.told.get(id).cloned())).collect()
    }

    /// What a process that starts makes of it.
    pub(super) fn restore(&self, settings: Settings, now: Moment) -> State {
        let mut restoring = Restoring::new(settings, now);
        for silence in self.silences.values() {
            restoring.silence(silence.clone()).unwrap();
        }
        for (id, record, told) in self.load() {
            restoring.add(id, record, told);
        }
        for (id, group) in &self.groups {
            restoring.add_group(*id, group.clone());
        }
        restoring.finish()
    }
}
