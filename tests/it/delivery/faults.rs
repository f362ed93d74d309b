//! Receivers that misbehave: every attempt ends in time, with the right verdict.

use std::time::Duration;

use fanfare::{
    api::Reason,
    delivery::{Class, Told},
    publish::ErrorType,
    registry::Depth,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{Instant, timeout},
};

use super::fixture::{client, failure, firing, send, target, webhook};
use crate::support::sink::{Answer, DeadPort, Fault, Sink};

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_refused_connection_was_surely_not_told() {
    let attempt = send(&client(), &webhook(&DeadPort::reserve().url("/")), firing()).await;
    let failure = failure(&attempt);
    assert_eq!(failure.error_type, ErrorType::Connect);
    assert_eq!(failure.reason, Reason::ConnectFailed);
    assert_eq!((failure.class, failure.told), (Class::Retry, Told::No));
    let sample = attempt.sample.unwrap().verdict.unwrap_err();
    assert_eq!((sample.depth, sample.local), (Depth::Connect, false));
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_may_have_told() {
    for fault in [Fault::Close, Fault::Reset, Fault::Raw(Vec::new()), raw("HTTP/1.1 2")] {
        let sink = Sink::start().await;
        sink.answer(Answer::fault(fault.clone()));
        let attempt = send(&client(), &webhook(&sink.url("/")), firing()).await;
        let failure = failure(&attempt);
        assert_eq!(failure.error_type, ErrorType::Connect, "{fault:?}");
        assert_eq!((failure.class, failure.told), (Class::Retry, Told::Maybe), "{fault:?}");
        assert_eq!(sink.connections(), 1, "a first request is not sent again: {fault:?}");
    }
}

#[tokio::test]
async fn silence_ends_with_the_time_limit() {
    for answer in [Answer::fault(Fault::Hang), Answer::status(200).after(LONG)] {
        let sink = Sink::start().await;
        sink.answer(answer);
        let attempt = send(&client(), &webhook(&sink.url("/")), firing()).await;
        let failure = failure(&attempt);
        assert_eq!(failure.error_type, ErrorType::Timeout);
        assert_eq!((failure.class, failure.told), (Class::Retry, Told::Maybe));
        assert!(attempt.latency >= Duration::from_secs(2) && attempt.latency < LONG);
    }
}

#[tokio::test]
async fn an_unanswered_connect_ends_with_the_time_limit() {
    // A full backlog drops further connects, as a firewall does.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        filling.push(stream.unwrap());
        assert!(filling.len() < 100, "the backlog does not fill");
    }
    let target = target(serde_json::json!({
        "type": "Webhook",
        "webhook": {"url": format!("http://{address}/")},
        "delivery": {"timeout": "300ms"},
    }));
    let attempt = send(&client(), &target, firing()).await;
    assert_eq!(failure(&attempt).error_type, ErrorType::Timeout);
    assert_eq!(failure(&attempt).told, Told::No);
}

#[tokio::test]
async fn a_2xx_decides_at_its_headers() {
    let body = vec![b'x'; 200];
    let faults = [
        Fault::HangInBody,
        Fault::Drip(Duration::from_millis(100)),
        Fault::CloseInBody,
        Fault::Endless,
        Fault::DelayBody(LONG),
    ];
    for fault in faults {
        let sink = Sink::start().await;
        sink.answer(Answer::status(200).body(body.clone()).with(fault.clone()));
        let started = Instant::now();
        let attempt = send(&client(), &webhook(&sink.url("/")), firing()).await;
        assert_eq!((attempt.result, attempt.status_code), (Ok(()), Some(200)), "{fault:?}");
        assert!(started.elapsed() < Duration::from_secs(1), "{fault:?}");
    }
}

