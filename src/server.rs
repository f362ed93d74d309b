//! The three HTTP listeners: intake (alerts in), API (publish and read), admin (metrics, health).
//!
//! This room turns bytes into checked requests and results into answers; what is done with them is
//! behind the handles of [`crate::publish`]. Read [`Server`] first.

mod admin;
mod api;
mod auth;
mod body;
mod browser;
mod error;
mod intake;
mod listener;
mod metrics;
mod reads;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    alert::v2::Settings as AlertSettings,
    delivery::LogInbox,
    dispatch::Listing,
    publish::{Intake, Publisher, Replay, Silences},
    registry::Snapshot,
    store::Store,
    telemetry::LogLevel,
};

pub use admin::{Check, Checks};
pub use api::Gate;
pub use auth::{TokenError, Tokens};
pub use body::Bodies;
pub use listener::{Listener, serve};
pub use metrics::Metrics;
pub use reads::Reads;

/// Asks for what is held now.
pub type Listings = Arc<dyn Fn() -> Listing + Send + Sync>;

/// What the handlers of every listener share.
#[derive(Clone)]
pub struct Server {
    /// Publishes.
    pub publisher: Arc<dyn Publisher>,
    /// Takes alerts in.
    pub intake: Arc<dyn Intake>,
    /// Sends dead letters again, and says what waits.
    pub replay: Arc<dyn Replay>,
    /// Reads and writes silences.
    pub silences: Arc<dyn Silences>,
    /// What is held now; may block for as long as it takes to clone pointers to it.
    pub listing: Listings,
    /// Places for reads of Alertmanager's API.
    pub gate: Gate,
    /// When the process started.
    pub started: Timestamp,
    /// Dead letters and history.
    pub store: Arc<dyn Store>,
    /// Places for reads of the store.
    pub reads: Reads,
    /// Configuration as it is now.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// How alerts are read.
    pub alerts: AlertSettings,
    /// Memory for bodies under way, shared by all listeners.
    pub bodies: Bodies,
    /// What Log targets received.
    pub inbox: Arc<LogInbox>,
    /// Metrics of this room.
    pub metrics: Arc<Metrics>,
    /// Health checks of the process.
    pub checks: Checks,
    /// The root registry, for `/metrics`.
    pub registry: Arc<prometheus_client::registry::Registry>,
    /// Changes the log filter.
    pub log_level: Option<LogLevel>,
}

// === impl Server ===

impl Server {
    /// Routes of the intake listener. `tokens`: who may post alerts; `None`: anyone.
    pub fn intake_router(&self, tokens: Option<Tokens>) -> axum::Router {
        auth::protect(intake::router(self.clone()), tokens, &self.metrics)
            .merge(admin::alertmanager_health(self))
    }

    /// Routes of the API listener. `tokens`: who may use it; `None`: anyone who reaches it, but no
    /// web page.
    pub fn api_router(&self, tokens: Option<Tokens>) -> axum::Router {
        let api = api::router(self.clone()).merge(intake::router(self.clone()));
        let api = match tokens {
            Some(_) => auth::protect(api, tokens, &self.metrics),
            None => browser::keep_out(api),
        };
        api.merge(admin::alertmanager_health(self))
    }

    /// Routes of the admin listener.
    pub fn admin_router(&self) -> axum::Router {
        admin::router(self.clone())
    }
}
