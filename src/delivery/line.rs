//! A connection as requests use it.
//!
//! On HTTP/1 whoever has a request under way polls the connection itself: no task stands between, nothing is woken
//! but who waits for the answer, and dropping the request closes the connection there and then. While it is idle
//! nobody polls it; [`super::pool`] looks after it. On HTTP/2 requests share a connection, which has its own task.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::task::unconstrained;

use super::stream::{Stream, Turns};

/// Headers of an answer, in bytes. Of lines hyper takes 100; the same number set by us would cost a table of as
/// many on the heap for each answer.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The same on HTTP/2, and what an answer may have under way.
const MAX_HEADER_LIST: u32 = 64 * 1024;
const WINDOW: u32 = 128 * 1024;
/// A connection of HTTP/2 with requests under way is asked this often whether it lives.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

type Body = Full<Bytes>;
/// What came back; an error holds the request if it was not begun.
type Sent = Result<Response<Incoming>, TrySendError<Request<Body>>>;

/// A connection that can take a request.
pub(super) enum Line {
    /// HTTP/1: nobody else has it.
    One(Box<One>),
    /// HTTP/2: a share of it.
    Two(Two),
}

/// A connection of HTTP/1.
pub(super) struct One {
    sender: http1::SendRequest<Body>,
    /// `None` once it has ended.
    connection: Option<http1::Connection<TokioIo<Stream>, Body>>,
    turns: Arc<Turns>,
    /// A request waits for its answer.
    waits: bool,
}

/// A share of a connection of HTTP/2.
#[derive(Clone)]
pub(super) struct Two {
    sender: http2::SendRequest<Body>,
    turns: Arc<Turns>,
}

// === impl Line ===

impl Line {
    /// Begins to speak on `stream`.
    pub(super) async fn new(stream: Stream) -> hyper::Result<Self> {
        let turns = Arc::clone(stream.turns());
        let io = TokioIo::new(stream);
        if !turns.is_http2() {
            let mut http = http1::Builder::new();
            http.max_buf_size(MAX_HEADER_BYTES);
            let (sender, connection) = http.handshake(io).await?;
            let connection = Some(connection);
            return Ok(Self::One(Box::new(One { sender, connection, turns, waits: false })));
        }
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_header_list_size(MAX_HEADER_LIST)
            .initial_stream_window_size(WINDOW)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT);
        let (mut sender, connection) = http.handshake(io).await?;
        // Requests hear of what ends it.
        tokio::spawn(async { drop(connection.await) });
        sender.ready().await?;
        Ok(Self::Two(Two { sender, turns }))
    }

    pub(super) fn turns(&self) -> &Turns {
        match self {
            Self::One(one) => &one.turns,
            Self::Two(two) => &two.turns,
        }
    }

    /// Sends a request and waits for the headers of its answer. Dropping the future gives the request up: before
    /// that returns, a connection of HTTP/1 is closed, and nothing of the request arrives any more.
    pub(super) async fn send(&mut self, request: Request<Body>) -> Sent {
        match self {
            Self::One(one) => {
                one.waits = true;
                let answer = one.sender.try_send_request(request);
                let answer = one.drive(answer).await?;
                one.waits = false;
                Ok(answer)
            }
            Self::Two(two) => {
                two.turns.grant();
                two.sender.try_send_request(request).await
            }
        }
    }

    /// Waits for what comes over this connection.
    pub(super) async fn drive<F: Future>(&mut self, what: F) -> F::Output {
        match self {
            Self::One(one) => one.drive(what).await,
            Self::Two(_) => what.await,
        }
    }
}

// === impl One ===

impl One {
    /// Whether it can take another request now.
    pub(super) fn is_idle(&mut self) -> bool {
        if !self.sender.is_ready() {
            self.look();
        }
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Looks whether something came, which ends an idle connection. Returns whether it goes on.
    pub(super) fn look(&mut self) -> bool {
        self.poll(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some()
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(context).is_ready()
        {
            // Gives an unbegun request back.
            self.connection = None;
        }
    }

    /// Only the connection makes `what` ready, so that only the connection needs to wake anybody.
    async fn drive<F: Future>(&mut self, what: F) -> F::Output {
        // A budget that is used up would wake the wrong one.
        let mut what = pin!(unconstrained(what));
        poll_fn(|context| {
            self.poll(context);
            what.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }
}

impl Drop for One {
    fn drop(&mut self) {
        if self.waits {
            self.turns.abort();
        }
    }
}

// === impl Two ===

impl Two {
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Whether it is a share of the same connection.
    pub(super) fn is_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.turns, &other.turns)
    }
}
