use std::sync::Arc;

use super::super::{
    Admission, Changes, CircuitSample, Depth, Metrics, Monitor, Sample, SampleFailure,
    SampleSource,
    fixture::{TargetBuilder, ill, now, rejected, target, well},
};
use super::*;

fn status(target: Target) -> PublishTargetStatus {
    project_target(&TargetEntry::Accepted(Arc::new(target)), None, now())
}

fn line(status: &PublishTargetStatus, type_: ConditionType) -> (ConditionStatus, &str, &str) {
    let one = find(&status.conditions, type_).unwrap();
    assert_eq!(one.observed_generation, status.observed_generation);
    (one.status, &one.reason, &one.message)
}

fn fed(samples: impl IntoIterator<Item = Sample>) -> TargetBuilder {
    target("sre/chat").with(|target| {
        for sample in samples {
            target.live.observe(&sample, &target.health, now());
        }
    })
}

/// A failure as the client reports it: with the host in its text.
fn failed(reason: Reason, http_status: Option<u16>) -> Sample {
    let failure = SampleFailure {
        reason,
        depth: Depth::Connect,
        local: false,
        http_status,
        message: format!("hooks.slack.com: {reason}"),
    };
    let latency = Duration::from_millis(20);
    Sample { verdict: Err(failure), latency, source: SampleSource::Delivery }
}

fn later(seconds: u64) -> Moment {
    let (Moment { mono, wall }, time) = (now(), Duration::from_secs(seconds));
    Moment { mono: mono + time, wall: wall + time }
}

fn slow() -> Sample {
    Sample { latency: Duration::from_secs(6), ..well(Depth::Answer) }
}

#[test]
fn a_healthy_target() {
    let status = status(target("sre/chat").healthy().build());
    let expected = [
        (ConditionType::Ready, "Registered", "registered at generation 1"),
        (ConditionType::Healthy, "Reachable", "hooks.slack.com: answered in 182 ms"),
        (ConditionType::Delivering, "NothingHeld", "nothing holds deliveries back"),
    ];
    assert_eq!(status.conditions.len(), 3);
    for (type_, reason, message) in expected {
        assert_eq!(line(&status, type_), (ConditionStatus::True, reason, message));
    }
    assert_eq!(status.endpoint.as_deref(), Some("hooks.slack.com"));
    assert_eq!(status.last_error, None);
    let health = status.health.unwrap();
    assert_eq!(health.state, HealthState::Healthy);
    assert_eq!(health.since.as_deref(), Some("1970-01-01T00:16:40Z"));
    assert_eq!(health.latency, Some(api::Duration(Duration::from_millis(182))));
    assert_eq!(health.consecutive_failures, None);
}

#[test]
fn every_success_has_its_reason() {
    let delivered = Sample { source: SampleSource::Delivery, ..well(Depth::Credential) };
    let cases = [
        (well(Depth::Connect), "Reachable"),
        (well(Depth::Answer), "Reachable"),
        (well(Depth::Credential), "ProbeSucceeded"),
        (delivered, "DeliverySucceeded"),
        (slow(), "Slow"),
    ];
    for (sample, reason) in cases {
        let status = status(fed([sample]).build());
        let (is, because, _) = line(&status, ConditionType::Healthy);
        assert_eq!((is, because), (ConditionStatus::True, reason));
    }
    let spelled_out = fed([well(Depth::Answer)]).with(|target| {
        let check = serde_json::from_value(serde_json::json!({"type": "HTTP"})).unwrap();
        Arc::make_mut(&mut target.spec).health_check = Some(check);
    });
    let status = status(spelled_out.build());
    assert_eq!(line(&status, ConditionType::Healthy).1, "ProbeSucceeded");
    assert_eq!(status.health.unwrap().reason.as_deref(), Some("ProbeSucceeded"));
}

#[test]
fn every_failure_says_what_where_and_how_to_mend_it() {
    let cases = [
        (Reason::AuthenticationFailed, "Rotate Secret sre/chat key \"url\""),
        (Reason::Timeout, "NetworkPolicy"),
        (Reason::ConnectFailed, "listens"),
        (Reason::DNSFailed, "DNS"),
        (Reason::TLSFailed, "spec.connection.tls"),
        (Reason::ServerError, "log"),
        (Reason::ClientError, "spec.healthCheck"),
        (Reason::UnexpectedAnswer, "address"),
        (Reason::AddressBlocked, "--allow-cidr"),
        (Reason::Redirect, "final address"),
        (Reason::Gone, "new address"),
    ];
    for (reason, advice) in cases {
        let target = fed([failed(reason, Some(418)), failed(reason, Some(418))]);
        let target = target.with(|target| {
            let spec = Arc::make_mut(&mut target.spec);
            spec.slack.as_mut().unwrap().webhook_url_secret_ref.name = "chat".into();
            target.live.observe(&failed(reason, Some(418)), &target.health, now());
        });
        let status = status(target.build());
        let (is, because, message) = line(&status, ConditionType::Healthy);
        assert_eq!((is, because), (ConditionStatus::False, reason.as_str()));
        assert!(message.starts_with("hooks.slack.com: "), "{message}");
        assert!(message.contains(advice), "{message}");
        assert!(message.contains("3 failures in a row"), "{message}");
        assert!(message.chars().count() <= 1_024);
        let error = status.last_error.unwrap();
        assert_eq!((&*error.reason, error.http_status), (reason.as_str(), Some(418)));
        assert_eq!(status.health.unwrap().consecutive_failures, Some(3));
    }
}

