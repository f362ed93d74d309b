//! One notification to one target: rendering, the HTTP client, the address policy, and what an
//! answer means.
//!
//! Read [`Attempt`] first: it is what everything here leads to. [`compile`] makes a target out of a spec,
//! [`Client`] sends to it and asks whether it is there, `vendor/` holds what differs between the types.

mod attempt;
mod backoff;
mod classify;
mod client;
mod compile;
mod connect;
mod credentials;
mod exchange;
mod fault;
mod inbox;
mod judged;
mod line;
mod metrics;
mod policy;
mod pool;
mod probe;
mod resolve;
mod retry_after;
mod stream;
mod text;
mod tls;
mod vendor;
#[cfg(test)]
mod zoo;

pub use attempt::{Attempt, Class, Failure, Told, Transport};
pub use backoff::{next_delay, pause_after};
pub use client::Client;
pub use compile::{Object, compile};
pub use credentials::{Credentials, Missing};
pub use inbox::{InboxEntry, LogInbox};
pub use judged::judged;
pub use policy::{AddressPolicy, Blocked};
pub use resolve::{Resolve, ResolveError, SystemResolver};
pub use vendor::bodies;
