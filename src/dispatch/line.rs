//! What one target heard of a group, and what it is owed.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    AlertId, GroupEntry, Heard, Hearing,
    hearing::Hearings,
    lane::Place,
    notice::{Content, What},
    told::{Says, Told},
    view::{Shown, View},
};
use crate::alert::{Labels, Status};

/// A target and a group.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) told: Told,
    pub(super) group: GroupTold,
}

/// What [`Told`] can't say of a group.
#[derive(Debug, Default)]
pub(super) struct GroupTold {
    pub(super) heard: Hearings,
    /// What is owed; `None`: nothing.
    pub(super) view: Option<Arc<View>>,
    /// Counts what was owed.
    pub(super) version: u32,
    /// What it is owed is to be decided anew.
    pub(super) behind: bool,
    rare: Option<Box<Rare>>,
}

/// What few targets of few groups have.
#[derive(Debug, Default)]
struct Rare {
    /// The state that an earlier process gave up.
    lettered: Option<u64>,
    /// A fallback's next turn.
    call: Option<Timestamp>,
}

// === impl Line ===

impl Line {
    /// Of a target that joins now.
    pub(super) fn joining(now: Timestamp) -> Self {
        let mut line = Self::default();
        line.told.postpone(now);
        line.group.behind = true;
        line
    }

    /// What the log says. `version`: what the alerts say by now.
    pub(super) fn restore(entry: &GroupEntry, version: impl Fn(AlertId) -> Option<u32>) -> Self {
        let mut heard = Hearings::from(entry.heard.clone());
        heard.revise(|heard| {
            let now = version(heard.alert)?;
            let doubted = heard.what != Hearing::Unsure && heard.version != now;
            Some(if doubted { Heard { what: Hearing::Unsure, ..heard } } else { heard })
        });
        let told = Told::restore_group(entry);
        let lettered = entry.dead_lettered.is_some();
        let rare = Rare { lettered: entry.dead_lettered, call: None };
        let rare = lettered.then(|| Box::new(rare));
        let group = GroupTold { heard, rare, ..GroupTold::default() };
        Self { told, group }
    }

    pub(super) fn content(&self, labels: &Labels) -> Option<Content> {
        let view = self.group.view.clone()?;
        let version = self.group.version;
        Some(Content {
            says: Says { incident: version, status: view.status, version, decided: true },
            changed_at: view.changed_at,
            what: What::Group(view, labels.clone()),
        })
    }

    /// It may believe that the alert fires, or come to believe it.
    pub(super) fn needs(&self, alert: AlertId) -> bool {
        let flies = self.told.place == Place::InFlight;
        let tells = |shown: &Shown| flies || shown.status == Status::Firing;
        let shown = || self.group.view.as_ref()?.find(alert);
        self.group.heard.is_open(alert) || shown().is_some_and(tells)
    }

    /// What it heard, and perhaps hears just now.
    pub(super) fn written(&self) -> Hearings {
        let mut heard = self.group.heard.clone();
        if self.told.place == Place::InFlight
            && let Some(view) = &self.group.view
        {
            heard.doubt(view.shown());
        }
        heard
    }

    pub(super) fn lettered(&self) -> Option<u64> {
        let GroupTold { view, version, rare, .. } = &self.group;
        let given_up = view.as_ref().filter(|_| self.told.is_dead_lettered(*version));
        given_up.map(|view| view.state).or_else(|| rare.as_ref()?.lettered)
    }

    pub(super) fn is_known(&self) -> bool {
        !self.group.heard.is_empty()
            || self.told.count() > 0
            || self.told.resumed_at().is_some()
            || self.told.place == Place::InFlight
            || self.lettered().is_some()
    }
}

// === impl GroupTold ===

impl GroupTold {
    /// Another state is owed, or nothing.
    pub(super) fn owe(&mut self, view: Option<View>, resumed_at: Timestamp, told: &mut Told) {
        self.version = self.version.saturating_add(1);
        let lettered = self.rare.as_mut().and_then(|rare| rare.lettered.take());
        self.view = view.map(|view| {
            if lettered == Some(view.state) {
                told.dead_letter(self.version);
            }
            let changed_at = view.changed_at.max(resumed_at);
            Arc::new(View { changed_at, ..view })
        });
    }

    /// A fallback's next turn.
    pub(super) fn call(&self) -> Option<Timestamp> {
        self.rare.as_ref()?.call
    }

    pub(super) fn call_at(&mut self, at: Option<Timestamp>) {
        if self.call() != at {
            self.rare.get_or_insert_default().call = at;
        }
    }

    /// If something is owed, that is to be decided anew.
    pub(super) fn look_again(&mut self) {
        self.behind |= self.view.is_some();
    }

    /// What was owed is settled.
    pub(super) fn settle(&mut self, told: &mut Told) {
        told.close(self.version);
        self.view = None;
    }
}
