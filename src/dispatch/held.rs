//! One alert as held: its incidents, and what time does to it.

mod past;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use past::{Doubt, Past};

use super::{
    AlertId, AlertRecord, Phase, RouteId, Settings, Slot,
    fallback::{Turn, turn},
    lane::Place,
    link::Link,
    mute::Mutes,
    told::Says,
    view::Shown,
};
use crate::{
    alert::{Alert, Status, later, merge},
    publish::Source,
};

/// How long a slower sender's alert must go on firing to be believed.
const CONFIRM: Duration = Duration::from_mins(2);
/// How long an alert that is over is remembered, to recognise a slower sender. Prometheus repeats a
/// resolve for as long.
const REMEMBER: Duration = Duration::from_mins(15);
/// How long it is remembered whom a stale alert was told to.
const REMEMBER_STALE: Duration = Duration::from_hours(14 * 24);

/// One alert, the newest state of it.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and there are 100,000 of it"
)]
pub(super) struct Held {
    pub(super) alert: Arc<Alert>,
    pub(super) phase: Phase,
    /// When it resolved or went stale.
    pub(super) ended: Timestamp,
    source: Source,
    incident: u32,
    /// When the incident began as first seen; merges don't move it.
    incident_start: Timestamp,
    version: u32,
    pub(super) changed_at: Timestamp,
    past: Option<Box<Past>>,
    /// Some route takes it, suspended ones included.
    pub(super) routed: bool,
    /// An earlier process accepted it, and no plan has been seen since.
    pub(super) restored: bool,
    /// Changes of it whose facts may not be on disk yet.
    pub(super) unconfirmed: u32,
    /// What is to be written: its own record, what everyone was told.
    pub(super) dirty: (bool, bool),
    /// Something is written about it.
    pub(super) on_disk: bool,
    /// It stands among those that may be forgotten early, as having ended when it did.
    pub(super) retired: bool,
    /// Why it is muted, all routes together: as the figures have it.
    pub(super) absent: Mutes,
    /// What it counts for in the memory.
    pub(super) bytes: usize,
    pub(super) links: Vec<Link>,
    /// The earliest deadline in the queue.
    pub(super) queued: Option<Timestamp>,
}

/// Since when nothing could be missed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// The process started.
    pub(super) at: Timestamp,
    /// Nothing expires before: everyone must have had the time to send again.
    pub(super) grace: Timestamp,
}

// === impl Held ===

impl Held {
    pub(super) fn new(alert: Alert, source: Source, now: Timestamp) -> Self {
        let incident_start = alert.starts_at;
        Self::with(AlertRecord {
            alert: Arc::new(alert),
            source,
            phase: Phase::Firing,
            incident: 1,
            incident_start,
            version: 1,
            changed_at: now,
            ended: now,
            last_end: None,
            doubt: None,
        })
    }

    pub(super) fn restore(record: AlertRecord) -> Self {
        Self { restored: true, on_disk: true, ..Self::with(record) }
    }

    fn with(record: AlertRecord) -> Self {
        Self {
            alert: record.alert,
            phase: record.phase,
            ended: record.ended,
            source: record.source,
            incident: record.incident,
            incident_start: record.incident_start,
            version: record.version,
            changed_at: record.changed_at,
            past: Past::restore(record.last_end, record.doubt),
            routed: false,
            restored: false,
            unconfirmed: 0,
            dirty: (false, false),
            on_disk: false,
            retired: false,
            absent: Mutes::default(),
            bytes: 0,
            links: Vec::new(),
            queued: None,
        }
    }

    /// The alert as written to disk.
    pub(super) fn record(&self) -> AlertRecord {
        AlertRecord {
            alert: self.alert.clone(),
            source: self.source,
            phase: self.phase,
            incident: self.incident,
            incident_start: self.incident_start,
            version: self.version,
            changed_at: self.changed_at,
            ended: self.ended,
            last_end: self.last_end(),
            doubt: self.doubt().map(|doubt| (doubt.until, doubt.resolved.clone())),
        }
    }

    /// What targets should know; `None` while stale.
    pub(super) fn says(&self) -> Option<Says> {
        let status = match self.phase {
            Phase::Firing if self.doubt().is_none() => Status::Firing,
            Phase::Firing | Phase::Resolved => Status::Resolved,
            Phase::Stale => return None,
        };
        Some(Says { incident: self.incident, status, version: self.version, decided: false })
    }

