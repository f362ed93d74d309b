//! The same faults over HTTP/2, and those that only HTTP/2 has. Each receiver misbehaves once and then is well.

use std::{sync::Arc, time::Duration};

use fanfare::delivery::{Class, Told};
use fanfare::publish::ErrorType;
use h2::Reason;

use super::bed::{Ends, Seen, all, fails, ok, twice};
use crate::delivery::fixture::{client, failure, firing, send};
use crate::support::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, Reply, Server, Then, block, frame,
    go_away, head, reset, status,
};

use Class::{Gone, Rejected, Retry, RetryAfter, RetrySlowly};
use ErrorType::{Auth, ClientError, Connect, RateLimited, ServerError, Timeout, Unexpected};
use Told::{Maybe, No};

type First = Box<dyn Fn(u32) -> Reply + Send + Sync>;

/// A fault and what it comes to.
pub(super) struct Row {
    pub(super) number: u8,
    name: &'static str,
    first: First,
    seen: Seen,
    ends: Ends,
}

fn row(
    number: u8,
    name: &'static str,
    seen: Seen,
    first: impl Fn(u32) -> Reply + Send + Sync + 'static,
) -> Row {
    Row { number, name, first: Box::new(first), seen, ends: Ends::Itself }
}

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
        (17, 422, Rejected, ClientError, No),
        (18, 409, Retry, ClientError, No),
        (19, 302, Rejected, Unexpected, Maybe),
    ];
    let rows = table.map(|(number, code, class, kind, told)| {
        let seen = fails(class, kind, told, true);
        row(number, "code", seen, move |at| {
            Reply::go(status(at, code, &[("location", "http://127.0.0.1:9/x")]))
        })
    });
    let limited = fails(RetryAfter, RateLimited, No, true);
    let busy = fails(RetryAfter, ServerError, No, true);
    let after = [(13, 429, limited), (11, 503, busy)].map(|(number, code, seen)| {
        row(number, "code with retry-after", seen, move |at| {
            Reply::go(status(at, code, &[("retry-after", "7")]))
        })
    });
    rows.into_iter().chain(after).collect()
}

fn bodies() -> Vec<Row> {
    let data = |at| frame(DATA, 0, at, &[b'x'; 1000]).repeat(60);
    vec![
        row(9, "200 without its body", ok(true), |at| Reply::go(head(at, 200))),
        row(9, "200 with more than is read", ok(true), move |at| {
            Reply::go([head(at, 200), data(at), data(at)].concat())
        }),
        row(10, "500 without its body", fails(Retry, ServerError, No, true), |at| {
            Reply::go(head(at, 500))
        }),
        row(10, "500 with more than is read", fails(Retry, ServerError, No, true), move |at| {
            Reply::go([head(at, 500), data(at), data(at)].concat())
        }),
        row(23, "200, then the end", ok(false), |at| Reply::then(head(at, 200), Then::Close)),
        row(23, "200, then a reset", ok(true), |at| {
            Reply::go([head(at, 200), reset(at, Reason::INTERNAL_ERROR)].concat())
        }),
        row(25, "gzip", ok(true), |at| {
            let head =
                frame(HEADERS, END_HEADERS, at, &block(200, &[("content-encoding", "gzip")]));
            Reply::go([head, frame(DATA, END_STREAM, at, &[0x1f, 0x8b, 8, 0, 255])].concat())
        }),
    ]
}

fn silence() -> Vec<Row> {
    let silent = fails(Retry, Timeout, Maybe, false);
    let refused = fails(Retry, Unexpected, Maybe, false);
    let broken = fails(Retry, Connect, Maybe, false);
    let few =
        |at| [frame(HEADERS, END_HEADERS, at, &block(103, &[])), status(at, 204, &[])].concat();
    vec![
        Row { ends: Ends::Limit, ..row(8, "no answer", silent, |_| Reply::go(Vec::new())) },
        Row {
            ends: Ends::Limit,
            ..row(28, "deaf", silent, |_| Reply::then(Vec::new(), Then::Deaf))
        },
        row(20, "a 1xx", ok(true), move |at| Reply::go(few(at))),
        row(20, "1xx without end", refused, |at| {
            let one = frame(HEADERS, END_HEADERS, at, &block(103, &[("link", "</x>")]));
            Reply::then(Vec::new(), Then::Flood(one.repeat(400)))
        }),
        row(22, "closed", broken, |_| Reply::then(Vec::new(), Then::Close)),
        row(22, "closed within a frame", broken, |at| {
            Reply::then(status(at, 200, &[])[..7].to_vec(), Then::Close)
        }),
        row(22, "reset", fails(Retry, Connect, Maybe, true), |at| {
            Reply::go(reset(at, Reason::INTERNAL_ERROR))
        }),
        row(22, "cancelled", fails(Retry, Connect, Maybe, true), |at| {
            Reply::go(reset(at, Reason::CANCEL))
        }),
        row(22, "going away, but the request was taken", broken, |at| {
            Reply::then(go_away(at, Reason::NO_ERROR), Then::Close)
        }),
        row(22, "going away in anger", broken, |_| {
            Reply::then(go_away(0, Reason::INTERNAL_ERROR), Then::Close)
        }),
    ]
}

