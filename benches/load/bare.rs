//! The bare hyper loop: a client that does nothing but post equal bodies to the same receivers, in the program's
//! place. What it reaches is what the machine allows.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    child::{Child, serve},
    machine::{cpu_seconds, now},
    sink::Wire,
};

/// What the bare loop posts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bare {
    pub(crate) urls: Vec<String>,
    pub(crate) wire: Wire,
    pub(crate) authority: String,
    /// Posts under way at each receiver at most: connections with HTTP/1.1, streams of one with HTTP/2.
    pub(crate) in_flight: usize,
    /// Bytes of a body.
    pub(crate) size: usize,
    /// Posts to each receiver.
    pub(crate) posts: usize,
}

/// How that went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Looped {
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) refused: u64,
    pub(crate) cpu: f64,
}

/// A way to post on one connection.
enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

// === impl Bare ===

impl Bare {
    /// Runs it in a child process.
    pub(crate) fn run(&self) -> Looped {
        let order = serde_json::to_value(self).expect("plain data");
        let answer = Child::start("bare").ask(&order);
        serde_json::from_value(answer).expect("it was written by the same type")
    }
}

// === impl Looped ===

impl Looped {
    pub(crate) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.ended.saturating_sub(self.began)).as_secs_f64()
    }
}

// === impl Sender ===

impl Sender {
    async fn post(&mut self, uri: &Uri, body: Bytes) -> bool {
        let mut request =
            Request::post(uri.path()).header(header::CONTENT_TYPE, "application/json");
        if let Self::One(_) = self {
            request = request.header(header::HOST, uri.authority().expect("it has one").as_str());
        } else {
            request = request.uri(uri.clone());
        }
        let request = request.body(Full::new(body)).expect("a valid request");
        let answer = match self {
            Self::One(sender) => {
                if sender.ready().await.is_err() {
                    return false;
                }
                sender.send_request(request).await
            }
            Self::Two(sender) => {
                if sender.ready().await.is_err() {
                    return false;
                }
                sender.send_request(request).await
            }
        };
        let Ok(answer) = answer else { return false };
        let accepted = answer.status().is_success();
        answer.into_body().collect().await.is_ok() && accepted
    }
}

/// The child: one loop per order, on one thread, which is faster on few cores than several.
pub(crate) fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the machine has room");
    serve(|order| {
        let bare = serde_json::from_value(order).expect("a bare loop");
        serde_json::to_value(runtime.block_on(run(bare))).expect("plain data")
    });
}

async fn run(bare: Bare) -> Looped {
    let tls = (bare.wire != Wire::Http1).then(|| connector(&bare));
    let mut senders = Vec::new();
    for url in &bare.urls {
        let uri: Uri = url.parse().expect("a valid address");
        let mut shared = None;
        for at in 0..bare.in_flight {
            let sender = match &shared {
                Some(shared) => Sender::Two(http2::SendRequest::clone(shared)),
                None => connect(&uri, tls.as_ref(), bare.wire).await,
            };
            if let Sender::Two(sender) = &sender {
                shared = Some(sender.clone());
            }
            senders.push((sender, uri.clone(), at));
        }
    }
    let (cpu, began) = (cpu_seconds(std::process::id()), now());
    let loops = senders.into_iter().map(|(mut sender, uri, at)| {
        let bare = &bare;
        // A task each, as in the program.
        let (step, posts, size) = (bare.in_flight, bare.posts, bare.size);
        tokio::spawn(async move {
            let mut refused = 0;
            for id in (at..posts).step_by(step) {
                refused += u64::from(!sender.post(&uri, body(id, size)).await);
            }
            refused
        })
    });
    let refused =
        join_all(loops).await.into_iter().map(|one| one.expect("it does not panic")).sum();
    Looped { began, ended: now(), refused, cpu: cpu_seconds(std::process::id()) - cpu }
}

/// A body that tells one alert, so that the receivers have the same to do.
fn body(id: usize, size: usize) -> Bytes {
    let mut text = String::with_capacity(size);
    write!(text, "{{\"bench\":\"Z{id}Z\",\"filler\":\"").expect("text grows");
    text.extend(std::iter::repeat_n('x', size.saturating_sub(text.len() + 2)));
    text.push_str("\"}");
    text.into()
}

fn connector(bare: &Bare) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let authority =
        CertificateDer::from_pem_slice(bare.authority.as_bytes()).expect("a certificate");
    roots.add(authority).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let protocol: &[u8] = if bare.wire == Wire::Http2Tls { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn connect(uri: &Uri, tls: Option<&TlsConnector>, wire: Wire) -> Sender {
    let authority = uri.authority().expect("it has one");
    let stream = TcpStream::connect(authority.as_str()).await.expect("the receiver listens");
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return speak(TokioIo::new(stream), wire).await };
    let name = ServerName::try_from(authority.host().to_owned()).expect("an address");
    speak(TokioIo::new(tls.connect(name, stream).await.expect("we trust its authority")), wire)
        .await
}

async fn speak(
    io: impl hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    wire: Wire,
) -> Sender {
    if wire == Wire::Http2Tls {
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), io).await.expect("the receiver speaks it");
        tokio::spawn(connection);
        return Sender::Two(sender);
    }
    let (sender, connection) = http1::handshake(io).await.expect("nothing is sent yet");
    tokio::spawn(connection);
    Sender::One(sender)
}
