//! Certificates: whom we trust, and what we say when we do not.

use std::{sync::Arc, time::Duration};

use fanfare::{
    api::Reason,
    delivery::{Class, Told},
    publish::ErrorType,
    registry::{Depth, Target},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::delivery::fixture::{Values, client, failure, firing, send, target_with, webhook};
use crate::support::sink::{Authority, Sink};

fn with_ca(url: &str, ca: &str) -> Arc<Target> {
    let from = json!({"name": "ca", "key": "ca.crt"});
    let spec = json!({
        "type": "Webhook",
        "webhook": {"url": url},
        "connection": {"tls": {"caConfigMapRef": from}},
        "delivery": {"timeout": "5s"},
    });
    target_with(spec, &Values::default().with("ca/ca.crt", ca))
}

/// A TLS listener with a certificate of its own authority; what it reads it forgets.
async fn listener(
    edit: impl FnOnce(&mut CertificateParams),
    versions: &[&'static SupportedProtocolVersion],
) -> (String, String) {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    edit(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    (url, pem)
}

#[tokio::test]
async fn a_custom_authority_is_trusted_and_connections_are_shared() {
    let authority = Authority::new();
    let sink = Sink::start_tls(&authority).await;
    let client = client();
    for _ in 0..2 {
        let target = with_ca(&sink.url("/"), authority.pem());
        assert_eq!(send(&client, &target, firing()).await.result, Ok(()));
    }
    assert_eq!((sink.received().len(), sink.connections()), (2, 1));
}

#[tokio::test]
async fn d06_a_custom_authority_replaces_the_systems_and_nobody_elses_is_trusted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let sink = Sink::start_tls(&theirs).await;
    for target in [with_ca(&sink.url("/"), ours.pem()), webhook(&sink.url("/"))] {
        let attempt = send(&client(), &target, firing()).await;
        let failure = failure(&attempt);
        assert_eq!((failure.error_type, failure.told), (ErrorType::Tls, Told::No));
        assert_eq!(failure.reason, Reason::TLSFailed);
        let sample = attempt.sample.unwrap().verdict.unwrap_err();
        assert_eq!(sample.depth, Depth::Connect);
    }
    assert_eq!(sink.received().len(), 0);
    let attempt = send(&client(), &with_ca(&sink.url("/"), ours.pem()), firing()).await;
    assert!(failure(&attempt).message.contains("issuer is not trusted"));
}

#[tokio::test]
async fn d06_bad_certificates_are_named() {
    let all = rustls::ALL_VERSIONS;
    let old = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    };
    let early = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2091, 1, 1);
    };
    let other = |params: &mut CertificateParams| {
        *params = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
    };
    let cases = [
        (listener(old, all).await, "has expired"),
        (listener(early, all).await, "not valid yet"),
        (listener(other, all).await, "another host name"),
    ];
    for ((url, ca), words) in cases {
        let attempt = send(&client(), &with_ca(&url, &ca), firing()).await;
        let failure = failure(&attempt);
        assert_eq!(failure.error_type, ErrorType::Tls, "{words}");
        assert_eq!((failure.class, failure.told), (Class::RetrySlowly, Told::No), "{words}");
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}

#[tokio::test]
async fn d06_a_port_without_tls_is_named_and_never_spoken_to_in_plain() {
    let sink = Sink::start().await;
    let url = sink.url("/").replace("http://", "https://");
    let attempt = send(&client(), &webhook(&url), firing()).await;
    assert_eq!(failure(&attempt).error_type, ErrorType::Tls);
    assert!(sink.received().is_empty());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.try_write(b"220 mail.example ESMTP ready\r\n");
    });
    let attempt = send(&client(), &webhook(&url), firing()).await;
    assert!(failure(&attempt).message.contains("does not speak TLS"), "{:?}", attempt.result);
}

#[tokio::test]
async fn d06_a_handshake_that_stalls_ends_with_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let attempt = send(&client(), &webhook(&url), firing()).await;
    let failure = failure(&attempt);
    assert_eq!((failure.error_type, failure.told), (ErrorType::Timeout, Told::No));
    assert_eq!(failure.class, Class::Retry);
    assert!(attempt.latency < Duration::from_secs(4));
}

#[tokio::test]
async fn d06_tls_1_2_still_works() {
    let (url, ca) = listener(|_| {}, &[&rustls::version::TLS12]).await;
    // The listener closes after the handshake: that it got so far is all that is asked.
    let attempt = send(&client(), &with_ca(&url, &ca), firing()).await;
    assert_eq!(failure(&attempt).error_type, ErrorType::Connect);
}

#[tokio::test]
async fn d06_nothing_older_than_tls_1_2_is_spoken() {
    // A hello of TLS 1.1: version, random, no session, a cipher suite, no compression.
    let hello = [&[3, 2][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
    let message = [&[2, 0, 0, u8::try_from(hello.len()).unwrap()][..], &hello].concat();
    let record = [&[22, 3, 2, 0, u8::try_from(message.len()).unwrap()][..], &message].concat();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let said = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(&record).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        rest
    });
    let attempt = send(&client(), &webhook(&url), firing()).await;
    let failure = failure(&attempt);
    assert_eq!((failure.class, failure.error_type), (Class::RetrySlowly, ErrorType::Tls));
    assert!(failure.message.contains("no TLS 1.2 or 1.3"), "{}", failure.message);
    let rest = said.await.unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1"), "nothing is said in plain");
}
