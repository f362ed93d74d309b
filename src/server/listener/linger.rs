//! A request body that nobody reads to its end is still taken off the wire for a while.
//!
//! A sender that is refused while it sends would otherwise not see the answer: closing a connection with
//! bytes in it that nobody read resets it, and what was answered is lost on the way.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{runtime::Handle, time::timeout};

/// Time in which the rest may arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of the rest: as much as the largest body that is taken.
const MOST: usize = 4 * 1024 * 1024;

/// A body whose rest is read and thrown away when it is dropped.
pub(super) struct Lingering {
    /// `None` once it has ended, or if nothing more is to be read.
    body: Option<Incoming>,
    /// The sender waits to be asked for the body.
    asks_first: bool,
}

// === impl Lingering ===

impl Lingering {
    /// `asks_first`: the request says `Expect: 100-continue`.
    pub(super) fn new(body: Incoming, asks_first: bool) -> Self {
        Self { body: Some(body), asks_first }
    }
}

impl Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.asks_first = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !self.asks_first && !body.is_end_stream());
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            // Ends with the connection, or soon.
            runtime.spawn(timeout(PATIENCE, swallow(rest)));
        }
    }
}

async fn swallow(mut body: Incoming) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
