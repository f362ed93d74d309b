//! Who is connected to whom.

use std::{sync::Arc, time::Duration};

use super::{Error, checks::checks, facts, memory, source, tasks::Tasks};
use crate::{
    alert,
    config::Config,
    controller,
    delivery::{AddressPolicy, Client, LogInbox},
    dispatch, fanout,
    fanout::{Courier, Engine, Idempotent, Router},
    probe::{self, Probe},
    registry::{self, Changes, Monitor, Target},
    server::{self, Listener, Server, Tokens},
    store::{self, Redb, Store},
    telemetry::{self, LogLevel},
};

/// Part of the grace period that is kept for what comes after the last attempt: answering publishes,
/// releasing the Lease.
const TAIL: Duration = Duration::from_secs(3);

/// Time for the last commit. A disk that hangs must not keep a process that is ending.
const CLOSING: Duration = Duration::from_secs(20);

/// The three bound sockets.
pub(super) struct Listeners {
    pub(super) intake: Listener,
    pub(super) api: Listener,
    pub(super) admin: Listener,
}

/// A running operator, in the stages in which it ends.
pub(super) struct Running {
    /// First: nothing new comes in.
    intake: Tasks,
    /// Then: what is under way finishes.
    delivery: Tasks,
    /// Then: configuration, status, the Lease, metrics.
    base: Tasks,
    engine: Arc<Engine<Client>>,
    /// Last: what was handed over is written.
    store: Arc<Redb>,
}

/// Builds the operator and spawns its tasks.
pub(super) async fn build(
    config: Config,
    store: Arc<Redb>,
    listeners: Listeners,
    log_level: LogLevel,
) -> Result<Running, Error> {
    let intake_tokens = config.intake_token_file.as_deref().map(Tokens::open).transpose()?;
    let api_tokens = config.api_token_file.as_deref().map(Tokens::open).transpose()?;
    let (mut intake, mut delivery, mut base) = (Tasks::new(), Tasks::new(), Tasks::new());
    let mut metrics = telemetry::registry();
    store::Metrics::register(&mut metrics, &store);

    let changes = Arc::new(Changes::default());
    let controller = controller::Metrics::register(&mut metrics);
    let source = source::connect(&config, Arc::clone(&changes), controller, &base.stop()).await?;
    let snapshots = source.handles.snapshots;
    let monitor =
        Monitor::new(changes, registry::Metrics::register(&mut metrics, snapshots.clone()));

    let inbox = Arc::new(LogInbox::default());
    let own = [&listeners.intake, &listeners.api, &listeners.admin].map(Listener::address);
    let policy = AddressPolicy::new(config.allow_cidr, config.deny_cidr)
        .deny_sockets(own)
        .deny_sockets(source.api_server);
    let client = Client::new(policy, Arc::clone(&inbox), &mut metrics);

    let durable = config.data_dir.is_some();
    let external_url: Arc<str> = config.external_url.into();
    let refresh = source.handles.refresh;
    let fanout_metrics = fanout::Metrics::register(&mut metrics);
    let buried = Arc::clone(&fanout_metrics);
    let notices = Arc::clone(&monitor);
    store.on_buried(move |what| fanout::note_buried(&buried, notices.notices(), &what));
    let parts = fanout::Parts {
        snapshots: snapshots.clone(),
        monitor: Arc::clone(&monitor),
        metrics: Arc::clone(&fanout_metrics),
        refresh: Arc::new(move |target| refresh.refresh(target)),
        store: Arc::clone(&store) as Arc<dyn Store>,
    };
    let courier = Courier::new(client.clone(), parts);
    let engine = Arc::new(Engine::new(Arc::clone(&courier), Arc::clone(&external_url)));
    let settings = dispatch::Settings {
        resolve_timeout: config.resolve_timeout,
        webhook_max_age: config.webhook_max_age,
        max_alerts: config.max_alerts,
        max_per_name: config.alerts_per_alertname_limit,
        max_bytes: memory::limit() / 3,
        external_url,
    };
    let router = Router::new(courier, facts::restore(&store, settings)?);
    let probe = Probe {
        settings: probe::Settings { max_concurrent: config.max_concurrent_probes },
        snapshots: snapshots.clone(),
        prober: Arc::new(client),
        monitor: Arc::clone(&monitor),
        metrics: probe::Metrics::register(&mut metrics),
    };

    let server = Server {
        publisher: Arc::new(Idempotent::new(
            Arc::clone(&engine),
            Arc::clone(&store) as Arc<dyn Store>,
            fanout_metrics,
        )),
        intake: Arc::new(router.clone()),
        replay: Arc::new(router.clone()),
        silences: Arc::new(router.clone()),
        listing: {
            let router = router.clone();
            Arc::new(move || router.listing())
        },
        gate: server::Gate::default(),
        started: jiff::Timestamp::now(),
        store: Arc::clone(&store) as Arc<dyn Store>,
        reads: server::Reads::default(),
        snapshot: snapshots.clone(),
        alerts: alert::v2::Settings {
            resolve_timeout: config.resolve_timeout,
            limits: alert::Limits::default(),
        },
        bodies: server::Bodies::default(),
        inbox,
        metrics: Arc::new(server::Metrics::register(&mut metrics)),
        checks: checks(
            snapshots,
            source.states,
            monitor,
            (Arc::clone(&store) as Arc<dyn Store>, durable),
        ),
        registry: Arc::new(metrics),
        log_level: Some(log_level),
    };
    listen(&server, listeners, [intake_tokens, api_tokens], (&mut intake, &mut base));
    for task in source.tasks {
        base.spawn(task.name, task.run);
    }
    base.spawn("probe", probe.run(base.stop()));
    let (refresher, refreshing) = (router.clone(), delivery.stop());
    delivery.spawn("refresh", async move { refresher.refresh(refreshing).await });
    let stop = delivery.stop();
    let grace = config.shutdown_grace.saturating_sub(TAIL);
    delivery.spawn("router", async move { route(&router, stop, grace).await });
    Ok(Running { intake, delivery, base, engine, store })
}

