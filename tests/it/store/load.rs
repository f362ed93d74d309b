//! Random facts: alerts, what was told, queues, dead letters, history, idempotency keys.

use std::{sync::Arc, time::Duration};

use fanfare::{
    alert::{Alert, Fingerprint, Labels, Member, Notification, NotificationReason, Status},
    api::{MatchType, QueueLimit, RouteKey, TargetKey, WhenFull},
    dispatch::{
        AlertId, AlertRecord, Fact, GroupEntry, GroupId, GroupRecord, Heard, Hearing, Origin,
        Phase, Queued, RouteTold, Said, ToldEntry, ToldRecord,
    },
    publish::{ErrorType, Silence, SilenceId, SilenceMatcher, Source},
    store::{
        AttemptRecord, DeadLetter, DeadReason, IdempotencyRecord, Op, Outcome, Redb, Store as _,
    },
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::model::{Ids, Picture, Queue};

/// Distinct idempotency keys.
pub(super) const KEYS: u32 = 5;
const TARGETS: u32 = 4;

/// Makes operations that fit what the store holds.
pub(super) struct Load {
    pub(super) rng: fastrand::Rng,
    /// What is held once everything submitted is on disk.
    pub(super) ahead: Picture,
    pub(super) ids: Ids,
    now: Timestamp,
    next: u64,
}

pub(super) fn key(number: u32) -> String {
    format!("key {number}")
}

// === impl Load ===

impl Load {
    pub(super) fn new(seed: u64) -> Self {
        // Old enough for the past, young enough for what is kept an hour. A whole second: how long the texts of
        // times are, and with that how full pages are, depends on the seed alone.
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        Self::at(seed, now - SignedDuration::from_mins(30))
    }

    /// Everything it makes depends on the seed and the moment only.
    pub(super) fn at(seed: u64, now: Timestamp) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            ahead: Picture::default(),
            ids: Ids::default(),
            now,
            next: 0,
        }
    }

    /// One submission; `ahead` is the picture after it.
    pub(super) fn ops(&mut self, store: &Redb) -> Vec<Op> {
        let mut all = Vec::new();
        for _ in 0..self.rng.usize(1..=6) {
            self.now += SignedDuration::from_millis(1);
            let ops = match self.rng.u32(0..100) {
                0..30 => self.accept(),
                30..45 => self.tell(),
                45..49 => self.forget(),
                49..52 => self.group(),
                52..70 => vec![self.enqueue()],
                70..82 => self.attend(store),
                82..84 => vec![self.drop_queue()],
                84..88 => vec![self.dead_letter()],
                88..90 => self.drop_dead_letter(store),
                90..94 => vec![self.attempt()],
                94..97 => vec![self.silence()],
                _ => vec![self.publish()],
            };
            self.ahead.apply(&ops, &self.ids);
            all.extend(ops);
        }
        all
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn any_alert(&mut self) -> Option<AlertId> {
        let known: Vec<u64> = self.ahead.alerts.keys().copied().collect();
        self.rng.choice(&known).map(|id| AlertId(*id))
    }

    fn accept(&mut self) -> Vec<Op> {
        let old =
            if self.ahead.alerts.len() > 30 || self.rng.bool() { self.any_alert() } else { None };
        let id = old.unwrap_or_else(|| AlertId(self.fresh()));
        vec![Op::Fact(Fact::Alert(id, self.alert_record(id)))]
    }

    fn tell(&mut self) -> Vec<Op> {
        let Some(id) = self.any_alert() else { return Vec::new() };
        vec![Op::Fact(Fact::Told(id, self.told_record()))]
    }

    fn forget(&mut self) -> Vec<Op> {
        self.any_alert().map(|id| Op::Fact(Fact::Forget(id))).into_iter().collect()
    }

    fn group(&mut self) -> Vec<Op> {
        let known: Vec<u64> = self.ahead.groups.keys().copied().collect();
        let old = self.rng.choice(&known).copied();
        match old.filter(|_| known.len() > 9 || self.rng.bool()) {
            Some(id) if self.rng.bool() => vec![Op::Fact(Fact::ForgetGroup(GroupId(id)))],
            old => {
                let id = GroupId(old.unwrap_or_else(|| self.fresh()));
                vec![Op::Fact(Fact::Group(id, self.group_record()))]
            }
        }
    }

    fn group_record(&mut self) -> GroupRecord {
        let heard = |rng: &mut fastrand::Rng, alert| Heard {
            alert: AlertId(alert),
            version: rng.u32(0..9),
            what: if rng.bool() { Hearing::Firing } else { Hearing::Unsure },
        };
        let rng = &mut self.rng;
        let entry = |rng: &mut fastrand::Rng, number: u32| GroupEntry {
            target: TargetKey::new("ns", &format!("g{number}")),
            uid: "uid".into(),
            heard: (0..rng.u64(0..4)).map(|alert| heard(rng, alert)).collect(),
            at: Timestamp::UNIX_EPOCH,
            count: rng.u32(0..9),
            dead_lettered: rng.bool().then(|| rng.u64(..)),
            resumed_at: None,
        };
        GroupRecord {
            route: RouteKey::new("ns", "grouped"),
            labels: Labels::from_iter([("n", rng.u32(0..9).to_string())]),
            flushed_at: Timestamp::UNIX_EPOCH,
            left_at: Timestamp::UNIX_EPOCH,
            entries: (0..rng.u32(0..3)).map(|number| entry(rng, number)).collect(),
        }
    }

    fn enqueue(&mut self) -> Op {
        Op::Fact(Fact::Enqueue(self.queued()))
    }

    /// A silence, new or changed, or the end of one.
    fn silence(&mut self) -> Op {
        let known: Vec<SilenceId> = self.ahead.silences.keys().copied().collect();
        let known = self.rng.choice(&known).copied().filter(|_| self.rng.bool());
        if let Some(id) = known
            && self.rng.bool()
        {
            return Op::Fact(Fact::ForgetSilence(id));
        }
        let id = known.unwrap_or_else(|| SilenceId(Uuid::from_u128(self.rng.u128(..))));
        let matcher = SilenceMatcher {
            name: "alertname".into(),
            kind: MatchType::Regex,
            value: "x".repeat(self.rng.usize(0..200)).into(),
        };
        Op::Fact(Fact::Silence(Arc::new(Silence {
            id,
            matchers: vec![matcher; self.rng.usize(1..3)],
            starts_at: self.now,
            ends_at: self.now + SignedDuration::from_hours(1),
            updated_at: self.now,
            created_by: "somebody".into(),
            comment: format!("silence {id}").into(),
            annotations: [("why".into(), "because".into())].into(),
        })))
    }

    /// Something a lane does with a record that it has read from disk.
    fn attend(&mut self, store: &Redb) -> Vec<Op> {
        let queue = self.queue();
        let Ok(read) = store.queued(&queue.0, &queue.1, None, 8) else { return Vec::new() };
        for (id, queued) in &read {
            let name = queued.notification.id.to_string();
            self.ids.queued.insert((queue.clone(), *id), name);
        }
        let Some((id, _)) = self.rng.choice(&read) else { return Vec::new() };
        let (target, uid, id) = (queue.0, Arc::from(queue.1), *id);
        if self.rng.bool() {
            vec![Op::Dequeue { target, uid, id }]
        } else {
            vec![Op::Attempted { target, uid, id, attempts: self.rng.u32(0..9) }]
        }
    }

    fn drop_queue(&mut self) -> Op {
        let (target, uid) = self.queue();
        Op::DropQueue { target, uid: uid.into(), reason: self.reason() }
    }

    fn drop_dead_letter(&mut self, store: &Redb) -> Vec<Op> {
        let filter = fanfare::store::DeadLetterFilter { limit: 8, ..Default::default() };
        let Ok(page) = store.dead_letters(&filter) else { return Vec::new() };
        let mut ids = Vec::new();
        for (id, letter) in page.items {
            self.ids.dead.insert(id, letter.notification.id.to_string());
            if self.rng.bool() {
                ids.push(id);
            }
        }
        vec![Op::DropDeadLetters(ids)]
    }

    pub(super) fn dead_letter(&mut self) -> Op {
        let (target, uid) = self.queue();
        let route = self.rng.bool().then(|| self.route());
        Op::DeadLetter(Box::new(DeadLetter {
            at: self.now,
            target,
            uid: uid.into(),
            route,
            reason: self.reason(),
            message: "the target answered 500".to_owned(),
            status_code: Some(500),
            attempts: self.rng.u32(0..20),
            accepted_at: self.now,
            notification: self.notification(),
        }))
    }

    pub(super) fn attempt(&mut self) -> Op {
        let number = self.fresh();
        Op::Attempt(Box::new(AttemptRecord {
            at: self.now,
            fingerprints: (0..=self.rng.u8(0..4)).map(|_| Fingerprint(self.rng.u64(..))).collect(),
            alerts: self.rng.u32(..),
            names: [].into(),
            alert: self.rng.bool().then(|| format!("Alert{}", self.rng.u8(0..5)).into()),
            notification: format!("id{number:05}").into(),
            status: self.status(),
            target: self.queue().0,
            route: self.rng.bool().then(|| self.route()),
            attempt: self.rng.u32(0..20),
            outcome: *self.rng.choice(&Outcome::ALL).unwrap(),
            error_type: self.rng.choice(&ErrorType::ALL).copied().filter(|_| self.rng.bool()),
            status_code: self.rng.bool().then_some(503),
            duration: Duration::from_millis(self.rng.u64(0..30_000)),
        }))
    }

    pub(super) fn publish(&mut self) -> Op {
        let length = self.rng.usize(0..300);
        Op::Key(Box::new(IdempotencyRecord {
            key: key(self.rng.u32(0..KEYS)).into(),
            body: [self.rng.u8(..); 32],
            at: self.now,
            result: std::iter::repeat_with(|| self.rng.u8(..)).take(length).collect(),
        }))
    }

    /// A recreated target has another UID.
    fn queue(&mut self) -> Queue {
        let number = self.rng.u32(0..TARGETS);
        let uid = if self.rng.u8(0..10) == 0 { "an older uid" } else { "uid" };
        (TargetKey::new("prod", &format!("target-{number}")), uid.to_owned())
    }

    fn route(&mut self) -> RouteKey {
        RouteKey::new("prod", &format!("route-{}", self.rng.u32(0..3)))
    }

    fn reason(&mut self) -> DeadReason {
        *self.rng.choice(&DeadReason::ALL).unwrap()
    }

    fn status(&mut self) -> Status {
        if self.rng.bool() { Status::Firing } else { Status::Resolved }
    }

    /// Mostly small; now and then one that takes many pages.
    fn words(&mut self) -> String {
        let length = if self.rng.u8(0..30) == 0 { 9_000 } else { self.rng.usize(0..60) };
        std::iter::repeat_with(|| self.rng.char('ä'..='ž')).take(length).collect()
    }

    fn alert(&mut self, name: &str) -> Arc<Alert> {
        let text = self.words();
        Arc::new(Alert {
            labels: Labels::from_iter([("alertname", name), ("cluster", "a")]),
            annotations: Labels::from_iter([("summary", text.as_str())]),
            starts_at: self.now,
            ends_at: self.now + SignedDuration::from_mins(5),
            timeout: self.rng.bool(),
            generator_url: "http://prometheus.example/graph".into(),
            updated_at: self.now,
        })
    }

    pub(super) fn alert_record(&mut self, id: AlertId) -> AlertRecord {
        let name = format!("alert {:05}", id.0);
        AlertRecord {
            alert: self.alert(&name),
            source: if self.rng.bool() { Source::V2 } else { Source::Webhook },
            phase: *self.rng.choice(&[Phase::Firing, Phase::Resolved, Phase::Stale]).unwrap(),
            incident: self.rng.u32(..),
            incident_start: self.now,
            version: self.rng.u32(..),
            changed_at: self.now,
            ended: self.now,
            last_end: self.rng.bool().then_some(self.now),
            doubt: (self.rng.u8(0..5) == 0).then(|| (self.now, self.alert(&name))),
        }
    }

    fn told_record(&mut self) -> ToldRecord {
        let routes = (0..self.rng.u32(1..=2)).map(|number| RouteTold {
            route: RouteKey::new("prod", &format!("route-{number}")),
            entries: (0..self.rng.u32(1..=TARGETS)).map(|target| self.told_entry(target)).collect(),
        });
        ToldRecord { routes: routes.collect() }
    }

    fn told_entry(&mut self, target: u32) -> ToldEntry {
        let said =
            Said { incident: self.rng.u32(..), status: self.status(), version: self.rng.u32(..) };
        ToldEntry {
            target: TargetKey::new("prod", &format!("target-{target}")),
            uid: "uid".into(),
            last: self.rng.bool().then_some(said),
            at: self.now,
            count: self.rng.u32(..),
            maybe_firing: self.rng.bool(),
            maybe_resolved: self.rng.bool(),
            skipped: self.rng.bool().then(|| self.rng.u32(..)),
            dead_lettered: self.rng.bool().then(|| self.rng.u32(..)),
            resumed_at: self.rng.bool().then_some(self.now),
        }
    }

    pub(super) fn queued(&mut self) -> Queued {
        let (target, uid) = self.queue();
        let origin = match self.rng.u8(0..4) {
            0 => Origin::Every(self.route()),
            1 => Origin::Publish,
            2 => Origin::Replay(None),
            _ => Origin::Replay(Some(self.route())),
        };
        let newest = target.name.ends_with(['0', '1']);
        let when_full =
            if newest { WhenFull::DeadLetterNewest } else { WhenFull::DeadLetterOldest };
        Queued {
            target,
            uid: uid.into(),
            origin,
            notification: self.notification(),
            accepted_at: self.now,
            attempts: self.rng.u32(0..3),
            limit: QueueLimit { max_notifications: 6, when_full },
        }
    }

    fn notification(&mut self) -> Arc<Notification> {
        let number = self.fresh();
        let name = format!("alert {number:05}");
        let members = (0..self.rng.u32(1..=2)).map(|_| {
            let status = self.status();
            Member { alert: self.alert(&name), status }
        });
        Arc::new(Notification {
            members: members.collect(),
            id: format!("n{number}").into(),
            group_key: format!("group of {name}").into(),
            incident_key: "0123456789abcdef".into(),
            receiver: "prod/target".into(),
            status: Status::Firing,
            group_labels: Labels::from_iter([("alertname", name.as_str())]),
            reason: NotificationReason::Repeat,
            external_url: "http://fanfare.example".into(),
            at: self.now,
            fallback: false,
            digest: false,
        })
    }
}