#[test]
fn unknown_says_why() {
    let pending = target("sre/chat").build();
    let never = target("sre/chat").with(|target| target.probe = None).build();
    let suspended = target("sre/chat").healthy().suspended().build();
    let frozen = target("sre/chat").build();
    frozen.live.hold(now());
    let cases = [
        (pending, "ProbePending", "not finished"),
        (never, "ProbeDisabled", "first delivery"),
        (suspended, "Suspended", "spec.suspend"),
        (frozen, "LocalNetworkFault", "operator's own network"),
    ];
    for (target, reason, part) in cases {
        let status = status(target);
        let (is, because, message) = line(&status, ConditionType::Healthy);
        assert_eq!((is, because), (ConditionStatus::Unknown, reason));
        assert!(message.contains(part), "{message}");
        assert_eq!(status.health.unwrap().state, HealthState::Unknown);
    }
}

#[test]
fn every_rejection_is_shown_in_every_condition() {
    let reasons = [
        (Reason::SecretNotFound, false),
        (Reason::SecretKeyMissing, false),
        (Reason::SecretForbidden, false),
        (Reason::ConfigMapNotFound, false),
        (Reason::ConfigMapKeyMissing, false),
        (Reason::ConfigMapForbidden, false),
        (Reason::InvalidSpec, true),
        (Reason::InvalidCredentials, true),
        (Reason::AddressBlocked, true),
    ];
    for (reason, permanent) in reasons {
        let object = RejectedTarget { permanent, ..rejected("sre/chat", reason) };
        let status = project_target(&TargetEntry::Rejected(object.into()), None, now());
        let word = reason.as_str();
        let ready = line(&status, ConditionType::Ready);
        assert_eq!(ready, (ConditionStatus::False, word, &*format!("it is {reason}")));
        let healthy = line(&status, ConditionType::Healthy);
        assert_eq!((healthy.0, healthy.1), (ConditionStatus::Unknown, word));
        let delivering = line(&status, ConditionType::Delivering);
        assert_eq!((delivering.0, delivering.1), (ConditionStatus::False, word));
        let stalled = find(&status.conditions, ConditionType::Stalled);
        assert_eq!(stalled.map(|one| one.status), permanent.then_some(ConditionStatus::True));
        assert_eq!((&status.endpoint, &status.health), (&None, &None));
    }
}

#[test]
fn unreadable_namespaces_are_not_ready() {
    let target = target("sre/chat").healthy().build();
    target.live.set_namespaces_unreadable(true);
    let status = status(target);
    let (is, reason, message) = line(&status, ConditionType::Ready);
    assert_eq!((is, reason), (ConditionStatus::False, "NamespaceSelectorForbidden"));
    assert!(message.contains("get, list, watch"), "{message}");
    assert_eq!(line(&status, ConditionType::Healthy).0, ConditionStatus::True);
}

#[test]
fn delivering_says_what_holds_it_back() {
    let status_of = status(target("sre/chat").suspended().build());
    let (is, reason, message) = line(&status_of, ConditionType::Delivering);
    assert_eq!((is, reason), (ConditionStatus::False, "Suspended"));
    assert!(message.contains("kubectl -n sre patch ptgt chat"), "{message}");
    assert_eq!(line(&status_of, ConditionType::Ready).0, ConditionStatus::True);

    let monitor = Monitor::new(Arc::new(Changes::default()), Metrics::default());
    let paused = target("sre/chat").healthy().build();
    monitor.pause(&paused, Duration::from_secs(30), now());
    let entry = TargetEntry::Accepted(paused.into());
    let status = project_target(&entry, None, now());
    let (is, reason, _) = line(&status, ConditionType::Delivering);
    assert_eq!((is, reason), (ConditionStatus::False, "RateLimited"));
    let later = later(31);
    let status = project_target(&entry, Some(&status), later);
    assert_eq!(line(&status, ConditionType::Delivering).1, "NothingHeld");
}

#[test]
fn an_open_circuit_says_since_when_why_until_when_and_what_to_do() {
    let status = status(target("sre/chat").healthy().ejected().build());
    assert_eq!(
        line(&status, ConditionType::Delivering),
        (
            ConditionStatus::False,
            "CircuitOpen",
            "nothing has been sent since 1970-01-01T00:16:40Z: 5 failures in a row, the last one: \
             hooks.slack.com: ServerError. Everything is kept; one delivery is tried about 30s \
             later, then after pauses that double up to 5m, or once a check shows that it is back. \
             Look at the receiver's own log"
        )
    );
    let circuit = status.circuit.unwrap();
    assert_eq!(circuit.state, CircuitState::Open);
    assert_eq!(circuit.since.as_deref(), Some("1970-01-01T00:16:40Z"));
}

