//! What comes back over HTTP/1.1: codes, bodies, broken answers. Each receiver misbehaves once and then is well.

use std::time::Duration;

use fanfare::delivery::{Class, Told};
use fanfare::publish::ErrorType;

use super::bed::{Counts, Ends, Seen, all, fails, ok, twice};
use crate::delivery::fixture::{client, firing, send, target, webhook};
use crate::support::sink::{Answer, Fault, Sink};

use Class::{Gone, Rejected, Retry, RetryAfter, RetrySlowly};
use ErrorType::{Auth, ClientError, Connect, RateLimited, ServerError, Timeout, Unexpected};
use Told::{Maybe, No};

/// A fault and what it comes to.
pub(super) struct Row {
    pub(super) number: u8,
    answer: Answer,
    seen: Seen,
    ends: Ends,
}

impl Counts for Sink {
    fn requests(&self) -> usize {
        self.received().len()
    }

    fn connections(&self) -> usize {
        Sink::connections(self)
    }
}

const LONG: Duration = Duration::from_secs(30);

fn row(number: u8, answer: Answer, seen: Seen) -> Row {
    Row { number, answer, seen, ends: Ends::Itself }
}

fn raw(text: &str) -> Answer {
    Answer::fault(Fault::Raw(text.as_bytes().to_vec()))
}

/// The receiver leaves the connection open: if it is not used again, that is our doing.
fn keep(text: &str) -> Answer {
    Answer::fault(Fault::Keep(text.as_bytes().to_vec()))
}

fn big(status: u16, fault: Fault) -> Answer {
    Answer::status(status).body(vec![b'x'; 200]).with(fault)
}

/// By code: the connection is fine and is used again.
fn codes() -> Vec<Row> {
    let table = [
        (11, 500, Retry, ServerError, No),
        (11, 502, Retry, ServerError, Maybe),
        (11, 503, Retry, ServerError, No),
        (11, 504, Retry, ServerError, Maybe),
        (12, 501, Rejected, ServerError, Maybe),
        (12, 505, Rejected, ServerError, Maybe),
        (14, 429, RetryAfter, RateLimited, No),
        (15, 401, RetrySlowly, Auth, No),
        (15, 403, RetrySlowly, Auth, No),
        (16, 404, RetrySlowly, ClientError, No),
        (16, 410, Gone, ClientError, No),
        (17, 400, Rejected, ClientError, No),
        (17, 405, Rejected, ClientError, No),
        (17, 413, Rejected, ClientError, No),
        (17, 415, Rejected, ClientError, No),
        (17, 422, Rejected, ClientError, No),
        (18, 408, Retry, ClientError, No),
        (18, 409, Retry, ClientError, No),
        (18, 425, Retry, ClientError, No),
        (19, 301, Rejected, Unexpected, Maybe),
        (19, 302, Rejected, Unexpected, Maybe),
        (19, 307, Rejected, Unexpected, Maybe),
        (19, 308, Rejected, Unexpected, Maybe),
    ];
    let answer = |status| Answer::status(status).header("location", "http://127.0.0.1:9/x");
    let rows = table.map(|(number, status, class, kind, told)| {
        row(number, answer(status), fails(class, kind, told, true))
    });
    let after = [(503, ServerError), (429, RateLimited)].map(|(status, kind)| {
        let number = if status == 429 { 13 } else { 11 };
        let answer = Answer::status(status).header("retry-after", "7");
        row(number, answer, fails(RetryAfter, kind, No, true))
    });
    rows.into_iter().chain(after).collect()
}

/// A body that does what it likes.
fn bodies() -> Vec<Row> {
    let faults = [
        Fault::HangInBody,
        Fault::Endless,
        Fault::Drip(Duration::from_millis(50)),
        Fault::DelayBody(LONG),
    ];
    let mut rows = Vec::new();
    for fault in faults {
        rows.push(row(9, big(200, fault.clone()), ok(false)));
        // What an error's body says may matter: it has its time, and no more.
        let failed = fails(Retry, ServerError, No, false);
        rows.push(row(10, big(500, fault), failed));
    }
    let huge = Answer::status(400).body(vec![b'x'; 4 * 1024 * 1024]);
    rows.push(row(10, huge, fails(Rejected, ClientError, No, false)));
    rows.push(row(23, big(200, Fault::CloseInBody), ok(false)));
    rows.push(row(23, big(500, Fault::CloseInBody), fails(Retry, ServerError, No, false)));
    for coding in ["gzip", "br", "zstd", "deflate"] {
        // The first bytes of a gzip stream; whoever unpacked it would fail.
        let bomb = |status| {
            Answer::status(status).header("content-encoding", coding).body([0x1f, 0x8b, 8, 0, 255])
        };
        rows.push(row(25, bomb(200), ok(true)));
        rows.push(row(25, bomb(400), fails(Rejected, ClientError, No, true)));
    }
    rows
}

