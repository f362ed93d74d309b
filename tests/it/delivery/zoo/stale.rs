//! The far end closes a connection at the moment when it is used again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fanfare::{delivery::Told, publish::ErrorType};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};

use crate::delivery::fixture::{client, failure, firing, send, webhook};

/// Answers the first request of each connection; what it does with the second is up to `second`. Counts the
/// requests read.
async fn receiver(second: &'static [u8], fresh_answers: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        let mut connections = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            connections += 1;
            let answers = connections == 1 || fresh_answers;
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                if read_request(&mut stream).await {
                    counter.fetch_add(1, Ordering::SeqCst);
                    if answers {
                        stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                            .await
                            .unwrap();
                    }
                }
                if answers && read_request(&mut stream).await {
                    counter.fetch_add(1, Ordering::SeqCst);
                    stream.write_all(second).await.unwrap();
                }
                stream.set_zero_linger().unwrap();
            });
        }
    });
    (url, requests)
}

/// Reads a request to its end; the length is in its headers.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 8192];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(bytes) => read.extend_from_slice(&buffer[..bytes]),
        }
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if length.is_none_or(|length| body.len() >= length.parse().unwrap()) {
            return true;
        }
    }
}

#[tokio::test]
async fn d21_a_reset_of_a_used_connection_before_any_byte_is_tried_once_on_a_fresh_one() {
    let (url, requests) = receiver(b"", true).await;
    let (client, target) = (client(), webhook(&url));
    send(&client, &target, firing()).await.result.unwrap();
    let attempt = send(&client, &target, firing()).await;
    assert_eq!(attempt.result, Ok(()));
    assert_eq!(requests.load(Ordering::SeqCst), 3, "first, broken, again");
}

#[tokio::test]
async fn d21_a_fresh_connection_that_breaks_is_not_tried_again() {
    let (url, requests) = receiver(b"", false).await;
    let (client, target) = (client(), webhook(&url));
    send(&client, &target, firing()).await.result.unwrap();
    let attempt = send(&client, &target, firing()).await;
    let failure = failure(&attempt);
    assert_eq!((failure.error_type, failure.told), (ErrorType::Connect, Told::Maybe));
    assert_eq!(requests.load(Ordering::SeqCst), 3, "first, broken, broken again");
}

#[tokio::test]
async fn d21_a_fresh_connection_that_is_refused_does_not_hide_that_the_request_was_written() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut stream).await);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert!(read_request(&mut stream).await);
        drop(listener);
        stream.set_zero_linger().unwrap();
    });
    let (client, target) = (client(), webhook(&url));
    send(&client, &target, firing()).await.result.unwrap();
    let attempt = send(&client, &target, firing()).await;
    let failure = failure(&attempt);
    assert_eq!((failure.error_type, failure.told), (ErrorType::Connect, Told::Maybe));
}

#[tokio::test]
async fn d22_a_used_connection_that_breaks_within_the_answer_is_not_tried_again() {
    let (url, requests) = receiver(b"HTTP/1.1 20", true).await;
    let (client, target) = (client(), webhook(&url));
    send(&client, &target, firing()).await.result.unwrap();
    let attempt = send(&client, &target, firing()).await;
    assert_eq!(failure(&attempt).told, Told::Maybe);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
    assert!(attempt.latency < Duration::from_secs(2));
}

#[tokio::test]
async fn d24_bytes_that_nobody_asked_for_close_an_idle_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = webhook(&format!("http://{}/", listener.local_addr().unwrap()));
    let client = client();
    let (answered, closed) = (oneshot::channel(), oneshot::channel());
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut first).await);
        first.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        // Only now is the connection idle; whoever used it again would take this for the answer.
        answered.1.await.unwrap();
        first.write_all(b"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert!(!read_request(&mut first).await, "the connection is closed");
        closed.0.send(()).unwrap();
        let (mut second, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut second).await);
        second.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    assert_eq!(send(&client, &target, firing()).await.status_code, Some(200));
    answered.0.send(()).unwrap();
    timeout(Duration::from_secs(10), closed.1).await.expect("it is closed in time").unwrap();
    assert_eq!(send(&client, &target, firing()).await.status_code, Some(204));
}
