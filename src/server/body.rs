//! Reading a request body within its limits of size and time, and all of them within a budget.

use std::{ops::Deref, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// Most bytes of a body.
pub(super) const MAX_BODY: usize = 4 * 1024 * 1024;
/// Time for a body to arrive.
const DEADLINE: Duration = Duration::from_secs(10);

/// Bytes of all bodies that are being read, on all listeners: what senders can make us hold. Small bodies
/// have as much for themselves, so that a few large and slow ones keep nobody out.
const BUDGET: usize = 32 * 1024 * 1024;
/// Largest small body.
const SMALL: usize = 128 * 1024;
/// What a request counts for at least: its headers.
const SEAT: usize = 16 * 1024;
/// Bytes of the budget that one permit stands for.
const UNIT: usize = 1024;

/// The budget for bodies; requests that find it used up are refused. Clones share it.
#[derive(Clone, Debug)]
pub struct Bodies {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// A whole body; its part of the budget is free again when it is dropped.
pub(super) struct Whole {
    bytes: BytesMut,
    room: Vec<OwnedSemaphorePermit>,
}

// === impl Bodies ===

impl Default for Bodies {
    fn default() -> Self {
        let budget = || Arc::new(Semaphore::new(BUDGET / UNIT));
        Self { small: budget(), large: budget() }
    }
}

impl Bodies {
    /// The whole body, or 413, 408, 400, 503. A body that announces too much is refused unread.
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Whole, ApiError> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<u64>().ok());
        if announced.is_some_and(|length| length > MAX_BODY as u64) {
            return Err(too_large());
        }
        if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity") {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_encoding",
                "compressed bodies are not taken; send it without Content-Encoding",
            ));
        }
        match tokio::time::timeout(DEADLINE, self.collect(body)).await {
            Ok(read) => read,
            Err(_) => Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "the body did not arrive within 10 s",
            )),
        }
    }

    async fn collect(&self, mut body: Body) -> Result<Whole, ApiError> {
        let mut whole = Whole { bytes: BytesMut::new(), room: vec![room(&self.small, SEAT)?] };
        let mut paid = SEAT;
        while let Some(frame) = body.frame().await {
            let broken = |_| ApiError::invalid("the body ended early or is not valid HTTP");
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            let length = whole.bytes.len() + data.len();
            if length > MAX_BODY {
                return Err(too_large());
            }
            if length > paid {
                // Twice as much at a time, as the buffer grows.
                let size = length.next_power_of_two();
                let budget = if size > SMALL { &self.large } else { &self.small };
                whole.room.push(room(budget, size - paid)?);
                paid = size;
            }
            whole.bytes.extend_from_slice(&data);
        }
        Ok(whole)
    }
}

fn room(budget: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
    let permits = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
    Arc::clone(budget).try_acquire_many_owned(permits).map_err(|_| {
        ApiError::unavailable(
            "too many large requests are being read at the same time; send again later",
        )
    })
}

// === impl Whole ===

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        "the body is larger than 4 MiB; send fewer alerts per request",
    )
}
