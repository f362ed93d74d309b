//! Values of every record, at random.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use proptest::{collection::vec, option::of, prelude::*};

use crate::{
    alert::{Alert, Fingerprint, Labels, Member, Notification, NotificationReason, Status},
    api::{QueueLimit, RouteKey, TargetKey, WhenFull},
    dispatch::{
        AlertId, AlertRecord, GroupEntry, GroupRecord, Heard, Hearing, Origin, Phase, Queued,
        RouteTold, Said, ToldEntry, ToldRecord,
    },
    publish::{ErrorType, Source},
    store::{AttemptRecord, DeadLetter, DeadReason, Outcome},
};

/// Bytes that nobody wrote.
pub(in crate::store) fn hostile() -> impl Strategy<Value = Vec<u8>> {
    // Small numbers are what counts, codes and flags look like: they get further in.
    vec(prop_oneof![3 => 0..8_u8, 1 => any::<u8>()], 0..200)
}

pub(in crate::store) fn time() -> impl Strategy<Value = Timestamp> {
    (-377_705_000_000_i64..253_402_000_000, 0..1_000_000_000_i32)
        .prop_map(|(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap())
}

pub(in crate::store) fn target() -> impl Strategy<Value = TargetKey> {
    ("[a-c]{1,3}", "[a-c]{1,3}").prop_map(|(namespace, name)| TargetKey::new(&namespace, &name))
}

pub(in crate::store) fn route() -> impl Strategy<Value = RouteKey> {
    ("[a-c]{1,3}", "[a-c]{1,3}").prop_map(|(namespace, name)| RouteKey::new(&namespace, &name))
}

fn labels() -> impl Strategy<Value = Labels> {
    vec((".{1,8}", ".{0,20}"), 0..6).prop_map(Labels::from_iter)
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Firing), Just(Status::Resolved)]
}

pub(in crate::store) fn alert() -> impl Strategy<Value = Alert> {
    (labels(), labels(), time(), time(), any::<bool>(), ".{0,20}", time()).prop_map(
        |(labels, annotations, starts_at, ends_at, timeout, generator_url, updated_at)| Alert {
            labels,
            annotations,
            starts_at,
            ends_at,
            timeout,
            generator_url: generator_url.into(),
            updated_at,
        },
    )
}

pub(in crate::store) fn alert_record() -> impl Strategy<Value = AlertRecord> {
    let source = prop_oneof![Just(Source::V2), Just(Source::Webhook)];
    let phase = prop_oneof![Just(Phase::Firing), Just(Phase::Resolved), Just(Phase::Stale)];
    let times = (time(), time(), time(), of(time()));
    let doubt = of((time(), alert().prop_map(Arc::new)));
    (alert(), source, phase, any::<u32>(), any::<u32>(), times, doubt).prop_map(
        |(alert, source, phase, incident, version, times, doubt)| AlertRecord {
            alert: Arc::new(alert),
            source,
            phase,
            incident,
            incident_start: times.0,
            version,
            changed_at: times.1,
            ended: times.2,
            last_end: times.3,
            doubt,
        },
    )
}

fn told_entry() -> impl Strategy<Value = ToldEntry> {
    let said = (any::<u32>(), status(), any::<u32>())
        .prop_map(|(incident, status, version)| Said { incident, status, version });
    let maybe = (any::<bool>(), any::<bool>());
    let versions = (of(any::<u32>()), of(any::<u32>()));
    (target(), ".{0,8}", of(said), time(), any::<u32>(), maybe, versions, of(time())).prop_map(
        |(target, uid, last, at, count, maybe, versions, resumed_at)| ToldEntry {
            target,
            uid: uid.into(),
            last,
            at,
            count,
            maybe_firing: maybe.0,
            maybe_resolved: maybe.1,
            skipped: versions.0,
            dead_lettered: versions.1,
            resumed_at,
        },
    )
}

pub(in crate::store) fn told() -> impl Strategy<Value = ToldRecord> {
    let routes = (route(), vec(told_entry(), 0..5))
        .prop_map(|(route, entries)| RouteTold { route, entries });
    vec(routes, 0..4).prop_map(|routes| ToldRecord { routes })
}

fn heard() -> impl Strategy<Value = Heard> {
    let what = prop_oneof![
        Just(Hearing::Firing),
        Just(Hearing::Resolved),
        Just(Hearing::Past),
        Just(Hearing::Unsure),
        Just(Hearing::Skipped),
    ];
    (any::<u64>(), any::<u32>(), what).prop_map(|(alert, version, what)| Heard {
        alert: AlertId(alert),
        version,
        what,
    })
}