/// No answer, or half of one.
fn silence() -> Vec<Row> {
    let silent = fails(Retry, Timeout, Maybe, false);
    let broken = fails(Retry, Connect, Maybe, false);
    let late = |number, answer| Row { ends: Ends::Limit, ..row(number, answer, silent) };
    let head = b"HTTP/1.1 200 OK\r\nx-slow: very\r\ncontent-length: 0\r\n\r\n".to_vec();
    vec![
        late(8, Answer::fault(Fault::Hang)),
        late(8, Answer::status(200).after(LONG)),
        late(8, Answer::fault(Fault::DripRaw(head, Duration::from_millis(100)))),
        late(20, keep("HTTP/1.1 100 Continue\r\n\r\n")),
        row(
            20,
            Answer::fault(Fault::Flood(b"HTTP/1.1 100 Continue\r\n\r\n".repeat(400))),
            fails(Retry, Unexpected, Maybe, false),
        ),
        row(
            20,
            keep(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
            ),
            ok(true),
        ),
        row(
            20,
            keep("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
            fails(Retry, Unexpected, Maybe, false),
        ),
        row(22, Answer::fault(Fault::Close), broken),
        row(22, Answer::fault(Fault::Reset), broken),
        row(22, raw(""), broken),
        row(22, raw("HTTP/1.1 2"), broken),
        row(22, raw("HTTP/1.1 200 OK\r\ncontent-le"), broken),
    ]
}

/// Not HTTP, or HTTP that breaks its rules or our limits.
fn broken() -> Vec<Row> {
    let refused = fails(Retry, Unexpected, Maybe, false);
    let many = "x-header: 1\r\n".repeat(10_000);
    let long = "x".repeat(1024 * 1024);
    let mut rows: Vec<_> = [
        "SSH-2.0-OpenSSH_9.9\r\n".to_owned(),
        "hello".repeat(100),
        "HTTP/9.9 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n".to_owned(),
    ]
    .iter()
    .map(|text| row(24, keep(text), refused))
    .collect();
    rows.extend(
        [
            "HTTP/1.1 200 OK\r\nbad header line\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nx-bad: \u{0}\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "HTTP/1.1 99999 OK\r\n\r\n".to_owned(),
            format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n"),
            format!("HTTP/1.1 200 OK\r\nx-long: {long}\r\ncontent-length: 0\r\n\r\n"),
        ]
        .iter()
        .map(|text| row(26, keep(text), refused)),
    );
    // The code has decided; the connection is out of step and is closed.
    rows.extend(
        [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokstray",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokay",
            "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
        ]
        .iter()
        .map(|text| row(24, keep(text), ok(false))),
    );
    let stray = "HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nnoHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    rows.push(row(24, keep(stray), fails(Retry, ServerError, No, false)));
    rows
}

pub(super) fn rows() -> Vec<Row> {
    [codes(), bodies(), silence(), broken()].into_iter().flatten().collect()
}

#[tokio::test]
async fn every_answer_has_its_class_and_leaves_its_connection_as_it_should() {
    let look = |row: Row| async move {
        let sink = Sink::start().await;
        sink.answer_once(row.answer.clone());
        let target = |timeout: &str| {
            target(serde_json::json!({
                "type": "Webhook", "webhook": {"url": sink.url("/")}, "delivery": {"timeout": timeout},
            }))
        };
        let name: String = format!("D{} {:?}", row.number, row.answer).chars().take(200).collect();
        assert_eq!(twice(target, row.ends, &sink).await, row.seen, "{name}");
    };
    all(rows(), look).await;
}

#[tokio::test]
async fn d20_d25_neither_a_coding_nor_a_go_ahead_is_asked_for() {
    let sink = Sink::start().await;
    let client = client();
    for _ in 0..3 {
        // Another target of the same host: the connection is shared.
        send(&client, &webhook(&sink.url("/")), firing()).await.result.unwrap();
    }
    assert_eq!(sink.connections(), 1);
    let request = &sink.received()[0];
    assert_eq!(request.header("accept-encoding"), None);
    assert_eq!(request.header("expect"), None);
    assert!(request.header("user-agent").unwrap().starts_with("Fanfare/"));
}