    /// What it said when it went stale.
    pub(super) fn before_stale(&self) -> Says {
        Says {
            incident: self.incident,
            status: Status::Firing,
            version: self.version,
            decided: false,
        }
    }

    /// What groups should know: a slower sender is believed at once there. `None` while stale.
    pub(super) fn stands(&self) -> Option<Status> {
        match self.phase {
            Phase::Firing => Some(Status::Firing),
            Phase::Resolved => Some(Status::Resolved),
            Phase::Stale => None,
        }
    }

    /// It as a member of a group.
    pub(super) fn show(&self, id: AlertId, lingers: bool) -> Option<Shown> {
        Some(Shown {
            id,
            alert: self.alert.clone(),
            status: self.stands()?,
            incident: self.incident,
            version: self.version,
            incident_start: self.incident_start,
            changed_at: self.changed_at,
            lingers,
            elsewhere: false,
        })
    }

    pub(super) fn incident(&self) -> u32 {
        self.incident
    }

    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// The alert that goes with [`Held::says`].
    pub(super) fn shown(&self) -> &Arc<Alert> {
        self.doubt().map_or(&self.alert, |doubt| &doubt.resolved)
    }

    pub(super) fn incident_start(&self) -> Timestamp {
        self.incident_start
    }

    /// What must be on disk of it beside its version: changes of texts and times alone are not written.
    pub(super) fn state(&self) -> (Phase, Source, Option<Timestamp>, Option<Timestamp>) {
        (self.phase, self.source, self.last_end(), self.doubt().map(|doubt| doubt.until))
    }

    /// It says something else than before.
    pub(super) fn changed(&mut self, now: Timestamp) {
        self.version = self.version.saturating_add(1);
        self.changed_at = now;
    }

    /// Takes an update in.
    pub(super) fn update(&mut self, new: Alert, source: Source, now: Timestamp) {
        let (starts, ends) = (new.starts_at, new.ends_at);
        let resolved = new.status(now) == Status::Resolved;
        let merged = Arc::new(merge(&self.alert, new, now));
        self.source = source;
        if resolved {
            if self.phase != Phase::Resolved {
                self.end(Phase::Resolved, now);
            }
            let past = self.past.get_or_insert_default();
            past.last_end = past.last_end.max(Some(ends));
        } else if self.phase == Phase::Resolved {
            self.phase = Phase::Firing;
            if self.last_end().is_some_and(|end| starts <= end) {
                let doubt = Doubt { until: later(now, CONFIRM), resolved: self.alert.clone() };
                self.past.get_or_insert_default().doubt = Some(doubt);
            } else if starts > self.alert.ends_at {
                self.incident = self.incident.saturating_add(1);
                self.incident_start = starts;
            }
        } else {
            self.phase = Phase::Firing;
        }
        self.alert = merged;
    }

    /// Lets time pass. Returns whether the alert ended because nobody sent it any more.
    pub(super) fn advance(&mut self, settings: &Settings, start: Start, now: Timestamp) -> bool {
        if self.phase == Phase::Firing {
            let end = self.expiry(settings, start);
            if end <= now {
                let phase = if self.source == Source::V2 { Phase::Resolved } else { Phase::Stale };
                self.end(phase, end);
                return phase == Phase::Resolved;
            }
            if self.doubt().is_some_and(|doubt| doubt.until <= now) {
                self.believe();
            }
        }
        false
    }

    /// When the next thing happens by itself.
    pub(super) fn deadline(&self, settings: &Settings, start: Start) -> Option<Timestamp> {
        let own = match self.phase {
            Phase::Firing => {
                let end = self.expiry(settings, start);
                Some(self.doubt().map_or(end, |doubt| doubt.until.min(end)))
            }
            Phase::Resolved => self.is_settled().then(|| later(self.ended, REMEMBER)),
            Phase::Stale => (!self.in_flight()).then(|| later(self.ended, REMEMBER_STALE)),
        };
        let says = self.says();
        let links = self.links.iter().filter_map(|link| self.link_deadline(link, says?));
        own.into_iter().chain(links).min()
    }

