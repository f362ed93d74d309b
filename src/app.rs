//! The composition root: builds the rooms, connects them, spawns their tasks, ends them in order.
//! The only room that sees everything.

mod addresses;
mod checks;
mod data_dir;
mod facts;
mod memory;
mod open_files;
mod source;
mod tasks;
mod wiring;

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli,
    config::{Config, ConfigError},
    server::{Listener, TokenError},
    store::{Failed, OpenError},
    telemetry,
};

pub use tasks::Unexpected;

/// Longest time for an orderly end once the disk has failed.
const NO_DISK: Duration = Duration::from_secs(5);

/// Longest time for what still runs at the very end.
const REST: Duration = Duration::from_secs(1);

/// Why the operator did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log can't be opened.
    #[error(transparent)]
    Log(#[from] telemetry::Error),
    /// The data directory can't be used.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The disk failed: nothing more is durable, so nothing more may be accepted.
    #[error(transparent)]
    Disk(#[from] Failed),
    /// A token file can't be used.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// A port can't be listened on.
    #[error("listen on {address} for {listener}")]
    Listen {
        /// Name of the listener.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// There is no usable source of objects.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The runtime or its signals can't be set up.
    #[error("set up the runtime")]
    Runtime(#[from] std::io::Error),
    /// A task ended that should not have.
    #[error(transparent)]
    Task(#[from] Unexpected),
    /// A second signal came before the end was reached.
    #[error("ended at once by a second signal; what was under way is cut off")]
    Hurried,
}

/// Runs the operator until SIGTERM or SIGINT. Exit code 0 after an orderly end.
#[must_use]
pub fn main(config: Config) -> ExitCode {
    match start(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "Ended with an error");
            cli::report(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(config: Config) -> Result<(), Error> {
    config.check()?;
    let log_level = telemetry::open_log(config.log_format, &config.log_level)?;
    open_files::raise_limit();
    // Fails only if a provider is installed already, which is then this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(run(config, log_level));
    // Threads that wait for a disk or a resolver that hangs are left behind.
    runtime.shutdown_timeout(REST);
    ended
}

async fn run(config: Config, log_level: telemetry::LogLevel) -> Result<(), Error> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Starting");
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let _data_dir = config.data_dir.as_deref().map(data_dir::DataDir::lock).transpose()?;
    let store = facts::open(&config)?;
    let listeners = wiring::Listeners {
        intake: bind("intake", config.intake_listen).await?,
        api: bind("api", config.api_listen).await?,
        admin: bind("admin", config.admin_listen).await?,
    };
    let grace = config.shutdown_grace;
    let mut running = wiring::build(config, store, listeners, log_level).await?;
    let failure = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        error = running.watch() => Some(error),
    };
    // Without a disk nothing that is sent now can be remembered: others will send it again.
    let grace = if matches!(failure, Some(Error::Disk(_))) { grace.min(NO_DISK) } else { grace };
    tracing::info!(grace_seconds = grace.as_secs(), "Shutting down");
    tokio::select! {
        () = running.end(grace) => {}
        _ = terminate.recv() => return Err(Error::Hurried),
        _ = interrupt.recv() => return Err(Error::Hurried),
    }
    if let Some(error) = failure {
        return Err(error);
    }
    tracing::info!("Ended");
    Ok(())
}

async fn bind(listener: &'static str, address: SocketAddr) -> Result<Listener, Error> {
    Listener::bind(listener, address).await.map_err(|source| Error::Listen {
        listener,
        address,
        source,
    })
}