#[test]
fn suspension_beats_an_open_circuit_and_that_beats_a_pause() {
    let monitor = Monitor::new(Arc::default(), Metrics::default());
    let paused = target("sre/chat").ejected().build();
    monitor.pause(&paused, Duration::from_secs(30), now());
    assert_eq!(line(&status(paused), ConditionType::Delivering).1, "CircuitOpen");
    let suspended = status(target("sre/chat").ejected().suspended().build());
    assert_eq!(line(&suspended, ConditionType::Delivering).1, "Suspended");
    assert_eq!(suspended.circuit.unwrap().state, CircuitState::Open);
}

#[test]
fn failed_trials_write_nothing_and_the_end_does() {
    let monitor = Monitor::new(Arc::default(), Metrics::default());
    let target = Arc::new(target("sre/chat").ejected().build());
    let entry = TargetEntry::Accepted(Arc::clone(&target));
    let first = project_target(&entry, None, now());
    let mut at = later(400);
    let mut attempt = |sample| {
        let Admission::Trial(trial) = target.live.admit(&target.policy.breaker, at) else {
            panic!("no trial")
        };
        monitor.record(&target, &failed(Reason::ServerError, None), at);
        monitor.attempted(&target, Some(trial), sample, at);
        let status = project_target(&entry, Some(&first), at);
        at = Moment { mono: at.mono + Duration::from_secs(400), ..at };
        status
    };
    for _ in 0..10 {
        let status = attempt(CircuitSample::Failure);
        assert_eq!(
            (&status.circuit, &status.conditions[2]),
            (&first.circuit, &first.conditions[2])
        );
    }
    let closed = attempt(CircuitSample::Success);
    assert_eq!(line(&closed, ConditionType::Delivering).1, "NothingHeld");
    assert_eq!(closed.circuit.unwrap().state, CircuitState::Closed);
}

#[test]
fn a_circuit_that_waits_half_open_holds_nothing_back() {
    let monitor = Monitor::new(Arc::default(), Metrics::default());
    let target = target("sre/chat").ejected().build();
    let sample = Sample { latency: Duration::ZERO, ..well(Depth::Answer) };
    monitor.record(&target, &sample, later(1));
    let entry = TargetEntry::Accepted(Arc::new(target));
    let at_once = project_target(&entry, None, later(1));
    assert_eq!(at_once.circuit.unwrap().state, CircuitState::Open, "it may last a moment only");
    let status = project_target(&entry, None, later(30));
    let (is, _, message) = line(&status, ConditionType::Delivering);
    assert_eq!(is, ConditionStatus::True);
    assert!(message.ends_with("half-open, the next delivery decides"), "{message}");
    assert_eq!(status.circuit.unwrap().state, CircuitState::HalfOpen);
}

#[test]
fn a_steady_target_writes_nothing_and_a_flip_moves_one_time() {
    let target = target("sre/chat").healthy().build();
    let live = Arc::clone(&target.live);
    let policy = target.health.clone();
    let entry = TargetEntry::Accepted(target.into());
    let first = project_target(&entry, None, now());
    let read_back = serde_json::from_value(serde_json::to_value(&first).unwrap()).unwrap();
    let mut later = now();
    for minute in 1..100 {
        later.wall += Duration::from_secs(60 * minute);
        let sample =
            Sample { latency: Duration::from_micros(1_234 * minute), ..well(Depth::Answer) };
        live.observe(&sample, &policy, later);
        live.delivered(Duration::from_millis(minute), later);
        live.observe(&ill(Reason::Timeout), &policy, later);
        assert_eq!(project_target(&entry, Some(&read_back), later), first);
        live.observe(&well(Depth::Answer), &policy, later);
    }
    for _ in 0..3 {
        live.observe(&ill(Reason::Timeout), &policy, later);
    }
    let flipped = project_target(&entry, Some(&first), later);
    let time_of = |status: &PublishTargetStatus, type_| {
        find(&status.conditions, type_).unwrap().last_transition_time.clone()
    };
    let ready = ConditionType::Ready;
    assert_eq!(time_of(&flipped, ready), time_of(&first, ready));
    assert_eq!(time_of(&flipped, ConditionType::Healthy), time(later.wall));
}

#[test]
fn no_part_of_the_address_but_the_host_is_shown() {
    for target in [target("a/x").healthy(), target("a/x").unhealthy(), target("a/x").suspended()] {
        let text = serde_json::to_string(&status(target.build())).unwrap();
        assert!(!text.contains("canary") && !text.contains("services"), "{text}");
    }
}
