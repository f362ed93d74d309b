//! What one target heard of the members of a group, and what follows from it: Alertmanager's rules, with
//! the differences that keep anything from being lost.

use std::sync::Arc;

use super::{AlertId, Heard, Hearing, view::Shown};
use crate::alert::{NotificationReason as Reason, Status};

/// What a target heard, sorted by alert. Targets that heard the same may share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Hearings(Option<Arc<[Heard]>>);

/// What a target's recipient wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants {
    pub(super) send_resolved: bool,
    /// `repeatInterval` passed since it was told.
    pub(super) repeat: bool,
}

// === impl Hearings ===

impl Hearings {
    fn all(&self) -> &[Heard] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(super) fn of(&self, alert: AlertId) -> Option<Heard> {
        let all = self.all();
        all.binary_search_by_key(&alert, |heard| heard.alert).ok().map(|at| all[at])
    }

    pub(super) fn what(&self, alert: AlertId) -> Option<Hearing> {
        self.of(alert).map(|heard| heard.what)
    }

    /// The target may believe that the alert fires.
    pub(super) fn is_open(&self, alert: AlertId) -> bool {
        matches!(self.what(alert), Some(Hearing::Firing | Hearing::Unsure))
    }

    /// Every alert that the target may believe to fire.
    pub(super) fn open(&self) -> impl Iterator<Item = AlertId> {
        let open = |heard: &&Heard| matches!(heard.what, Hearing::Firing | Hearing::Unsure);
        self.all().iter().filter(open).map(|heard| heard.alert)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.all().len()
    }

    pub(super) fn record(&self) -> Arc<[Heard]> {
        self.0.clone().unwrap_or_default()
    }

