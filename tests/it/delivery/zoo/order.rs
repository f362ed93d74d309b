//! A request that was given up must not arrive after the next one.

use std::{
    io::{ErrorKind, Read as _},
    sync::Arc,
    time::Duration,
};

use fanfare::{alert::Status, delivery::Class, publish::ErrorType, registry::Target};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use crate::delivery::fixture::{about, alert_of, client, failure, firing, resolved, send, target};
use crate::support::http2::{HEADERS, RST_STREAM, Reply, Server, status};

fn hasty(listener: &TcpListener) -> Arc<Target> {
    let url = format!("http://{}/", listener.local_addr().unwrap());
    target(json!({"type": "Webhook", "webhook": {"url": url}, "delivery": {"timeout": "2s"}}))
}

/// Reads one request; all of them are smaller than the buffer and come at once.
async fn read(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 64 * 1024];
    let length = stream.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Whether the other side has closed this connection, as far as this machine knows by now.
fn closed(stream: TcpStream) -> bool {
    let mut stream = stream.into_std().unwrap();
    !matches!(stream.read(&mut [0; 64]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[tokio::test]
async fn d35_the_old_connection_is_closed_before_the_next_attempt_begins() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = hasty(&listener);
    let client = client();
    let far = tokio::spawn(async move {
        let (mut old, _) = listener.accept().await.unwrap();
        assert!(read(&mut old).await.contains("alert.firing"));
        let (mut new, _) = listener.accept().await.unwrap();
        let request = read(&mut new).await;
        assert!(request.contains("alert.resolved"));
        let closed = closed(old);
        new.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        (closed, new)
    });
    let first = send(&client, &target, firing()).await;
    assert_eq!(failure(&first).error_type, ErrorType::Timeout);
    assert_eq!(send(&client, &target, resolved()).await.result, Ok(()));
    assert!(far.await.unwrap().0, "the old connection is still open");
}

/// Nothing else runs between the end of the attempt and the look at its connection: the test has one thread.
#[tokio::test]
async fn d35_the_old_connection_is_closed_when_the_attempt_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, target) = (client(), hasty(&listener));
    let (attempt, old) = tokio::join!(send(&client, &target, firing()), async {
        let (mut old, _) = listener.accept().await.unwrap();
        assert!(read(&mut old).await.contains("alert.firing"));
        old
    });
    assert!(closed(old), "the next attempt may begin now");
    assert_eq!(failure(&attempt).error_type, ErrorType::Timeout);
}

#[tokio::test]
async fn d35_what_the_kernel_still_holds_of_a_given_up_request_never_arrives() {
    // The request is larger than what the receiver takes without reading, and smaller than what the sender's
    // kernel takes at once: a plain close would deliver it whole, whenever the receiver reads on.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let target = hasty(&listener);
    let members = (0..60).map(|nth| (alert_of(&"x".repeat(500), nth), Status::Firing)).collect();
    let client = client();
    let (attempt, accepted) =
        tokio::join!(send(&client, &target, about(members)), listener.accept());
    assert_eq!(failure(&attempt).error_type, ErrorType::Timeout);
    let mut stream = accepted.unwrap().0;
    let (mut got, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    let end = timeout(Duration::from_secs(10), async {
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) => return "closed",
                Err(_) => return "reset",
                Ok(length) => got.extend_from_slice(&buffer[..length]),
            }
        }
    });
    assert_eq!(end.await.expect("the connection has an end"), "reset");
    let text = String::from_utf8_lossy(&got);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let length: usize = length.parse().unwrap();
    assert!(length > 100_000 && body.len() < length, "{} of {length}", body.len());
}

#[tokio::test]
async fn d35_on_http2_the_old_stream_is_reset_and_another_connection_used() {
    let script = |nth, stream| match nth {
        0 => Reply::go(Vec::new()),
        _ => Reply::go(status(stream, 200, &[])),
    };
    let server = Server::start(&[], Arc::new(script)).await;
    let client = client();
    let attempt = send(&client, &server.target("2s"), firing()).await;
    let failed = failure(&attempt);
    assert_eq!((failed.class, failed.error_type), (Class::Retry, ErrorType::Timeout));
    assert_eq!(send(&client, &server.target("1m"), resolved()).await.result, Ok(()));
    let reset = server.wait_frame(RST_STREAM, 1).await;
    let frames = server.frames();
    let requests: Vec<_> = (0..frames.len()).filter(|at| frames[*at].0 == HEADERS).collect();
    assert_eq!(requests.len(), 2);
    assert!(requests[0] < reset && reset < requests[1], "{frames:?}");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_cancelled_attempt_closes_its_connection_and_leaves_the_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = hasty(&listener);
    let client = client();
    let mut accepted = {
        let sending = send(&client, &target, firing());
        tokio::select! {
            _ = sending => panic!("nobody answered"),
            stream = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                read(&mut stream).await;
                stream
            } => stream,
        }
    };
    let end = timeout(Duration::from_secs(5), accepted.read(&mut [0; 64])).await;
    assert!(!matches!(end.expect("the connection is closed"), Ok(1..)));
}
