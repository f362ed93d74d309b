//! One connection, which notices what a failed request needs to know.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// Most bytes of one answer: headers, the body as far as it is read, and what is buffered. It ends floods of 1xx
/// answers and of frames, which the parsers themselves would follow for ever.
const MAX_ANSWER: u64 = 512 * 1024;
/// What a connection of HTTP/2 may receive without another request: its answers share it.
const MAX_ALLOWANCE: u64 = 64 * MAX_ANSWER;

/// A connection, with or without TLS.
pub(super) struct Stream {
    inner: Inner,
    turns: Arc<Turns>,
}

/// Request and answer take turns on HTTP/1; on HTTP/2 each request allows for one more answer.
#[derive(Debug)]
pub(super) struct Turns {
    h2: bool,
    /// An answer was read before the present request.
    reused: AtomicBool,
    /// A request, or part of one, was written, and nothing came back yet.
    asked: AtomicBool,
    /// Something was read.
    answered: AtomicBool,
    /// The request was given up: whatever of it is still on its way must not arrive.
    aborted: AtomicBool,
    /// Bytes that may still be read.
    allowance: AtomicU64,
}

enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

// === impl Turns ===

impl Turns {
    fn new(h2: bool) -> Self {
        Self {
            h2,
            reused: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            allowance: AtomicU64::new(MAX_ANSWER),
        }
    }

    pub(super) const fn is_http2(&self) -> bool {
        self.h2
    }

    /// The connection carried an answer before, and nothing came since the last request was written: when it
    /// broke, the far end had most likely closed it before it saw the request.
    pub(super) fn stale(&self) -> bool {
        !self.h2 && self.reused.load(Ordering::Acquire) && self.asked.load(Ordering::Acquire)
    }

    /// A request was handed to the connection.
    pub(super) fn grant(&self) {
        if self.h2 {
            self.spend(|left| (left + MAX_ANSWER).min(MAX_ALLOWANCE));
        }
    }

    /// The request is given up: nothing of it is to arrive once the connection is closed.
    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
    }

    fn wrote(&self) {
        if !self.h2 && !self.asked.swap(true, Ordering::AcqRel) {
            self.reused.store(self.answered.load(Ordering::Acquire), Ordering::Release);
            self.allowance.store(MAX_ANSWER, Ordering::Release);
        }
    }

    /// Returns false once more was read than any answer needs.
    fn read(&self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        self.asked.store(false, Ordering::Release);
        self.answered.store(true, Ordering::Release);
        let bytes = bytes as u64;
        self.spend(|left| left.saturating_sub(bytes)) >= bytes
    }

    /// Answers what was left before.
    fn spend(&self, change: impl Fn(u64) -> u64) -> u64 {
        let changed = self
            .allowance
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| Some(change(left)));
        changed.unwrap_or_else(|left| left)
    }
}

// === impl Stream ===

impl Stream {
    pub(super) fn plain(tcp: TcpStream) -> Self {
        Self { inner: Inner::Plain(tcp), turns: Arc::new(Turns::new(false)) }
    }

    pub(super) fn tls(tls: TlsStream<TcpStream>) -> Self {
        let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Self { inner: Inner::Tls(Box::new(tls)), turns: Arc::new(Turns::new(h2)) }
    }

    pub(super) fn turns(&self) -> &Arc<Turns> {
        &self.turns
    }

    fn tcp(&self) -> &TcpStream {
        match &self.inner {
            Inner::Plain(tcp) => tcp,
            Inner::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A plain close would go on sending what the far end has not taken yet: an old request could arrive
        // after a newer one. A reset drops it.
        if self.turns.asked.load(Ordering::Acquire) || self.turns.aborted.load(Ordering::Acquire) {
            // The socket is closed all the same.
            let _ = self.tcp().set_zero_linger();
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = match &mut this.inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Inner::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        };
        if polled.is_ready() && !this.turns.read(buffer.filled().len() - before) {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.turns.wrote();
        match &mut this.inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Inner::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Inner::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Inner::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.turns.wrote();
        match &mut this.inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Inner::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            Inner::Plain(tcp) => tcp.is_write_vectored(),
            Inner::Tls(tls) => tls.is_write_vectored(),
        }
    }
}
