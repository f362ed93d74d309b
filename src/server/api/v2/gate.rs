//! How many reads are answered at a time: each holds what it shows until it is read.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread::available_parallelism,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::error::retry_after_seconds;

/// Places for reads. Clones share them.
#[derive(Clone, Debug)]
pub struct Gate {
    places: Arc<Semaphore>,
    count: usize,
}

/// A body that keeps its place until it is sent or dropped.
struct Held {
    body: Body,
    _place: OwnedSemaphorePermit,
}

// === impl Gate ===

impl Gate {
    /// So many reads at a time.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(count)), count }
    }
}

/// As many as Alertmanager: one for each core, and at least eight.
impl Default for Gate {
    fn default() -> Self {
        Self::new(available_parallelism().map_or(1, usize::from).max(8))
    }
}

/// Lets a read through if there is a place, and everything that is no read.
pub(super) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let Ok(place) = Arc::clone(&gate.places).try_acquire_owned() else {
        let message = format!(
            "Limit of concurrent GET requests reached ({}), try again later.\n\n",
            gate.count
        );
        return (StatusCode::SERVICE_UNAVAILABLE, retry_after_seconds(1), message).into_response();
    };
    next.run(request).await.map(|body| Body::new(Held { body, _place: place }))
}

// === impl Held ===

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
