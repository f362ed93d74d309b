//! HTTP/2, chosen by ALPN.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fanfare::{delivery::Told, publish::ErrorType, registry::Target};
use h2::{Reason, server::SendResponse};
use http::Response;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::fixture::{Values, client, failure, firing, send, target_with};

/// What to do with the nth request of all, from 0.
type Handler = fn(usize, SendResponse<bytes::Bytes>);

struct Server {
    target: Arc<Target>,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

async fn serve(handler: Handler) -> Server {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (Arc::clone(&connections), Arc::clone(&requests));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            counters.0.fetch_add(1, Ordering::SeqCst);
            let (acceptor, requests) = (acceptor.clone(), Arc::clone(&counters.1));
            tokio::spawn(async move {
                let tls = acceptor.accept(tcp).await.unwrap();
                let mut connection = h2::server::handshake(tls).await.unwrap();
                let mut bodies = Vec::new();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    // Held, so that a dropped body does not reset the stream.
                    bodies.push(request);
                    handler(requests.fetch_add(1, Ordering::SeqCst), respond);
                }
            });
        }
    });
    let spec = json!({
        "type": "Webhook",
        "webhook": {"url": url},
        "connection": {"tls": {"caSecretRef": {"name": "s", "key": "ca"}}},
        "delivery": {"timeout": "2s"},
    });
    let target = target_with(spec, &Values::default().with("s/ca", &pem));
    Server { target, connections, requests }
}

fn ok(mut respond: SendResponse<bytes::Bytes>) {
    respond.send_response(Response::new(()), true).unwrap();
}

#[tokio::test]
async fn requests_share_one_connection() {
    let server = serve(|_, respond| ok(respond)).await;
    let client = client();
    send(&client, &server.target, firing()).await.result.unwrap();
    let many = (0..8).map(|_| send(&client, &server.target, firing()));
    for attempt in futures::future::join_all(many).await {
        assert_eq!((attempt.result, attempt.status_code), (Ok(()), Some(200)));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refused_stream_is_tried_once_more_at_once() {
    let server = serve(|nth, mut respond| match nth {
        1 => respond.send_reset(Reason::REFUSED_STREAM),
        _ => ok(respond),
    })
    .await;
    let client = client();
    send(&client, &server.target, firing()).await.result.unwrap();
    assert_eq!(send(&client, &server.target, firing()).await.result, Ok(()));
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn any_other_reset_may_have_told() {
    let server = serve(|_, mut respond| respond.send_reset(Reason::INTERNAL_ERROR)).await;
    let attempt = send(&client(), &server.target, firing()).await;
    let failure = failure(&attempt);
    assert_eq!((failure.error_type, failure.told), (ErrorType::Connect, Told::Maybe));
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn silence_ends_with_the_time_limit_and_harms_no_other_request() {
    let server = serve(|nth, respond| {
        if nth == 0 {
            // Keeps the stream open without an answer.
            std::mem::forget(respond);
        } else {
            ok(respond);
        }
    })
    .await;
    let client = client();
    let attempt = send(&client, &server.target, firing()).await;
    assert_eq!(failure(&attempt).error_type, ErrorType::Timeout);
    assert!(attempt.latency < Duration::from_secs(3));
    assert_eq!(send(&client, &server.target, firing()).await.result, Ok(()));
    assert_eq!(server.connections.load(Ordering::SeqCst), 2, "the silent one is not trusted again");
}
