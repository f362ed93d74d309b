//! Whoever creates, changes and deletes objects: many requests at a time.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use http::{Method, Request};
use kube::Client;
use serde_json::Value;
use tokio::time::Instant;

use super::it::support::controlplane::ControlPlane;

/// Requests under way at the same time.
const AT_ONCE: usize = 32;
/// Connections' owners: each sends through a queue of its own.
const CLIENTS: usize = 4;

/// Clients of the API server with the admin's rights.
pub(crate) struct User(Vec<Client>);

/// One request.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

// === impl User ===

impl User {
    pub(crate) async fn of(plane: &ControlPlane) -> Self {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(plane.client().await);
        }
        Self(clients)
    }

    /// Sends all of them; answers how long it took. Each must succeed.
    pub(crate) async fn send(&self, asks: impl IntoIterator<Item = Ask>) -> Duration {
        let began = Instant::now();
        let each = asks.into_iter().enumerate().map(|(index, ask)| {
            let client = self.0[index % CLIENTS].clone();
            async move {
                let what = format!("{} {}", ask.method, ask.path);
                let answer = client.request_text(ask.into_request()).await;
                answer.unwrap_or_else(|error| panic!("{what}: {error}"));
            }
        });
        stream::iter(each).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        began.elapsed()
    }

    /// Sends one and reads its answer.
    pub(crate) async fn ask(&self, ask: Ask) -> Value {
        let what = format!("{} {}", ask.method, ask.path);
        let answer = self.0[0].request_text(ask.into_request()).await;
        let text = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Every object at a path, page by page.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let (mut all, mut more) = (Vec::new(), String::new());
        loop {
            let mut page = self.ask(Ask::get(format!("{path}?limit=500{more}"))).await;
            if let Value::Array(items) = page["items"].take() {
                all.extend(items);
            }
            match page["metadata"]["continue"].as_str() {
                Some(token) if !token.is_empty() => more = format!("&continue={token}"),
                _ => return all,
            }
        }
    }
}

// === impl Ask ===

impl Ask {
    pub(crate) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None }
    }

    pub(crate) fn create(path: String, object: Value) -> Self {
        Self { method: Method::POST, path, body: Some(object) }
    }

    pub(crate) fn patch(path: String, change: Value) -> Self {
        Self { method: Method::PATCH, path, body: Some(change) }
    }

    pub(crate) fn delete(path: String) -> Self {
        Self { method: Method::DELETE, path, body: None }
    }

    fn into_request(self) -> Request<Vec<u8>> {
        let kind = if self.method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let body = self.body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder().method(self.method).uri(self.path);
        request.header("content-type", kind).body(body).unwrap()
    }
}
