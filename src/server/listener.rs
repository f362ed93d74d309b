//! One listening socket: bounded connections, header limits and deadlines, graceful end.

mod idle;
mod linger;

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, header::EXPECT, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{net::TcpListener, sync::Semaphore};
use tower::ServiceExt as _;

use idle::Activity;
use linger::Lingering;

/// Most connections of one listener at a time; the next one waits in the kernel's backlog.
const MAX_CONNECTIONS: usize = 1024;
/// Time for the headers of a request to arrive.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// Most bytes of request line and headers.
const MAX_HEADERS: usize = 16 * 1024;
/// Most requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Pause after a failing accept (out of file descriptors): the next one would fail too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket with its name in logs.
#[derive(Debug)]
pub struct Listener {
    name: &'static str,
    socket: TcpListener,
    address: SocketAddr,
}

/// Address of the peer, as a request extension.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

// === impl Listener ===

impl Listener {
    /// Binds `address` (port 0 takes a free one) and says so in the log.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn bind(name: &'static str, address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        tracing::info!(listener = name, %address, "Listening");
        Ok(Self { name, socket, address })
    }

    /// The bound address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves `router` until `shutdown` resolves, then takes no new connection and ends when the
/// requests under way are answered. The caller bounds the wait.
pub async fn serve(
    listener: Listener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let Listener { name, socket, .. } = listener;
    let builder = builder();
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, socket.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let router = router.clone();
                let activity = Activity::new();
                let requests = activity.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let asks_first = request.headers().contains_key(EXPECT);
                    let lingering = |body| Body::new(Lingering::new(body, asks_first));
                    let mut request = request.map(lingering);
                    request.extensions_mut().insert(Peer(peer));
                    requests.during(router.clone().oneshot(request))
                });
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                let connection = graceful.watch(connection.into_owned());
                tokio::spawn(async move {
                    let ended = tokio::select! {
                        ended = connection => ended,
                        () = activity.idle() => Ok(()),
                    };
                    if let Err(error) = ended {
                        tracing::debug!(listener = name, error, "Connection ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(listener = name, %error, "Accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(socket);
    graceful.shutdown().await;
    tracing::info!(listener = name, "Closed");
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEADERS).expect("fits"))
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}