#[tokio::test]
async fn an_error_decides_by_its_code_whatever_its_body_does() {
    let faults = [Fault::HangInBody, Fault::CloseInBody, Fault::Endless];
    for fault in faults {
        let sink = Sink::start().await;
        sink.answer(Answer::status(500).body(vec![b'x'; 200]).with(fault.clone()));
        let target = target(serde_json::json!({
            "type": "Webhook", "webhook": {"url": sink.url("/")}, "delivery": {"timeout": "30s"},
        }));
        let started = Instant::now();
        let attempt = send(&client(), &target, firing()).await;
        assert_eq!(failure(&attempt).error_type, ErrorType::ServerError, "{fault:?}");
        assert!(started.elapsed() < Duration::from_secs(4), "a body has two seconds: {fault:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_unexpected() {
    let many = "x-header: 1\r\n".repeat(10_000);
    let long = "x".repeat(1024 * 1024);
    let answers = [
        "SSH-2.0-OpenSSH_9.9\r\n".to_owned(),
        "hello".repeat(100),
        "HTTP/9.9 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nbad header line\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nx-bad: \u{0}\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 99999 OK\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nx-long: {long}\r\ncontent-length: 0\r\n\r\n"),
    ];
    for text in answers {
        let start: String = text.chars().take(60).collect();
        let sink = Sink::start().await;
        sink.answer(Answer::fault(raw(&text)));
        let attempt = send(&client(), &webhook(&sink.url("/")), firing()).await;
        let failure = failure(&attempt);
        assert_eq!(failure.error_type, ErrorType::Unexpected, "{start:?}");
        assert_eq!((failure.class, failure.told), (Class::Retry, Told::Maybe), "{start:?}");
        assert!(attempt.latency < Duration::from_secs(2), "{start:?}");
    }
}

#[tokio::test]
async fn a_switch_of_protocols_is_unexpected() {
    let sink = Sink::start().await;
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    sink.answer(Answer::fault(raw(switch)));
    let attempt = send(&client(), &webhook(&sink.url("/")), firing()).await;
    assert_eq!(failure(&attempt).error_type, ErrorType::Unexpected);
}

#[tokio::test]
async fn a_few_1xx_are_ignored_and_a_flood_is_ended() {
    let sink = Sink::start().await;
    let few = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let good = format!("{few}HTTP/1.1 204 No Content\r\n\r\n");
    sink.answer(Answer::fault(raw(&good)));
    assert_eq!(send(&client(), &webhook(&sink.url("/")), firing()).await.status_code, Some(204));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let flood = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let lines = "HTTP/1.1 100 Continue\r\n\r\n".repeat(400);
        let mut sent = 0;
        while stream.write_all(lines.as_bytes()).await.is_ok() {
            sent += lines.len();
        }
        sent
    });
    let attempt = send(&client(), &webhook(&url), firing()).await;
    assert!(attempt.result.is_err());
    assert!(attempt.latency < Duration::from_secs(2), "{:?}", attempt.latency);
    let sent = timeout(LONG, flood).await.expect("the connection was closed").unwrap();
    assert!(sent < 32 * 1024 * 1024, "{sent}");
}

#[tokio::test]
async fn after_a_wrong_length_or_stray_bytes_the_connection_is_not_used_again() {
    let texts = [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokstray",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok",
    ];
    for text in texts {
        let sink = Sink::start().await;
        sink.answer_once(Answer::fault(raw(text)));
        let (client, target) = (client(), webhook(&sink.url("/")));
        assert_eq!(send(&client, &target, firing()).await.result, Ok(()), "{text:?}");
        assert_eq!(send(&client, &target, firing()).await.result, Ok(()), "{text:?}");
        assert_eq!(sink.connections(), 2, "{text:?}");
    }
}

#[tokio::test]
async fn nothing_is_unpacked_and_nothing_compressed_is_asked_for() {
    let sink = Sink::start().await;
    // The first bytes of a gzip stream; whoever unpacked it would fail.
    sink.answer(
        Answer::status(400).header("content-encoding", "gzip").body([0x1f, 0x8b, 8, 0, 0xff]),
    );
    let attempt = send(&client(), &webhook(&sink.url("/")), firing()).await;
    assert_eq!(failure(&attempt).error_type, ErrorType::ClientError);
    let request = &sink.received()[0];
    assert_eq!(request.header("accept-encoding"), None);
    assert_eq!(request.header("expect"), None);
    assert!(request.header("user-agent").unwrap().starts_with("Fanfare/"));
}

#[tokio::test]
async fn connections_are_shared_and_dropping_an_attempt_closes_its_own() {
    let sink = Sink::start().await;
    let client = client();
    for _ in 0..3 {
        // Another target, the same host.
        send(&client, &webhook(&sink.url("/")), firing()).await.result.unwrap();
    }
    assert_eq!(sink.connections(), 1);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = webhook(&format!("http://{}/", listener.local_addr().unwrap()));
    let sending = send(&client, &target, firing());
    let (mut stream, mut buffer) = (None, vec![0; 64 * 1024]);
    tokio::select! {
        _ = sending => panic!("nobody answered"),
        () = async {
            let (mut accepted, _) = listener.accept().await.unwrap();
            assert!(accepted.read(&mut buffer).await.unwrap() > 0);
            stream = Some(accepted);
        } => {}
    }
    let mut stream = stream.unwrap();
    let end = timeout(LONG, async {
        while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
    });
    end.await.expect("the connection is closed when the attempt is dropped");
}

fn raw(text: &str) -> Fault {
    Fault::Raw(text.as_bytes().to_vec())
}