    /// The same where only this slot's entry changed: what the others wait for is in the timetable. It costs
    /// the same however many targets the alert has.
    pub(super) fn deadline_after(
        &self,
        slot: Slot,
        settings: &Settings,
        start: Start,
    ) -> Option<Timestamp> {
        // Elsewhere one entry decides for others: it was the last to be settled, or whose turn it is.
        let alone =
            |link: &&Link| link.route == slot.route && link.delivery.terms.fallback.is_none();
        let link = self.links.iter().find(alone);
        let listed = self.phase == Phase::Firing && self.queued.is_some();
        match (link, self.says()) {
            (Some(link), Some(says)) if listed => {
                let at = link.delivery.find(slot.target)?;
                self.entry_deadline(link, says, at)
            }
            _ => self.deadline(settings, start),
        }
    }

    /// When the first of a link's entries repeats or is given up.
    fn link_deadline(&self, link: &Link, says: Says) -> Option<Timestamp> {
        let entries = 0..link.told.len();
        entries.filter_map(|at| self.entry_deadline(link, says, at)).min()
    }

    /// When an entry of a link repeats or is given up.
    fn entry_deadline(&self, link: &Link, says: Says, at: usize) -> Option<Timestamp> {
        let (member, told) = (&link.delivery.members[at], &link.told[at]);
        let repeat = link.delivery.terms.repeat_interval;
        let muted = link.muted.any() || link.delivery.mutes(member);
        if muted || member.needs_every() || told.place == Place::InFlight {
            return None;
        }
        let begin = match turn((&link.delivery, &link.told, at), Some((says, self.changed_at))) {
            Turn::Now => Timestamp::MIN,
            Turn::At(begin) => begin,
            Turn::Never => return None,
        };
        if told.place == Place::Idle && !told.owes_change(says, link.matches) {
            // What is noticed already comes up again when it is confirmed.
            let counts = link.matches && self.unconfirmed == 0;
            let again = told.repeat_at(says, repeat).filter(|_| counts);
            return again.map(|at| at.max(begin));
        }
        let lettered = says.status == Status::Firing && told.is_dead_lettered(says.version);
        if told.place == Place::Idle && begin > Timestamp::MIN && !lettered {
            return Some(begin);
        }
        let since = told.owed_since(says, self.changed_at, repeat).max(begin);
        (!lettered).then(|| later(since, member.recipient.limits.max_age))
    }

    /// Whether nothing more is to be expected of the alert.
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Firing => false,
            Phase::Resolved => self.is_settled() && later(self.ended, REMEMBER) <= now,
            Phase::Stale => self.may_go_stale() && later(self.ended, REMEMBER_STALE) <= now,
        }
    }

    /// It still stands among those that may be forgotten early as having ended then.
    pub(super) fn is_retired(&self, ended: Timestamp) -> bool {
        self.retired && self.ended == ended
    }

    /// It is over and may be forgotten before its time.
    pub(super) fn may_retire(&self) -> bool {
        match self.phase {
            Phase::Firing => false,
            Phase::Resolved => self.is_settled(),
            Phase::Stale => self.may_go_stale(),
        }
    }

    fn may_go_stale(&self) -> bool {
        !self.in_flight() && self.unconfirmed == 0
    }

    /// Somebody believes that it fires.
    pub(super) fn is_open(&self) -> bool {
        self.links.iter().any(Link::is_open)
    }

    fn in_flight(&self) -> bool {
        self.links.iter().any(Link::in_flight)
    }

    /// Nothing is owed, nothing is under way, and nothing waits for a plan or the disk.
    fn is_settled(&self) -> bool {
        let Some(says) = self.says() else { return false };
        !self.restored
            && self.unconfirmed == 0
            && self
                .links
                .iter()
                .all(|link| link.stays == 0 && link.told.iter().all(|told| told.is_closed(says)))
    }

    pub(super) fn link(&mut self, route: RouteId) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.route == route)
    }

    fn end(&mut self, phase: Phase, now: Timestamp) {
        self.phase = phase;
        self.ended = now;
        self.believe();
    }

    fn last_end(&self) -> Option<Timestamp> {
        self.past.as_ref()?.last_end
    }

    /// When the alert ends if nobody mentions it: for v2 its end, but not before everyone had the
    /// time to send it again after the start; for webhooks when it goes stale.
    fn expiry(&self, settings: &Settings, start: Start) -> Timestamp {
        match self.source {
            Source::V2 => self.alert.ends_at.max(start.grace),
            Source::Webhook => later(self.alert.updated_at.max(start.at), settings.webhook_max_age),
        }
    }
}
