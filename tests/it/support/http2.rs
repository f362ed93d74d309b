//! A receiver that speaks HTTP/2 frame by frame, so that it can break every rule.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::sink::Authority;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// One certificate for all receivers: making one takes its time.
static TLS: LazyLock<(TlsAcceptor, Authority)> = LazyLock::new(|| {
    let authority = Authority::new();
    (authority.acceptor_of(&[b"h2"]), authority)
});

/// What to do about one request.
pub(crate) struct Reply {
    /// Written at once.
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

pub(crate) enum Then {
    /// Serves the next request.
    Go,
    Close,
    /// Keeps the connection open and neither reads nor writes.
    Deaf,
    /// Writes these bytes over and over.
    Flood(Vec<u8>),
}

/// Answers the nth request of all, from 0, which came on `stream`.
pub(crate) type Script = Arc<dyn Fn(usize, u32) -> Reply + Send + Sync>;

pub(crate) struct Server {
    url: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Frames of each kind, with their streams, in order of arrival.
    frames: watch::Sender<Vec<(u8, u32)>>,
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header block without compression.
pub(crate) fn block(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
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
pub(crate) fn status(stream: u32, code: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(code, headers))
}

/// An answer whose body is still to come.
pub(crate) fn head(stream: u32, code: u16) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(code, &[]))
}

pub(crate) fn reset(stream: u32, reason: h2::Reason) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &u32::from(reason).to_be_bytes())
}

pub(crate) fn go_away(last: u32, reason: h2::Reason) -> Vec<u8> {
    let payload = [last.to_be_bytes(), u32::from(reason).to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, &payload)
}

// === impl Reply ===

impl Reply {
    pub(crate) fn go(bytes: Vec<u8>) -> Self {
        Self { bytes, then: Then::Go }
    }

    pub(crate) fn then(bytes: Vec<u8>, then: Then) -> Self {
        Self { bytes, then }
    }
}

// === impl Server ===

impl Server {
    /// `settings` is the payload of the first SETTINGS frame of the first connection.
    pub(crate) async fn start(settings: &'static [u8], script: Script) -> Self {
        let acceptor = TLS.0.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let all = Arc::new(Seen::default());
        let seen = Arc::clone(&all);
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
        Self { url, seen: all }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the authority that signed its own.
    pub(crate) fn authority() -> &'static str {
        TLS.1.pem()
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Every frame so far: kind and stream, in order of arrival.
    pub(crate) fn frames(&self) -> Vec<(u8, u32)> {
        self.seen.frames.borrow().clone()
    }

    /// Waits until a frame of this kind came for this stream; answers how many frames came before it.
    pub(crate) async fn wait_frame(&self, kind: u8, stream: u32) -> usize {
        let find = |frames: &[(u8, u32)]| frames.iter().position(|it| *it == (kind, stream));
        let mut frames = self.seen.frames.subscribe();
        let found = frames.wait_for(|frames| find(frames).is_some());
        let found = tokio::time::timeout(std::time::Duration::from_mins(1), found).await;
        find(&found.expect("the frame arrives").unwrap()).unwrap()
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
