//! The three listeners on real sockets over a real store in memory; what is behind the handles is
//! scripted.

mod admin;
mod browser;
mod deadletters;
mod deliveries;
mod intake;
mod limits;
mod publish;
mod replay;
mod shelf;
mod v2;

use std::sync::{Arc, Mutex, OnceLock};

use fanfare::{
    alert::{Alert, v2::Settings},
    api::TargetKey,
    publish::{
        Accepted, BoxFuture, FanOutStats, Intake, PublishError, PublishRequest, PublishResult,
        Publisher, Refused, Replay, ReplayError, ReplayOutcome, Replayed, Silence, SilenceDraft,
        SilenceError, SilenceId, Silences, Source, Waiting,
    },
    registry::Snapshot,
    server::{Check, Checks, Gate, Listener, Metrics, Server, Tokens},
    store::{self, DeadLetterId, Op, Settings as StoreSettings, Store},
    telemetry,
};
use tokio::sync::watch;

type Outcome = Result<PublishResult, PublishError>;
type ReplayAnswer = Result<Vec<Replayed>, ReplayError>;

/// Bytes of memory that the store under test is made for.
const MEMORY: usize = 256 * 1024 * 1024;

/// The handles: answers that a test sets, and what was asked.
#[derive(Default)]
struct Script {
    publish: Mutex<Option<Outcome>>,
    accept: Mutex<Option<Result<Accepted, Refused>>>,
    published: Mutex<Vec<PublishRequest>>,
    accepted: Mutex<Vec<(Vec<Alert>, Source)>>,
    checks: Mutex<Vec<Check>>,
    replay: Mutex<Option<ReplayAnswer>>,
    replayed: Mutex<Vec<Vec<u64>>>,
    waiting: Mutex<Vec<(TargetKey, Waiting)>>,
    silences: Mutex<Vec<Arc<Silence>>>,
    drafts: Mutex<Vec<SilenceDraft>>,
    /// What making or ending a silence gives; without it all is well.
    refuse: Mutex<Option<SilenceError>>,
    store: OnceLock<Arc<dyn Store>>,
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

/// Without an answer set: what exists is queued, and no dead letter any more.
impl Replay for Script {
    fn replay(&self, ids: Vec<u64>) -> BoxFuture<'_, ReplayAnswer> {
        self.replayed.lock().unwrap().push(ids.clone());
        let answer = self.replay.lock().unwrap().clone();
        let store = self.store.get().unwrap();
        Box::pin(async move {
            if let Some(answer) = answer {
                return answer;
            }
            let all: Vec<_> = ids.iter().copied().map(DeadLetterId).collect();
            let known: Vec<_> =
                store.dead_letters_by_id(&all).unwrap().into_iter().map(|(id, _)| id).collect();
            let outcome = |id| {
                let known = known.contains(&DeadLetterId(id));
                if known { ReplayOutcome::Queued } else { ReplayOutcome::NotFound }
            };
            let answer = ids.iter().map(|&id| Replayed { id, outcome: outcome(id) }).collect();
            store.durable(store.submit(vec![Op::DropDeadLetters(known)], false)).await.unwrap();
            Ok(answer)
        })
    }

    fn waiting(&self) -> Vec<(TargetKey, Waiting)> {
        self.waiting.lock().unwrap().clone()
    }
}

/// The id that every silence gets.
const ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

impl Silences for Script {
    fn list(&self) -> Vec<Arc<Silence>> {
        self.silences.lock().unwrap().clone()
    }

    fn get(&self, id: SilenceId) -> Option<Arc<Silence>> {
        self.list().into_iter().find(|silence| silence.id == id)
    }

    fn set(&self, draft: SilenceDraft) -> BoxFuture<'_, Result<SilenceId, SilenceError>> {
        self.drafts.lock().unwrap().push(draft);
        let refused = self.refuse.lock().unwrap().clone();
        Box::pin(std::future::ready(refused.map_or(Ok(ID.parse().unwrap()), Err)))
    }

    fn expire(&self, id: SilenceId) -> BoxFuture<'_, Result<(), SilenceError>> {
        let known = self.get(id).map(drop).ok_or(SilenceError::NotFound);
        let refused = self.refuse.lock().unwrap().clone();
        Box::pin(std::future::ready(refused.map_or(known, Err)))
    }
}

/// A running server.
pub(crate) struct Bed {
    script: Arc<Script>,
    store: Arc<dyn Store>,
    intake: String,
    pub(crate) api: String,
    admin: String,
    snapshot: watch::Sender<Arc<Snapshot>>,
}

impl Bed {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    async fn start_with(tokens: Option<Tokens>) -> Self {
        let store = store::in_memory(StoreSettings::for_memory(MEMORY)).unwrap();
        Self::start_over(tokens, store).await
    }

    /// So many reads of Alertmanager's API at a time.
    async fn start_narrow(places: usize) -> Self {
        let store = store::in_memory(StoreSettings::for_memory(MEMORY)).unwrap();
        Self::build(None, store, Gate::new(places)).await
    }

    async fn start_over(tokens: Option<Tokens>, store: Arc<dyn Store>) -> Self {
        Self::build(tokens, store, Gate::default()).await
    }

    async fn build(tokens: Option<Tokens>, store: Arc<dyn Store>, gate: Gate) -> Self {
        let script = Arc::new(Script::default());
        script.store.set(Arc::clone(&store)).unwrap();
        let mut registry = telemetry::registry();
        let metrics = Arc::new(Metrics::register(&mut registry));
        let (sender, snapshot) = watch::channel(Arc::new(Snapshot::default()));
        let asked = Arc::clone(&script);
        let checks: Checks = Arc::new(move || asked.checks.lock().unwrap().clone());
        let server = Server {
            publisher: Arc::clone(&script) as Arc<dyn Publisher>,
            intake: Arc::clone(&script) as Arc<dyn Intake>,
            replay: Arc::clone(&script) as Arc<dyn Replay>,
            silences: Arc::clone(&script) as Arc<dyn Silences>,
            listing: Arc::new(fanfare::dispatch::Listing::default),
            gate,
            started: jiff::Timestamp::now(),
            store: Arc::clone(&store),
            reads: fanfare::server::Reads::default(),
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
        Self { script, store, intake, api, admin, snapshot: sender }
    }

    /// This is the configuration from now on.
    pub(crate) fn show(&self, snapshot: Arc<Snapshot>) {
        self.snapshot.send_replace(snapshot);
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
