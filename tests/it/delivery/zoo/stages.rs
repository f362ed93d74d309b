//! One deadline covers name, connect, TLS, headers and body: whichever stalls, the attempt ends with it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use fanfare::{
    delivery::{Resolve, ResolveError, Told},
    publish::{BoxFuture, ErrorType},
    registry::Target,
};
use futures::{FutureExt as _, future::pending};
use serde_json::json;
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

use super::connect::blackhole;
use crate::delivery::fixture::{
    client, client_with, failure, firing, loopback, send, target, webhook,
};
use crate::support::sink::{Answer, Fault, Sink};

/// Knows every name after a while, except those that it never answers for.
struct Slow(Duration);

impl Resolve for Slow {
    fn resolve(&self, host: Arc<str>) -> BoxFuture<'_, Result<Arc<[IpAddr]>, ResolveError>> {
        async move {
            if host.starts_with("never") {
                pending::<()>().await;
            }
            sleep(self.0).await;
            Ok(Arc::from([IpAddr::from([127, 0, 0, 1])]))
        }
        .boxed()
    }
}

const TIMEOUT: Duration = Duration::from_secs(2);
/// How late a busy machine may be.
const LATE: Duration = Duration::from_secs(10);

fn hasty(url: &str) -> Arc<Target> {
    target(json!({"type": "Webhook", "webhook": {"url": url}, "delivery": {"timeout": "2s"}}))
}

async fn ends(target: &Arc<Target>, told: Told, what: &str) {
    let started = Instant::now();
    let attempt =
        send(&client_with(loopback(), Arc::new(Slow(Duration::ZERO))), target, firing()).await;
    let took = started.elapsed();
    let failure = failure(&attempt);
    assert_eq!((failure.error_type, failure.told), (ErrorType::Timeout, told), "{what}");
    assert!(took >= TIMEOUT && took < TIMEOUT + LATE, "{what}: {took:?}");
}

#[tokio::test]
async fn a_name_that_is_never_resolved_ends_with_the_time_limit() {
    ends(&hasty("http://never.example/"), Told::No, "name").await;
}

#[tokio::test]
async fn a_connect_that_stalls_ends_with_the_time_limit() {
    let (listener, _filling) = blackhole().await;
    ends(&hasty(&format!("http://{}/", listener.local_addr().unwrap())), Told::No, "connect").await;
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_with_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    ends(&hasty(&format!("https://{}/", listener.local_addr().unwrap())), Told::No, "TLS").await;
}

#[tokio::test]
async fn headers_that_stall_or_drip_end_with_the_time_limit() {
    let head = b"HTTP/1.1 200 OK\r\nx-slow: yes\r\ncontent-length: 0\r\n\r\n".to_vec();
    for fault in [Fault::Hang, Fault::DripRaw(head, Duration::from_millis(200))] {
        let sink = Sink::start().await;
        sink.answer(Answer::fault(fault));
        ends(&hasty(&sink.url("/")), Told::Maybe, "headers").await;
        assert_eq!(sink.received().len(), 1);
    }
}

#[tokio::test]
async fn a_body_that_is_wanted_and_stalls_ends_with_the_time_limit() {
    for fault in [Fault::HangInBody, Fault::Drip(Duration::from_millis(200))] {
        let sink = Sink::start().await;
        sink.answer(Answer::status(500).body(vec![b'x'; 200]).with(fault));
        let started = Instant::now();
        let attempt = send(&client(), &hasty(&sink.url("/")), firing()).await;
        let took = started.elapsed();
        assert_eq!(failure(&attempt).error_type, ErrorType::ServerError, "the code is known");
        assert!(took >= TIMEOUT && took < TIMEOUT + LATE, "{took:?}");
    }
}

#[tokio::test]
async fn stages_that_are_each_in_time_do_not_add_up_to_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let share = Duration::from_millis(1200);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // The handshake would begin after its share, too, and never gets to the headers.
        sleep(share).await;
        let _ = stream.writable().await;
        pending::<()>().await;
    });
    let client = client_with(loopback(), Arc::new(Slow(share)));
    let started = Instant::now();
    let attempt = send(&client, &hasty(&format!("https://slow.example:{port}/")), firing()).await;
    let took = started.elapsed();
    assert_eq!(failure(&attempt).error_type, ErrorType::Timeout);
    assert!(took >= TIMEOUT && took < TIMEOUT + LATE, "{took:?}");
}

#[tokio::test]
async fn d02_a_name_that_is_never_resolved_delays_no_other_target() {
    let sink = Sink::start().await;
    let client = client_with(loopback(), Arc::new(Slow(Duration::ZERO)));
    let stuck = webhook("http://never.example/");
    let stuck = (0..300).map(|_| send(&client, &stuck, firing()));
    let well = async {
        let target = webhook(&format!("http://well.example:{}/", sink.address().port()));
        let started = Instant::now();
        assert_eq!(send(&client, &target, firing()).await.result, Ok(()));
        started.elapsed()
    };
    let (_, took) = tokio::join!(futures::future::join_all(stuck), well);
    assert!(took < Duration::from_secs(10), "{took:?}");
}
