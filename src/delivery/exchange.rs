//! One HTTP exchange under one deadline: connect, write, read what is needed, no more.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::{
        self,
        connect::{CaptureConnection, Connected, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    connect::Connector,
    fault::{Failed, Fault},
    stream::Turns,
};

/// Bytes of an answer that are read.
const MAX_BODY: usize = 64 * 1024;
/// Time for a body that says what happened.
const BODY_TIME: Duration = Duration::from_secs(2);
/// Time for a body that nobody reads, only so that the connection can be used again.
const DRAIN_TIME: Duration = Duration::from_millis(250);
/// Time for a connection to be closed after its request was given up.
const CLOSING_TIME: Duration = Duration::from_millis(250);
/// Headers of an answer, in bytes and in lines.
const MAX_HEADER_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;
/// Idle connections are closed before the usual far end closes them.
const IDLE: Duration = Duration::from_secs(50);
/// Idle connections kept per host.
const MAX_IDLE: usize = 8;

type Http = legacy::Client<Connector, Full<Bytes>>;

/// Connections with the same TLS settings, shared by all targets that have them.
pub(super) struct Profile {
    pub(super) connector: Connector,
    pooled: Http,
    /// Opens a connection of its own for every request.
    fresh: Http,
}

/// A request; cheap to make again.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether the body of a 2xx is wanted.
    pub(super) reads_success: bool,
}

/// What came back.
pub(super) struct Received {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// When the headers were in.
    pub(super) at: Instant,
}

// === impl Profile ===

impl Profile {
    pub(super) fn new(connector: Connector) -> Self {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .retry_canceled_requests(true)
            .http1_max_buf_size(MAX_HEADER_BYTES)
            .http1_max_headers(MAX_HEADERS)
            .http2_max_header_list_size(64 * 1024)
            .http2_initial_stream_window_size(Some(128 * 1024))
            .http2_keep_alive_interval(Some(Duration::from_secs(20)))
            .http2_keep_alive_timeout(Duration::from_secs(10));
        let pooled = builder.build(connector.clone());
        builder.pool_max_idle_per_host(0);
        let fresh = builder.build(connector.clone());
        Self { connector, pooled, fresh }
    }

    /// Sends `call` and reads the answer. Takes no longer than until `deadline` and what it takes to close the
    /// connection; dropping the future closes it, too.
    pub(super) async fn exchange(
        &self,
        call: &Call,
        deadline: Instant,
    ) -> Result<Received, Failed> {
        let (sent, again) = match headers(&self.pooled, call, deadline).await {
            Err(Fault::Stale) => (headers(&self.fresh, call, deadline).await, true),
            sent => (sent, false),
        };
        let response = sent.map_err(|fault| Failed { fault, again })?;
        Ok(body(response, call, deadline).await)
    }
}

/// Sends and waits for the headers of the answer.
async fn headers(http: &Http, call: &Call, deadline: Instant) -> Result<Response<Incoming>, Fault> {
    let mut request = Request::new(Full::new(call.body.clone()));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = call.uri.clone();
    *request.headers_mut() = call.headers.clone();
    let connection = capture_connection(&mut request);
    let sent = tokio::select! {
        biased;
        sent = timeout_at(deadline, http.request(request)) => sent,
        never = grant(connection.clone()) => match never {},
    };
    match sent {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => {
            let unsent = connection.connection_metadata().is_none();
            let stale = error.connect_info().and_then(turns).is_some_and(|turns| turns.stale());
            Err(Fault::of(&error, unsent, stale))
        }
        Err(_) => Err(give_up(&connection).await),
    }
}

/// Lets the connection that takes the request receive one more answer.
async fn grant(mut connection: CaptureConnection) -> Infallible {
    if let Some(turns) = connection.wait_for_connection_metadata().await.as_ref().and_then(turns) {
        turns.grant();
    }
    pending().await
}

/// The deadline has passed. Whatever took the request is not used again, since it may be dead without knowing;
/// and before the next attempt may begin, a connection of HTTP/1 is closed, so that no old request arrives after
/// a newer one. On HTTP/2 dropping the request has reset its stream; other streams go on.
async fn give_up(connection: &CaptureConnection) -> Fault {
    let turns = match connection.connection_metadata().as_ref() {
        None => return Fault::NoConnection,
        Some(connected) => {
            connected.poison();
            turns(connected).filter(|_| !connected.is_negotiated_h2())
        }
    };
    if let Some(turns) = turns {
        // It is closed as soon as its task runs; a task that does not run must not hold the attempt.
        let _ = timeout(CLOSING_TIME, turns.closed()).await;
    }
    Fault::NoAnswer
}

fn turns(connected: &Connected) -> Option<Arc<Turns>> {
    let mut found = http::Extensions::new();
    connected.get_extras(&mut found);
    found.remove()
}

/// Reads the body as far as it is of use. A 2xx has been decided by its status: whatever happens to its body,
/// it stays one.
async fn body(response: Response<Incoming>, call: &Call, deadline: Instant) -> Received {
    let at = Instant::now();
    let (parts, mut incoming) = response.into_parts();
    let wanted = call.reads_success || !parts.status.is_success();
    let end = deadline.min(at + if wanted { BODY_TIME } else { DRAIN_TIME });
    let mut read = BytesMut::new();
    while !incoming.is_end_stream() && read.len() < MAX_BODY {
        // What stops the body stops the reading, and dropping the rest closes the connection.
        let Ok(Some(Ok(frame))) = timeout_at(end, incoming.frame()).await else { break };
        if let Ok(data) = frame.into_data() {
            let room = MAX_BODY - read.len();
            read.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    let body = if wanted { read.freeze() } else { Bytes::new() };
    Received { status: parts.status, headers: parts.headers, body, at }
}
