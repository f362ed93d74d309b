//! A receiver that speaks HTTP/2 frame by frame, so that it can break every rule.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use fanfare::registry::Target;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::bed::Counts;
use crate::delivery::fixture::{Values, target_with};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// One certificate for all receivers: making one takes its time.
static TLS: LazyLock<(TlsAcceptor, String)> = LazyLock::new(acceptor);

/// What to do about one request.
pub(super) struct Reply {
    /// Written at once.
    pub(super) bytes: Vec<u8>,
    pub(super) then: Then,
}

pub(super) enum Then {
    /// Serves the next request.
    Go,
    Close,
    /// Keeps the connection open and neither reads nor writes.
    Deaf,
    /// Writes these bytes over and over.
    Flood(Vec<u8>),
}

/// Answers the nth request of all, from 0, which came on `stream`.
pub(super) type Script = Arc<dyn Fn(usize, u32) -> Reply + Send + Sync>;

pub(super) struct Server {
    url: String,
    pem: String,
    counts: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Frames of each kind, with their streams, in order of arrival.
    frames: watch::Sender<Vec<(u8, u32)>>,
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header block without compression.
pub(super) fn block(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    // A literal whose name is entry 8 of the static table, `:status`.
    let mut block = vec![0x08, 3];
    block.extend(status.to_string().bytes());
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.extend(length(text.len()));
            block.extend(text.bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits.
fn length(value: usize) -> Vec<u8> {
    let Some(mut rest) = value.checked_sub(127) else { return vec![u8::try_from(value).unwrap()] };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 0x80);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// A whole answer without a body.
pub(super) fn status(stream: u32, code: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(code, headers))
}

/// An answer whose body is still to come.
pub(super) fn head(stream: u32, code: u16) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(code, &[]))
}

pub(super) fn reset(stream: u32, reason: h2::Reason) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &u32::from(reason).to_be_bytes())
}

pub(super) fn go_away(last: u32, reason: h2::Reason) -> Vec<u8> {
    let payload = [last.to_be_bytes(), u32::from(reason).to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, &payload)
}

// === impl Reply ===

impl Reply {
    pub(super) fn go(bytes: Vec<u8>) -> Self {
        Self { bytes, then: Then::Go }
    }

    pub(super) fn then(bytes: Vec<u8>, then: Then) -> Self {
        Self { bytes, then }
    }
}

// === impl Server ===

impl Server {
    /// `settings` is the payload of the first SETTINGS frame of the first connection.
    pub(super) async fn start(settings: &'static [u8], script: Script) -> Self {
        let (acceptor, pem) = TLS.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let counts = Arc::new(Seen::default());
        let seen = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let first = seen.connections.fetch_add(1, Ordering::SeqCst) == 0;
                let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                    let settings = if first { settings } else { &[] };
                    // An error means that the client is gone.
                    let _ = converse(&mut tls, settings, &script, &seen).await;
                });
            }
        });
        Self { url, pem, counts }
    }

    /// A target that leads here.
    pub(super) fn target(&self, timeout: &str) -> Arc<Target> {
        let spec = json!({
            "type": "Webhook",
            "webhook": {"url": self.url},
            "connection": {"tls": {"caSecretRef": {"name": "s", "key": "ca"}}},
            "delivery": {"timeout": timeout},
        });
        target_with(spec, &Values::default().with("s/ca", &self.pem))
    }

    /// Every frame so far: kind and stream, in order of arrival.
    pub(super) fn frames(&self) -> Vec<(u8, u32)> {
        self.counts.frames.borrow().clone()
    }

    /// Waits until a frame of this kind came for this stream; answers how many frames came before it.
    pub(super) async fn wait_frame(&self, kind: u8, stream: u32) -> usize {
        let find = |frames: &[(u8, u32)]| frames.iter().position(|it| *it == (kind, stream));
        let mut frames = self.counts.frames.subscribe();
        let found = frames.wait_for(|frames| find(frames).is_some());
        let found = tokio::time::timeout(std::time::Duration::from_mins(1), found).await;
        find(&found.expect("the frame arrives").unwrap()).unwrap()
    }
}

impl Counts for Server {
    fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }
}

async fn converse(
    tls: &mut TlsStream<TcpStream>,
    settings: &[u8],
    script: &Script,
    seen: &Seen,
) -> std::io::Result<()> {
    tls.read_exact(&mut [0; 24]).await?;
    tls.write_all(&frame(SETTINGS, 0, 0, settings)).await?;
    tls.flush().await?;
    loop {
        let mut head = [0; 9];
        tls.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        tls.read_exact(&mut payload).await?;
        let (kind, flags) = (head[3], head[4]);
        seen.frames.send_modify(|frames| frames.push((kind, stream)));
        if kind == SETTINGS && flags & ACK == 0 {
            tls.write_all(&frame(SETTINGS, ACK, 0, &[])).await?;
            tls.flush().await?;
        }
        if !matches!(kind, DATA | HEADERS) || flags & END_STREAM == 0 {
            continue;
        }
        let reply = script(seen.requests.fetch_add(1, Ordering::SeqCst), stream);
        tls.write_all(&reply.bytes).await?;
        tls.flush().await?;
        match reply.then {
            Then::Go => {}
            Then::Close => return tls.shutdown().await,
            Then::Deaf => std::future::pending().await,
            Then::Flood(bytes) => loop {
                tls.write_all(&bytes).await?;
            },
        }
    }
}

fn acceptor() -> (TlsAcceptor, String) {
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
    (TlsAcceptor::from(Arc::new(config)), pem)
}
