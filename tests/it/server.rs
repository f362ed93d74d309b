//! The three listeners on real sockets; what is behind the handles is scripted.

mod admin;
mod browser;
mod intake;
mod limits;
mod publish;

use std::sync::{Arc, Mutex};

use fanfare::{
    alert::{Alert, v2::Settings},
    publish::{
        Accepted, BoxFuture, FanOutStats, Intake, PublishError, PublishRequest, PublishResult,
        Publisher, Refused, Source,
    },
    registry::Snapshot,
    server::{Check, Checks, Listener, Metrics, Server, Tokens},
    telemetry,
};
use tokio::sync::watch;

type Outcome = Result<PublishResult, PublishError>;

/// The handles: answers that a test sets, and what was asked.
#[derive(Default)]
struct Script {
    publish: Mutex<Option<Outcome>>,
    accept: Mutex<Option<Result<Accepted, Refused>>>,
    published: Mutex<Vec<PublishRequest>>,
    accepted: Mutex<Vec<(Vec<Alert>, Source)>>,
    checks: Mutex<Vec<Check>>,
}

impl Publisher for Script {
    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        self.published.lock().unwrap().push(request);
        let answer = self.publish.lock().unwrap().clone().expect("a publish was expected");
        Box::pin(std::future::ready(answer))
    }

    fn stats(&self) -> FanOutStats {
        FanOutStats::default()
    }
}

impl Intake for Script {
    fn accept(
        &self,
        alerts: Vec<Alert>,
        source: Source,
    ) -> BoxFuture<'_, Result<Accepted, Refused>> {
        let all = Accepted { alerts: alerts.len(), ..Accepted::default() };
        self.accepted.lock().unwrap().push((alerts, source));
        let answer = self.accept.lock().unwrap().unwrap_or(Ok(all));
        Box::pin(std::future::ready(answer))
    }
}

/// A running server.
struct Bed {
    script: Arc<Script>,
    intake: String,
    api: String,
    admin: String,
    _snapshot: watch::Sender<Arc<Snapshot>>,
}

impl Bed {
    async fn start() -> Self {
        Self::start_with(None).await
    }

    async fn start_with(tokens: Option<Tokens>) -> Self {
        let script = Arc::new(Script::default());
        let mut registry = telemetry::registry();
        let metrics = Arc::new(Metrics::register(&mut registry));
        let (sender, snapshot) = watch::channel(Arc::new(Snapshot::default()));
        let asked = Arc::clone(&script);
        let checks: Checks = Arc::new(move || asked.checks.lock().unwrap().clone());
        let server = Server {
            publisher: Arc::clone(&script) as Arc<dyn Publisher>,
            intake: Arc::clone(&script) as Arc<dyn Intake>,
            snapshot,
            alerts: Settings {
                resolve_timeout: std::time::Duration::from_mins(5),
                limits: fanfare::alert::Limits::default(),
            },
            bodies: fanfare::server::Bodies::default(),
            inbox: Arc::default(),
            metrics,
            checks,
            registry: Arc::new(registry),
            log_level: None,
        };
        let intake = serve("intake", server.intake_router(tokens.clone())).await;
        let api = serve("api", server.api_router(tokens)).await;
        let admin = serve("admin", server.admin_router()).await;
        Self { script, intake, api, admin, _snapshot: sender }
    }

    async fn metric(&self, line: &str) -> bool {
        crate::support::http::get(&format!("{}/metrics", self.admin)).await.text().contains(line)
    }
}

async fn serve(name: &'static str, router: axum::Router) -> String {
    let listener = Listener::bind(name, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let url = format!("http://{}", listener.address());
    tokio::spawn(fanfare::server::serve(listener, router, std::future::pending()));
    url
}
