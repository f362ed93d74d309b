//! One HTTP exchange under one deadline: connect, write, read what is needed, no more.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use super::{
    connect::{ConnectError, Connector},
    fault::{Failed, Fault},
    line::Line,
    pool::{Host, Pool},
};

/// Bytes of an answer that are read.
const MAX_BODY: usize = 64 * 1024;
/// Time for a body that says what happened.
const BODY_TIME: Duration = Duration::from_secs(2);
/// Time for a body that nobody reads, only so that the connection can be used again.
const DRAIN_TIME: Duration = Duration::from_millis(250);

/// Connections with the same TLS settings, shared by all targets that have them.
pub(super) struct Profile {
    pub(super) connector: Connector,
    pool: Arc<Pool>,
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

/// How far a request is.
#[derive(Default)]
struct Stage {
    /// What it was handed to.
    line: Option<Line>,
    /// It was written once before, to a connection that turned out stale.
    again: bool,
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
        Self { connector, pool: Arc::default() }
    }

    /// Sends `call` and reads the answer. Takes no longer than until `deadline`. A request that is given up then, or
    /// by dropping the future, has left no connection of HTTP/1 behind, so that nothing of it arrives after a newer
    /// one; on HTTP/2 its stream is reset and others go on.
    pub(super) async fn exchange(
        &self,
        call: &Call,
        deadline: Instant,
    ) -> Result<Received, Failed> {
        let no_host = Failed { fault: Fault::Connect(ConnectError::Host), again: false };
        let host = self.pool.host(&call.uri).ok_or(no_host)?;
        let mut stage = Stage::default();
        let answered = timeout_at(deadline, self.head(call, &host, &mut stage)).await;
        let Stage { line, again } = stage;
        let response = match (answered, &line) {
            (Ok(answered), _) => answered.map_err(|fault| Failed { fault, again })?,
            (Err(_), Some(line)) => {
                // It may be dead without knowing.
                host.forget(line);
                return Err(Failed { fault: Fault::NoAnswer, again });
            }
            (Err(_), None) => return Err(Failed { fault: Fault::NoConnection, again }),
        };
        let mut line = line.expect("something brought the answer");
        let received = body(response, &mut line, call, deadline).await;
        if !again {
            self.pool.keep(&host, line, received.at);
        }
        Ok(received)
    }

    /// Sends and waits for the headers of the answer. What turned out stale is tried once more, on a connection of
    /// its own.
    async fn head(
        &self,
        call: &Call,
        host: &Host,
        stage: &mut Stage,
    ) -> Result<Response<Incoming>, Fault> {
        loop {
            let used = if stage.again { None } else { host.take() };
            let reused = used.is_some();
            let line = match used {
                Some(line) => line,
                // Rare, and larger than all the rest.
                None => Box::pin(self.open(call, host, stage.again)).await?,
            };
            let line = stage.line.insert(line);
            let error = match line.send(call.request(line, host)).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let (unsent, closed) = (error.message().is_some(), line.turns().stale());
            if unsent {
                host.forget(line);
            }
            stage.line = None;
            if unsent && reused {
                continue;
            }
            match Fault::of(&error.into_error(), unsent, closed) {
                Fault::Stale if !stage.again => stage.again = true,
                fault => return Err(fault),
            }
        }
    }

    /// Opens a connection; `alone`: for one request.
    async fn open(&self, call: &Call, host: &Host, alone: bool) -> Result<Line, Fault> {
        let stream = self.connector.open(&call.uri).await.map_err(Fault::Connect)?;
        let line = Line::new(stream).await.map_err(|error| Fault::of(&error, true, false))?;
        Ok(if alone { line } else { self.pool.share(host, line, Instant::now()) })
    }
}

// === impl Call ===

impl Call {
    /// The request as `line` takes it.
    fn request(&self, line: &Line, host: &Host) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        *request.uri_mut() = match line {
            Line::One(_) => {
                request.headers_mut().insert(HOST, host.name.clone());
                self.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from)
            }
            Line::Two(_) => self.uri.clone(),
        };
        request
    }
}

/// Reads the body as far as it is of use. A 2xx has been decided by its status: whatever happens to its body,
/// it stays one.
async fn body(
    response: Response<Incoming>,
    line: &mut Line,
    call: &Call,
    deadline: Instant,
) -> Received {
    let at = Instant::now();
    let (parts, mut incoming) = response.into_parts();
    let wanted = call.reads_success || !parts.status.is_success();
    let mut read = BytesMut::new();
    if !incoming.is_end_stream() {
        let end = deadline.min(at + if wanted { BODY_TIME } else { DRAIN_TIME });
        // What stops the body stops the reading, and dropping the rest closes the connection.
        let _ = timeout_at(end, line.drive(fill(&mut read, &mut incoming))).await;
    }
    let body = if wanted { read.freeze() } else { Bytes::new() };
    Received { status: parts.status, headers: parts.headers, body, at }
}

async fn fill(read: &mut BytesMut, incoming: &mut Incoming) {
    while !incoming.is_end_stream() && read.len() < MAX_BODY {
        let Some(Ok(frame)) = incoming.frame().await else { return };
        if let Ok(data) = frame.into_data() {
            let room = MAX_BODY - read.len();
            read.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
}