fn broken() -> Vec<Row> {
    let refused = |reused| fails(Retry, Unexpected, Maybe, reused);
    let again = Seen { requests: 2, ..ok(false) };
    let flood = |name, seen, bytes: fn(u32) -> Vec<u8>| {
        row(29, name, seen, move |at| Reply::then(Vec::new(), Then::Flood(bytes(at))))
    };
    vec![
        row(24, "two lengths", refused(true), |at| {
            Reply::go(status(at, 200, &[("content-length", "3"), ("content-length", "5")]))
        }),
        row(24, "a length without a body", refused(true), |at| {
            Reply::go(status(at, 200, &[("content-length", "3")]))
        }),
        row(24, "HTTP/1.1", refused(false), |_| {
            Reply::go(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec())
        }),
        row(24, "data before headers", refused(false), |at| {
            Reply::go(frame(DATA, END_STREAM, at, b"ok"))
        }),
        row(26, "headers too large", refused(true), |at| {
            let value = "x".repeat(15_000);
            let block = block(200, &[("x-1", &value)]);
            let mut frames = frame(HEADERS, END_STREAM, at, &block);
            for flags in [0, 0, 0, 0, END_HEADERS] {
                // Without its status, which only the first part has.
                frames.extend(frame(CONTINUATION, flags, at, &block[5..]));
            }
            Reply::go(frames)
        }),
        // The rest of the connection is well.
        row(27, "refused", Seen { requests: 2, ..ok(true) }, |at| {
            Reply::go(reset(at, Reason::REFUSED_STREAM))
        }),
        row(27, "going away before the request", again, |_| {
            Reply::then(go_away(0, Reason::NO_ERROR), Then::Close)
        }),
        flood("resets of no stream", refused(false), |_| reset(99, Reason::CANCEL).repeat(100)),
        flood("continuation without end", refused(false), |at| {
            let more = frame(CONTINUATION, 0, at, &block(200, &[("x-1", "x")])[5..]);
            [frame(HEADERS, END_STREAM, at, &block(200, &[])), more.repeat(10_000)].concat()
        }),
        flood("pings without end", refused(false), |_| frame(PING, 0, 0, &[7; 8]).repeat(100)),
    ]
}

pub(super) fn rows() -> Vec<Row> {
    [codes(), bodies(), silence(), broken()].into_iter().flatten().collect()
}

#[tokio::test]
async fn every_fault_of_http2_has_its_class_and_leaves_its_connection_as_it_should() {
    let look = |row: Row| async move {
        let Row { number, name, first, seen, ends } = row;
        let script = move |nth, stream| match nth {
            0 => first(stream),
            _ => Reply::go(status(stream, 200, &[])),
        };
        let server = Server::start(&[], Arc::new(script)).await;
        let found = twice(|timeout| server.target(timeout), ends, &server).await;
        assert_eq!(found, seen, "D{number} {name}");
    };
    all(rows(), look).await;
}

#[tokio::test]
async fn d29_a_window_of_nothing_ends_with_the_time_limit() {
    // SETTINGS_INITIAL_WINDOW_SIZE = 0: the body can't be sent.
    let settings = &[0, 4, 0, 0, 0, 0];
    let script = |_, stream| Reply::go(status(stream, 200, &[]));
    let server = Server::start(settings, Arc::new(script)).await;
    let client = client();
    // The first request is off before the client has read the settings.
    assert_eq!(send(&client, &server.target("1m"), firing()).await.result, Ok(()));
    let attempt = send(&client, &server.target("2s"), firing()).await;
    let failed = failure(&attempt);
    assert_eq!((failed.class, failed.error_type, failed.told), (Retry, Timeout, Maybe));
    assert_eq!((server.requests(), server.connections()), (1, 1));
    assert_eq!(send(&client, &server.target("1m"), firing()).await.result, Ok(()));
    assert_eq!((server.requests(), server.connections()), (2, 2));
}

#[tokio::test]
async fn d28_a_connection_that_died_in_silence_is_found_by_a_ping() {
    let deaf = |_, _| Reply::then(Vec::new(), Then::Deaf);
    let server = Server::start(&[], Arc::new(deaf)).await;
    let client = client();
    let target = server.target("2m");
    let started = tokio::time::Instant::now();
    let (attempt, ()) = tokio::join!(send(&client, &target, firing()), async {
        server.wait_frame(HEADERS, 1).await;
        // From here on only timers have anything to say: time need not really pass.
        tokio::time::pause();
    });
    let failed = failure(&attempt);
    assert_eq!((failed.class, failed.error_type, failed.told), (Retry, Timeout, Maybe));
    let took = started.elapsed();
    assert!(took > Duration::from_secs(25) && took < Duration::from_secs(35), "{took:?}");
    assert_eq!(server.requests(), 1);
}