/// Spawns the three listeners. `tokens`: of the intake, of the API.
fn listen(
    server: &Server,
    listeners: Listeners,
    [intake_tokens, api_tokens]: [Option<Tokens>; 2],
    (intake, base): (&mut Tasks, &mut Tasks),
) {
    let closing = |tasks: &Tasks| tasks.stop().cancelled_owned();
    let handlers = server.intake_router(intake_tokens);
    intake.spawn("intake", server::serve(listeners.intake, handlers, closing(intake)));
    let handlers = server.api_router(api_tokens);
    intake.spawn("api", server::serve(listeners.api, handlers, closing(intake)));
    let handlers = server.admin_router();
    base.spawn("admin", server::serve(listeners.admin, handlers, closing(base)));
}

async fn route(
    router: &Router<Client>,
    stop: tokio_util::sync::CancellationToken,
    grace: Duration,
) {
    match router.run(stop, grace).await {
        Ok(left) if left == fanout::Unfinished::default() => {
            tracing::info!("Every notification under way was finished");
        }
        Ok(left) => tracing::warn!(
            waiting = left.waiting,
            cut_off = left.cut_off,
            "Some notifications could not be sent before the end"
        ),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "The router failed");
        }
    }
}

/// The client that delivers also asks: over the same connections, with the same credentials.
impl probe::Prober for Client {
    fn probe(&self, target: &Arc<Target>) -> impl Future<Output = registry::Sample> + Send {
        Self::probe(self, target)
    }
}

// === impl Running ===

impl Running {
    /// Resolves when something ends although nobody told it to, or when the disk fails.
    pub(super) async fn watch(&mut self) -> Error {
        let unexpected = tokio::select! {
            // The cause before its consequence: without a disk the router ends too.
            biased;
            failed = self.store.failed() => return failed.into(),
            unexpected = self.intake.watch() => unexpected,
            unexpected = self.delivery.watch() => unexpected,
            unexpected = self.base.watch() => unexpected,
        };
        unexpected.into()
    }

    /// Ends in order: no new alerts and publishes, attempts under way, then the rest.
    pub(super) async fn end(&mut self, grace: Duration) {
        self.engine.close();
        let work = grace.saturating_sub(TAIL);
        let (answered, finished) = tokio::join!(self.intake.end(work), self.delivery.end(grace));
        if !answered {
            tracing::warn!("Requests under way were cut off at the end of the grace period");
        }
        if !finished {
            tracing::warn!("Deliveries were cut off at the end of the grace period");
        }
        if !self.base.end(TAIL).await {
            tracing::warn!("Background tasks did not end in time");
        }
        let store = Arc::clone(&self.store);
        let closing = tokio::task::spawn_blocking(move || store.close());
        match tokio::time::timeout(CLOSING, closing).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("The store could not be closed"),
            Err(_) => tracing::error!(
                "The disk did not take the last outcomes within {} s: some notifications will be sent \
                 again after the next start, with the same ids",
                CLOSING.as_secs()
            ),
        }
    }
}
