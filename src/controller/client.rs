//! Clients for the API server that never hang and never retry behind our back.
//!
//! Why not kube's defaults: they have no read timeout and retry 429, 503 and 504 up to 15 times with
//! pauses of up to 1,000 s, so one status write could block a worker for an hour. Every loop here
//! has its own backoff.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Request, Response};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tower::{BoxError, Layer, Service};

/// Time until the response's headers are there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence inside a response; watches end on the server after
/// [`WATCH_TIMEOUT_SECONDS`], so only a dead connection is silent for longer.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);
/// How long one watch request lives on the server.
pub(super) const WATCH_TIMEOUT_SECONDS: u32 = 55;

/// Called for every successful answer.
type OnAnswer = Arc<dyn Fn() + Send + Sync>;

struct PulseLayer(OnAnswer);

#[derive(Clone)]
struct Pulsed<S> {
    inner: S,
    on_answer: OnAnswer,
}

#[derive(Debug, thiserror::Error)]
#[error("the API server did not answer within {ANSWER_TIMEOUT:?}")]
struct NoAnswer;

/// A client with a connection pool of its own and bounded waits; `on_answer` is called for every
/// successful answer.
///
/// # Errors
/// If the configuration's credentials or certificates can't be used.
pub(super) fn connect(
    mut config: Config,
    on_answer: impl Fn() + Send + Sync + 'static,
) -> kube::Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(SILENCE_TIMEOUT);
    config.reset_reader_on_write = true;
    Ok(ClientBuilder::try_from(config)?.with_layer(&PulseLayer(Arc::new(on_answer))).build())
}

// === impl PulseLayer ===

impl<S> Layer<S> for PulseLayer {
    type Service = Pulsed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Pulsed { inner, on_answer: Arc::clone(&self.0) }
    }
}

// === impl Pulsed ===

impl<S, B> Service<Request<Body>> for Pulsed<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let on_answer = Arc::clone(&self.on_answer);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.inner.call(request));
        Box::pin(async move {
            let response = answer.await.map_err(|_| NoAnswer)?.map_err(Into::into)?;
            if response.status().is_success() {
                on_answer();
            }
            Ok(response)
        })
    }
}
