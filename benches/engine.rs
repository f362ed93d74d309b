//! What the engine itself costs per target: the real publish path with nothing but socket and disk left out.
//!
//! In it: plan, each target's limits, permit and circuit, the notification made for each target, the attempt, the
//! judgement of its answer (`classify`), health and circuit fed with it, result, history, statistics, metrics.
//! Not in it: rendering, the HTTP client (with the two looks at the clock by which it takes the latency) and
//! writing the history down; what is written is made, handed over and dropped. In their place is a transport
//! that returns `Pending` once for each target and is woken
//!
//! * from another thread (`other-thread`), which looks for wakers in a loop and goes to sleep when there have
//!   been none for a while, or
//! * from the same thread (`same-thread`), by another task of the same runtime.
//!
//! `skipped` is a publish to 200 targets that are named and of which half or all are left out for their health, or
//! that are all left out of those a filter selects; what differs is finding them by name. `aggregate` is counting
//! what a hundred results came to.
//!
//! `one-task-or-many`: `bare` and `spawned` do the same sends and nothing else (no plan, no limits, no records), in
//! one task and in one task per target: the measure for doing it all in one task. `compute` spends 10 µs of
//! CPU time per send, which is what rendering and framing cost.
//!
//! `FANFARE_CLOCK=cpu` counts the CPU time of the publishing thread instead of the time that passes: for a
//! machine that has other things to do.

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{
    BatchSize, BenchmarkId, Criterion, Throughput,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use fanfare::{
    alert::{Member, Notification, NotificationReason, Status},
    delivery::Transport,
    fanout::Engine,
    publish::{PublishRequest, Publisher},
};
use futures::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

#[path = "engine/bed.rs"]
mod bed;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/fanout/builder.rs"]
mod builder;
#[path = "engine/null.rs"]
mod null;

use bed::{alert, engine, request, targets};
use null::{FarEnd, FarThread, Null, same_thread};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const COUNTS: [usize; 7] = [1, 5, 10, 25, 50, 100, 200];

/// CPU time of the thread that measures.
struct ThreadTime(WallTime);

// === impl ThreadTime ===

impl Measurement for ThreadTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        now.try_into().expect("a thread's time is never negative")
    }

    fn end(&self, start: Duration) -> Duration {
        self.start().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    #[expect(clippy::cast_precision_loss, reason = "a measurement is no longer than hours")]
    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self.0.formatter()
    }
}

/// One publish after another; making the request and dropping the result are not measured.
fn publish<M: Measurement + 'static>(
    bencher: &mut criterion::Bencher<'_, M>,
    runtime: &Runtime,
    (engine, request): (&Engine<Null>, &PublishRequest),
) {
    bencher.to_async(runtime).iter_batched(
        || request.clone(),
        |request| async { black_box(engine.publish(request).await) },
        // Few enough that all of it stays in the cache, as it would.
        BatchSize::NumIterations(16),
    );
}

fn publishes<M: Measurement + 'static>(
    criterion: &mut Criterion<M>,
    runtime: &Runtime,
    (name, far): (&str, &Arc<FarEnd>),
) {
    let mut group = criterion.benchmark_group(name);
    for count in COUNTS {
        let engine = engine(Null::new(far, Duration::ZERO), targets(count, 0));
        let request = request(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            publish(bencher, runtime, (&engine, &request));
        });
    }
    group.finish();
}

fn skipped<M: Measurement + 'static>(
    criterion: &mut Criterion<M>,
    runtime: &Runtime,
    far: &Arc<FarEnd>,
) {
    let mut group = criterion.benchmark_group("skipped");
    let count = 200;
    group.throughput(Throughput::Elements(count as u64));
    let request = request(count);
    for (name, unhealthy) in [("half", count / 2), ("all", count)] {
        let engine = engine(Null::new(far, Duration::ZERO), targets(count, unhealthy));
        group.bench_function(BenchmarkId::new(name, count), |bencher| {
            publish(bencher, runtime, (&engine, &request));
        });
    }
    let engine = engine(Null::new(far, Duration::ZERO), bed::degraded(count));
    group.bench_function(BenchmarkId::new("all-by-filter", count), |bencher| {
        publish(bencher, runtime, (&engine, &bed::to_the_best()));
    });
    group.finish();
}

fn aggregate<M: Measurement + 'static>(
    criterion: &mut Criterion<M>,
    runtime: &Runtime,
    far: &Arc<FarEnd>,
) {
    let count = 100;
    let engine = engine(Null::new(far, Duration::ZERO), targets(count, 10));
    let result = runtime.block_on(engine.publish(request(count))).expect("all targets exist");
    criterion.bench_function("aggregate/100", |bencher| {
        bencher.iter(|| black_box(black_box(&result).counts()));
    });
}

fn one_task_or_many<M: Measurement + 'static>(criterion: &mut Criterion<M>) {
    let runtime = Runtime::new().expect("a runtime can be built");
    let far = same_thread(&runtime);
    let mut group = criterion.benchmark_group("one-task-or-many");
    let count = 1_000;
    group.throughput(Throughput::Elements(count as u64));
    for (label, work) in [("null", Duration::ZERO), ("compute", Duration::from_micros(10))] {
        let transport = Null::new(&far, work);
        let engine = engine(transport.clone(), targets(count, 0));
        let request = request(count);
        group.bench_function(BenchmarkId::new("engine", label), |bencher| {
            publish(bencher, &runtime, (&engine, &request));
        });
        let targets: Vec<_> =
            targets(count, 0).into_iter().map(builder::TargetBuilder::build).collect();
        let notification = notification();
        group.bench_function(BenchmarkId::new("bare", label), |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let sends = targets.iter().map(|target| transport.send(target, &notification));
                black_box(sends.collect::<FuturesUnordered<_>>().count().await)
            });
        });
        group.bench_function(BenchmarkId::new("spawned", label), |bencher| {
            bencher.to_async(&runtime).iter(|| async {
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

fn notification() -> Arc<Notification> {
    let alert = alert();
    Arc::new(Notification {
        id: "id".into(),
        group_key: "key".into(),
        incident_key: "key".into(),
        receiver: "bench".into(),
        status: Status::Firing,
        group_labels: alert.labels.clone(),
        members: vec![Member { alert, status: Status::Firing }],
        reason: NotificationReason::First,
        external_url: "".into(),
        at: Timestamp::now(),
        fallback: false,
        digest: false,
    })
}

fn measure<M: Measurement + 'static>(criterion: Criterion<M>) {
    let mut criterion = criterion
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_500))
        .sample_size(30)
        .configure_from_args();
    let runtime = Builder::new_current_thread().enable_all().build().expect("it can be built");
    let here = same_thread(&runtime);
    publishes(&mut criterion, &runtime, ("same-thread", &here));
    let there = FarThread::start();
    publishes(&mut criterion, &runtime, ("other-thread", &there.far));
    drop(there);
    skipped(&mut criterion, &runtime, &here);
    aggregate(&mut criterion, &runtime, &here);
    one_task_or_many(&mut criterion);
    criterion.final_summary();
}

fn main() {
    match std::env::var_os("FANFARE_CLOCK") {
        Some(clock) if clock == "cpu" => {
            measure(Criterion::default().with_measurement(ThreadTime(WallTime)));
        }
        _ => measure(Criterion::default()),
    }
}
