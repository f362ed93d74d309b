use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::http::{get, post, send, try_send};
use crate::support::sink::{Answer, Authority, DeadPort, Fault, Sink};

const WITHIN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn request_is_recorded_whole() {
    let sink = Sink::start().await;
    let before = Instant::now();
    let headers = [("content-type", "application/json"), ("X-Team", "sre")];
    send(Method::PUT, &sink.url("/hook?a=1"), &headers, Bytes::from_static(b"{\"n\":1}")).await;
    let received = sink.wait_received(1, WITHIN).await;
    let [request] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/hook?a=1"));
    assert_eq!(request.header("x-team"), Some("sre"));
    assert_eq!(request.json(), json!({"n": 1}));
    assert!(request.at >= before);
    sink.clear();
    assert!(sink.received().is_empty());
}

#[tokio::test]
async fn chunked_body_is_read_and_the_connection_kept() {
    let sink = Sink::start().await;
    let mut stream = TcpStream::connect(sink.address()).await.unwrap();
    let chunked =
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(chunked.as_bytes()).await.unwrap();
    }
    let received = sink.wait_received(2, WITHIN).await;
    assert!(received.iter().all(|request| request.text() == "abcde" && request.connection == 1));
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn answers_come_from_queue_then_path_then_default() {
    let sink = Sink::start().await;
    sink.answer(Answer::status(204));
    sink.answer_at("/path", Answer::status(429).header("Retry-After", "7"));
    sink.answer_once(Answer::status(500).json(&json!({"error": "x"})));
    let first = get(&sink.url("/path")).await;
    assert_eq!((first.status.as_u16(), first.json()), (500, json!({"error": "x"})));
    let second = post(&sink.url("/path?q"), &json!([])).await;
    assert_eq!(
        (second.status.as_u16(), &second.headers["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(get(&sink.url("/other")).await.status.as_u16(), 204);
}

#[tokio::test]
async fn held_answers_wait_for_release() {
    let sink = Sink::start().await;
    sink.answer(Answer::status(202).with(Fault::Held));
    let url = sink.url("/");
    let asking = [url.clone(), url].map(|url| tokio::spawn(async move { get(&url).await }));
    sink.wait_received(2, WITHIN).await;
    assert!(asking.iter().all(|ask| !ask.is_finished()));
    sink.release();
    for ask in asking {
        assert_eq!(ask.await.unwrap().status.as_u16(), 202);
    }
    assert_eq!(sink.most_concurrent(), 2);
}

/// What a client sees of a fault: what it read before the end, and whether there was an end.
async fn observe(fault: Answer) -> (String, &'static str) {
    let sink = Sink::start().await;
    sink.answer(fault);
    let mut stream = TcpStream::connect(sink.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        match tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer)).await {
            Err(_) => break "open",
            Ok(Err(_)) => break "reset",
            Ok(Ok(0)) => break "closed",
            Ok(Ok(_)) if text.len() > 100_000 => break "endless",
            Ok(Ok(read)) => text.extend_from_slice(&buffer[..read]),
        }
    };
    (String::from_utf8_lossy(&text).into_owned(), end)
}

#[tokio::test]
async fn faults_look_as_named_on_the_wire() {
    assert_eq!(observe(Answer::fault(Fault::Hang)).await, (String::new(), "open"));
    assert_eq!(observe(Answer::fault(Fault::Close)).await, (String::new(), "closed"));
    assert_eq!(observe(Answer::fault(Fault::Reset)).await, (String::new(), "reset"));
    assert_eq!(observe(Answer::fault(Fault::Raw(b"SSH-2.0\r\n".to_vec()))).await.0, "SSH-2.0\r\n");
    assert_eq!(observe(Answer::fault(Fault::Endless)).await.1, "endless");

    let (text, end) = observe(Answer::status(200).body("body").with(Fault::HangInBody)).await;
    assert!(text.ends_with("content-length: 4\r\n\r\n") && end == "open", "{text}");
    let (text, end) = observe(Answer::status(200).body("body").with(Fault::CloseInBody)).await;
    assert!(text.ends_with("\r\n\r\nbo") && end == "closed", "{text}");
}

#[tokio::test(start_paused = true)]
async fn delays_follow_the_clock() {
    let sink = Sink::start().await;
    let minute = Duration::from_mins(1);
    let delays = [
        Answer::status(200).after(minute),
        Answer::status(200).body("late").with(Fault::DelayBody(minute)),
        Answer::status(200).body("abc").with(Fault::Drip(minute / 2)),
    ];
    for answer in delays {
        sink.answer(answer.clone());
        let started = Instant::now();
        let mut stream = TcpStream::connect(sink.address()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(answer.body.as_slice()) || read.is_empty() {
            assert!(stream.read_buf(&mut read).await.unwrap() > 0);
        }
        assert!(started.elapsed() >= minute, "{answer:?} after {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn dead_port_refuses() {
    let dead = DeadPort::reserve();
    let error = try_send(Method::GET, &dead.url("/"), &[], Bytes::new()).await.unwrap_err();
    assert!(error.contains("ConnectionRefused"), "{error}");
}

#[tokio::test]
async fn tls_receiver_is_trusted_only_with_its_authority() {
    let authority = Authority::new();
    let sink = Sink::start_tls(&authority).await;
    assert!(sink.url("/").starts_with("https://127.0.0.1:"));
    for (pem, trusted) in [(authority.pem(), true), (Authority::new().pem(), false)] {
        let certificate = rustls_pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config =
            rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let stream = TcpStream::connect(sink.address()).await.unwrap();
        let connected = connector.connect("127.0.0.1".try_into().unwrap(), stream).await;
        assert_eq!(connected.is_ok(), trusted);
        if let Ok(mut stream) = connected {
            stream.write_all(b"GET /tls HTTP/1.1\r\n\r\n").await.unwrap();
            assert_eq!(sink.wait_received(1, WITHIN).await[0].path, "/tls");
        }
    }
}

#[tokio::test]
async fn dead_port_refuses_until_it_comes_alive() {
    let dead = DeadPort::reserve();
    let url = dead.url("/");
    assert!(try_send(Method::GET, &url, &[], Bytes::new()).await.is_err());
    let sink = dead.come_alive();
    assert_eq!(get(&url).await.status, 200);
    assert_eq!(sink.received().len(), 1);
}
