//! The delivery faults D1 to D35 and what each comes to: class, whether the target may have been told, evidence
//! about its health, and what its circuit breaker hears. `tests/it/delivery/zoo` reproduces them on the wire.
//!
//! D7, D13's pause, D30, D32, D34 and D35 are about more than one attempt; the rooms that own them test them.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;

use super::{
    Class, Told,
    classify::{Answer, Evidence, Verdict},
    connect::ConnectError,
    fault::{Failed, Fault},
    policy::Blocked,
    resolve::ResolveError,
    tls::TlsFault,
    vendor,
};
use crate::{
    api::TargetType,
    registry::{CircuitSample, Depth},
};

/// What came back.
enum Given {
    /// No answer.
    Fault(Fault),
    /// The same on a fresh connection, after one that turned out stale.
    Again(Fault),
    /// An answer to a webhook: code and one header.
    Answer(u16, &'static str),
    /// An answer whose body says more than its code.
    Body(TargetType, u16, &'static str),
}

/// Class (`None`: delivered), told, evidence, circuit.
type Expected = (Option<Class>, Told, Evidence, CircuitSample);

const OK: Expected = (None, Told::Maybe, Evidence::Well(Depth::Credential), CircuitSample::Success);

/// The target's fault: counts against health and breaker.
fn ill(class: Class, told: Told, depth: Depth) -> Expected {
    (Some(class), told, Evidence::Ill(depth), CircuitSample::Failure)
}

/// Our own side's, as far as anybody knows.
fn ours(class: Class) -> Expected {
    (Some(class), Told::No, Evidence::Ill(Depth::Connect), CircuitSample::Ours)
}

/// Nobody's, or this one notification's.
fn neutral(class: Class, told: Told, evidence: Evidence) -> Expected {
    (Some(class), told, evidence, CircuitSample::Neutral)
}

fn tcp(kind: io::ErrorKind, local: bool) -> Given {
    Given::Fault(Fault::Connect(ConnectError::Tcp { kind, local }))
}

fn tls(why: TlsFault) -> Given {
    Given::Fault(Fault::Connect(ConnectError::Tls(why)))
}

/// Nothing came back, or nothing that is an answer.
fn without_answer() -> Vec<(u8, Given, Expected)> {
    use Class::{Retry, RetrySlowly};
    use Depth::{Answer as Answered, Connect};
    use Given::{Again, Fault as Broke};
    use Told::{Maybe, No};
    let unreachable = io::ErrorKind::HostUnreachable;
    vec![
        (1, Broke(Fault::Connect(ResolveError::NotFound.into())), ill(RetrySlowly, No, Connect)),
        (1, Broke(Fault::Connect(ConnectError::Host)), ill(RetrySlowly, No, Connect)),
        (2, Broke(Fault::Connect(ResolveError::Failed.into())), ours(Retry)),
        (2, Broke(Fault::NoConnection), ill(Retry, No, Connect)),
        (
            3,
            Broke(Fault::Connect(ConnectError::Blocked(Blocked::Loopback))),
            neutral(RetrySlowly, No, Evidence::Ill(Connect)),
        ),
        (4, tcp(io::ErrorKind::ConnectionRefused, false), ill(Retry, No, Connect)),
        (4, tcp(unreachable, false), ill(Retry, No, Connect)),
        (5, Broke(Fault::Connect(ConnectError::TcpTimeout)), ill(Retry, No, Connect)),
        (6, tls(TlsFault::Expired), ill(RetrySlowly, No, Connect)),
        (6, tls(TlsFault::NotYetValid), ill(RetrySlowly, No, Connect)),
        (6, tls(TlsFault::Name), ill(RetrySlowly, No, Connect)),
        (6, tls(TlsFault::Issuer), ill(RetrySlowly, No, Connect)),
        (6, tls(TlsFault::Certificate), ill(RetrySlowly, No, Connect)),
        (6, tls(TlsFault::NotTls), ill(RetrySlowly, No, Connect)),
        (6, tls(TlsFault::Version), ill(RetrySlowly, No, Connect)),
        (6, tls(TlsFault::Refused), ill(RetrySlowly, No, Connect)),
        (6, tls(TlsFault::Other), ill(Retry, No, Connect)),
        (6, Broke(Fault::Connect(ConnectError::TlsTimeout)), ill(Retry, No, Connect)),
        (6, Broke(Fault::Connect(ConnectError::NoRoots)), ours(RetrySlowly)),
        (8, Broke(Fault::NoAnswer), ill(Retry, Maybe, Answered)),
        (20, Broke(Fault::Protocol), ill(Retry, Maybe, Answered)),
        // One attempt has dealt with it already, unless the fresh connection breaks, too.
        (21, Again(Fault::Broken), ill(Retry, Maybe, Answered)),
        (21, Again(Fault::Connect(ConnectError::TcpTimeout)), ill(Retry, Maybe, Connect)),
        (22, Broke(Fault::Broken), ill(Retry, Maybe, Answered)),
        (22, Broke(Fault::Unsent), ill(Retry, No, Connect)),
        (24, Broke(Fault::Protocol), ill(Retry, Maybe, Answered)),
        (26, Broke(Fault::Protocol), ill(Retry, Maybe, Answered)),
        (27, Broke(Fault::Stale), ill(Retry, Maybe, Answered)),
        (28, Broke(Fault::NoAnswer), ill(Retry, Maybe, Answered)),
        (29, Broke(Fault::NoAnswer), ill(Retry, Maybe, Answered)),
        (31, tcp(io::ErrorKind::Other, true), ours(Retry)),
        (31, tcp(io::ErrorKind::AddrNotAvailable, true), ours(Retry)),
        (31, tcp(io::ErrorKind::NetworkUnreachable, true), ours(Retry)),
    ]
}

/// An answer came.
fn with_answer() -> Vec<(u8, Given, Expected)> {
    use Class::{Gone, Rejected, Retry, RetryAfter, RetrySlowly};
    use Depth::{Answer as Answered, Credential};
    use Given::{Answer, Body};
    use TargetType::{Alertmanager, PagerDuty, Slack};
    use Told::{Maybe, No};
    let refused = neutral(Rejected, No, Evidence::Well(Answered));
    let limited = neutral(RetryAfter, No, Evidence::None);
    let again = neutral(Retry, No, Evidence::None);
    vec![
        (9, Answer(200, ""), OK),
        (9, Answer(204, ""), OK),
        (10, Answer(418, ""), refused),
        (11, Answer(500, ""), ill(Retry, No, Answered)),
        (11, Answer(502, ""), ill(Retry, Maybe, Answered)),
        (11, Answer(503, ""), ill(Retry, No, Answered)),
        (11, Answer(504, ""), ill(Retry, Maybe, Answered)),
        (11, Answer(599, ""), ill(Retry, Maybe, Answered)),
        (11, Answer(503, "retry-after: 7"), ill(RetryAfter, No, Answered)),
        (11, Answer(503, "retry-after: soon"), ill(Retry, No, Answered)),
        (12, Answer(501, ""), ill(Rejected, Maybe, Answered)),
        (12, Answer(505, ""), ill(Rejected, Maybe, Answered)),
        (13, Answer(429, "retry-after: 7"), limited),
        (13, Answer(429, "retry-after: -1"), limited),
        (14, Answer(429, ""), limited),
        (15, Answer(401, ""), ill(RetrySlowly, No, Credential)),
        (15, Answer(403, ""), ill(RetrySlowly, No, Credential)),
        (
            15,
            Body(PagerDuty, 400, r#"{"errors":["Invalid routing key"]}"#),
            ill(RetrySlowly, No, Credential),
        ),
        (16, Answer(404, ""), ill(RetrySlowly, No, Credential)),
        (16, Answer(410, ""), ill(Gone, No, Credential)),
        (17, Answer(400, ""), refused),
        (17, Answer(405, ""), refused),
        (17, Answer(413, ""), refused),
        (17, Answer(415, ""), refused),
        (17, Answer(422, ""), refused),
        (17, Answer(451, ""), refused),
        (17, Body(Alertmanager, 400, ""), neutral(Rejected, Maybe, Evidence::Well(Answered))),
        (18, Answer(408, ""), again),
        (18, Answer(409, ""), again),
        (18, Answer(425, ""), again),
        (
            19,
            Answer(301, "location: http://x.example/"),
            neutral(Rejected, Maybe, Evidence::Ill(Credential)),
        ),
        (19, Answer(304, ""), neutral(Rejected, Maybe, Evidence::Ill(Credential))),
        (20, Answer(101, ""), ill(Retry, Maybe, Answered)),
        (23, Answer(202, ""), OK),
        (25, Answer(200, "content-encoding: gzip"), OK),
        (33, Body(Slack, 200, "ok"), OK),
        (
            33,
            Body(Slack, 200, "invalid_payload"),
            (Some(Rejected), Maybe, Evidence::Well(Answered), CircuitSample::Neutral),
        ),
        (
            33,
            Body(Slack, 200, r#"{"ok":false,"error":"rate_limited"}"#),
            (Some(RetryAfter), Maybe, Evidence::None, CircuitSample::Neutral),
        ),
        (33, Body(Slack, 200, "<html>"), ill(Retry, Maybe, Answered)),
    ]
}

fn table() -> Vec<(u8, Given, Expected)> {
    let mut rows = without_answer();
    rows.extend(with_answer());
    rows
}

fn judge(given: &Given) -> Verdict {
    let failed = |fault, again| Failed { fault, again }.verdict("host.example");
    let (kind, code, header, body) = match *given {
        Given::Fault(fault) => return failed(fault, false),
        Given::Again(fault) => return failed(fault, true),
        Given::Answer(code, header) => (TargetType::Webhook, code, header, ""),
        Given::Body(kind, code, body) => (kind, code, "", body),
    };
    let mut headers = HeaderMap::new();
    if let Some((name, value)) = header.split_once(": ") {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    vendor::of(kind).judge(&Answer {
        host: "host.example",
        status: StatusCode::from_u16(code).unwrap(),
        headers: &headers,
        body: &Bytes::from_static(body.as_bytes()),
        now: Timestamp::UNIX_EPOCH,
    })
}

#[test]
fn every_fault_has_its_class() {
    for (nth, (number, given, expected)) in table().into_iter().enumerate() {
        let Verdict { result, evidence } = judge(&given);
        let found = match &result {
            Ok(()) => OK,
            Err(failure) => (Some(failure.class), failure.told, evidence, failure.circuit()),
        };
        assert_eq!(found, expected, "row {nth}, D{number}: {result:?}");
        if let Err(failure) = result {
            let ours = expected.3 == CircuitSample::Ours;
            assert_eq!(failure.local, ours, "row {nth}, D{number}");
            assert!(failure.message.starts_with("host.example"), "{}", failure.message);
        } else {
            assert_eq!(evidence, OK.2, "row {nth}, D{number}");
        }
    }
}

#[test]
fn every_fault_of_one_attempt_is_in_the_table() {
    let listed: std::collections::BTreeSet<_> =
        table().iter().map(|(number, ..)| *number).collect();
    let elsewhere = [7, 30, 32, 34, 35];
    let missing: Vec<_> =
        (1..=35).filter(|it| !listed.contains(it) && !elsewhere.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