    /// Why the target must be told of these members; `None`: it need not.
    pub(super) fn owed<'a>(
        &self,
        view: impl Iterator<Item = &'a Shown>,
        wants: Wants,
    ) -> Option<Reason> {
        let (mut fires, mut lingers, mut new, mut open, mut ended) =
            (false, false, false, false, false);
        for shown in view {
            let what = self.what(shown.id);
            match shown.status {
                Status::Firing if shown.lingers => lingers = true,
                Status::Firing => {
                    fires = true;
                    new |= !matches!(what, Some(Hearing::Firing | Hearing::Skipped));
                }
                Status::Resolved => {
                    open |= matches!(what, Some(Hearing::Firing | Hearing::Unsure));
                    ended |= what != Some(Hearing::Resolved);
                }
            }
        }
        if new {
            let told = self.all().iter().any(|heard| heard.what == Hearing::Firing);
            Some(if told { Reason::NewAlerts } else { Reason::First })
        } else if !fires && !lingers {
            open.then_some(Reason::AllResolved)
        } else if wants.send_resolved && if fires { ended } else { open } {
            Some(Reason::SomeResolved)
        } else {
            (fires && wants.repeat).then_some(Reason::Repeat)
        }
    }

    // --- what happens to them

    /// A notification of these members was delivered. `closed`: it said that nothing fires any more. What is
    /// absent is kept: it may fire on, and then whoever was told that all is over must hear of it.
    pub(super) fn deliver<'a>(&mut self, view: impl Iterator<Item = &'a Shown>, closed: bool) {
        let told = |shown: &Shown| match shown.status {
            Status::Firing => Hearing::Firing,
            Status::Resolved => Hearing::Resolved,
        };
        let absent = |what: Hearing| match what {
            Hearing::Firing if closed => Hearing::Unsure,
            Hearing::Resolved => Hearing::Past,
            what => what,
        };
        self.merge(view, |_, shown| Some(told(shown)), absent);
    }

    /// A notification of these members may have arrived.
    pub(super) fn doubt<'a>(&mut self, view: impl Iterator<Item = &'a Shown>) {
        self.merge(view, doubted, |what| what);
    }

    /// These members were left out on purpose.
    pub(super) fn skip<'a>(&mut self, view: impl Iterator<Item = &'a Shown>) {
        let skipped = |what: Option<Hearing>, shown: &Shown| match (shown.status, what) {
            (_, Some(Hearing::Firing | Hearing::Unsure)) => what,
            (Status::Firing, _) => Some(Hearing::Skipped),
            (Status::Resolved, _) => Some(Hearing::Resolved),
        };
        self.merge(view, skipped, |what| what);
    }

    /// An attempt on these members begins. Returns whether the log must name it first, because a later start
    /// would believe what the log says, or does not say, of some of them: what was left out until now, what
    /// this version was heard to be before, what was told in another group.
    pub(super) fn begin<'a>(&mut self, view: impl Iterator<Item = &'a Shown> + Clone) -> bool {
        let (mut believed, mut skipped) = (false, false);
        for shown in view.clone() {
            let Some(heard) = self.of(shown.id) else {
                believed |= shown.elsewhere && shown.status == Status::Firing;
                continue;
            };
            let changes = doubted(Some(heard.what), shown) != Some(heard.what);
            believed |= changes && heard.version == shown.version;
            skipped |= changes && heard.what == Hearing::Skipped;
        }
        if skipped {
            let heard = |what: Option<Hearing>, shown: &Shown| match (shown.status, what) {
                (Status::Firing, Some(Hearing::Skipped)) => None,
                (_, what) => what,
            };
            self.merge(view, heard, |what| what);
        }
        believed || skipped
    }

    /// That these members ended need not be told any more. Returns whether that changes anything.
    pub(super) fn give_up<'a>(&mut self, view: impl Iterator<Item = &'a Shown> + Clone) -> bool {
        let ended = |shown: &&Shown| shown.status == Status::Resolved && self.is_open(shown.id);
        if !view.clone().any(|shown| ended(&shown)) {
            return false;
        }
        let past = |what: Option<Hearing>, shown: &Shown| match (shown.status, what) {
            (Status::Resolved, Some(Hearing::Firing | Hearing::Unsure)) => Some(Hearing::Past),
            (_, what) => what,
        };
        self.merge(view, past, |what| what);
        true
    }

    /// Whoever is not listed may have been told of these alerts; sorted.
    pub(super) fn suspect(&mut self, alerts: &[AlertId]) {
        let unsure = |alert: &AlertId| Heard { alert: *alert, version: 0, what: Hearing::Unsure };
        let unsure: Vec<Heard> = alerts.iter().map(unsure).collect();
        self.learn(&unsure);
    }

    /// Takes over what it is told of alerts that are not listed.
    pub(super) fn learn(&mut self, more: &[Heard]) {
        let unlisted = more.iter().filter(|heard| self.of(heard.alert).is_none());
        let all = self.all().iter().chain(unlisted).copied().collect();
        self.set(all);
    }

    /// Notes that it heard something of one alert.
    pub(super) fn note(&mut self, heard: Heard) {
        let others = self.all().iter().filter(|other| other.alert != heard.alert).copied();
        let all = others.chain([heard]).collect();
        self.set(all);
    }

    /// Keeps what `keep` says, changed or not.
    pub(super) fn revise(&mut self, mut keep: impl FnMut(Heard) -> Option<Heard>) {
        if self.all().iter().all(|heard| keep(*heard) == Some(*heard)) {
            return;
        }
        let all = self.all().iter().filter_map(|heard| keep(*heard)).collect();
        self.set(all);
    }

    fn merge<'a>(
        &mut self,
        view: impl Iterator<Item = &'a Shown>,
        shown: impl Fn(Option<Hearing>, &Shown) -> Option<Hearing>,
        absent: impl Fn(Hearing) -> Hearing,
    ) {
        let mut mentioned: Vec<(AlertId, Option<Heard>)> = view
            .map(|member| {
                let before = self.of(member.id);
                let what = shown(before.map(|heard| heard.what), member);
                let same = before.filter(|heard| what == Some(heard.what) && !is_told(heard.what));
                let new =
                    what.map(|what| Heard { alert: member.id, version: member.version, what });
                (member.id, same.or(new))
            })
            .collect();
        mentioned.sort_unstable_by_key(|(id, _)| *id);
        let is_absent =
            |heard: &&Heard| mentioned.binary_search_by_key(&heard.alert, |(id, _)| *id).is_err();
        let absent: Vec<Heard> = self
            .all()
            .iter()
            .filter(is_absent)
            .map(|heard| Heard { what: absent(heard.what), ..*heard })
            .collect();
        let all = mentioned.into_iter().filter_map(|(_, heard)| heard).chain(absent).collect();
        self.set(all);
    }

    fn set(&mut self, mut all: Vec<Heard>) {
        all.sort_unstable_by_key(|heard| heard.alert);
        self.0 = (!all.is_empty()).then(|| all.into());
    }
}

impl From<Arc<[Heard]>> for Hearings {
    fn from(heard: Arc<[Heard]>) -> Self {
        let mut hearings = Self::default();
        let mut all = heard.to_vec();
        all.sort_unstable_by_key(|heard| heard.alert);
        all.dedup_by_key(|heard| heard.alert);
        hearings.set(all);
        hearings
    }
}

/// What a target may believe that had heard `what`, after a notification that perhaps arrived.
fn doubted(what: Option<Hearing>, shown: &Shown) -> Option<Hearing> {
    match (shown.status, what) {
        (Status::Firing, Some(Hearing::Firing)) => what,
        (Status::Firing, _) | (Status::Resolved, Some(Hearing::Firing)) => Some(Hearing::Unsure),
        (Status::Resolved, what) => what,
    }
}

/// The version that goes with it is that of the notification.
fn is_told(what: Hearing) -> bool {
    matches!(what, Hearing::Firing | Hearing::Resolved)
}
