//! One alert as held: its incidents, and what time does to it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{Settings, link::Link, told::Says};
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

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Firing,
    Resolved,
    /// A webhook alert that nobody mentioned for `--webhook-max-age`: neither one nor the other.
    Stale,
}

/// One alert, the newest state of it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) alert: Arc<Alert>,
    pub(super) phase: Phase,
    /// When it resolved or went stale.
    pub(super) ended: Timestamp,
    source: Source,
    incident: u32,
    /// When the incident began as first seen; merges don't move it.
    incident_start: Timestamp,
    /// End of the last resolve that a sender sent.
    last_end: Option<Timestamp>,
    doubt: Option<Doubt>,
    /// Some route takes it, suspended ones included.
    pub(super) routed: bool,
    pub(super) links: Vec<Link>,
    /// The earliest deadline in the queue.
    pub(super) queued: Option<Timestamp>,
}

/// The alert fires again, but with a start before its last end: perhaps a slower sender.
#[derive(Debug)]
struct Doubt {
    until: Timestamp,
    resolved: Arc<Alert>,
}

// === impl Held ===

impl Held {
    pub(super) fn new(alert: Alert, source: Source) -> Self {
        Self {
            phase: Phase::Firing,
            ended: alert.updated_at,
            source,
            incident: 1,
            incident_start: alert.starts_at,
            last_end: None,
            doubt: None,
            routed: false,
            links: Vec::new(),
            queued: None,
            alert: Arc::new(alert),
        }
    }

    /// What targets should know; `None` while stale.
    pub(super) fn says(&self) -> Option<Says> {
        let status = match self.phase {
            Phase::Firing if self.doubt.is_none() => Status::Firing,
            Phase::Firing | Phase::Resolved => Status::Resolved,
            Phase::Stale => return None,
        };
        Some(Says { incident: self.incident, status })
    }

    /// The alert that goes with [`Held::says`].
    pub(super) fn shown(&self) -> &Arc<Alert> {
        self.doubt.as_ref().map_or(&self.alert, |doubt| &doubt.resolved)
    }

    pub(super) fn incident(&self) -> (u32, Timestamp) {
        (self.incident, self.incident_start)
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
            self.last_end = self.last_end.max(Some(ends));
        } else if self.phase == Phase::Resolved {
            self.phase = Phase::Firing;
            if self.last_end.is_some_and(|end| starts <= end) {
                let until = later(now, CONFIRM);
                self.doubt = Some(Doubt { until, resolved: self.alert.clone() });
            } else if starts > self.alert.ends_at {
                self.incident += 1;
                self.incident_start = starts;
            }
        } else {
            self.phase = Phase::Firing;
        }
        self.alert = merged;
    }

    /// Lets time pass. Returns whether the alert ended because nobody sent it any more.
    pub(super) fn advance(
        &mut self,
        settings: &Settings,
        grace: Timestamp,
        now: Timestamp,
    ) -> bool {
        if self.phase == Phase::Firing {
            let end = self.expiry(settings, grace);
            if end <= now {
                let phase = if self.source == Source::V2 { Phase::Resolved } else { Phase::Stale };
                self.end(phase, end);
                return phase == Phase::Resolved;
            }
            if self.doubt.as_ref().is_some_and(|doubt| doubt.until <= now) {
                self.doubt = None;
            }
        }
        false
    }

    /// When the next thing happens by itself.
    pub(super) fn deadline(&self, settings: &Settings, grace: Timestamp) -> Option<Timestamp> {
        let own = match self.phase {
            Phase::Firing => {
                let end = self.expiry(settings, grace);
                Some(self.doubt.as_ref().map_or(end, |doubt| doubt.until.min(end)))
            }
            Phase::Resolved => self.is_settled().then(|| later(self.ended, REMEMBER)),
            Phase::Stale => (!self.in_flight()).then(|| later(self.ended, REMEMBER_STALE)),
        };
        let says = self.says();
        let pauses = self.links.iter().filter_map(|link| link.next_pause(says?));
        own.into_iter().chain(pauses).min()
    }

    /// Whether nothing more is to be expected of the alert.
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Firing => false,
            Phase::Resolved => self.is_settled() && later(self.ended, REMEMBER) <= now,
            Phase::Stale => !self.in_flight() && later(self.ended, REMEMBER_STALE) <= now,
        }
    }

    /// Somebody believes that it fires.
    pub(super) fn is_open(&self) -> bool {
        self.links.iter().any(Link::is_open)
    }

    pub(super) fn in_flight(&self) -> bool {
        self.links.iter().any(Link::in_flight)
    }

    fn is_settled(&self) -> bool {
        self.links.iter().all(Link::is_settled)
    }

    fn end(&mut self, phase: Phase, now: Timestamp) {
        self.phase = phase;
        self.ended = now;
        self.doubt = None;
    }

    /// When the alert ends if nobody mentions it: for v2 its end, but not before everyone had the
    /// time to send it again after the start; for webhooks when it goes stale.
    fn expiry(&self, settings: &Settings, grace: Timestamp) -> Timestamp {
        match self.source {
            Source::V2 => self.alert.ends_at.max(grace),
            Source::Webhook => later(self.alert.updated_at, settings.webhook_max_age),
        }
    }
}
