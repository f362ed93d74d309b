//! What the engine itself costs: publishes through a transport that does nothing but wait once and
//! be woken by another task, as a socket would.
//!
//! `bare` and `spawned` do the same sends and nothing else (no plan, no limits, no records), in one
//! task and in one task per target: the measure for doing it all in one task. The `render` group
//! spends 10 µs of CPU time per send, which is what rendering and framing cost.

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput};
use fanfare::{
    alert::{Alert, Labels, Member, Notification, NotificationReason, Status},
    delivery::{Attempt, Transport},
    fanout::{Courier, Engine, Metrics, Parts},
    publish::{Options, PublishRequest, Publisher, Selection},
    registry::{self, Monitor, Target},
    store,
};
use futures::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/fanout/builder.rs"]
mod builder;

use builder::{TargetBuilder, key, snapshot, target};

/// Waits once for another task, and may spend CPU time before.
#[derive(Clone)]
struct Null {
    far_end: mpsc::UnboundedSender<oneshot::Sender<()>>,
    work: Duration,
}

impl Transport for Null {
    async fn send(&self, _target: &Arc<Target>, notification: &Arc<Notification>) -> Attempt {
        let started = Instant::now();
        while started.elapsed() < self.work {
            black_box(notification.members[0].alert.labels.fingerprint());
        }
        let (answer, wait) = oneshot::channel();
        let sent = self.far_end.send(answer).is_ok();
        let answered = sent && wait.await.is_ok();
        assert!(answered, "the far end lives as long as the runtime");
        let latency = started.elapsed();
        Attempt { result: Ok(()), status_code: Some(200), latency, sample: None }
    }
}

fn null(runtime: &Runtime, work: Duration) -> Null {
    let (far_end, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    runtime.spawn(async move {
        while let Some(answer) = asked.recv().await {
            // Whoever asked may have left.
            let _ = answer.send(());
        }
    });
    Null { far_end, work }
}

fn name(number: usize) -> String {
    format!("bench/t{number:04}")
}

fn alert() -> Arc<Alert> {
    let now = Timestamp::now();
    let labels =
        ["alertname", "namespace", "severity", "pod", "container", "instance", "job", "team"];
    Arc::new(Alert {
        labels: Labels::from_iter(labels.map(|name| (name, "some-value-of-usual-length"))),
        annotations: Labels::from_iter([("summary", "something is wrong somewhere")]),
        starts_at: now,
        ends_at: now + Duration::from_hours(1),
        timeout: false,
        generator_url: "http://prometheus/graph".into(),
        updated_at: now,
    })
}

fn engine(transport: Null, targets: Vec<TargetBuilder>) -> Engine<Null> {
    let targets = targets.into_iter().map(TargetBuilder::build).collect();
    let (_, snapshots) = watch::channel(Arc::new(snapshot(1, targets)));
    let parts = Parts {
        snapshots,
        monitor: Monitor::new(Arc::default(), registry::Metrics::default()),
        metrics: Metrics::register(&mut Registry::default()),
        refresh: Arc::new(|_| {}),
        store: store::in_memory(store::Settings::for_memory(1 << 30)).expect("there is memory"),
    };
    Engine::new(Courier::new(transport, parts), "".into())
}

fn request(count: usize) -> PublishRequest {
    PublishRequest {
        alert: alert(),
        selection: Selection::Named((0..count).map(|number| key(&name(number))).collect()),
        options: Options { max_concurrent: 200, ..Options::default() },
        idempotency: None,
    }
}

fn publishes(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("publish");
    for (label, count, skipped) in [
        ("healthy", 1, 0),
        ("healthy", 10, 0),
        ("healthy", 100, 0),
        ("healthy", 1_000, 0),
        ("half-skipped", 1_000, 500),
        ("all-skipped", 1_000, 1_000),
    ] {
        let targets = (0..count).map(|number| {
            let built = target(&name(number));
            if number < skipped { built.unhealthy() } else { built }
        });
        let engine = engine(null(runtime, Duration::ZERO), targets.collect());
        let request = request(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new(label, count), |bencher| {
            bencher.to_async(runtime).iter(|| async {
                let result = engine.publish(request.clone()).await;
                black_box(result.map(|result| result.results.len()))
            });
        });
    }
    group.finish();
}

fn one_task_or_many(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("one-task-or-many");
    let count = 1_000;
    group.throughput(Throughput::Elements(count as u64));
    for (label, work) in [("null", Duration::ZERO), ("render", Duration::from_micros(10))] {
        let transport = null(runtime, work);
        let engine = engine(transport.clone(), (0..count).map(|at| target(&name(at))).collect());
        let request = request(count);
        group.bench_function(BenchmarkId::new("engine", label), |bencher| {
            bencher.to_async(runtime).iter(|| async {
                black_box(engine.publish(request.clone()).await.map(|result| result.timed_out))
            });
        });
        let targets: Vec<_> = (0..count).map(|at| target(&name(at)).build()).collect();
        let notification = Arc::new(Notification {
            id: "id".into(),
            group_key: "key".into(),
            incident_key: "key".into(),
            receiver: "bench/t".into(),
            status: Status::Firing,
            members: vec![Member { alert: alert(), status: Status::Firing }],
            group_labels: Labels::empty(),
            reason: NotificationReason::First,
            external_url: "".into(),
            at: Timestamp::now(),
            fallback: false,
            digest: false,
        });
        group.bench_function(BenchmarkId::new("bare", label), |bencher| {
            bencher.to_async(runtime).iter(|| async {
                let sends = targets.iter().map(|target| transport.send(target, &notification));
                black_box(sends.collect::<FuturesUnordered<_>>().count().await)
            });
        });
        group.bench_function(BenchmarkId::new("spawned", label), |bencher| {
            bencher.to_async(runtime).iter(|| async {
                let mut tasks = JoinSet::new();
                for target in &targets {
                    let (transport, target) = (transport.clone(), target.clone());
                    let notification = notification.clone();
                    tasks.spawn(async move { transport.send(&target, &notification).await });
                }
                black_box(tasks.join_all().await.len())
            });
        });
    }
    group.finish();
}

fn main() {
    let runtime = Runtime::new().expect("a runtime can be built");
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    publishes(&mut criterion, &runtime);
    one_task_or_many(&mut criterion, &runtime);
    criterion.final_summary();
}
