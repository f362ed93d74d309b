//! HTTP/2, chosen by ALPN.

use std::sync::Arc;

use fanfare::{delivery::Told, publish::ErrorType};
use h2::Reason;

use super::fixture::{client, failure, firing, send};
use crate::support::http2::{Reply, Server, reset, status};

/// Answers the nth request of all, from 0, with the frames that `bytes` makes for its stream.
async fn serve(bytes: fn(usize, u32) -> Vec<u8>) -> Server {
    Server::start(&[], Arc::new(move |nth, stream| Reply::go(bytes(nth, stream)))).await
}

fn ok(stream: u32) -> Vec<u8> {
    status(stream, 200, &[])
}

#[tokio::test]
async fn requests_share_one_connection() {
    let server = serve(|_, stream| ok(stream)).await;
    let (client, target) = (client(), server.target("1m"));
    send(&client, &target, firing()).await.result.unwrap();
    let many = (0..8).map(|_| send(&client, &target, firing()));
    for attempt in futures::future::join_all(many).await {
        assert_eq!((attempt.result, attempt.status_code), (Ok(()), Some(200)));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_refused_stream_is_tried_once_more_at_once() {
    let server = serve(|nth, stream| match nth {
        1 => reset(stream, Reason::REFUSED_STREAM),
        _ => ok(stream),
    })
    .await;
    let (client, target) = (client(), server.target("1m"));
    send(&client, &target, firing()).await.result.unwrap();
    assert_eq!(send(&client, &target, firing()).await.result, Ok(()));
    assert_eq!((server.requests(), server.connections()), (3, 2));
}

#[tokio::test]
async fn any_other_reset_may_have_told() {
    let server = serve(|_, stream| reset(stream, Reason::INTERNAL_ERROR)).await;
    let attempt = send(&client(), &server.target("1m"), firing()).await;
    let failure = failure(&attempt);
    assert_eq!((failure.error_type, failure.told), (ErrorType::Connect, Told::Maybe));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn silence_ends_with_the_time_limit_and_harms_no_other_request() {
    let server = serve(|nth, stream| if nth == 0 { Vec::new() } else { ok(stream) }).await;
    let client = client();
    let attempt = send(&client, &server.target("2s"), firing()).await;
    assert_eq!(failure(&attempt).error_type, ErrorType::Timeout);
    assert_eq!(send(&client, &server.target("1m"), firing()).await.result, Ok(()));
    assert_eq!(server.connections(), 2, "the silent one is not trusted again");
}
