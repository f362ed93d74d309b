//! Before any request: nothing listens, nobody answers, our own side has nothing to spare.

use std::{process::Command, time::Duration};

use fanfare::{
    api::Reason,
    delivery::{Class, Told},
    publish::ErrorType,
    registry::{CircuitSample, Depth},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use crate::delivery::fixture::{client, failure, firing, send, target, webhook};
use crate::support::sink::{DeadPort, Sink};

#[tokio::test]
async fn d04_a_refused_connection_was_surely_not_told() {
    let attempt = send(&client(), &webhook(&DeadPort::reserve().url("/")), firing()).await;
    let failure = failure(&attempt);
    assert_eq!(failure.error_type, ErrorType::Connect);
    assert_eq!(failure.reason, Reason::ConnectFailed);
    assert_eq!((failure.class, failure.told), (Class::Retry, Told::No));
    assert_eq!(attempt.circuit(), CircuitSample::Failure);
    let sample = attempt.sample.unwrap().verdict.unwrap_err();
    assert_eq!((sample.depth, sample.local), (Depth::Connect, false));
}

/// A listener that drops further connects, as a firewall does, since its backlog is full.
pub(super) async fn blackhole() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
        filling.push(stream.unwrap());
        assert!(filling.len() < 100, "the backlog does not fill");
    }
    (listener, filling)
}

#[tokio::test]
async fn d05_an_unanswered_connect_ends_after_five_seconds() {
    let (listener, _filling) = blackhole().await;
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let patient = target(json!({
        "type": "Webhook", "webhook": {"url": url}, "delivery": {"timeout": "2m"},
    }));
    // Nothing will come, so that time need not really pass.
    tokio::time::pause();
    let attempt = send(&client(), &patient, firing()).await;
    let failure = failure(&attempt);
    assert_eq!((failure.class, failure.error_type), (Class::Retry, ErrorType::Timeout));
    assert_eq!((failure.told, failure.local), (Told::No, false));
    assert!(failure.message.contains("firewall"), "{}", failure.message);
    let took = attempt.latency;
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6), "{took:?}");
    assert_eq!(attempt.sample.unwrap().verdict.unwrap_err().depth, Depth::Connect);
}

/// Set in the process that has no descriptors to spare.
const CHILD: &str = "FANFARE_TEST_NO_DESCRIPTORS";

#[test]
fn d31_without_descriptors_the_fault_is_ours_and_passes() {
    if std::env::var_os(CHILD).is_some() {
        return without_descriptors();
    }
    let name = "delivery::zoo::connect::d31_without_descriptors_the_fault_is_ours_and_passes";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::main(flavor = "current_thread")]
async fn without_descriptors() {
    let sink = Sink::start().await;
    let (client, target) = (client(), webhook(&sink.url("/")));
    let before = getrlimit(Resource::Nofile);
    // Whatever is open stays open; nothing more can be opened.
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), maximum: before.maximum }).unwrap();
    let attempt = send(&client, &target, firing()).await;
    setrlimit(Resource::Nofile, before).unwrap();
    let failed = failure(&attempt);
    assert_eq!((failed.class, failed.error_type), (Class::Retry, ErrorType::Connect));
    assert_eq!((failed.told, failed.local), (Told::No, true));
    assert_eq!(failed.reason, Reason::LocalNetworkFault, "no verdict about the target");
    assert!(failed.message.contains("no socket to spare"), "{}", failed.message);
    assert_eq!(attempt.circuit(), CircuitSample::Ours);
    assert_eq!(sink.connections(), 0);
    assert_eq!(send(&client, &target, firing()).await.result, Ok(()), "it passes");
}
