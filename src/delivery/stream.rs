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

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// Most bytes of one answer on HTTP/1: headers, the body as far as it is read, and what is buffered. It ends a
/// flood of 1xx answers, which the parser itself would follow for ever.
const MAX_ANSWER: u64 = 512 * 1024;

/// A connection, with or without TLS.
pub(super) struct Stream {
    inner: Inner,
    h2: bool,
    turns: Arc<Turns>,
}

/// Request and answer take turns on HTTP/1.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// An answer was read before the present request.
    reused: AtomicBool,
    /// Something was read since the present request was written.
    answered: AtomicBool,
    /// Bytes read since then.
    bytes: AtomicU64,
}

enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

// === impl Turns ===

impl Turns {
    /// The connection carried an answer before, and nothing came since the last request was written: when it
    /// broke, the far end had most likely closed it before it saw the request.
    pub(super) fn stale(&self) -> bool {
        self.reused.load(Ordering::Acquire) && !self.answered.load(Ordering::Acquire)
    }

    fn wrote(&self) {
        if self.answered.swap(false, Ordering::AcqRel) {
            self.reused.store(true, Ordering::Release);
            self.bytes.store(0, Ordering::Release);
        }
    }

    /// Returns false once an answer is too long.
    fn read(&self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        self.answered.store(true, Ordering::Release);
        self.bytes.fetch_add(bytes as u64, Ordering::AcqRel) + bytes as u64 <= MAX_ANSWER
    }
}

// === impl Stream ===

impl Stream {
    pub(super) fn plain(tcp: TcpStream) -> Self {
        Self { inner: Inner::Plain(tcp), h2: false, turns: Arc::default() }
    }

    pub(super) fn tls(tls: TlsStream<TcpStream>) -> Self {
        let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Self { inner: Inner::Tls(Box::new(tls)), h2, turns: Arc::default() }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        if self.h2 {
            Connected::new().negotiated_h2()
        } else {
            Connected::new().extra(Arc::clone(&self.turns))
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
        if polled.is_ready() && !this.turns.read(buffer.filled().len() - before) && !this.h2 {
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
