//! Names to addresses.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::Shared};
use tokio::sync::Semaphore;

use crate::publish::BoxFuture;

/// Time limit of one lookup.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Lookups under way at the same time; each holds a thread.
const MAX_LOOKUPS: usize = 256;

/// Resolves names. A trait so that tests can give the answers.
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, best first.
    fn resolve(&self, host: Arc<str>) -> BoxFuture<'_, Result<Arc<[IpAddr]>, ResolveError>>;
}

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name does not exist or has no address.
    #[error("the name does not exist")]
    NotFound,
    /// The resolver itself failed or gave no answer: our side or the name's servers.
    #[error("the name server does not answer")]
    Failed,
}

type Lookup = Shared<BoxFuture<'static, Result<Arc<[IpAddr]>, ResolveError>>>;

/// The system's resolver. Lookups of the same name are shared, so that a name whose servers hang holds
/// one thread however many targets use it, and delays no other name.
#[derive(Default)]
pub struct SystemResolver {
    running: Arc<Mutex<HashMap<Arc<str>, Lookup>>>,
    limit: Limit,
}

struct Limit(Arc<Semaphore>);

// === impl SystemResolver ===

impl Resolve for SystemResolver {
    fn resolve(&self, host: Arc<str>) -> BoxFuture<'_, Result<Arc<[IpAddr]>, ResolveError>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = running.get(&host) {
            return lookup.clone().boxed();
        }
        let (others, limit) = (Arc::clone(&self.running), Arc::clone(&self.limit.0));
        let name = Arc::clone(&host);
        // On a task of its own: it ends, and is forgotten, even if everybody who asked has left.
        let task = tokio::spawn(async move {
            let answer = tokio::time::timeout(TIMEOUT, lookup(Arc::clone(&name), limit)).await;
            others.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            answer.unwrap_or(Err(ResolveError::Failed))
        });
        let lookup: Lookup =
            async move { task.await.unwrap_or(Err(ResolveError::Failed)) }.boxed().shared();
        running.insert(host, lookup.clone());
        lookup.boxed()
    }
}

/// One lookup on a blocking thread; the permit is held until the thread is free again.
async fn lookup(host: Arc<str>, limit: Arc<Semaphore>) -> Result<Arc<[IpAddr]>, ResolveError> {
    let permit = limit.acquire_owned().await.expect("the semaphore is never closed");
    let answer = tokio::task::spawn_blocking(move || {
        let answer = (&*host, 0).to_socket_addrs();
        drop(permit);
        answer
    });
    match answer.await {
        Ok(Ok(addresses)) => {
            let addresses: Arc<[IpAddr]> = addresses.map(|address| address.ip()).collect();
            if addresses.is_empty() { Err(ResolveError::NotFound) } else { Ok(addresses) }
        }
        Ok(Err(error)) => Err(why(&error)),
        Err(_) => Err(ResolveError::Failed),
    }
}

/// The standard library keeps getaddrinfo's code only as text; these are what glibc and musl write for
/// `EAI_NONAME` and `EAI_NODATA`. Anything else is a failure of the resolver.
fn why(error: &io::Error) -> ResolveError {
    let text = error.to_string();
    let unknown = [
        "Name or service not known",
        "No address associated",
        "Name does not resolve",
        "Name has no usable",
    ];
    if unknown.iter().any(|known| text.contains(known)) {
        ResolveError::NotFound
    } else {
        ResolveError::Failed
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LOOKUPS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_resolves_and_lookups_are_forgotten() {
        let resolver = SystemResolver::default();
        let (one, two) = tokio::join!(
            resolver.resolve("localhost".into()),
            resolver.resolve("localhost".into())
        );
        assert!(one.unwrap().iter().all(IpAddr::is_loopback));
        assert!(two.is_ok());
        assert!(resolver.running.lock().unwrap().is_empty());
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_from_a_failing_resolver() {
        let texts = |text: &str| {
            why(&io::Error::other(format!("failed to lookup address information: {text}")))
        };
        assert_eq!(texts("Name or service not known"), ResolveError::NotFound);
        assert_eq!(texts("No address associated with hostname"), ResolveError::NotFound);
        assert_eq!(texts("Temporary failure in name resolution"), ResolveError::Failed);
        assert_eq!(texts("Try again"), ResolveError::Failed);
    }
}
