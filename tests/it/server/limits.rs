//! Size, time and identity of what comes in.

use std::time::Duration;

use bytes::Bytes;
use fanfare::server::Tokens;
use http::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Bed;
use crate::support::{
    http::{post, send, try_send},
    wait::wait_for,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Writes raw bytes and reads until the server closes the connection.
async fn raw(url: &str, text: &[u8]) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("the server closes").ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn announced_and_unannounced_large_bodies_are_413() {
    let bed = Bed::start().await;
    let announced = "POST /api/v2/alerts HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 4194305\r\n\r\n";
    assert!(raw(&bed.intake, announced.as_bytes()).await.starts_with("HTTP/1.1 413"));
    let mut chunked = b"POST /api/v2/alerts HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n500000\r\n"
        .to_vec();
    chunked.resize(chunked.len() + 0x0050_0000, b' ');
    let address = bed.intake.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&chunked).await.ok();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    assert!(bed.metric(r#"outcome="too_large"} 2"#).await);
}

#[tokio::test]
async fn large_headers_are_refused() {
    let bed = Bed::start().await;
    let mut text = b"GET /-/healthy HTTP/1.1\r\nhost: x\r\nx-large: ".to_vec();
    text.resize(text.len() + 20_000, b'a');
    text.extend_from_slice(b"\r\n\r\n");
    assert!(raw(&bed.intake, &text).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn headers_that_never_end_are_cut_off() {
    let bed = Bed::start().await;
    let answer = raw(&bed.intake, b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn body_that_never_ends_is_408() {
    let bed = Bed::start().await;
    let text = "POST /api/v2/alerts HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 10\r\n\r\n[";
    assert!(raw(&bed.intake, text.as_bytes()).await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn compressed_bodies_are_415() {
    let bed = Bed::start().await;
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let url = format!("{}/api/v2/alerts", bed.intake);
    let reply = send(Method::POST, &url, &headers, Bytes::from_static(b"[]")).await;
    assert_eq!(reply.status, 415);
}

#[tokio::test]
async fn tokens_are_asked_for_before_the_body_and_not_for_health() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOKEN).unwrap();
    let bed = Bed::start_with(Some(Tokens::open(file.path()).unwrap())).await;
    let url = format!("{}/api/v2/alerts", bed.intake);
    let reply = post(&url, &json!([])).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.headers["www-authenticate"], "Bearer");
    assert!(
        bed.metric(r#"fanfare_intake_requests_total{source="v2",outcome="unauthorized"} 1"#).await
    );
    let wrong = "POST /api/v2/alerts HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        content-length: 1000\r\n\r\n";
    assert!(raw(&bed.intake, wrong.as_bytes()).await.starts_with("HTTP/1.1 401"), "unread body");
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    assert_eq!(send(Method::POST, &url, &headers, Bytes::from_static(b"[]")).await.status, 200);
    let targets = format!("{}/api/v1/targets", bed.api);
    assert_eq!(send(Method::GET, &targets, &[], Bytes::new()).await.status, 401);
    assert_eq!(send(Method::GET, &targets, &headers, Bytes::new()).await.status, 200);
    for (method, path) in [
        (Method::GET, "deliveries?since=1h"),
        (Method::GET, "deadletters"),
        (Method::POST, "deadletters/replay"),
        (Method::DELETE, "deadletters?since=1h"),
    ] {
        let url = format!("{}/api/v1/{path}", bed.api);
        assert_eq!(send(method, &url, &[], Bytes::new()).await.status, 401, "{path}");
    }
    let health = format!("{}/-/healthy", bed.api);
    assert_eq!(send(Method::GET, &health, &[], Bytes::new()).await.status, 200);
}

#[tokio::test]
async fn connections_that_say_nothing_free_their_places() {
    let bed = Bed::start().await;
    let address = bed.intake.strip_prefix("http://").unwrap();
    let mut silent = Vec::new();
    for at in 0..1_024 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Half of them begin to speak HTTP/2.
        if at % 2 == 0 {
            stream.write_all(b"PRI * HTT").await.unwrap();
        }
        silent.push(stream);
    }
    let health = format!("{}/-/healthy", bed.intake);
    assert_eq!(send(Method::GET, &health, &[], Bytes::new()).await.status, 200);
}

#[tokio::test]
async fn bodies_under_way_are_bounded_together_and_small_ones_are_still_taken() {
    let bed = Bed::start().await;
    let address = bed.intake.strip_prefix("http://").unwrap();
    let mut part = b"POST /api/v2/alerts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        content-length: 4194304\r\n\r\n["
        .to_vec();
    part.resize(part.len() + 3 * 1024 * 1024, b' ');
    let stalled = (0..12).map(|_| async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut start = [0; 12];
        // A refused sender is answered before it has sent all.
        stream.write_all(&part).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut start));
        let answered = answer.await.map(|read| read.expect("an answer, no reset")).is_ok();
        assert!(!answered || &start == b"HTTP/1.1 503", "{}", String::from_utf8_lossy(&start));
        (answered, stream)
    });
    let stalled = futures::future::join_all(stalled).await;
    let waiting = stalled.iter().filter(|(answered, _)| !answered).count();
    assert!((1..=8).contains(&waiting), "{waiting} of {} are held", stalled.len());
    assert!(!bed.metric(r#"{source="v2",outcome="overloaded"} 0"#).await, "refusals are counted");
    let url = format!("{}/api/v2/alerts", bed.intake);
    assert_eq!(post(&url, &json!([])).await.status, 200, "a small one");
    drop(stalled);
    wait_for("the budget is free again", Duration::from_secs(5), || async {
        let large = vec![b' '; 4_000_000];
        let headers = [("content-type", "application/json")];
        let reply = try_send(Method::POST, &url, &headers, [&large[..], b"[]"].concat().into());
        reply.await.is_ok_and(|reply| reply.status == 200)
    })
    .await;
}

/// What a plain client does: sends everything, then reads. Control: a server that drops the rest of a refused
/// body resets the connection, and some of these read nothing or can't even send.
#[tokio::test(flavor = "multi_thread")]
async fn refused_senders_of_large_bodies_read_their_answer() {
    const SENDERS: usize = 40;
    let bed = Bed::start().await;
    let head = b"POST /api/v2/alerts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        content-length: 4194304\r\n\r\n";
    let mut whole = head.to_vec();
    whole.resize(head.len() + 4_194_302, b' ');
    whole.extend_from_slice(b"[]");
    let whole: Bytes = whole.into();
    let address = bed.intake.strip_prefix("http://").unwrap().to_owned();
    let together = std::sync::Arc::new(tokio::sync::Barrier::new(SENDERS));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (whole, address, together) = (whole.clone(), address.clone(), together.clone());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await?;
                // Everybody holds a large part of the budget before anybody goes on.
                stream.write_all(&whole[..2 << 20]).await?;
                together.wait().await;
                stream.write_all(&whole[2 << 20..]).await?;
                let mut answer = vec![0; 4_096];
                let read = stream.read(&mut answer).await?;
                answer.truncate(read);
                // The connection is as good as before.
                stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await?;
                let mut next = [0; 12];
                stream.read_exact(&mut next).await?;
                assert_eq!(&next, b"HTTP/1.1 200");
                Ok::<_, std::io::Error>(String::from_utf8(answer).unwrap())
            })
        })
        .collect();
    let mut refused = 0;
    for sender in senders {
        let answer = sender.await.unwrap().expect("an answer, no reset");
        if answer.starts_with("HTTP/1.1 503") {
            assert!(answer.contains("\r\nretry-after: "), "{answer}");
            refused += 1;
        } else {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
    assert!(refused > 0, "nobody was refused");
}
