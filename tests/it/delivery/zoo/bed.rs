//! One look at a receiver that misbehaves once and is well afterwards.

use std::{future::Future, sync::Arc, time::Duration};

use fanfare::{
    delivery::{Class, Told},
    publish::ErrorType,
    registry::Target,
};
use futures::StreamExt as _;
use tokio::time::Instant;

use super::super::fixture::{client, firing, send};
use crate::support::http2::Server;

/// What the first delivery came to, and whether the second used the same connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// `None`: delivered.
    pub(super) failed: Option<(Class, ErrorType, Told)>,
    /// Requests that the first delivery put on the wire.
    pub(super) requests: usize,
    /// The second delivery used a connection of the first.
    pub(super) reused: bool,
}

/// What ends an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ends {
    /// It itself, long before the time limit.
    Itself,
    /// The time limit.
    Limit,
}

/// Counts what a receiver got so far.
pub(super) trait Counts {
    fn requests(&self) -> usize;
    fn connections(&self) -> usize;
}

impl Counts for Server {
    fn requests(&self) -> usize {
        self.requests()
    }

    fn connections(&self) -> usize {
        self.connections()
    }
}

pub(super) const fn ok(reused: bool) -> Seen {
    Seen { failed: None, requests: 1, reused }
}

pub(super) const fn fails(class: Class, kind: ErrorType, told: Told, reused: bool) -> Seen {
    Seen { failed: Some((class, kind, told)), requests: 1, reused }
}

/// Delivers twice; the second delivery must be accepted. `target` makes a target of a time limit.
pub(super) async fn twice(
    target: impl Fn(&str) -> Arc<Target>,
    ends: Ends,
    far: &impl Counts,
) -> Seen {
    let client = client();
    let patient = target("1m");
    let started = Instant::now();
    let first = match ends {
        Ends::Itself => send(&client, &patient, firing()).await,
        Ends::Limit => send(&client, &target("5s"), firing()).await,
    };
    let took = started.elapsed();
    match ends {
        Ends::Itself => assert!(took < Duration::from_secs(30), "{took:?}"),
        Ends::Limit => assert!(took >= Duration::from_secs(5), "{took:?}"),
    }
    let (requests, connections) = (far.requests(), far.connections());
    let second = send(&client, &patient, firing()).await;
    assert_eq!(second.result, Ok(()), "the second delivery is accepted");
    let failed = first.result.as_ref().err();
    let failed = failed.map(|failure| (failure.class, failure.error_type, failure.told));
    Seen { failed, requests, reused: far.connections() == connections }
}

/// Looks at every row, some at a time.
pub(super) async fn all<R, F: Future<Output = ()>>(rows: Vec<R>, look: impl Fn(R) -> F) {
    futures::stream::iter(rows).for_each_concurrent(16, look).await;
}
