//! The receivers, in a process of their own: they answer 200, or 503 to deliveries while told to, and remember
//! when they were asked.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{child, machine::now};

/// The hidden first argument that starts it.
pub(crate) const ROLE: &str = "probed";

#[derive(Default)]
struct Seen {
    /// Health checks by the second since 1970.
    checks: HashMap<u64, u64>,
    /// When each path was first delivered to, in nanoseconds since 1970.
    delivered: HashMap<String, u64>,
    connections: u64,
    /// Deliveries are refused for now.
    refuse: bool,
}

type Shared = Arc<Mutex<Seen>>;

/// Obeys `listen`, `delivered`, `refuse` and `clear`, and tells all to any other order, until its input ends.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seen = Shared::default();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    child::serve(|order| obey(&seen, &handle, &order));
}

fn obey(seen: &Shared, handle: &tokio::runtime::Handle, order: &Value) -> Value {
    if let Some(count) = order["listen"].as_u64() {
        let ports: Vec<u16> = (0..count).map(|_| listen(handle, Arc::clone(seen))).collect();
        return json!(ports);
    }
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = order["delivered"].as_str() {
        return json!(seen.delivered.get(path));
    }
    if let Some(refuse) = order["refuse"].as_bool() {
        seen.refuse = refuse;
        return Value::Null;
    }
    if order["clear"] == true {
        *seen = Seen::default();
        return Value::Null;
    }
    json!({"checks": seen.checks, "connections": seen.connections, "delivered": seen.delivered})
}

fn listen(handle: &tokio::runtime::Handle, seen: Shared) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    handle.spawn(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            lock(&seen).connections += 1;
            let seen = Arc::clone(&seen);
            let answer = service_fn(move |request| {
                let mut answer: Response<Empty<Bytes>> = Response::new(Empty::new());
                *answer.status_mut() = take(&seen, &request);
                std::future::ready(Ok::<_, Infallible>(answer))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    port
}

fn take(seen: &Shared, request: &Request<Incoming>) -> StatusCode {
    let mut seen = lock(seen);
    let now = now();
    if request.method() == Method::POST {
        if seen.refuse {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        seen.delivered.entry(request.uri().path().to_owned()).or_insert(now);
    } else {
        *seen.checks.entry(now / 1_000_000_000).or_default() += 1;
    }
    StatusCode::OK
}

fn lock(seen: &Shared) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
