//! Connections that wait for their next request, by host.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Uri,
    uri::{Authority, Scheme},
};
use tokio::time::{Instant, sleep};

use super::line::{Line, One, Two};

/// Idle connections are closed before the usual far end closes them.
const IDLE: Duration = Duration::from_secs(50);
/// Idle connections kept per host.
const MAX_IDLE: usize = 8;
/// How often idle connections are looked at: those that the far end has closed go.
const SWEEP: Duration = Duration::from_secs(2);

/// Connections of one set of TLS settings.
#[derive(Default)]
pub(super) struct Pool {
    plain: Hosts,
    secure: Hosts,
    /// A task looks after what is idle.
    swept: AtomicBool,
}

type Hosts = RwLock<HashMap<Authority, Arc<Host>>>;

/// Connections to one host and port.
pub(super) struct Host {
    /// The header `host`.
    pub(super) name: HeaderValue,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// HTTP/1, the one used last at the end.
    ones: Vec<(Box<One>, Instant)>,
    /// HTTP/2, and when it was last used.
    two: Option<(Two, Instant)>,
}

// === impl Pool ===

impl Pool {
    /// The host of an absolute address; `None` if it has none.
    pub(super) fn host(&self, uri: &Uri) -> Option<Arc<Host>> {
        let authority = uri.authority()?;
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let hosts = if secure { &self.secure } else { &self.plain };
        if let Some(host) = hosts.read().unwrap_or_else(PoisonError::into_inner).get(authority) {
            return Some(Arc::clone(host));
        }
        let usual = if secure { 443 } else { 80 };
        let name = match uri.port_u16() {
            Some(port) if port != usual => format!("{}:{port}", authority.host()),
            _ => authority.host().to_owned(),
        };
        let name = HeaderValue::from_maybe_shared(Bytes::from(name)).ok()?;
        let mut hosts = hosts.write().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(authority.clone());
        Some(Arc::clone(host.or_insert_with(|| Arc::new(Host { name, idle: Mutex::default() }))))
    }

    /// Keeps a connection for the next request to its host, if it can take one.
    pub(super) fn keep(self: &Arc<Self>, host: &Host, line: Line, now: Instant) {
        match line {
            Line::One(mut one) => {
                if !one.is_idle() {
                    return;
                }
                let ones = &mut host.idle().ones;
                if ones.len() < MAX_IDLE {
                    ones.push((one, now));
                }
            }
            Line::Two(two) => {
                let shared = &mut host.idle().two;
                if let Some((held, used)) = shared
                    && held.is_with(&two)
                {
                    *used = now;
                }
            }
        }
        self.look_after();
    }

    /// Lets others use a new connection: HTTP/2 is shared from its first request on. Returns the one to use.
    pub(super) fn share(self: &Arc<Self>, host: &Host, line: Line, now: Instant) -> Line {
        let Line::Two(two) = line else { return line };
        let held = host.idle().two.get_or_insert_with(|| (two.clone(), now)).0.clone();
        self.look_after();
        Line::Two(held)
    }

    fn look_after(self: &Arc<Self>) {
        if !self.swept.load(Ordering::Relaxed) && !self.swept.swap(true, Ordering::AcqRel) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Lets go of what is of no more use. Returns whether there is anything left.
    fn sweep(&self, now: Instant) -> bool {
        let mut left = false;
        for hosts in [&self.plain, &self.secure] {
            let all: Vec<_> = {
                let hosts = hosts.read().unwrap_or_else(PoisonError::into_inner);
                hosts.values().cloned().collect()
            };
            for host in all {
                host.idle().sweep(now);
            }
            let mut hosts = hosts.write().unwrap_or_else(PoisonError::into_inner);
            hosts.retain(|_, host| Arc::strong_count(host) > 1 || !host.idle().is_empty());
            left |= !hosts.is_empty();
        }
        left
    }
}

/// Looks after a pool as long as there is something in it.
async fn sweep(pool: Weak<Pool>) {
    loop {
        sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        if !pool.sweep(Instant::now()) {
            pool.swept.store(false, Ordering::Release);
            // Something may have come before the others knew.
            if !pool.sweep(Instant::now()) || pool.swept.swap(true, Ordering::AcqRel) {
                return;
            }
        }
    }
}

// === impl Host ===

impl Host {
    /// A connection that was used before, most likely still open.
    pub(super) fn take(&self) -> Option<Line> {
        let idle = &mut *self.idle();
        if let Some((two, _)) = &idle.two {
            if two.is_open() {
                return Some(Line::Two(two.clone()));
            }
            idle.two = None;
        }
        idle.ones.pop().map(|(one, _)| Line::One(one))
    }

    /// Gives a connection up; those who use it go on.
    pub(super) fn forget(&self, line: &Line) {
        if let Line::Two(two) = line {
            let shared = &mut self.idle().two;
            shared.take_if(|(held, _)| held.is_with(two));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Idle ===

impl Idle {
    fn sweep(&mut self, now: Instant) {
        let fresh = |used: Instant| now.saturating_duration_since(used) < IDLE;
        self.ones.retain_mut(|(one, used)| fresh(*used) && one.look());
        self.two.take_if(|(two, used)| !fresh(*used) || !two.is_open());
    }

    fn is_empty(&self) -> bool {
        self.ones.is_empty() && self.two.is_none()
    }
}