pub(in crate::store) fn group() -> impl Strategy<Value = GroupRecord> {
    let whom = (target(), ".{0,8}", vec(heard(), 0..5));
    let entry = (whom, time(), any::<u32>(), of(any::<u64>()), of(time())).prop_map(
        |((target, uid, heard), at, count, dead_lettered, resumed_at)| GroupEntry {
            target,
            uid: uid.into(),
            heard: heard.into(),
            at,
            count,
            dead_lettered,
            resumed_at,
        },
    );
    (route(), labels(), time(), time(), vec(entry, 0..4)).prop_map(
        |(route, labels, flushed_at, left_at, entries)| GroupRecord {
            route,
            labels,
            flushed_at,
            left_at,
            entries,
        },
    )
}

pub(in crate::store) fn notification() -> impl Strategy<Value = Notification> {
    let texts = (".{1,32}", ".{0,32}", ".{0,64}", ".{0,20}", ".{0,20}");
    let members = vec((alert().prop_map(Arc::new), status()), 1..4);
    let reason = prop_oneof![
        Just(NotificationReason::First),
        Just(NotificationReason::NewAlerts),
        Just(NotificationReason::SomeResolved),
        Just(NotificationReason::AllResolved),
        Just(NotificationReason::Repeat),
    ];
    let marks = (any::<bool>(), any::<bool>());
    (texts, status(), members, labels(), reason, time(), marks).prop_map(
        |(texts, status, members, group_labels, reason, at, (fallback, digest))| Notification {
            id: texts.0.into(),
            group_key: texts.1.into(),
            incident_key: texts.2.into(),
            receiver: texts.3.into(),
            status,
            members: members.into_iter().map(|(alert, status)| Member { alert, status }).collect(),
            group_labels,
            reason,
            external_url: texts.4.into(),
            at,
            fallback,
            digest,
        },
    )
}

pub(in crate::store) fn queued() -> impl Strategy<Value = Queued> {
    let origin = prop_oneof![
        route().prop_map(Origin::Every),
        Just(Origin::Publish),
        of(route()).prop_map(Origin::Replay),
    ];
    let when_full = prop_oneof![Just(WhenFull::DeadLetterOldest), Just(WhenFull::DeadLetterNewest)];
    let limit = (any::<u32>(), when_full)
        .prop_map(|(max_notifications, when_full)| QueueLimit { max_notifications, when_full });
    (target(), ".{0,8}", origin, notification(), time(), any::<u32>(), limit).prop_map(
        |(target, uid, origin, notification, accepted_at, attempts, limit)| Queued {
            target,
            uid: uid.into(),
            origin,
            notification: Arc::new(notification),
            accepted_at,
            attempts,
            limit,
        },
    )
}

pub(in crate::store) fn dead_letter() -> impl Strategy<Value = DeadLetter> {
    let times = (time(), time());
    let reason = (0..DeadReason::ALL.len()).prop_map(|at| DeadReason::ALL[at]);
    let texts = (".{0,8}", ".{0,40}");
    (times, target(), texts, of(route()), reason, of(any::<u16>()), any::<u32>(), notification())
        .prop_map(|(times, target, texts, route, reason, status_code, attempts, notification)| {
            DeadLetter {
                at: times.0,
                target,
                uid: texts.0.into(),
                route,
                reason,
                message: texts.1,
                status_code,
                attempts,
                accepted_at: times.1,
                notification: Arc::new(notification),
            }
        })
}

pub(in crate::store) fn attempt() -> impl Strategy<Value = AttemptRecord> {
    let outcome = (0..Outcome::ALL.len()).prop_map(|at| Outcome::ALL[at]);
    let error_type = of((0..ErrorType::ALL.len()).prop_map(|at| ErrorType::ALL[at]));
    let what = (status(), any::<u32>(), outcome, error_type, of(any::<u16>()));
    let fingerprints = prop::collection::vec(any::<u64>(), 1..4);
    let names = prop::collection::vec("[A-D]{1,2}", 0..4);
    let alert = (fingerprints, any::<u32>(), of("[A-C]{1,2}"), names);
    (time(), alert, "[0-9a-f]{32}", target(), of(route()), what, any::<u32>()).prop_map(
        |(at, alert, notification, target, route, what, millis)| AttemptRecord {
            at,
            fingerprints: alert.0.into_iter().map(Fingerprint).collect(),
            alerts: alert.1,
            alert: alert.2.map(Arc::from),
            names: alert.3.into_iter().map(Arc::from).collect(),
            notification: notification.into(),
            status: what.0,
            target,
            route,
            attempt: what.1,
            outcome: what.2,
            error_type: what.3,
            status_code: what.4,
            duration: Duration::from_millis(millis.into()),
        },
    )
}
