//! What is written to disk about alerts and about what everyone was told.

use std::sync::Arc;

use jiff::Timestamp;

use super::{AlertId, GroupId};
use crate::{
    alert::{Alert, Labels, Notification, Status},
    api::{QueueLimit, RouteKey, TargetKey},
    publish::{Silence, SilenceId, Source},
};

/// One change of the facts. They are written in the order in which they are handed out; those that
/// are handed out together become durable together.
#[derive(Clone, Debug)]
pub enum Fact {
    /// The present state of an alert; replaces what was written under this id.
    Alert(AlertId, AlertRecord),
    /// What everyone was told about an alert; replaces what was written under this id.
    Told(AlertId, ToldRecord),
    /// The alert and what was told about it are of no further use.
    Forget(AlertId),
    /// A transition for a target that needs every one.
    Enqueue(Queued),
    /// What everyone was told about a group; replaces what was written under this id.
    Group(GroupId, GroupRecord),
    /// What was told about a group is of no further use.
    ForgetGroup(GroupId),
    /// The present state of a silence; replaces what was written under its id.
    Silence(Arc<Silence>),
    /// The silence is of no further use.
    ForgetSilence(SilenceId),
}

/// One alert as held: its incidents, and since when it says what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRecord {
    /// The newest state.
    pub alert: Arc<Alert>,
    /// Which wire form the newest update came in.
    pub source: Source,
    /// Where it stands.
    pub phase: Phase,
    /// Which incident of these labels it is, from 1.
    pub incident: u32,
    /// When the incident began as first seen.
    pub incident_start: Timestamp,
    /// How often what it says has changed: firing to resolved, resolved to firing.
    pub version: u32,
    /// When the newest of these changes was accepted: what `maxAge` counts from.
    pub changed_at: Timestamp,
    /// When it resolved or went stale.
    pub ended: Timestamp,
    /// End of the last resolve that a sender sent.
    pub last_end: Option<Timestamp>,
    /// It fires again, but with a start before its last end (perhaps a slower sender): until when this
    /// is doubted, and the resolved alert that holds meanwhile.
    pub doubt: Option<(Timestamp, Arc<Alert>)>,
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The problem is there.
    Firing,
    /// It is over.
    Resolved,
    /// A webhook alert that nobody mentioned for `--webhook-max-age`: neither one nor the other.
    Stale,
}

/// The notification log's record of one group: an alert on each route that told somebody of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToldRecord {
    /// By route. Routes whose targets were told nothing are left out.
    pub routes: Vec<RouteTold>,
}

/// What the targets of one route were told.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteTold {
    /// The route.
    pub route: RouteKey,
    /// By target. Targets about which nothing is known are left out.
    pub entries: Vec<ToldEntry>,
}

/// What one target was told.
#[derive(Clone, Debug, PartialEq)]
pub struct ToldEntry {
    /// The target.
    pub target: TargetKey,
    /// UID of the target: a recreated target starts with nothing told.
    pub uid: Arc<str>,
    /// What the last delivered notification said.
    pub last: Option<Said>,
    /// When it was last told or skipped: what repeats count from. The epoch if it never was.
    pub at: Timestamp,
    /// Notifications told.
    pub count: u32,
    /// A firing notification may have arrived since.
    pub maybe_firing: bool,
    /// A resolving one may have.
    pub maybe_resolved: bool,
    /// The version that is settled without having been told: left out on purpose (Skip), an end of
    /// something that the target surely heard nothing of, or an end that was given up.
    pub skipped: Option<u32>,
    /// The version that has gone to the dead letters already.
    pub dead_lettered: Option<u32>,
    /// `maxAge` counts from here if it is later than the change: since then the target is on the route, or
    /// no longer suspended, or was last known to be out of bounds.
    pub resumed_at: Option<Timestamp>,
}

/// What a delivered notification said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Which incident.
    pub incident: u32,
    /// Whether it fires.
    pub status: Status,
    /// The alert's version at that time.
    pub version: u32,
}

/// The notification log's record of a group of a grouped route.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRecord {
    /// The route.
    pub route: RouteKey,
    /// The labels that make the group.
    pub labels: Labels,
    /// When it was last flushed: the next flush comes an interval later. The epoch if it never was.
    pub flushed_at: Timestamp,
    /// Members that had ended by then were told of to everyone who had to hear it, and left.
    pub left_at: Timestamp,
    /// By target. Targets about which nothing is known are left out.
    pub entries: Vec<GroupEntry>,
}

/// What one target was told about a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupEntry {
    /// The target.
    pub target: TargetKey,
    /// UID of the target: a recreated target starts with nothing told.
    pub uid: Arc<str>,
    /// What it heard of which member, sorted by alert.
    pub heard: Arc<[Heard]>,
    /// When it was last told or skipped: what repeats count from. The epoch if it never was.
    pub at: Timestamp,
    /// Notifications told.
    pub count: u32,
    /// The state that has gone to the dead letters already.
    pub dead_lettered: Option<u64>,
    /// `maxAge` counts from here if it is later than the change.
    pub resumed_at: Option<Timestamp>,
}

/// What a target heard of a member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The member.
    pub alert: AlertId,
    /// Its version then.
    pub version: u32,
    /// What it heard.
    pub what: Hearing,
}

/// What a target heard of a member of a group last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// It fires.
    Firing,
    /// It is over.
    Resolved,
    /// It is over, and later notifications did not mention it any more.
    Past,
    /// Perhaps that it fires, perhaps that it is over: both are told.
    Unsure,
    /// Nothing: that it fires was left out on purpose.
    Skipped,
}

/// One notification that waits on disk for one target, in the order of its arrival.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The target.
    pub target: TargetKey,
    /// Its UID: what waits for another object of the same name is not for this one.
    pub uid: Arc<str>,
    /// Where it comes from.
    pub origin: Origin,
    /// What to send; sent as it is, whatever happened since.
    pub notification: Arc<Notification>,
    /// When it was accepted: what `maxAge` counts from.
    pub accepted_at: Timestamp,
    /// Attempts that failed in a retryable way.
    pub attempts: u32,
    /// How much may wait for the target, and what happens beyond.
    pub limit: QueueLimit,
}

/// Why a notification waits on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The target needs every transition (`delivery.semantics: Every`) of this route's alerts.
    Every(RouteKey),
    /// A publish with `retry: true`.
    Publish,
    /// A dead letter that was replayed; the route it came from, if it was a routed alert.
    Replay(Option<RouteKey>),
}
